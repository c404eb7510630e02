// Package ids has one type per identifier. An identifier is given by the
// program, not by the database: 63 bits that grow with time (41 bits of
// milliseconds, 10 of node, 12 of sequence), so that rows are added at the end
// of their table. Outside the house it is a TypeID: a prefix and a UUIDv7 in
// Crockford's base32 (github.com/jetify-com/typeid, spec 0.3), such as
// msg_01k8x3v5r2e00000g00000000r. An identifier is no secret and proves nothing.
package ids

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
)

// Kind is a sort of identifier; it gives the prefix of the text form.
type Kind interface{ Prefix() string }

// ID identifies one thing of kind K. Zero identifies nothing.
type ID[K Kind] int64

// The kinds. Each has its own type, so that the compiler tells them apart.
type (
	tenantKind      struct{}
	userKind        struct{}
	tokenKind       struct{}
	credentialKind  struct{}
	messageKind     struct{}
	recipientKind   struct{}
	routeKind       struct{}
	domainKind      struct{}
	jobKind         struct{}
	suppressionKind struct{}
	keyKind         struct{}
	sessionKind     struct{}
	certificateKind struct{}
	requestKind     struct{}
	caughtKind      struct{}
	attemptKind     struct{}
	referenceKind   struct{}
	leafKind        struct{}
	backupKind      struct{}
	caseKind        struct{}
	holdKind        struct{}
	readKind        struct{}
	incidentKind    struct{}
	breachKind      struct{}
	attestationKind struct{}
	grantKind       struct{}
	weaknessKind    struct{}
	lawfulKind      struct{}
	alertKind       struct{}
	processorKind   struct{}
	objectionKind   struct{}
	onwardKind      struct{}
)

func (tenantKind) Prefix() string      { return "ten" }
func (userKind) Prefix() string        { return "usr" }
func (tokenKind) Prefix() string       { return "tok" }
func (credentialKind) Prefix() string  { return "crd" }
func (messageKind) Prefix() string     { return "msg" }
func (recipientKind) Prefix() string   { return "rcp" }
func (routeKind) Prefix() string       { return "rte" }
func (domainKind) Prefix() string      { return "dom" }
func (jobKind) Prefix() string         { return "job" }
func (suppressionKind) Prefix() string { return "sup" }
func (keyKind) Prefix() string         { return "key" }
func (sessionKind) Prefix() string     { return "ses" }
func (certificateKind) Prefix() string { return "crt" }
func (requestKind) Prefix() string     { return "req" }
func (caughtKind) Prefix() string      { return "cgt" }
func (attemptKind) Prefix() string     { return "att" }
func (referenceKind) Prefix() string   { return "ref" }
func (leafKind) Prefix() string        { return "leaf" }
func (backupKind) Prefix() string      { return "bak" }
func (caseKind) Prefix() string        { return "case" }
func (holdKind) Prefix() string        { return "hld" }
func (readKind) Prefix() string        { return "rds" }
func (incidentKind) Prefix() string    { return "inc" }
func (breachKind) Prefix() string      { return "ntc" }
func (attestationKind) Prefix() string { return "atn" }
func (grantKind) Prefix() string       { return "grt" }
func (weaknessKind) Prefix() string    { return "wkn" }
func (lawfulKind) Prefix() string      { return "law" }
func (alertKind) Prefix() string       { return "alr" }
func (processorKind) Prefix() string   { return "spr" }
func (objectionKind) Prefix() string   { return "obj" }
func (onwardKind) Prefix() string      { return "onw" }

// The identifiers of the house.
type (
	Tenant      = ID[tenantKind]
	User        = ID[userKind]
	Token       = ID[tokenKind]
	Credential  = ID[credentialKind]
	Message     = ID[messageKind]
	Recipient   = ID[recipientKind] // one recipient of one message: a row of the queue
	Route       = ID[routeKind]
	Domain      = ID[domainKind]
	Job         = ID[jobKind]
	Suppression = ID[suppressionKind]
	Key         = ID[keyKind] // an epoch key of the vault
	Session     = ID[sessionKind]
	Certificate = ID[certificateKind]
	Request     = ID[requestKind]
	Caught      = ID[caughtKind]
	Attempt     = ID[attemptKind]
	Reference   = ID[referenceKind] // what a refusal tells the peer and the log
	Leaf        = ID[leafKind]      // one entry of the evidence log
	Backup      = ID[backupKind]
	Case        = ID[caseKind] // a request of a person about their data
	Hold        = ID[holdKind] // a legal hold
	Reads       = ID[readKind] // records of reads that were written together
	Incident    = ID[incidentKind]
	Notice      = ID[breachKind] // of an incident, to one customer
	Attestation = ID[attestationKind]
	Grant       = ID[grantKind]    // of access to personal data, for a time
	Weakness    = ID[weaknessKind] // an entry of the register of findings
	Lawful      = ID[lawfulKind]   // a request of an authority
	Alert       = ID[alertKind]
	// SubProcessor is an entry of their register, Objection a customer's to a change of it.
	SubProcessor = ID[processorKind]
	Objection    = ID[objectionKind]
	Onward       = ID[onwardKind] // one recipient of data who is told what became of it
)

const (
	nodeBits, seqBits = 10, 12
	// MaxNode is the largest node number.
	MaxNode = 1<<nodeBits - 1
)

// epoch is where the 41 bits of milliseconds start: 2020-01-01 UTC; they end in 2089.
var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// Source gives identifiers that never repeat on one node and never go back,
// even when the clock does. It is safe for use by many goroutines.
type Source struct {
	clock clock.Clock
	node  int64
	mu    sync.Mutex
	last  int64 // milliseconds<<seqBits | sequence
}

// NewSource starts a source for a node. after is the newest identifier that the
// node ever gave (read from its store), or 0.
func NewSource(c clock.Clock, node int, after int64) *Source {
	last := int64(0)
	if after > 0 {
		last = after>>(nodeBits+seqBits)<<seqBits | (1<<seqBits - 1)
	}
	return &Source{clock: c, node: int64(node) & MaxNode, last: last}
}

// Move goes on under another node number: the former one may be another
// process's by now.
func (s *Source) Move(node int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.node = int64(node) & MaxNode
}

func (s *Source) next() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.clock.Now().Sub(epoch).Milliseconds() << seqBits
	if n <= s.last {
		n = s.last + 1
	}
	s.last = n
	return (n>>seqBits)<<(nodeBits+seqBits) | s.node<<seqBits | n&(1<<seqBits-1)
}

// Any is one of the house's identifiers: ids.Message, ids.Tenant and so on.
type Any interface {
	~int64
	Kind
}

// New gives the next identifier: ids.New[ids.Message](source).
func New[T Any](s *Source) T { return T(s.next()) }

// Time is when the identifier was given, to the millisecond.
func (id ID[K]) Time() time.Time {
	return epoch.Add(time.Duration(int64(id)>>(nodeBits+seqBits)) * time.Millisecond)
}

// FirstAt is the smallest identifier that could be given at t: a bound for
// range queries by time. Before 2020 that is zero, after 2089 the last moment's.
func FirstAt[T Any](t time.Time) T {
	return T(min(max(0, t.Sub(epoch).Milliseconds()), 1<<41-1) << (nodeBits + seqBits))
}

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// uuid spreads the 63 bits over a UUIDv7 (RFC 9562 5.7): milliseconds since
// 1970, the sequence in rand_a, the node in the first bits of rand_b; the other
// 52 bits are zero.
func (id ID[K]) uuid() (hi, lo uint64) {
	ms := uint64(id.Time().UnixMilli())
	seq := uint64(id) & (1<<seqBits - 1)
	node := uint64(id) >> seqBits & MaxNode
	return ms<<16 | 7<<12 | seq, 2<<62 | node<<52
}

// String gives the TypeID text form, or "" for zero.
func (id ID[K]) String() string {
	if id == 0 {
		return ""
	}
	var k K
	hi, lo := id.uuid()
	var out [26]byte
	for i := 25; i >= 0; i-- {
		out[i] = alphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return k.Prefix() + "_" + string(out[:])
}

// Prefix is what the text form begins with, before the underscore.
func (ID[K]) Prefix() string {
	var k K
	return k.Prefix()
}

// Parse reads the text form; anything else is an Invalid fault that shows the
// form it wants.
func Parse[T Any](s string) (T, error) {
	var k T
	bad := func() (T, error) {
		return 0, fault.Field("id", fmt.Sprintf("%s is no identifier of this kind; it has the form %s_ and 26 letters and digits.", quote(s), k.Prefix()))
	}
	rest, ok := strings.CutPrefix(s, k.Prefix()+"_")
	if !ok || len(rest) != 26 || rest[0] > '7' {
		return bad()
	}
	var hi, lo uint64
	for i := range len(rest) {
		v := strings.IndexByte(alphabet, rest[i])
		if v < 0 {
			return bad()
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(v)
	}
	ms := time.UnixMilli(int64(hi >> 16)).Sub(epoch).Milliseconds()
	if hi>>12&15 != 7 || lo>>62 != 2 || lo&(1<<52-1) != 0 || ms < 0 || ms >= 1<<41 {
		return bad()
	}
	return T(ms<<(nodeBits+seqBits) | int64(lo>>52&MaxNode)<<seqBits | int64(hi&(1<<seqBits-1))), nil
}

func quote(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return fmt.Sprintf("%q", s)
}

// MarshalText implements encoding.TextMarshaler.
func (id ID[K]) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ID[K]) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*id = 0
		return nil
	}
	v, err := Parse[ID[K]](string(b))
	*id = v
	return err
}

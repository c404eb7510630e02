package evidence

import (
	"bytes"
	"encoding/json"
	"reflect"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// MaxLeaf is the largest encoded leaf in bytes. C2SP tlog-tiles gives an entry
// 65,535; the smaller bound keeps a full bundle of 256 under 8 MiB.
const MaxLeaf = 32 << 10

const leafVersion = 1

// Kind is the sort of a leaf.
type Kind string

// The closed list of leaves.
const (
	KindAct            Kind = "act"             // an administrative act
	KindAccess         Kind = "access"          // staff looked at personal data
	KindPurge          Kind = "purge"           // a batch went because its time was over
	KindErasure        Kind = "erasure"         // a person was erased
	KindPolicy         Kind = "policy"          // the privacy policy changed
	KindProbe          Kind = "probe"           // a promise was probed
	KindKeyRotation    Kind = "key.rotation"    // a key was replaced
	KindKeyDestruction Kind = "key.destruction" // keys were destroyed
	KindRestore        Kind = "restore"         // data came back from a backup
)

// Body is what a leaf tells: one of the nine types of body.go.
type Body interface {
	Kind() Kind
	check(*checker)
}

// newBody gives an empty body of a kind, or nil for a kind that is not listed.
func newBody(k Kind) Body {
	switch k {
	case KindAct:
		return &Act{}
	case KindAccess:
		return &Access{}
	case KindPurge:
		return &Purge{}
	case KindErasure:
		return &Erasure{}
	case KindPolicy:
		return &PolicyChange{}
	case KindProbe:
		return &ProbeResult{}
	case KindKeyRotation:
		return &KeyRotation{}
	case KindKeyDestruction:
		return &KeyDestruction{}
	case KindRestore:
		return &Restore{}
	}
	return nil
}

// Leaf is one entry of the log. ID makes it unique and is given by whoever
// stages it; Tenant is zero for acts on the whole platform.
type Leaf struct {
	ID     ids.Leaf
	At     Time
	By     Actor
	Tenant ids.Tenant
	Body   Body
}

// wireLeaf is the JSON object. The fields of every wire struct stand in the
// order of their keys, so that encoding/json writes the canonical form.
type wireLeaf struct {
	At     Time            `json:"at"`
	Body   json.RawMessage `json:"body"`
	By     Actor           `json:"by"`
	ID     ids.Leaf        `json:"id"`
	Kind   Kind            `json:"kind"`
	Tenant ids.Tenant      `json:"tenant,omitempty"`
	V      int             `json:"v"`
}

// Encode gives the canonical bytes that the log hashes. It refuses a leaf with
// a missing or malformed field, and any text with an @ in it, so that an
// address cannot enter the log by mistake.
func (l Leaf) Encode() ([]byte, error) {
	if l.Body == nil || reflect.ValueOf(l.Body).Kind() != reflect.Pointer || reflect.ValueOf(l.Body).IsNil() {
		return nil, fault.Field("body", "A leaf needs a body: a pointer to one of the listed types.")
	}
	var c checker
	c.that(l.ID > 0, "id", "must be given")
	c.that(!l.At.IsZero(), "at", "must be given")
	c.that(l.Tenant >= 0, "tenant", "must be a customer's id or nothing")
	l.By.check(&c)
	l.Body.check(&c)
	if c.err != nil {
		return nil, c.err
	}
	body, err := canonical(l.Body)
	if err != nil {
		return nil, fault.Wrap(err, "encode a leaf's body")
	}
	out, err := canonical(wireLeaf{At: l.At, Body: body, By: l.By, ID: l.ID, Kind: l.Body.Kind(), Tenant: l.Tenant, V: leafVersion})
	if err != nil {
		return nil, fault.Wrap(err, "encode a leaf")
	}
	if len(out) > MaxLeaf {
		return nil, fault.New(fault.Invalid, "The entry for the evidence log is larger than 32 KiB.")
	}
	return out, nil
}

// ParseLeaf reads a leaf. It accepts exactly the bytes that Encode writes: an
// unknown or doubled key, another order, a space or another spelling of a
// number is an Invalid fault.
func ParseLeaf(data []byte) (Leaf, error) {
	if len(data) > MaxLeaf {
		return Leaf{}, fault.New(fault.Invalid, "The leaf is larger than 32 KiB.")
	}
	var w wireLeaf
	if err := decode(data, &w); err != nil {
		return Leaf{}, fault.Because(fault.Invalid, err, "The leaf is not the JSON of docs/formats/evidence.md.")
	}
	body := newBody(w.Kind)
	if body == nil || w.V != leafVersion {
		return Leaf{}, fault.New(fault.Invalid, "The leaf has a kind or a version that this program does not know.")
	}
	if err := decode(w.Body, body); err != nil {
		return Leaf{}, fault.Because(fault.Invalid, err, "The leaf's body is not the JSON of its kind.")
	}
	l := Leaf{ID: w.ID, At: w.At, By: w.By, Tenant: w.Tenant, Body: body}
	again, err := l.Encode()
	if err != nil {
		return Leaf{}, fault.Wrap(err, "check a leaf")
	}
	if !bytes.Equal(again, data) {
		return Leaf{}, fault.New(fault.Invalid, "The leaf is not in canonical form.")
	}
	return l, nil
}

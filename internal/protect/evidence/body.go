package evidence

import (
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
)

// Role says in which capacity somebody acted. A leaf holds roles, never names.
type Role string

// The closed list of roles.
const (
	BySubject   Role = "subject" // the person whose data it is
	ByOperator  Role = "operator"
	ByOwner     Role = "owner"
	ByAdmin     Role = "admin"
	ByDeveloper Role = "developer"
	ByViewer    Role = "viewer"
	ByAuditor   Role = "auditor"
	BySystem    Role = "system" // retention, probes, the sequencer
)

// Actor is who acted. Pseudonym may be empty; it is PseudonymOf under a key
// per customer and year that its holder destroys on its day.
type Actor struct {
	Pseudonym *Digest `json:"pseudonym,omitempty"`
	Role      Role    `json:"role"`
}

func (a Actor) check(c *checker) {
	switch a.Role {
	case BySubject, ByOperator, ByOwner, ByAdmin, ByDeveloper, ByViewer, ByAuditor, BySystem:
	default:
		c.that(false, "by.role", "must be one of the listed roles")
	}
}

// Act is an administrative act: Act "domain.add", Target its object's id.
type Act struct {
	Act    string `json:"act"`
	Target string `json:"target,omitempty"` // the text form of an identifier, or nothing
}

// Kind implements Body.
func (*Act) Kind() Kind { return KindAct }

func (b *Act) check(c *checker) {
	c.word("body.act", b.Act)
	c.that(b.Target == "" || isID(b.Target), "body.target", "must be an identifier such as dom_… and 26 letters and digits")
}

// Access is a look of staff at personal data.
type Access struct {
	Category string `json:"category"` // a pledge.Category's name
	Purpose  string `json:"purpose"`  // a word: "support", "abuse"
	Records  int64  `json:"records"`
	Target   string `json:"target,omitempty"`
}

// Kind implements Body.
func (*Access) Kind() Kind { return KindAccess }

func (b *Access) check(c *checker) {
	c.sentence("body.category", b.Category)
	c.word("body.purpose", b.Purpose)
	c.count("body.records", b.Records)
	c.that(b.Target == "" || isID(b.Target), "body.target", "must be an identifier")
}

// Purge is a batch that went because its period was over.
type Purge struct {
	Before   Time   `json:"before"` // everything of the category older than this
	Category string `json:"category"`
	Count    int64  `json:"count"`
	Keys     int64  `json:"keys"` // keys destroyed with it
	Policy   string `json:"policy"`
}

// Kind implements Body.
func (*Purge) Kind() Kind { return KindPurge }

func (b *Purge) check(c *checker) {
	c.that(!b.Before.IsZero(), "body.before", "must be given")
	c.sentence("body.category", b.Category)
	c.count("body.count", b.Count)
	c.count("body.keys", b.Keys)
	c.word("body.policy", b.Policy)
}

// Of says whose erasure it was, where it was no person's.
type Of string

// OfCustomer is the end of a customer's contract: everything of the leaf's tenant.
const OfCustomer Of = "customer"

// Erasure is the erasure of one person, or of a customer as a whole; it is the
// body of a certificate.
type Erasure struct {
	Categories  []Counted       `json:"categories"`
	Certificate ids.Certificate `json:"certificate"`
	Follows     []Follow        `json:"follows"`      // what is reached later, and by when
	Of          Of              `json:"of,omitempty"` // nothing: a person
	Policy      string          `json:"policy"`       // the policy's version: "2026-11"
	Reached     []string        `json:"reached"`      // what was reached at once, in sentences
	Reason      string          `json:"reason"`       // a word: "art17", "consent.withdrawn", "under16"
	Subject     SubjectHash     `json:"subject"`
}

// Counted is what an erasure did in one category.
type Counted struct {
	Category string `json:"category"`
	Erased   int64  `json:"erased"`
	Kept     int64  `json:"kept"`
	Why      string `json:"why,omitempty"` // why something was kept
}

// Follow is an end that is reached later: "copies in backups cannot be opened".
type Follow struct {
	By   Time   `json:"by"`
	What string `json:"what"`
}

// Counts turns what the holders erased into the certificate's counts.
func Counts(erased []pledge.Erased) []Counted {
	out := make([]Counted, len(erased))
	for i, e := range erased {
		out[i] = Counted{Category: e.Category, Erased: int64(e.Count), Kept: int64(e.Kept + e.Later), Why: e.Why}
	}
	return out
}

// Kind implements Body.
func (*Erasure) Kind() Kind { return KindErasure }

func (b *Erasure) check(c *checker) {
	c.that(b.Certificate > 0, "body.certificate", "must be given")
	c.that(b.Categories != nil && b.Follows != nil && b.Reached != nil, "body", "has lists; an empty one is [] and not missing")
	for _, k := range b.Categories {
		c.sentence("body.categories.category", k.Category)
		c.count("body.categories.erased", k.Erased)
		c.count("body.categories.kept", k.Kept)
		if k.Why != "" || k.Kept > 0 {
			c.sentence("body.categories.why", k.Why)
		}
	}
	for _, f := range b.Follows {
		c.that(!f.By.IsZero(), "body.follows.by", "must be given")
		c.sentence("body.follows.what", f.What)
	}
	for _, r := range b.Reached {
		c.sentence("body.reached", r)
	}
	c.word("body.policy", b.Policy)
	c.word("body.reason", b.Reason)
	c.that(b.Of == "" || b.Of == OfCustomer, "body.of", "must be customer or nothing")
	c.that(b.Subject != SubjectHash{}, "body.subject", "must be given")
}

// PolicyChange records a new version of the policy by its text's SHA-256.
type PolicyChange struct {
	Digest   Digest `json:"digest"`
	Previous string `json:"previous,omitempty"`
	Version  string `json:"version"`
}

// Kind implements Body.
func (*PolicyChange) Kind() Kind { return KindPolicy }

func (b *PolicyChange) check(c *checker) {
	if b.Previous != "" {
		c.word("body.previous", b.Previous)
	}
	c.word("body.version", b.Version)
}

// ProbeResult records what a probe found. What it saw stands as SHA-256 only,
// because it may quote mail.
type ProbeResult struct {
	Evidence Digest        `json:"evidence"`
	Promise  string        `json:"promise"` // "cm-encryption"
	Status   pledge.Status `json:"status"`
}

// Kind implements Body.
func (*ProbeResult) Kind() Kind { return KindProbe }

func (b *ProbeResult) check(c *checker) {
	c.word("body.promise", b.Promise)
	switch b.Status {
	case pledge.Kept, pledge.Failing, pledge.NotApplicable, pledge.Attested, pledge.NotYet:
	default:
		c.that(false, "body.status", "must be one of the listed statuses")
	}
}

// KeyRotation records that New took the place of Old. For the log's own key
// Purpose is PurposeEvidence and both are the note's verifier keys.
type KeyRotation struct {
	New     string `json:"new"`
	Old     string `json:"old"`
	Purpose string `json:"purpose"`
}

// PurposeEvidence is the KeyRotation.Purpose of the log's own signing key.
const PurposeEvidence = "evidence"

// Kind implements Body.
func (*KeyRotation) Kind() Kind { return KindKeyRotation }

func (b *KeyRotation) check(c *checker) {
	c.sentence("body.new", b.New)
	c.sentence("body.old", b.Old)
	c.word("body.purpose", b.Purpose)
}

// KeyDestruction records that keys were destroyed, and with them what they opened.
type KeyDestruction struct {
	Count   int64   `json:"count"`
	Key     ids.Key `json:"key,omitempty"` // where it is one key
	Purpose string  `json:"purpose"`
	Reason  string  `json:"reason"`
}

// Kind implements Body.
func (*KeyDestruction) Kind() Kind { return KindKeyDestruction }

func (b *KeyDestruction) check(c *checker) {
	c.count("body.count", b.Count)
	c.that(b.Key >= 0, "body.key", "must be a key's id or nothing")
	c.word("body.purpose", b.Purpose)
	c.word("body.reason", b.Reason)
}

// Restore records that data came back from a backup, and that the erasures
// since then were done again.
type Restore struct {
	Erased int64 `json:"erased"` // records erased again
	Ledger int64 `json:"ledger"` // entries of the erasure ledger replayed
	Taken  Time  `json:"taken"`  // when the backup was taken
}

// Kind implements Body.
func (*Restore) Kind() Kind { return KindRestore }

func (b *Restore) check(c *checker) {
	c.count("body.erased", b.Erased)
	c.count("body.ledger", b.Ledger)
	c.that(!b.Taken.IsZero(), "body.taken", "must be given")
}

// checker keeps the first thing that is wrong.
type checker struct{ err *fault.Error }

func (c *checker) that(ok bool, field, text string) {
	if !ok && c.err == nil {
		c.err = fault.Field(field, "The evidence leaf's "+field+" "+text+".")
	}
}

func (c *checker) word(field, s string) {
	c.that(isWord(s), field, "must be a word of a-z, 0-9, dot, hyphen and underscore, at most 64 long")
}

func (c *checker) sentence(field, s string) {
	c.that(isSentence(s), field, "must be printable text of 1 to 240 octets without @")
}

// count holds numbers to what every JSON reader keeps exactly (RFC 8259 6).
func (c *checker) count(field string, n int64) {
	c.that(n >= 0 && n < 1<<53, field, "must be from 0 to 2^53-1")
}

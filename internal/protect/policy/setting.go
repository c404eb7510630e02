package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mailvow/internal/base/limit"
)

// Setting is one thing that a policy says. Its type knows which way is stricter,
// so that nobody has to remember it: within, meet and words are all that
// narrowing and comparing need.
type Setting interface {
	// Given reports whether it says anything; what does not is inherited.
	Given() bool
	// within reports that it is at least as strict as another of its type.
	within(outer Setting) bool
	// meet is the stricter of both, in every respect of it.
	meet(outer Setting) Setting
	// words says it to a person.
	words() string
	// wrong says what contradicts itself, or "".
	wrong() string
}

// Keeping is how long a category is kept. AtMost is the privacy limit: gone after
// it, so that shorter is stricter. AtLeast is the law's: not gone before it, so
// that longer is stricter; Law names it.
type Keeping struct {
	AtMost  Span   `yaml:"at_most,omitzero" json:"at_most,omitzero"`
	AtLeast Span   `yaml:"at_least,omitzero" json:"at_least,omitzero"`
	Law     string `yaml:"law,omitempty" json:"law,omitempty"`
}

// Given implements Setting.
func (k Keeping) Given() bool { return k.AtMost.set || k.AtLeast.set }

func (k Keeping) within(o Setting) bool {
	outer := o.(Keeping)
	return (!outer.AtMost.set || k.AtMost.set && k.AtMost.notLonger(outer.AtMost)) &&
		(!outer.AtLeast.set || k.AtLeast.set && outer.AtLeast.notLonger(k.AtLeast))
}

func (k Keeping) meet(o Setting) Setting {
	outer := o.(Keeping)
	if !k.AtMost.set || outer.AtMost.set && !k.AtMost.notLonger(outer.AtMost) {
		k.AtMost = outer.AtMost
	}
	if !k.AtLeast.set || outer.AtLeast.set && !outer.AtLeast.notLonger(k.AtLeast) {
		k.AtLeast, k.Law = outer.AtLeast, outer.Law
	}
	return k
}

func (k Keeping) words() string {
	var parts []string
	if k.AtLeast.set {
		law := ""
		if k.Law != "" {
			law = " (" + k.Law + ")"
		}
		parts = append(parts, "kept "+k.AtLeast.Words()+" at least"+law)
	}
	switch {
	case k.AtMost == Immediately:
		parts = append(parts, "gone at once")
	case k.AtMost.set:
		parts = append(parts, "gone after "+k.AtMost.Words())
	}
	return strings.Join(parts, ", ")
}

func (k Keeping) wrong() string {
	switch {
	case k.AtMost.set && k.AtLeast.set && !k.AtLeast.notLonger(k.AtMost):
		return "must be kept " + k.AtLeast.Words() + " at least and " + k.AtMost.Words() + " at most: the law's floor is above the ceiling"
	case k.Law != "" && !k.AtLeast.set:
		return "names a law and no at_least that it asks for"
	}
	return ""
}

// Deadline is a time within which something is done: shorter is stricter.
type Deadline struct{ Span }

func (d Deadline) within(o Setting) bool { return d.notLonger(o.(Deadline).Span) }

func (d Deadline) meet(o Setting) Setting {
	if d.within(o) {
		return d
	}
	return o
}

func (d Deadline) words() string {
	if d.Span == Immediately {
		return "at once"
	}
	return "within " + d.Words()
}
func (d Deadline) wrong() string { return "" }

// Notice is a time that people are given: longer is stricter.
type Notice struct{ Span }

func (n Notice) within(o Setting) bool { return o.(Notice).notLonger(n.Span) }

func (n Notice) meet(o Setting) Setting {
	if n.within(o) {
		return n
	}
	return o
}

func (n Notice) words() string { return n.Words() }
func (n Notice) wrong() string { return "" }

// Redaction says what a record holds of a field.
type Redaction string

// The redactions. Truncate and Hash each hide what the other shows, so that the
// stricter of both is Drop.
const (
	Keep     Redaction = "keep"
	Truncate Redaction = "truncate" // an address to its domain, an IP to its network, a text to its first characters
	Hash     Redaction = "hash"     // equal values stay equal, and that is all
	Drop     Redaction = "drop"
)

// Given implements Setting.
func (r Redaction) Given() bool { return r != "" }

func (r Redaction) within(o Setting) bool {
	outer := o.(Redaction)
	return r == outer || outer == Keep || r == Drop
}

func (r Redaction) meet(o Setting) Setting {
	switch outer := o.(Redaction); {
	case r.within(outer):
		return r
	case outer.within(r):
		return outer
	}
	return Drop
}

func (r Redaction) words() string {
	switch r {
	case Keep:
		return "kept as it is"
	case Truncate:
		return "cut short"
	case Hash:
		return "kept as a keyed hash"
	case Drop:
		return "not kept"
	}
	return string(r)
}

func (r Redaction) wrong() string {
	if r == Keep || r == Truncate || r == Hash || r == Drop {
		return ""
	}
	return fmt.Sprintf("is %.40q; it can be keep, truncate, hash or drop", string(r))
}

// rung is a setting that is one word of a list, loosest first.
type rung interface {
	~string
	rungs() []string
}

func climbed[T rung](r T) int { return slices.Index(r.rungs(), string(r)) }

func wrongRung[T rung](r T) string {
	if climbed(r) >= 0 {
		return ""
	}
	return fmt.Sprintf("is %.40q; it can be %s", string(r), strings.Join(r.rungs(), ", "))
}

func higher[T rung](a, b T) T {
	if climbed(a) >= climbed(b) {
		return a
	}
	return b
}

// Listener is what a door asks of TLS.
type Listener string

// The floors of a door.
const (
	Offered Listener = "offered" // TLS is there for who wants it: what RFC 3207 section 4 asks of a public MX
	TLS12   Listener = "1.2"     // TLS 1.2 or later, or no mail
	TLS13   Listener = "1.3"
)

func (Listener) rungs() []string          { return []string{string(Offered), string(TLS12), string(TLS13)} }
func (l Listener) Given() bool            { return l != "" } // Given implements Setting.
func (l Listener) within(o Setting) bool  { return climbed(l) >= climbed(o.(Listener)) }
func (l Listener) meet(o Setting) Setting { return higher(l, o.(Listener)) }
func (l Listener) wrong() string          { return wrongRung(l) }
func (l Listener) words() string {
	if l == Offered {
		return "TLS offered"
	}
	return "TLS " + string(l) + " or later only"
}

// Outgoing is what delivery asks of the next host.
type Outgoing string

// The floors of delivery.
const (
	Opportunistic Outgoing = "opportunistic" // TLS where the host offers it
	Required      Outgoing = "required"      // TLS, or the mail waits
	Verified      Outgoing = "verified"      // TLS with a certificate for the host, or the mail waits
)

func (Outgoing) rungs() []string {
	return []string{string(Opportunistic), string(Required), string(Verified)}
}
func (t Outgoing) Given() bool            { return t != "" } // Given implements Setting.
func (t Outgoing) within(o Setting) bool  { return climbed(t) >= climbed(o.(Outgoing)) }
func (t Outgoing) meet(o Setting) Setting { return higher(t, o.(Outgoing)) }
func (t Outgoing) wrong() string          { return wrongRung(t) }
func (t Outgoing) words() string          { return string(t) + " TLS" }

// Tracking says whether recipients may be observed.
type Tracking string

// The ways of tracking.
const (
	TrackingAllowed Tracking = "allowed"
	TrackingConsent Tracking = "consent" // only who consented
	TrackingOff     Tracking = "off"
)

func (Tracking) rungs() []string {
	return []string{string(TrackingAllowed), string(TrackingConsent), string(TrackingOff)}
}
func (t Tracking) Given() bool            { return t != "" } // Given implements Setting.
func (t Tracking) within(o Setting) bool  { return climbed(t) >= climbed(o.(Tracking)) }
func (t Tracking) meet(o Setting) Setting { return higher(t, o.(Tracking)) }
func (t Tracking) wrong() string          { return wrongRung(t) }
func (t Tracking) words() string {
	switch t {
	case TrackingConsent:
		return "only with the recipient's consent"
	case TrackingAllowed, TrackingOff:
	}
	return string(t)
}

// Staff says how the operator's people reach personal data.
type Staff string

// The ways of staff.
const (
	ByRole  Staff = "role"  // their role is enough
	ByGrant Staff = "grant" // a grant with a reason and an end, each time
)

func (Staff) rungs() []string          { return []string{string(ByRole), string(ByGrant)} }
func (s Staff) Given() bool            { return s != "" } // Given implements Setting.
func (s Staff) within(o Setting) bool  { return climbed(s) >= climbed(o.(Staff)) }
func (s Staff) meet(o Setting) Setting { return higher(s, o.(Staff)) }
func (s Staff) wrong() string          { return wrongRung(s) }
func (s Staff) words() string {
	if s == ByGrant {
		return "only by a grant with a reason and an end"
	}
	return "by their role"
}

// Training says what an account of the operator's people needs.
type Training string

// What they need.
const (
	TrainingAdvised  Training = "advised"  // who has no attestation is named in an alert
	TrainingRequired Training = "required" // who has no valid one opens nothing personal
)

func (Training) rungs() []string          { return []string{string(TrainingAdvised), string(TrainingRequired)} }
func (t Training) Given() bool            { return t != "" } // Given implements Setting.
func (t Training) within(o Setting) bool  { return climbed(t) >= climbed(o.(Training)) }
func (t Training) meet(o Setting) Setting { return higher(t, o.(Training)) }
func (t Training) wrong() string          { return wrongRung(t) }
func (t Training) words() string {
	if t == TrainingRequired {
		return "without a valid attestation an account opens nothing personal"
	}
	return "advised"
}

// Switch allows a thing or not.
type Switch string

// The positions.
const (
	Allowed Switch = "allowed"
	Off     Switch = "off"
)

func (Switch) rungs() []string          { return []string{string(Allowed), string(Off)} }
func (s Switch) Given() bool            { return s != "" } // Given implements Setting.
func (s Switch) within(o Setting) bool  { return climbed(s) >= climbed(o.(Switch)) }
func (s Switch) meet(o Setting) Setting { return higher(s, o.(Switch)) }
func (s Switch) wrong() string          { return wrongRung(s) }
func (s Switch) words() string          { return string(s) }

// Among is a set of words: fewer is stricter. An empty list allows nothing; a
// missing one says nothing.
type Among []string

// Given implements Setting.
func (a Among) Given() bool { return a != nil }

func (a Among) within(o Setting) bool {
	outer := o.(Among)
	return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(outer, s) })
}

func (a Among) meet(o Setting) Setting {
	out := Among{}
	for _, s := range a {
		if slices.Contains(o.(Among), s) {
			out = append(out, s)
		}
	}
	return out
}

func (a Among) words() string {
	if len(a) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(slices.Values(a)), ", ")
}

func (a Among) wrong() string {
	for i, s := range a {
		if strings.TrimSpace(s) == "" || len(s) > 120 || slices.Contains(a[:i], s) {
			return fmt.Sprintf("has %.40q, which is empty, too long or twice", s)
		}
	}
	return ""
}

// Has reports whether a word is in the set.
func (a Among) Has(s string) bool { return slices.Contains(a, s) }

// Size bounds bytes that are kept: less is stricter.
type Size struct {
	Bytes limit.Bytes
	set   bool
}

// Given implements Setting.
func (s Size) Given() bool { return s.set }

// IsZero is for the writers of YAML and JSON: what says nothing is left out.
func (s Size) IsZero() bool { return !s.set }

func (s Size) within(o Setting) bool { return s.Bytes <= o.(Size).Bytes }

func (s Size) meet(o Setting) Setting {
	outer := o.(Size)
	return Size{Bytes: min(s.Bytes, outer.Bytes), set: true}
}

func (s Size) words() string { return s.Bytes.String() + " at most" }
func (s Size) wrong() string { return "" }

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) {
	if !s.set {
		return nil, nil
	}
	return s.Bytes.MarshalText()
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	s.set = true
	return s.Bytes.UnmarshalText(text)
}

// byName sorts settings as documents show them.
func byName(a, b named) int { return cmp.Compare(a.path, b.path) }

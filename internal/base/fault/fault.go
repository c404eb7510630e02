// Package fault is the one kind of error of the house. A fault has a kind that
// a door can translate (to an SMTP reply, a problem document, an exit code), a
// trail of operations for the log, a sentence that may be shown to the person
// who caused it, and a hint for the operator. Compare faults by kind, never by
// text. What to do with a fault is left to the caller.
package fault

import (
	"context"
	"errors"
	"strings"
)

// Kind says what sort of thing went wrong. The zero value is Internal, so that
// an error nobody classified is never shown to the outside.
type Kind uint8

// The closed list of kinds.
const (
	Internal        Kind = iota // a defect or an unexpected state; details stay in the log
	Invalid                     // the input is wrong; the public text names the field and what to do
	Unauthenticated             // who is asking is not known
	Denied                      // who is asking may not
	NotFound                    // no such thing in this scope
	Conflict                    // the state does not allow it, or somebody else was first
	Exhausted                   // a limit or a quota was reached; later or smaller may work
	Unavailable                 // a part is out of reach now; the same call may work later
	ReadOnly                    // the store refuses writes until the operator frees space
	Full                        // space for new mail has run out; deleting still works
	Gone                        // it was here and was erased, or its time is over
)

var kindNames = [...]string{"internal", "invalid", "unauthenticated", "denied", "not_found", "conflict", "exhausted", "unavailable", "read_only", "full", "gone"}

// String returns the kind's name as it stands in logs and problem documents.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "internal"
}

// Temporary reports whether the same act may succeed later without anybody
// changing the input.
func (k Kind) Temporary() bool {
	switch k {
	case Exhausted, Unavailable, ReadOnly, Full, Internal:
		return true
	case Invalid, Unauthenticated, Denied, NotFound, Conflict, Gone:
		return false
	}
	return true
}

// Error is a fault. Make one with New or Because, add to its trail with Wrap.
type Error struct {
	Kind  Kind
	Op    string // the act that failed, in the caller's words: "lease due recipients"
	Text  string // a sentence that the causer may read; empty for Internal
	Field string // the input's field, where one is to blame
	Hint  string // what the operator should do now
	Err   error  // the cause, or nil
}

// New makes a fault that its causer may read.
func New(kind Kind, text string) *Error { return &Error{Kind: kind, Text: text} }

// Field makes an Invalid fault that names the field to blame.
func Field(field, text string) *Error { return &Error{Kind: Invalid, Field: field, Text: text} }

// Because classifies a cause from outside the house.
func Because(kind Kind, err error, text string) *Error {
	return &Error{Kind: kind, Text: text, Err: err}
}

// WithHint returns a copy that tells the operator what to do.
func (e *Error) WithHint(hint string) *Error {
	c := *e
	c.Hint = hint
	return &c
}

// Error gives the whole trail for the log: acts first, cause last.
func (e *Error) Error() string {
	var b strings.Builder
	part := func(s string) {
		if s == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(s)
	}
	part(e.Op)
	part(e.Text)
	if e.Err != nil {
		part(e.Err.Error())
	}
	if b.Len() == 0 {
		return e.Kind.String()
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Wrap adds the act to the trail once per package border. It keeps the kind of
// a fault; any other error becomes Internal, except that a cancelled or expired
// context is Unavailable. Wrap of nil is nil.
func Wrap(err error, op string) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: KindOf(err), Op: op, Err: err}
}

// KindOf returns the kind of the nearest fault in err's chain.
func KindOf(err error) Kind {
	var f *Error
	switch {
	case err == nil:
		return Internal
	case errors.As(err, &f):
		return f.Kind
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Unavailable
	}
	return Internal
}

// Is reports whether err is a fault of this kind. Nil is of no kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Public returns the sentence and the field that may leave the house: those of
// the innermost fault that has a text. Internal faults have none.
func Public(err error) (text, field string) {
	for err != nil {
		var f *Error
		if !errors.As(err, &f) {
			break
		}
		if f.Text != "" && f.Kind != Internal {
			text, field = f.Text, f.Field
		}
		err = f.Err
	}
	return text, field
}

// HintOf returns the innermost hint for the operator, or "".
func HintOf(err error) string {
	hint := ""
	for err != nil {
		var f *Error
		if !errors.As(err, &f) {
			break
		}
		if f.Hint != "" {
			hint = f.Hint
		}
		err = f.Err
	}
	return hint
}

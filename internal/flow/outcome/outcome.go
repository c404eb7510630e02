// Package outcome is what can happen to one recipient in one attempt. It
// promises that nothing is failed or deferred without saying by whom and how:
// an outcome carries its evidence. What follows from an outcome (retry, DSN,
// suppression) is decided by flow/queue.
package outcome

import (
	"time"

	"mailvow/internal/base/reply"
)

// Kind is what happened. The zero value is not an outcome.
type Kind uint8

// The closed list of kinds. A row of the queue keeps these numbers: they never
// change their meaning.
const (
	Delivered  Kind = 1 // the next host took it and answers for it
	Deferred   Kind = 2 // not now; another attempt may work
	Failed     Kind = 3 // not ever
	Unknown    Kind = 4 // sent whole, and the answer was never learnt; tried again, may arrive twice
	Suppressed Kind = 5 // not tried: the recipient is on a suppression list or restricted
	Expired    Kind = 6 // the queue's time was over; made by the queue, never by a courier
	Cancelled  Kind = 7 // a person took it out of the queue
)

var names = map[Kind]string{
	Delivered: "delivered", Deferred: "deferred", Failed: "failed", Unknown: "unknown",
	Suppressed: "suppressed", Expired: "expired", Cancelled: "cancelled",
}

// String gives the kind's name as the API spells it.
func (k Kind) String() string { return names[k] }

// Final reports that no further attempt follows.
func (k Kind) Final() bool {
	switch k {
	case Delivered, Failed, Suppressed, Expired, Cancelled:
		return true
	case Deferred, Unknown:
		return false
	}
	return false
}

// Class says whether a failure is about the address (hard) or about the
// moment, the content or the sender (soft).
type Class uint8

// The classes.
const (
	NoClass Class = 0
	Soft    Class = 1
	Hard    Class = 2
)

// Outcome is what happened to one recipient, with its evidence.
type Outcome struct {
	Kind  Kind
	Class Class
	Reply reply.Reply // the answer that decided it; our own words where no host answered
	By    string      // who decided: the remote host's name, an endpoint's host, or "mailvow"
	TLS   string      // protocol and cipher, or ""
	Took  time.Duration
	// PassedDSN says that the next host took over the duty to report (RFC 3461
	// 5.2.2): NOTIFY and its kin went on to it.
	PassedDSN bool
	// RetryAfter is the peer's own wish for the next attempt; zero means none.
	RetryAfter time.Duration
	// Conversation is shared by all recipients of one transaction; may be nil.
	Conversation *Conversation
}

// ByUs is an outcome that this server decides itself.
func ByUs(k Kind, code int, enhanced, text string) Outcome {
	return Outcome{Kind: k, Reply: reply.New(code, enhanced, text), By: "mailvow"}
}

// FromReply reads the kind off a host's answer (RFC 5321 4.2.1).
func FromReply(by string, r reply.Reply) Outcome {
	o := Outcome{Reply: r, By: by}
	switch {
	case r.Positive():
		o.Kind = Delivered
	case r.Permanent():
		o.Kind, o.Class = Failed, classOf(r)
	default:
		o.Kind, o.Class = Deferred, Soft
	}
	return o
}

// classOf tells an address that does not exist from everything else. RFC 3463
// 3.2: X.1.1 to X.1.3 and X.1.6, X.1.10 speak of the address itself, X.2.1 of a
// disabled mailbox.
func classOf(r reply.Reply) Class {
	switch r.Enhanced {
	case reply.Enhanced{5, 1, 1}, reply.Enhanced{5, 1, 2}, reply.Enhanced{5, 1, 3},
		reply.Enhanced{5, 1, 6}, reply.Enhanced{5, 1, 10}, reply.Enhanced{5, 2, 1}:
		return Hard
	case reply.Enhanced{}:
		if r.Code == 550 || r.Code == 551 || r.Code == 553 {
			return Hard
		}
	}
	return Soft
}

// Conversation is what was said in one attempt, step by step. It is a record of
// its own with its own period; AUTH exchanges never enter it.
type Conversation struct {
	Steps []Step
}

// Step is one exchange.
type Step struct {
	At   time.Time
	Took time.Duration
	Sent string
	Got  string
}

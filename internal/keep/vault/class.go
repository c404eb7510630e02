package vault

import (
	"fmt"
	"strconv"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// Class is a family of data that is kept equally long. Epoch keys are made per
// class and not only per tenant and day: message content is due within days and
// the trace of the same day only after 90, so one key for both would either keep
// content readable in old copies for 90 days, or force every trace row to be
// re-wrapped. With a class of its own, a family's epoch dies with few survivors.
type Class uint8

// The closed list of classes. The numbers are part of the sealed format: they
// never change and are never used again.
const (
	Content    Class = 1  // message bytes and envelopes that wait longer, and other short-lived content
	Trace      Class = 2  // history and what is searched in bulk
	Transcript Class = 3  // SMTP conversations
	Account    Class = 4  // users, domains, secrets of a customer
	Platform   Class = 5  // the platform's own secrets, tenant 0
	Quarantine Class = 6  // held messages
	Mailbox    Class = 7  // hosted mail, calendars, contacts
	Subscriber Class = 8  // lists, attributes, consent
	Hold       Class = 9  // what a legal hold keeps; its keys die with the hold
	Transit    Class = 10 // message bytes and envelopes in their first hours; what waits longer moves to Content
	Access     Class = 11 // who read personal data
)

var classNames = [...]string{Content: "content", Trace: "trace", Transcript: "transcript", Account: "account", Platform: "platform", Quarantine: "quarantine", Mailbox: "mailbox", Subscriber: "subscriber", Hold: "hold", Transit: "transit", Access: "access"}

// Classes lists every class.
func Classes() []Class {
	return []Class{Content, Trace, Transcript, Account, Platform, Quarantine, Mailbox, Subscriber, Hold, Transit, Access}
}

// String gives the class's name as the key store writes it.
func (c Class) String() string {
	if c.valid() {
		return classNames[c]
	}
	return "class-" + strconv.Itoa(int(c))
}

func (c Class) valid() bool { return c >= Content && int(c) < len(classNames) }

func (c Class) check() error {
	if !c.valid() {
		return fault.New(fault.Internal, fmt.Sprintf("%d is no class of keys", c))
	}
	return nil
}

// ParseClass reads a class's name.
func ParseClass(s string) (Class, error) {
	for _, c := range Classes() {
		if classNames[c] == s {
			return c, nil
		}
	}
	return 0, fault.Field("class", fmt.Sprintf("%.40q is no class of keys.", s))
}

// Length is how long an epoch of the class is. Transit has short ones: most mail
// is delivered at once, and what a database's dead rows, its log and backups hold
// of it is to be unreadable within hours.
func (c Class) Length() time.Duration {
	if c == Transit {
		return time.Hour
	}
	return 24 * time.Hour
}

// End is when the epoch ends that a moment lies in.
func (c Class) End(t time.Time) time.Time { return c.start(c.numberOf(t) + 1) }

// number counts the epochs of a class since 1970-01-01 UTC: hours of Transit,
// days of every other class.
type number int32

func (c Class) numberOf(t time.Time) number {
	s, length := t.Unix(), int64(c.Length()/time.Second)
	if s < 0 {
		s -= length - 1
	}
	return number(s / length)
}

func (c Class) start(n number) time.Time {
	return time.Unix(int64(n)*int64(c.Length()/time.Second), 0).UTC()
}

// layout is how the key store writes an epoch's start.
func (c Class) layout() string {
	if c == Transit {
		return "2006-01-02T15"
	}
	return time.DateOnly
}

// Epoch is one epoch key in the store. It seals from Starts until Ends.
type Epoch struct {
	Key    ids.Key
	Tenant ids.Tenant
	Class  Class
	Starts time.Time
	Ends   time.Time
}

func epochOf(k *epochKey) Epoch {
	return Epoch{Key: k.id, Tenant: k.tenant, Class: k.class, Starts: k.class.start(k.number), Ends: k.ends()}
}

func (e Epoch) file() string {
	return epochPrefix(e.Key) + e.Class.String() + "-" + e.Starts.Format(e.Class.layout())
}

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
	Content    Class = 1 // message bytes and envelopes, until the last recipient is settled
	Trace      Class = 2 // history and what is searched in bulk
	Transcript Class = 3 // SMTP conversations
	Account    Class = 4 // users, domains, secrets of a customer
	Platform   Class = 5 // the platform's own secrets, tenant 0
	Quarantine Class = 6 // held messages
	Mailbox    Class = 7 // hosted mail, calendars, contacts
	Subscriber Class = 8 // lists, attributes, consent
	Hold       Class = 9 // what a legal hold keeps; its keys die with the hold
)

var classNames = [...]string{Content: "content", Trace: "trace", Transcript: "transcript", Account: "account", Platform: "platform", Quarantine: "quarantine", Mailbox: "mailbox", Subscriber: "subscriber", Hold: "hold"}

// Classes lists every class.
func Classes() []Class {
	return []Class{Content, Trace, Transcript, Account, Platform, Quarantine, Mailbox, Subscriber, Hold}
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

// Day counts days since 1970-01-01 UTC.
type Day int32

// DayOf is the day of a moment, in UTC.
func DayOf(t time.Time) Day {
	s := t.Unix()
	if s < 0 {
		s -= 86399
	}
	return Day(s / 86400)
}

// Start is the first moment of the day.
func (d Day) Start() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// String gives the date: 2026-11-21.
func (d Day) String() string { return d.Start().Format(time.DateOnly) }

// Epoch is one epoch key in the store.
type Epoch struct {
	Key    ids.Key
	Tenant ids.Tenant
	Class  Class
	Day    Day
}

package history

import (
	"fmt"
	"slices"
	"strings"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
)

// trail is what one message's events say of one person.
type trail struct {
	events     []Event
	sender     bool     // the person sent it
	received   bool     // the person is among the recipients
	known      []known  // attributes by which the customer knows the person
	attributed bool     // one of them is the message's
	others     int      // recipients besides the person
	settled    bool     // no recipient waits for an outcome
	texts      []string // every spelling under which the person may be written, longest first
}

// trailOf reads a message's events for a person.
func trailOf(events []Event, person address.Address, by ...known) *trail {
	t := &trail{events: events, known: by}
	if !person.IsNull() {
		t.texts = spellings(person)
	}
	others, last := map[string]bool{}, map[ids.Recipient]Kind{}
	expected := 0
	for _, e := range events {
		if e.Kind == Accepted {
			expected = len(e.Detail.Recipients)
			t.attributes(e.Detail.Tags)
			if names(e.Detail.Sender, person) {
				t.sender = true
				t.texts = append(t.texts, spelling(e.Detail.Sender)...)
				t.texts = append(t.texts, e.Detail.Subject, e.Detail.MessageID, e.Detail.IP)
			}
		}
		for _, r := range e.Detail.Recipients {
			if names(r, person) {
				t.received = true
				t.texts = append(t.texts, spelling(r)...)
			} else {
				others[r] = true
			}
		}
		if e.Recipient != 0 && e.Kind.final() {
			last[e.Recipient] = e.Kind
		}
	}
	t.others, t.settled = len(others), len(last) >= expected
	slices.SortFunc(t.texts, func(a, b string) int { return len(b) - len(a) })
	t.texts = slices.DeleteFunc(t.texts, func(s string) bool { return len(s) < 3 })
	return t
}

// shortest is how long an attribute's value is at least that is looked for in other
// texts: a shorter one stands there by chance.
const shortest = 6

// attributes notes what a message says of the person in its attributes.
func (t *trail) attributes(tags []string) {
	for _, tag := range tags {
		if !matches(t.known, tag) {
			continue
		}
		t.attributed = true
		if _, value, _ := IsAttribute(tag); len(value) >= shortest {
			t.texts = append(t.texts, value)
		}
	}
}

// own are the tags that a person gets: all of a message that is about nobody else,
// and otherwise those that are the person's.
func (t *trail) own(tags []string) []string {
	if t.sender || t.others == 0 {
		return tags
	}
	return slices.DeleteFunc(slices.Clone(tags), func(tag string) bool { return !matches(t.known, tag) })
}

// final reports whether a recipient's part of a message is over with this event.
func (k Kind) final() bool {
	switch k {
	case Delivered, Failed, Expired, Suppressed, Cancelled:
		return true
	case Accepted, Deferred, Held, Released, Retried, Notified, Superseded:
	}
	return false
}

func names(text string, person address.Address) bool {
	if text == "" {
		return false
	}
	a, err := address.Parse(text)
	return err == nil && a.Canonical() == person.Canonical()
}

func spellings(person address.Address) []string {
	return append(spelling(person.Text()), spelling(person.Canonical())...)
}

// spelling is an address as it is, and as xtext (RFC 3461 4) writes it into the
// ORCPT of a conversation.
func spelling(text string) []string {
	var x strings.Builder
	for i := range len(text) {
		if c := text[i]; c == '+' || c == '=' || c < '!' || c > '~' {
			fmt.Fprintf(&x, "+%02X", c)
		} else {
			x.WriteByte(c)
		}
	}
	return []string{text, x.String()}
}

// mentioned reports whether a text names the person.
func (t *trail) mentioned(text string) bool { return t.text(text) != text }

// text removes the person from a text.
func (t *trail) text(text string) string { return Without(text, t.texts) }

// inDetail reports whether an event names the person.
func (t *trail) inDetail(d Detail) bool {
	before := string(d.append(nil))
	t.strip(&d)
	return string(d.append(nil)) != before
}

// strip takes the person out of an event. A sender's subject, Message-ID and
// address of the network are the person's too, and so is the subject of a
// message that went to nobody else.
func (t *trail) strip(d *Detail) {
	d.Recipients = slices.DeleteFunc(slices.Clone(d.Recipients), t.mentioned)
	if t.sender {
		d.Sender, d.Subject, d.MessageID, d.IP = "", "", "", ""
	}
	if t.received && t.others == 0 {
		d.Subject = ""
	}
	for _, field := range []*string{&d.Sender, &d.Subject, &d.MessageID, &d.Reply, &d.By, &d.Note} {
		*field = t.text(*field)
	}
	d.Tags = slices.DeleteFunc(slices.Clone(d.Tags), func(tag string) bool { return matches(t.known, tag) })
	for i := range d.Tags {
		d.Tags[i] = t.text(d.Tags[i])
	}
}

// empty reports whether nothing about anybody is left when the person is gone.
func (t *trail) empty() bool {
	if t.others > 0 || !t.settled {
		return false
	}
	for _, e := range t.events {
		if e.Detail.Sender != "" && !t.sender {
			return false
		}
	}
	return true
}

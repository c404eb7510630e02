// Package sight says what of mail's traces the policy in force lets whom see, and
// how far back. It promises that a role which the policy does not name sees none
// of it, that the programs of somebody see no more than the one who made their
// token, that a customer's narrower policy binds the operator too, and that what
// is older than the policy shows, or should be purged already, is not shown even
// while it is still there. A person's own requests are not searches and are not
// bound here; what roles may do at all is left to protect/access.
package sight

import (
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"
)

// Policies say what is in force; policy.Store does.
type Policies interface {
	For(id ids.Tenant, t time.Time) policy.InForce
}

// Sight answers from memory, because lists ask for each line.
type Sight struct {
	Policies Policies
	Clock    clock.Clock
	// Kept is the time before which a customer's records of a category are purged.
	Kept func(of ids.Tenant, category string) (before time.Time, ruled bool)
}

// The categories that are bound.
const (
	records       = "message records"
	conversations = "conversations"
)

// opens says which permissions show a thing.
var opens = []struct {
	what  string
	perms []access.Permission
	among func(policy.Visible) policy.Among
}{
	{"records of messages", []access.Permission{access.MessagesRead}, func(v policy.Visible) policy.Among { return v.Records }},
	{"SMTP conversations", []access.Permission{access.MessagesTranscript}, func(v policy.Visible) policy.Among { return v.Conversations }},
	{"the content of messages", []access.Permission{access.MessagesContent, access.CaughtRead}, func(v policy.Visible) policy.Among { return v.Content }},
}

// Bind gives a principal without what their own policy does not let their role
// see: a customer's people the customer's, the operator's the platform's.
func (s *Sight) Bind(p access.Principal) access.Principal {
	if !p.Known() {
		return p
	}
	v := s.visible(p.Tenant)
	for _, o := range opens {
		if among := o.among(v); !sees(p, among) {
			p = p.Without("The policy in force shows "+o.what+" "+named(among)+".", o.perms...)
		}
	}
	return p
}

func named(among policy.Among) string {
	if len(among) == 0 {
		return "to nobody"
	}
	return "only to: " + strings.Join(slices.Sorted(slices.Values(among)), ", ")
}

// sees reports whether a list names the role of who asks, or of who made the token
// that asks. A token of the command line is as good as the customer's owner.
func sees(p access.Principal, among policy.Among) bool {
	role := p.Role
	switch {
	case p.Token != 0 && p.User != 0:
		role = p.Maker
	case p.Token != 0 && p.Tenant == tenant.Platform:
		role = access.Operator
	case p.Token != 0:
		role = access.Owner
	}
	return !among.Given() || among.Has(string(role))
}

func (s *Sight) visible(of ids.Tenant) policy.Visible {
	return s.Policies.For(of, s.Clock.Now()).Document.Visible
}

// From gives from when on records of a scope's messages are shown to who asks, or
// a Denied fault where none of one customer's are. Of everybody's, Shows is to be
// asked line by line.
func (s *Sight) From(p access.Principal, in scope.Scope) (time.Time, error) {
	of, one := in.ID()
	v := s.visible(of)
	if one && !sees(p, v.Records) {
		return time.Time{}, fault.New(fault.Denied, "The policy in force shows records of messages "+named(v.Records)+".")
	}
	var from time.Time
	if v.Back.Given() {
		from = v.Back.Before(s.Clock.Now())
	}
	if !one {
		return from, nil
	}
	return s.unpurged(of, records, from), nil
}

// Shows reports whether a record of a customer's message from a time is shown to
// who asks.
func (s *Sight) Shows(p access.Principal, of ids.Tenant, at time.Time) bool {
	from, err := s.From(p, scope.Tenant(of))
	return err == nil && !at.Before(from)
}

// ShowsConversation is Shows for the conversation of an attempt.
func (s *Sight) ShowsConversation(p access.Principal, of ids.Tenant, at time.Time) bool {
	return sees(p, s.visible(of).Conversations) && !at.Before(s.unpurged(of, conversations, time.Time{}))
}

// unpurged is the later of a time and of that before which a category is purged.
func (s *Sight) unpurged(of ids.Tenant, category string, from time.Time) time.Time {
	if before, ruled := s.Kept(of, category); ruled && before.After(from) {
		return before
	}
	return from
}

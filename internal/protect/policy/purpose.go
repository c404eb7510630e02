package policy

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/tenant"
)

// PurposeState is a purpose and whether it runs for somebody.
type PurposeState struct {
	pledge.Processing
	Runs bool
	// Offered says that the platform's policy has it, so that a customer may
	// instruct it.
	Offered bool
	Label   string // the versions of the policy that say so
}

var _ pledge.Instructions = (*Store)(nil)

// Instructed implements pledge.Instructions. The platform's own mail (notices to
// accounts, answers to persons) is nobody's instruction and always runs.
func (s *Store) Instructed(of ids.Tenant, p pledge.Purpose) error {
	if of == tenant.Platform || of == 0 {
		return nil
	}
	now := s.Clock.Now()
	in := s.For(of, now)
	if in.Document.Purposes.Has(string(p)) {
		return nil
	}
	x, known := p.Of()
	switch {
	case !known:
		return fault.New(fault.Denied, fmt.Sprintf("There is no purpose %q, so nothing runs for it.", p))
	case x.Ground != pledge.Instructed:
		return nil
	}
	where := "An owner or admin instructs it in the account's policy: Policy, Purposes in the console, or PUT /v1/purposes/" + string(p) + "."
	if !s.Platform(now).Document.Purposes.Has(string(p)) {
		where = "The platform's policy leaves it out, so only its operator can instruct it: mailvow purpose on " + string(p) + "."
	}
	return fault.New(fault.Denied, fmt.Sprintf("The purpose %q (%s) is not instructed, so this does not run: version %s of the policy leaves it out. %s", p, x.What, in.Label, where))
}

// Purposes lists every purpose with its state for somebody at a time.
func (s *Store) Purposes(of ids.Tenant, t time.Time) []PurposeState {
	in, outer := s.For(of, t), s.Platform(t).Document.Purposes
	all := pledge.Purposes()
	list := make([]PurposeState, len(all))
	for i, x := range all {
		named := string(x.Name)
		byOwnRight := x.Ground != pledge.Instructed
		list[i] = PurposeState{x, byOwnRight || in.Document.Purposes.Has(named), byOwnRight || outer.Has(named), in.Label}
	}
	return list
}

// Instruct publishes a version of somebody's policy in which a purpose is
// instructed, or is not any more; the draft's text is not looked at. It holds at
// once for a customer. Where it is so already nothing is published. NotFound: there
// is no such purpose; Conflict: a law asks for it.
func (s *Store) Instruct(ctx context.Context, d Draft, p pledge.Purpose, on bool) (Version, Verdict, error) {
	x, known := p.Of()
	switch {
	case !known:
		return Version{}, Verdict{}, fault.New(fault.NotFound, "There is no such purpose.")
	case x.Ground == pledge.ByLaw:
		return Version{}, Verdict{}, fault.New(fault.Conflict, fmt.Sprintf("The purpose %q is not the policy's to switch: a law asks for it (%s).", p, x.Law))
	case x.Ground != pledge.Instructed:
		return Version{}, Verdict{}, fault.New(fault.Conflict, fmt.Sprintf("The purpose %q is not the policy's to switch: it is the contract itself.", p))
	}
	newest, next, err := s.with(ctx, d.Tenant, p, on)
	if err != nil {
		return Version{}, Verdict{}, err
	}
	if next == nil {
		now := s.Clock.Now()
		return newest, Verdict{Effective: now, Earliest: now}, nil
	}
	text, err := next.Text()
	if err != nil {
		return Version{}, Verdict{}, err
	}
	d.Text = string(text)
	return s.Publish(ctx, d)
}

// with is somebody's newest document with a purpose more or less; nil where that is
// what it says already.
func (s *Store) with(ctx context.Context, of ids.Tenant, p pledge.Purpose, on bool) (Version, *Document, error) {
	newest, err := s.newest(ctx, of)
	if err != nil {
		return newest, nil, err
	}
	doc := &Document{}
	if newest.Number > 0 {
		if doc, err = Parse([]byte(newest.Text)); err != nil {
			return newest, nil, fault.Because(fault.Internal, err, "")
		}
	}
	outer := s.Platform(s.Clock.Now()).Document.Purposes
	if of == tenant.Platform {
		all, err := doc.complete()
		if err != nil {
			return newest, nil, err
		}
		outer = all.Purposes
	}
	said := doc.Purposes
	if !said.Given() {
		said = outer
	}
	if said.Has(string(p)) == on {
		return newest, nil, nil
	}
	next := slices.DeleteFunc(slices.Clone(said), func(w string) bool { return w == string(p) })
	if on {
		next = append(next, string(p))
	}
	doc.Purposes = Among(slices.Sorted(slices.Values(next)))
	if doc.Purposes == nil {
		doc.Purposes = Among{} // nothing, which is not the same as saying nothing
	}
	if of != tenant.Platform && outer.within(doc.Purposes) && doc.Purposes.within(outer) {
		doc.Purposes = nil // the platform's, also where that changes
	}
	return newest, doc, nil
}

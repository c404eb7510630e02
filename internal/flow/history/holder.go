package history

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/lookup"
)

// Holder reaches one person's traces in history. Erasing goes in two steps,
// because a delivery may be under way: Erase takes the person out of what is
// there and may be repeated; Forget then drops the keyed hash by which the
// messages are found.
type Holder struct {
	h       *History
	look    *lookup.Index
	catchUp func(context.Context) error
	// Period is how long records are kept: so long copies of what was erased can
	// be opened by who has today's keys.
	Period func(scope.Scope) time.Duration
	// Declared finds persons by attributes too; nil: by addresses alone.
	Declared Declared
}

// Holder makes the holder of this history. look holds the keyed hashes of the
// accepted messages' addresses; catchUp brings it up to date.
func (h *History) Holder(look *lookup.Index, catchUp func(context.Context) error) *Holder {
	return &Holder{h: h, look: look, catchUp: catchUp, Period: func(scope.Scope) time.Duration { return Declaration.Categories[0].Period.Ceiling }}
}

// Found is a message in which a person stands, or stood until it was erased.
type Found struct {
	Tenant  ids.Tenant
	Message ids.Message
}

// Holder is the holder that finds by this index.
func (x *Index) Holder() *Holder { return x.h.Holder(x.look, x.CatchUp) }

// Purge drops from the index what points below the first row that is left.
func (x *Index) Purge(ctx context.Context) (int, error) {
	first, err := x.h.First(ctx)
	if err != nil {
		return 0, err
	}
	return x.look.Purge(ctx, first)
}

// HolderName implements pledge.Holder.
func (p *Holder) HolderName() string { return "history" }

// Messages gives each message of the subject's scope in whose record the person
// stands as sender or recipient.
func (p *Holder) Messages(ctx context.Context, s pledge.Subject, yield func(Found) error) error {
	if s.Address.IsNull() && len(s.Identifiers) == 0 {
		return nil
	}
	if err := p.catchUp(ctx); err != nil {
		return fault.Wrap(err, "bring the look-up up to date")
	}
	tenants, err := p.tenants(ctx, s.Scope)
	if err != nil {
		return err
	}
	before := func(f Found) error {
		if !s.Before.IsZero() && !f.Message.Time().Before(s.Before) {
			return nil
		}
		return yield(f)
	}
	for _, tenant := range tenants {
		by, err := p.knownBy(ctx, tenant, s)
		if err != nil {
			return err
		}
		hashes, err := p.hashes(tenant, s, by)
		if fault.Is(err, fault.Gone) {
			continue // the customer's keys are gone, and with them what it could find
		}
		each := before
		if len(hashes) > 1 {
			each = once(before)
		}
		for _, hash := range hashes {
			if err == nil {
				err = p.ofTenant(ctx, tenant, hash, each)
			}
		}
		if err != nil {
			return fault.Wrap(err, "find a person's messages")
		}
	}
	return nil
}

// once gives each message once, though it is found in several ways.
func once(yield func(Found) error) func(Found) error {
	seen := map[ids.Message]struct{}{}
	return func(f Found) error {
		if _, twice := seen[f.Message]; twice {
			return nil
		}
		seen[f.Message] = struct{}{}
		return yield(f)
	}
}

// ofTenant goes through the look-up page by page.
func (p *Holder) ofTenant(ctx context.Context, tenant ids.Tenant, hash [16]byte, yield func(Found) error) error {
	bounds := lookup.Bounds{Below: map[int]int64{}}
	for {
		page, err := p.look.Find(ctx, hash, bounds)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, at := range page {
			if low, set := bounds.Below[at.Node]; !set || at.Seq < low {
				bounds.Below[at.Node] = at.Seq
			}
		}
		for len(page) > 0 {
			n := min(len(page), 500)
			if err := p.messagesAt(ctx, tenant, page[:n], yield); err != nil {
				return err
			}
			page = page[n:]
		}
	}
}

func (p *Holder) messagesAt(ctx context.Context, tenant ids.Tenant, page []lookup.Position, yield func(Found) error) error {
	list := make([]int64, len(page))
	for i, at := range page {
		list[i] = Position{Node: at.Node, Seq: at.Seq}.pos()
	}
	all, owner := scope.Tenant(tenant).Args()
	events, err := p.h.read(ctx, "at_positions", []any{jsonList(list), all, owner})
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := yield(Found{tenant, e.Message}); err != nil {
			return err
		}
	}
	return nil
}

// tenants are those of a scope that have history.
func (p *Holder) tenants(ctx context.Context, s scope.Scope) ([]ids.Tenant, error) {
	if id, one := s.ID(); one {
		return []ids.Tenant{id}, nil
	}
	if !s.All() {
		return nil, nil
	}
	var list []ids.Tenant
	err := p.h.set.Each(ctx, "tenants", nil, func(scan func(...any) error) error {
		var t int64
		err := scan(&t)
		list = append(list, ids.Tenant(t))
		return err
	})
	return list, fault.Wrap(err, "list customers of history")
}

// trails gives the record of each message that still names the person.
func (p *Holder) trails(ctx context.Context, s pledge.Subject, yield func(Found, *trail) error) error {
	return p.Messages(ctx, s, func(f Found) error {
		events, err := p.h.Of(ctx, scope.Tenant(f.Tenant), f.Message)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		by, err := p.knownBy(ctx, f.Tenant, s)
		if err != nil {
			return err
		}
		t := trailOf(events, s.Address, by...)
		named, err := p.named(ctx, f, t)
		if err != nil || !named {
			return err
		}
		return yield(f, t)
	})
}

// named reports whether a record or one of its conversations names the person.
func (p *Holder) named(ctx context.Context, f Found, t *trail) (bool, error) {
	if t.sender || t.received || t.attributed {
		return true, nil
	}
	seen := map[ids.Attempt]bool{0: true}
	for _, e := range t.events {
		if t.inDetail(e.Detail) {
			return true, nil
		}
		if seen[e.Attempt] {
			continue
		}
		seen[e.Attempt] = true
		c, err := p.h.Conversation(ctx, scope.Tenant(f.Tenant), e.Attempt)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
			continue
		}
		if err != nil {
			return false, err
		}
		for _, step := range c.Steps {
			if t.mentioned(step.Sent) || t.mentioned(step.Got) {
				return true, nil
			}
		}
	}
	return false, nil
}

// Subjects gives each message whose subject changes or goes when the person is
// erased, with the time at which it was accepted.
func (p *Holder) Subjects(ctx context.Context, s pledge.Subject, yield func(f Found, at time.Time, subject string) error) error {
	return p.trails(ctx, s, func(f Found, t *trail) error {
		for _, e := range t.events {
			if e.Kind != Accepted || e.Detail.Subject == "" {
				continue
			}
			after := e.Detail
			if t.strip(&after); t.empty() || after.Subject != e.Detail.Subject {
				return yield(f, e.At, e.Detail.Subject)
			}
		}
		return nil
	})
}

// Find implements pledge.Holder.
func (p *Holder) Find(ctx context.Context, s pledge.Subject) ([]pledge.Trace, error) {
	found := pledge.Trace{Category: records, Holder: p.HolderName()}
	talks := pledge.Trace{Category: conversations, Holder: p.HolderName()}
	add := func(t *pledge.Trace, at time.Time) {
		if t.Count++; t.First.IsZero() || at.Before(t.First) {
			t.First = at
		}
		if at.After(t.Last) {
			t.Last = at
		}
	}
	err := p.trails(ctx, s, func(_ Found, t *trail) error {
		add(&found, t.events[0].At)
		seen := map[ids.Attempt]bool{0: true}
		for _, e := range t.events {
			if !seen[e.Attempt] {
				seen[e.Attempt] = true
				add(&talks, e.At)
			}
		}
		return nil
	})
	var list []pledge.Trace
	for _, t := range []pledge.Trace{found, talks} {
		if t.Count > 0 {
			list = append(list, t)
		}
	}
	return list, err
}

// Reached gives each recipient of a customer's whose endpoint took mail that the
// person is in, as sender or as recipient. One may be given more than once.
func (p *Holder) Reached(ctx context.Context, s pledge.Subject, yield func(ids.Tenant, address.Address) error) error {
	return p.trails(ctx, s, func(f Found, t *trail) error {
		var all []string
		for _, e := range t.events {
			if e.Direction != Inbound {
				return nil
			}
			if e.Kind == Accepted {
				all = e.Detail.Recipients
			}
			if e.Kind != Delivered {
				continue
			}
			to := e.Detail.Recipients
			if len(to) == 0 {
				to = all
			}
			for _, text := range to {
				a, err := address.Parse(text)
				if err != nil {
					continue // redacted: nobody knows any more where it went
				}
				if err := yield(f.Tenant, a); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// HandOver implements pledge.Holder: each message's record and its conversations,
// without the other recipients (GDPR Art. 15(4)).
func (p *Holder) HandOver(ctx context.Context, s pledge.Subject, yield func(pledge.Record) error) error {
	return p.trails(ctx, s, func(f Found, t *trail) error {
		err := yield(pledge.Record{Category: records, ID: f.Message.String(), At: t.events[0].At, Fields: t.fields(s)})
		if err != nil {
			return err
		}
		return p.talks(ctx, f, t, yield)
	})
}

// talks gives the conversations of a message.
func (p *Holder) talks(ctx context.Context, f Found, t *trail, yield func(pledge.Record) error) error {
	others := t.otherTexts()
	seen := map[ids.Attempt]bool{0: true}
	for _, e := range t.events {
		if seen[e.Attempt] {
			continue
		}
		seen[e.Attempt] = true
		c, err := p.h.Conversation(ctx, scope.Tenant(f.Tenant), e.Attempt)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
			continue
		}
		if err != nil {
			return err
		}
		fields := map[string]string{"message": f.Message.String()}
		for i, step := range c.Steps {
			n := strconv.Itoa(i + 1)
			if step.Sent != "" {
				fields["step_"+n+"_sent"] = Without(step.Sent, others)
			}
			if step.Got != "" {
				fields["step_"+n+"_got"] = Without(step.Got, others)
			}
		}
		if err := yield(pledge.Record{Category: conversations, ID: e.Attempt.String(), At: e.At, Fields: fields}); err != nil {
			return err
		}
	}
	return nil
}

// fields are a record as its subject gets it.
func (t *trail) fields(s pledge.Subject) map[string]string {
	fields := map[string]string{}
	set := func(name, value string) {
		if value != "" {
			fields[name] = value
		}
	}
	others := t.otherTexts()
	for i, e := range t.events {
		if e.Kind == Accepted {
			set("direction", e.Direction.String())
			set("sender", e.Detail.Sender)
			set("subject", e.Detail.Subject)
			set("message_id", e.Detail.MessageID)
			if t.sender {
				set("sender_ip", e.Detail.IP)
			}
			for _, tag := range t.own(e.Detail.Tags) {
				if name, value, is := IsAttribute(tag); is {
					set("attribute_"+name, value)
				} else {
					set("tag_"+tag, "yes")
				}
			}
		}
		line := e.At.UTC().Format(time.RFC3339) + " " + e.Kind.String()
		if e.Detail.Reply != "" {
			line += ": " + Without(e.Detail.Reply, others)
		}
		set("event_"+strconv.Itoa(i+1), line)
	}
	if t.received {
		set("recipient", s.Address.Text())
	}
	return fields
}

func (t *trail) otherTexts() []string {
	mine := strings.Join(t.texts, "\n")
	var list []string
	for _, e := range t.events {
		for _, r := range e.Detail.Recipients {
			if !strings.Contains(strings.ToLower(mine), strings.ToLower(r)) {
				list = append(list, r)
			}
		}
	}
	return list
}

// Correct implements pledge.Holder. A record says what was sent to which
// address; changing it would make it wrong, so nothing may be corrected.
func (p *Holder) Correct(context.Context, pledge.Subject, pledge.Correction) (int, error) {
	return 0, nil
}

// Restrict implements pledge.Holder. Records are only stored and shown to the
// customer whose mail it was; that nothing further is sent is the suppression's.
func (p *Holder) Restrict(context.Context, pledge.Subject, bool) (int, error) { return 0, nil }

// Erase implements pledge.Holder: records lose the person and what else names
// them, and go where nothing of anybody is left. It may be called again for what
// was committed meanwhile, until Forget.
func (p *Holder) Erase(ctx context.Context, s pledge.Subject) ([]pledge.Erased, error) {
	rows, talks, kept, law := 0, 0, 0, ""
	err := p.trails(ctx, s, func(f Found, t *trail) error {
		rows++
		seen := map[ids.Attempt]bool{0: true}
		for _, e := range t.events {
			if !seen[e.Attempt] {
				seen[e.Attempt] = true
				if why, stays := p.h.byLaw(f.Tenant, e.Attempt); stays {
					kept, law = kept+1, why
				} else {
					talks++
				}
			}
		}
		if err := p.forgetMessageID(ctx, f.Tenant, t); err != nil {
			return err
		}
		if t.empty() {
			_, err := p.h.Delete(ctx, scope.Tenant(f.Tenant), f.Message)
			return err
		}
		_, err := p.h.rewriteMessage(ctx, f.Tenant, f.Message, func(d *Detail, _ []Known) { t.strip(d) },
			func(text string, _ []Known) string { return t.text(text) })
		return err
	})
	if err != nil {
		return nil, fault.Wrap(err, "erase a person from history")
	}
	return []pledge.Erased{
		{Category: records, Count: rows, Epoch: p.Period(s.Scope)},
		{Category: conversations, Count: talks, Kept: kept, Why: law, Epoch: p.Period(s.Scope)},
	}, nil
}

// forgetMessageID drops the hash of a Message-ID that the person's program made.
func (p *Holder) forgetMessageID(ctx context.Context, tenant ids.Tenant, t *trail) error {
	for _, e := range t.events {
		if !t.sender || e.Kind != Accepted || e.Detail.MessageID == "" {
			continue
		}
		hash, err := p.h.vault.Hash(tenant, byMessageID, e.Detail.MessageID)
		if err == nil {
			_, err = p.look.Remove(ctx, hash)
		}
		if err != nil {
			return fault.Wrap(err, "forget a Message-ID")
		}
	}
	return nil
}

// errNewer says that the person is in mail that came after the erasure.
var errNewer = errors.New("there is newer mail")

// Forget drops the keyed hash of the person from the look-up. After it the
// person's messages cannot be found any more: call it last. Who is a
// correspondent again in mail that came after s.Before stays findable.
func (p *Holder) Forget(ctx context.Context, s pledge.Subject) error {
	err := p.Messages(ctx, pledge.Subject{Scope: s.Scope, Address: s.Address, Identifiers: s.Identifiers}, func(f Found) error {
		if !s.Before.IsZero() && !f.Message.Time().Before(s.Before) {
			return errNewer
		}
		return nil
	})
	if errors.Is(err, errNewer) {
		return nil
	}
	if err != nil {
		return err
	}
	tenants, err := p.tenants(ctx, s.Scope)
	if err != nil {
		return err
	}
	for _, tenant := range tenants {
		by, err := p.knownBy(ctx, tenant, s)
		if err != nil {
			return err
		}
		hashes, err := p.hashes(tenant, s, by)
		if fault.Is(err, fault.Gone) {
			continue
		}
		for _, hash := range hashes {
			if err == nil {
				_, err = p.look.Remove(ctx, hash)
			}
		}
		if err != nil {
			return fault.Wrap(err, "forget a person's hash")
		}
	}
	return nil
}

var _ pledge.Holder = (*Holder)(nil)

// Delete removes a message's whole record, its conversations too where no law
// keeps them, and says how
// many rows went. A message that is not there is no fault: a repeat changes
// nothing. Hashes that point to it lead nowhere and go with their run.
func (h *History) Delete(ctx context.Context, s scope.Scope, m ids.Message) (int, error) {
	events, err := h.Of(ctx, s, m)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var attempts []ids.Attempt
	for _, e := range events {
		if _, kept := h.byLaw(e.Tenant, e.Attempt); e.Attempt != 0 && !kept {
			attempts = append(attempts, e.Attempt)
		}
	}
	gone, err := h.copies(ctx, events, func(d *Detail) { d.Subject = "" })
	if err != nil {
		return 0, err
	}
	all, owner := s.Args()
	count := 0
	err = h.db.Change(ctx, "delete a record", func(tx *db.Tx) error {
		if err := gone.drop(ctx, tx); err != nil {
			return err
		}
		n, err := tx.Do(ctx, h.set, "delete_message", int64(m), all, owner)
		if err != nil {
			return err
		}
		c, err := tx.Do(ctx, h.set, "delete_conversations", jsonList(attempts), all, owner)
		count = int(n + c)
		return err
	})
	return count, fault.Wrap(err, "delete a record")
}

package probes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/retain"
)

// Aged is a record that was left with the canary as if it came from another time.
type Aged struct {
	ID     string
	There  func(context.Context) (bool, error)
	Remove func(context.Context) error // nil: it goes by itself within the hour
}

// hair is how far a record is from the end of its period, on either side.
const hair = time.Hour

// pair is two records of a category: one whose period is over, one whose is not.
type pair struct {
	category   string
	period     time.Duration
	young, old Aged
}

// ages leaves with the canary, of each category, a record whose period ended an
// hour ago and one that has an hour left, lets the server purge, and looks for
// both.
func (s *Server) ages(ctx context.Context, c Canary, categories ...string) (v verdict, err error) {
	var pairs []pair
	defer func() {
		for _, p := range pairs {
			for _, a := range []Aged{p.young, p.old} {
				if a.Remove != nil {
					err = errors.Join(err, a.Remove(context.WithoutCancel(ctx)))
				}
			}
		}
	}()
	for _, category := range categories {
		p, v, err := s.leave(ctx, c, category)
		pairs = append(pairs, p)
		if err != nil || v.status != "" {
			return v, err
		}
	}
	failed := s.Purge(ctx)
	for _, p := range pairs {
		if v, err := p.judged(ctx); err != nil || v.status != "" {
			return v, err
		}
	}
	if failed != nil {
		return bad("a purge failed: %s", fault.KindOf(failed)), nil
	}
	return s.within(ctx, pairs)
}

// leave leaves both records of a category. The young one comes first: what is
// overdue goes where a purge begins, which has to be before something.
func (s *Server) leave(ctx context.Context, c Canary, category string) (p pair, v verdict, err error) {
	p.category = category
	before, ruled := s.Keeping(c.Tenant, category)
	if !ruled {
		return p, bad("nothing keeps the period of %s", category), nil
	}
	p.period = s.Clock.Now().Sub(before).Round(time.Minute)
	if p.period > 2*hair {
		if p.young, err = s.Aged(ctx, c, category, before.Add(hair)); err != nil {
			return p, v, err
		}
	}
	if p.old, err = s.Aged(ctx, c, category, before.Add(-hair)); err != nil {
		return p, v, err
	}
	for _, a := range []Aged{p.young, p.old} {
		if a.There == nil {
			continue
		}
		if there, err := a.There(ctx); err != nil || !there {
			return p, bad("%s: a record that was left is not found, so that its absence would show nothing: %v", category, err), nil
		}
	}
	return p, v, nil
}

func (p *pair) judged(ctx context.Context) (verdict, error) {
	there, err := p.old.There(ctx)
	switch {
	case err != nil:
		return verdict{}, err
	case there:
		return bad("%s: a record whose period of %s ended %s ago is still there after the purge", p.category, inventory.Span(p.period), inventory.Span(hair)), nil
	case p.young.There == nil:
		return verdict{}, nil
	}
	if there, err = p.young.There(ctx); err == nil && !there {
		return bad("%s: a record that had %s of its period of %s left is gone", p.category, inventory.Span(hair), inventory.Span(p.period)), nil
	}
	return verdict{}, err
}

// within looks at the oldest record of each category, and when it was purged.
func (s *Server) within(ctx context.Context, pairs []pair) (verdict, error) {
	states, err := s.Periods(ctx)
	if err != nil {
		return verdict{}, err
	}
	var said []string
	for _, p := range pairs {
		i := slices.IndexFunc(states, func(k retain.State) bool { return k.Category == p.category })
		if i < 0 {
			return bad("%s: where its purge stands is not known", p.category), nil
		}
		k := states[i]
		switch {
		case k.Status != retain.Kept:
			return bad("%s: %s; %s", k.Category, k.Status, k.Problem), nil
		case s.Clock.Now().Sub(k.Ran) > 24*time.Hour:
			return bad("%s: the last purge was on %s", k.Category, k.Ran.Format(time.RFC3339)), nil
		case !k.Oldest.IsZero() && k.Oldest.Before(k.Before):
			return bad("%s: the oldest is from %s", k.Category, k.Oldest.Format(time.RFC3339)), nil
		}
		text := fmt.Sprintf("%s, kept for %s: purged %s, one that was %s over its period went", p.category, inventory.Span(p.period), k.Ran.UTC().Format(time.RFC3339), inventory.Span(hair))
		if p.young.There != nil {
			text += fmt.Sprintf(", one that had %s left stayed", inventory.Span(hair))
		}
		said = append(said, text)
	}
	return good("%s", strings.Join(said, "; ")), nil
}

// statistics leaves counts from either side of their period.
func (s *Server) statistics(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		v, err := s.ages(ctx, x.Canary, "counts")
		if v.status == pledge.Kept {
			v.evidence += "; opens and clicks are not counted here, nobody observes them"
		}
		return v, err
	})
	return v.end(err)
}

// logs looks for files and columns that nobody declared, and leaves log records
// from either side of their period.
func (s *Server) logs(ctx context.Context) (pledge.Status, string, error) {
	columns, err := s.Columns(ctx)
	if err != nil {
		return pledge.Failing, "", err
	}
	files, unknown, err := s.Files()
	if err != nil {
		return pledge.Failing, "", err
	}
	if unknown = append(unknown, s.Inventory.Undeclared(pledge.Column, columns)...); len(unknown) > 0 {
		return failing("stored and in no inventory: " + strings.Join(unknown, ", "))
	}
	if files == 0 || len(columns) < 50 {
		return failing(fmt.Sprintf("only %d files and %d columns were found: the probe does not look where the server writes", files, len(columns)))
	}
	v, err := on(ctx, s, func(x *scene) (verdict, error) { return s.ages(ctx, x.Canary, "message records", "conversations") })
	if v.status == pledge.Kept {
		v.evidence += fmt.Sprintf("; all %d files on disk and %d columns are in the inventory; log lines go to the standard error stream, to no file", files, len(columns))
	}
	return v.end(err)
}

// absent says that the product has no such data, and fails as soon as a table or a
// category is there whose name says otherwise: then its period has to be shown.
func (s *Server) absent(why string, words ...string) func(context.Context) (pledge.Status, string, error) {
	return func(ctx context.Context) (pledge.Status, string, error) {
		names, err := s.Columns(ctx)
		if err != nil {
			return pledge.Failing, "", err
		}
		if len(names) < 50 {
			return failing(fmt.Sprintf("only %d columns were found", len(names)))
		}
		for _, e := range s.Inventory.Entries() {
			names = append(names, e.Name)
		}
		for _, name := range names {
			table, _, _ := strings.Cut(name, ".")
			if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(strings.ToLower(table), w) }) {
				return failing(name + " is stored, and nothing shows that its period is kept")
			}
		}
		return pledge.NotApplicable, why, nil
	}
}

// books are the names that business records would have.
var books = []string{"invoice", "payment", "billing", "bookkeep"}

// Why there is nothing to show of promises about data that does not exist.
const (
	noCampaigns = "no table and no category holds lists, campaigns or subscribers: the product line is not there. What mail to many leaves today are message records and counts, whose periods mb-ret-logs and mb-ret-analytics show"
	noBooks     = "no table and no category holds invoices, payments or other business records: this server keeps no books"
	noTickets   = "no table and no category holds support tickets: there is no support desk. What comes by the contact form is a request of a person, kept apart by its own period"
)

// account lets two customers end their contracts, the one so long ago that its
// days are over, the other an hour less, and looks for what is kept of them.
func (s *Server) account(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		old, err := x.leaver(ctx, "a")
		if err != nil {
			return verdict{}, err
		}
		young, err := x.leaver(ctx, "b")
		if err != nil {
			return verdict{}, err
		}
		return x.daysOver(ctx, old, young)
	})
	return v.end(err)
}

// leaver is a customer with credentials who will be gone when the probe ends.
func (x *scene) leaver(ctx context.Context, mark string) (*scene, error) {
	l, err := x.Leaving(ctx, mark+x.word)
	if err != nil {
		return nil, fault.Wrap(err, "make a customer who leaves")
	}
	y := *x
	y.Canary, y.word = l.Canary, l.Name
	x.undo = append(x.undo, func() { _ = x.Leave(context.WithoutCancel(ctx), l.Tenant) }) // one who stays shows in the list of customers
	return &y, nil
}

// daysLeft is what the API says of a contract's end.
type daysLeft struct {
	Ends    time.Time `json:"ends_at"`
	Destroy time.Time `json:"destroy_at"`
	Gone    time.Time `json:"gone_by"`
}

func (x *scene) daysOver(ctx context.Context, old, young *scene) (verdict, error) {
	var terms daysLeft
	for _, y := range []*scene{old, young} {
		if err := y.must(ctx, http.MethodPost, "/v1/termination", map[string]any{"confirm": y.word}, &terms); err != nil {
			return verdict{}, err
		}
	}
	spare, whole := terms.Destroy.Sub(terms.Ends)-hair, terms.Gone.Sub(terms.Ends)
	if spare > 0 {
		if err := x.Backdate(ctx, young.Tenant, spare); err != nil {
			return verdict{}, err
		}
	}
	if over := whole - time.Minute; over > 0 { // by then it has to be under way, or it would be late
		if err := x.Backdate(ctx, old.Tenant, over); err != nil {
			return verdict{}, err
		}
	}
	r, v, err := old.wentWithDays(ctx, whole)
	if err != nil || v.status != "" {
		return v, err
	}
	said := ""
	if spare > 0 {
		files, err := young.exported(ctx)
		if err != nil || !strings.Contains(files["machine-credentials.jsonl"], "probe") {
			return bad("of an account that had an hour of its days left the data is not there any more: %v", err), nil
		}
		said = "; one that had an hour left is there whole and can be exported and taken back"
	}
	if status, err := x.call(ctx, http.MethodGet, "/v1/session", nil, nil); err != nil || status != http.StatusOK {
		return bad("an account that is active is answered %d %v", status, err), nil
	}
	return good("an account whose contract ended %s ago is gone: the certificate counts %d users and credentials and verifies by the log's key%s; an active one stays", inventory.Span(whole), erasedIn(r, "users")+erasedIn(r, "machine credentials"), said), nil
}

// wentWithDays waits for the certificate of an account whose days are over.
func (x *scene) wentWithDays(ctx context.Context, whole time.Duration) (r evidence.CertificateReport, v verdict, err error) {
	var text []byte
	late := x.until(ctx, "the account to go", func() (done bool, err error) {
		text, err = x.Ended(ctx, x.Tenant)
		return len(text) > 0, err
	})
	if len(text) == 0 {
		return r, bad("an account whose contract ended %s ago is still there: %v", inventory.Span(whole), late), nil
	}
	if r, err = evidence.VerifyCertificate(text, evidence.CertificateCheck{Trusted: x.LogKeys()}); err != nil || r.Customer != x.Tenant {
		return r, bad("the certificate of an account that went does not verify: %v", err), nil
	}
	if erasedIn(r, "users")+erasedIn(r, "machine credentials") == 0 {
		return r, bad("the certificate counts no user and no credential of an account that went"), nil
	}
	if status, err := x.call(ctx, http.MethodGet, "/v1/session", nil, nil); err != nil || status != http.StatusUnauthorized {
		return r, bad("the token of an account that went is answered %d %v", status, err), nil
	}
	return r, v, nil
}

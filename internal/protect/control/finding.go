package control

import (
	"context"
	_ "embed" // the table
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
)

//go:embed control.sql
var sql string

const pkg = "protect/control"

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: "findings", About: pledge.Nobody,
		What:    "what each probe last observed, when, and since when a promise is not kept",
		Purpose: "show whether promises are kept", For: pledge.ToAccount, Basis: pledge.NotPersonal, Erasing: pledge.Nothing,
	}},
	Places: pledge.Columns("findings", false, "finding", "promise", "tenant", "status", "evidence", "checked", "since"),
}

// Seen is the newest finding of one promise, for the platform or one customer.
type Seen struct {
	pledge.Finding
	Since time.Time // failing without a break since then; zero: not failing
}

// Line is a promise with the newest that was seen of it.
type Line struct {
	Promise
	Probed bool // there is a probe that can show it
	Seen        // the worst of the platform's and the customers'
	// Customers are the findings of those for whom the promise is judged under
	// their own policy.
	Customers []Seen
}

// order is that of the statuses, from the worst.
var order = []pledge.Status{pledge.Failing, pledge.NotYet, pledge.Attested, pledge.Kept, pledge.NotApplicable}

func worse(a, b pledge.Status) bool { return slices.Index(order, a) < slices.Index(order, b) }

// List gives every promise with its newest findings, as far as the scope sees
// them: a customer sees the platform's and its own.
func (x *Control) List(ctx context.Context, s scope.Scope) ([]Line, error) {
	seen, err := x.seen(ctx, "", s)
	if err != nil {
		return nil, err
	}
	lines := make([]Line, len(x.promises))
	for i, p := range x.promises {
		lines[i] = x.line(p, seen[p.ID])
	}
	return lines, nil
}

// seen reads the findings of one promise, or with "" of all, the platform's first.
func (x *Control) seen(ctx context.Context, promise string, s scope.Scope) (map[string][]Seen, error) {
	all := map[string][]Seen{}
	everyone, tenant := s.Args()
	err := x.set.Each(ctx, "of", []any{promise, everyone, tenant}, func(scan func(...any) error) error {
		var f Seen
		var checked, since int64
		if err := scan(&f.ID, &f.Customer, &f.Status, &f.Evidence, &checked, &since); err != nil {
			return err
		}
		f.CheckedAt = clock.FromMicros(checked).UTC()
		if since > 0 {
			f.Since = clock.FromMicros(since).UTC()
		}
		all[f.ID] = append(all[f.ID], f)
		return nil
	})
	return all, fault.Wrap(err, "read the findings")
}

// Findings gives every stored finding of the scope as it was written down, by
// promise: each has its entry in the evidence log.
func (x *Control) Findings(ctx context.Context, s scope.Scope) ([]Seen, error) {
	all, err := x.seen(ctx, "", s)
	if err != nil {
		return nil, err
	}
	var list []Seen
	for _, p := range x.promises {
		list = append(list, all[p.ID]...)
	}
	return list, nil
}

// line joins the findings of a promise: the worst stands for it.
func (x *Control) line(p Promise, seen []Seen) Line {
	l := Line{Promise: p, Probed: x.probes[p.ID] != nil}
	l.Finding = pledge.Finding{ID: p.ID, Status: pledge.NotYet, Evidence: "no probe shows it yet"}
	if l.Probed {
		l.Evidence = "its probe has not run yet"
	}
	if !l.Probed { // what an earlier version of the server saw counts for nothing
		return l
	}
	for i, f := range seen {
		if f.Customer != 0 {
			l.Customers = append(l.Customers, f)
		}
		if i == 0 || worse(f.Status, l.Status) {
			l.Seen = f
		}
	}
	if n := len(l.Customers); l.Customer != 0 {
		same := 0
		for _, c := range l.Customers {
			if c.Status == l.Status {
				same++
			}
		}
		l.Evidence = fmt.Sprintf("under the policies of %d of %d customers: %s", same, n, l.Evidence)
		l.Customer = 0
	}
	return l
}

// note writes a finding down, in the table and in the evidence log, in one
// transaction.
func (x *Control) note(ctx context.Context, f pledge.Finding) error {
	at, since := clock.Micros(f.CheckedAt), int64(0)
	if f.Status == pledge.Failing {
		since = at
	}
	leaf := evidence.Leaf{
		ID: ids.New[ids.Leaf](x.IDs), At: evidence.On(f.CheckedAt), By: evidence.Actor{Role: evidence.BySystem}, Tenant: f.Customer,
		Body: &evidence.ProbeResult{Promise: f.ID, Status: f.Status, Evidence: evidence.DigestOf([]byte(f.Evidence))},
	}
	err := x.DB.Change(ctx, "note a finding", func(tx *db.Tx) error {
		if _, err := tx.Do(ctx, x.set, "note", f.ID, int64(f.Customer), string(f.Status), f.Evidence, at, since); err != nil {
			return err
		}
		return x.Stage.Stage(ctx, tx, leaf)
	})
	x.Nudge()
	return fault.Wrap(err, "note a finding")
}

// clip bounds an evidence text and makes it storable.
func clip(s string) string {
	const most = 2000
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "�"), "\x00", "�")
	if len(s) <= most {
		return s
	}
	end := most
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

package history

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/job"
	"mailvow/internal/protect/policy"
)

// RedactJob is the kind of the jobs that rewrite records.
const RedactJob = "redact"

// Rewriter brings the records that are kept already under a policy that became
// stricter: Look finds whose did and starts a job for each, Work does it.
type Rewriter struct {
	h      *History
	jobs   *job.Store
	ids    *ids.Source
	settle time.Duration
	fresh  map[ids.Tenant]change // what was seen and is not settled; one goroutine looks
}

// change is rules that a customer's records are to be kept under.
type change struct {
	rules string
	seen  time.Time
}

// Rewriter makes the rewriter of this history. It waits for a change to settle
// for so long, while other processes may still write under the former rules.
func (h *History) Rewriter(jobs *job.Store, source *ids.Source, settle time.Duration) *Rewriter {
	return &Rewriter{h: h, jobs: jobs, ids: source, settle: settle, fresh: map[ids.Tenant]change{}}
}

// all are a customer's redactions by direction.
type all map[Direction]Redactions

func (r *Rewriter) inForce(tenant ids.Tenant) all {
	rules := all{}
	for _, d := range []Direction{Outbound, Inbound, Notice} {
		if own := r.h.redaction.Redacted(tenant, d); len(own) > 0 {
			rules[d] = own
		}
	}
	return rules
}

// stricter reports whether anything that is kept under these rules may no longer
// be kept under others.
func (a all) stricter(next all) bool {
	for d, rules := range next {
		for f, now := range rules {
			if was := a[d][f]; now != policy.Keep && now != was && was != policy.Drop {
				return true
			}
		}
	}
	return false
}

// Look starts a job for every customer whose redactions became stricter than
// those under which its records are kept. One process at a time looks.
func (r *Rewriter) Look(ctx context.Context) error {
	held := map[ids.Tenant]string{}
	err := r.h.set.Each(ctx, "redactions", nil, func(scan func(...any) error) error {
		var tenant int64
		var rules string
		err := scan(&tenant, &rules)
		held[ids.Tenant(tenant)] = rules
		return err
	})
	if err != nil {
		return fault.Wrap(err, "read under which redactions records are kept")
	}
	tenants, err := r.h.Tenants(ctx)
	for _, t := range tenants {
		if err == nil {
			err = r.look(ctx, t, held[t])
		}
	}
	return fault.Wrap(err, "look whose redactions became stricter")
}

func (r *Rewriter) look(ctx context.Context, tenant ids.Tenant, held string) error {
	next := r.inForce(tenant)
	text, err := json.Marshal(next)
	if err != nil || string(text) == held || len(next) == 0 && held == "" {
		delete(r.fresh, tenant)
		return err
	}
	now := r.h.clock.Now()
	if c := r.fresh[tenant]; c.rules != string(text) {
		r.fresh[tenant] = change{string(text), now}
		return nil // what is being committed under the former rules is there next time
	} else if now.Sub(c.seen) < r.settle {
		return nil
	}
	before := all{}
	if held != "" {
		if err := json.Unmarshal([]byte(held), &before); err != nil {
			return fault.Because(fault.Internal, err, "")
		}
	}
	delete(r.fresh, tenant)
	return r.h.db.Change(ctx, "follow a customer's redactions", func(tx *db.Tx) error {
		if _, err := tx.Do(ctx, r.h.set, "set_redactions", tenant, string(text)); err != nil || !before.stricter(next) {
			return err
		}
		return r.jobs.StartIn(ctx, tx, ids.New[ids.Job](r.ids), tenant, RedactJob, text, 0)
	})
}

const redactPage = 100

// Work implements job.Work: it goes through a customer's messages, newest first.
// A message is rewritten before the cursor passes it, and a repeat changes nothing.
func (r *Rewriter) Work(ctx context.Context, run *job.Run) error {
	j := run.Job()
	rules := all{}
	if err := json.Unmarshal(j.Input, &rules); err != nil {
		return fault.Because(fault.Internal, err, "")
	}
	if r.h.index != nil {
		if err := r.h.index.CatchUp(ctx); err != nil {
			return err
		}
	}
	var before ids.Message
	if len(j.Cursor) == 8 {
		before = ids.Message(binary.BigEndian.Uint64(j.Cursor))
	}
	for done := j.Done; ; {
		list, err := r.h.Recent(ctx, scope.Tenant(j.Tenant), before, time.Time{}, redactPage)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, m := range list {
			_, err := r.h.Redact(ctx, j.Tenant, m, func(d Direction) Redactions { return rules[d] })
			if err != nil && !fault.Is(err, fault.NotFound) { // deleted meanwhile
				return err
			}
			before = m
		}
		done += int64(len(list))
		if err := run.Save(ctx, job.Progress{Cursor: binary.BigEndian.AppendUint64(nil, uint64(before)), Done: done}, nil); err != nil {
			return err
		}
	}
}

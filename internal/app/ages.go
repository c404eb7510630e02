package app

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"mailvow/internal/app/probes"
	"mailvow/internal/app/stored"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/reads"
)

// idAt is an identifier as it would have been given at a time.
func idAt[T ids.Any](at time.Time) T {
	return ids.FirstAt[T](at) + T(rand.Int64N(1<<22)) //nolint:gosec // it only has to differ
}

// agedForProbe leaves a record of a category from a time with the canary.
func (h *House) agedForProbe(ctx context.Context, c probes.Canary, category string, at time.Time) (probes.Aged, error) {
	switch category {
	case recordsCategory:
		return h.leaveRecord(ctx, c, at)
	case "conversations":
		return h.leaveConversation(ctx, c, at)
	case "counts":
		return h.leaveCount(ctx, c, at)
	}
	return probes.Aged{}, fault.New(fault.Internal, "no record of "+category+" can be left by a probe")
}

// leaveRecord goes where purges begin if it is overdue, else where records are added.
func (h *House) leaveRecord(ctx context.Context, c probes.Canary, at time.Time) (probes.Aged, error) {
	in := scope.Tenant(c.Tenant)
	e := history.Event{Message: idAt[ids.Message](at), Tenant: c.Tenant, Direction: history.Inbound, Kind: history.Accepted, At: at}
	a := probes.Aged{
		ID: e.Message.String(),
		There: func(ctx context.Context) (bool, error) {
			list, err := h.storedRecords(ctx, e.Message)
			return len(list) > 0, err
		},
		Remove: func(ctx context.Context) error {
			_, err := h.history.Delete(ctx, in, e.Message)
			return err
		},
	}
	if before, _ := h.retention.Keeping(c.Tenant, recordsCategory); at.Before(before) {
		return a, h.history.Backdate(ctx, e)
	}
	u := &db.Unit{}
	if err := h.history.Write(u, e, history.Known{}); err != nil {
		return a, err
	}
	return a, h.db.Commit(ctx, u)
}

func (h *House) leaveConversation(ctx context.Context, c probes.Canary, at time.Time) (probes.Aged, error) {
	id, u := idAt[ids.Attempt](at), &db.Unit{}
	said := &outcome.Conversation{Steps: []outcome.Step{{At: at, Sent: "EHLO canary.invalid", Got: "250 canary.invalid"}}}
	err := h.history.WriteConversation(u, id, idAt[ids.Message](at), c.Tenant, history.Outbound, said, history.Known{})
	if err == nil {
		err = h.db.Commit(ctx, u)
	}
	return probes.Aged{ID: id.String(), There: func(ctx context.Context) (bool, error) {
		_, err := h.history.Conversation(ctx, scope.Tenant(c.Tenant), id)
		if fault.Is(err, fault.NotFound) {
			return false, nil
		}
		return err == nil, err
	}}, err
}

// leaveCount adds a message to the counts of a minute long past.
func (h *House) leaveCount(ctx context.Context, c probes.Canary, at time.Time) (probes.Aged, error) {
	u := &db.Unit{Adds: []db.Add{{By: h.db.Set("flow/tally").Bulk("count"), Row: []any{int64(c.Tenant), at.Unix() / 60, int64(history.Accepted), int64(1)}}}}
	return probes.Aged{There: func(ctx context.Context) (bool, error) {
		list, err := h.tally.Series(ctx, scope.Tenant(c.Tenant), at.Truncate(time.Minute), time.Minute)
		return len(list) > 0 && list[0].Accepted > 0, err
	}}, h.db.Commit(ctx, u)
}

// filesForProbe counts the files of the data folder and of the key store, and
// names those that nobody declared.
func (h *House) filesForProbe() (all int, unknown []string, err error) {
	for _, folder := range h.probed.Folders {
		files, err := inventory.Files(os.DirFS(folder))
		if err != nil {
			return all, nil, err
		}
		mounts := stored.Mounts()
		if keys, err := filepath.Rel(folder, h.paths().keys); err == nil && filepath.IsLocal(keys) {
			mounts = append(mounts, stored.KeyMounts(filepath.ToSlash(keys))...)
		}
		all += len(files)
		unknown = append(unknown, h.inventory.UndeclaredFiles(mounts, files)...)
	}
	return all, unknown, nil
}

// lawForProbe says in words which law keeps a category, and how long.
func (h *House) lawForProbe(category string) string {
	said := h.policies.Platform(h.Clock.Now()).Document.Retention[category]
	if !said.AtLeast.Given() {
		return ""
	}
	return byLaw(said)
}

// lookedForProbe counts the conversations of a customer's that a user was shown.
func (h *House) lookedForProbe(ctx context.Context, by ids.User, of ids.Tenant, since time.Time) (int, error) {
	if err := h.reads.Flush(ctx); err != nil {
		return 0, err
	}
	n := 0
	_, err := h.reads.Each(ctx, scope.Tenant(of), since, h.Clock.Now().Add(time.Minute), func(r reads.Read) error {
		if r.User == by && r.Category == "conversations" {
			n += r.Count
		}
		return nil
	})
	return n, err
}

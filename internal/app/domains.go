package app

import (
	"context"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/keep/leader"
)

const (
	domainsEvery = 5 * time.Minute
	domainsAtOne = 200 // domains looked at in one go
)

// startDomains looks at customers' domains again, so that one whose token was
// taken back stops sending. One process of all does it.
func (h *House) startDomains() {
	if !h.has(config.RoleWorker) {
		return
	}
	election := leader.New(h.db, h.Clock, h.observe)
	h.parts.Go("check domains", func(ctx context.Context) error {
		return election.Hold(ctx, "check domains", func(ctx context.Context, _ leader.Term) error { return h.checkDomains(ctx) })
	})
}

func (h *House) checkDomains(ctx context.Context) error {
	for {
		t := h.Clock.NewTimer(domainsEvery)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C():
		}
		if _, err := h.relay.CheckDue(ctx, domainsAtOne); err != nil && ctx.Err() == nil {
			h.observe.Log.Warn("check domains", "error", err)
		}
	}
}

package httpapi

import (
	"context"
	"slices"
	"sync"
	"testing"

	"mailvow/internal/base/ids"
	"mailvow/internal/lab"
	"mailvow/internal/product/trust/notice"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

// board is one notice of the platform's second version, for everybody.
type board struct {
	mu   sync.Mutex
	seen map[ids.Tenant]string
	used []ids.Tenant
}

func (b *board) List(_ context.Context, of ids.Tenant) ([]notice.Notice, error) {
	return []notice.Notice{{Tenant: of, Of: tenant.Platform, Number: 2, Effective: lab.Epoch, Published: lab.Epoch}}, nil
}

func (b *board) Unseen(ctx context.Context, of ids.Tenant) ([]notice.Notice, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen[of] != "" {
		return nil, nil
	}
	return b.List(ctx, of)
}

func (b *board) See(_ context.Context, account, _ ids.Tenant, _ int, accept bool, by evidence.Role) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen == nil {
		b.seen = map[ids.Tenant]string{}
	}
	b.seen[account] = string(by)
	if accept {
		b.seen[account] += " accepts"
	}
	return nil
}

func (b *board) Used(_ context.Context, account ids.Tenant) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used = append(b.used, account)
}

// TestNotices: a notice stands on the overview until it is seen; reading it and
// accepting it are no use of the service, and doing something is.
func TestNotices(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	wall := b.parts.Notices.(*board)
	owner := b.as(t, b.acme, access.Owner)
	var page Overview
	b.call("GET", "/v1/overview", "", owner).into(t, &page)
	if len(page.Notices) != 1 || page.Notices[0].Number != 2 || page.Notices[0].Whose != "platform" || page.Notices[0].URL != "/trust/policy#v2" {
		t.Errorf("%+v", page.Notices)
	}
	if r := b.call("POST", "/v1/notices/platform/2/seen", `{"accept":true}`, owner); r.Code != 204 || wall.seen[b.acme] != "owner accepts" {
		t.Errorf("%d %s: %q", r.Code, r.Body, wall.seen)
	}
	page = Overview{}
	if b.call("GET", "/v1/overview", "", owner).into(t, &page); len(page.Notices) != 0 || slices.Contains(wall.used, b.acme) {
		t.Errorf("%+v; used by %v", page.Notices, wall.used)
	}
	b.call("POST", "/v1/suppressions", `{"address":"bob@example.net"}`, owner)
	if !slices.Contains(wall.used, b.acme) {
		t.Error("doing something is no use")
	}
	b.call("POST", "/v1/documents/dpa/links", `{}`, b.as(t, tenant.Platform, access.Operator))
	if slices.Contains(wall.used, tenant.Platform) {
		t.Error("the platform accepts its own policy")
	}
}

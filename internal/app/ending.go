package app

import (
	"bytes"
	"context"
	"io"
	"strings"
	"time"

	"mailvow/internal/app/probes"
	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/message"
	"mailvow/internal/base/scope"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/flow/queue"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/backup"
	"mailvow/internal/protect/ending"
	"mailvow/internal/protect/erase"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/link"
	"mailvow/internal/protect/request"
)

// openEndings makes what ends contracts; it reaches into every store.
func (h *House) openEndings(ledger *erase.Ledger) {
	mirrored := time.Duration(0)
	if h.Config.Backup.Newest.Configured() {
		mirrored = backup.MirrorEvery
	}
	h.endings = ending.New(ending.Config{
		Parts: h.estate(), Inventory: h.inventory, Policies: h.policies, Tenants: h.tenants,
		Outlive: h.holds.Outlive, Quiet: h.quietCustomer, After: h.afterEnding, Owners: h.ownersOf, Owner: h.owns, Links: link.New(h.db, h.vault, h.ids, h.Clock), Post: h.postEnding, Mirrored: mirrored,
		Ledger: ledger, DB: h.db, Vault: h.vault, Stage: h.stage, Log: h.evidence, IDs: h.ids, Clock: h.Clock, Observe: h.observe,
	})
	h.eraser.Whole = h.endings.Restored
}

// quietCustomer cancels what waits and says how much is in an attempt.
func (h *House) quietCustomer(ctx context.Context, of ids.Tenant) (int, error) {
	in := scope.Tenant(of)
	if _, err := h.queue.Cancel(ctx, in, queue.Selection{Everything: true}); err != nil {
		return 0, err
	}
	return h.queue.Busy(ctx, in)
}

// afterEnding drops the numbers that point to rows which are gone.
func (h *House) afterEnding(ctx context.Context) error {
	_, err := h.index.Purge(ctx)
	return err
}

// ownersOf are the people whom a contract's end concerns.
func (h *House) ownersOf(ctx context.Context, of ids.Tenant) ([]address.Address, error) {
	const most = 20
	list, err := h.answering(ctx, of, access.Owner)
	return list[:min(len(list), most)], err
}

// postEnding mails an owner as the platform.
func (h *House) postEnding(ctx context.Context, l ending.Letter) error {
	var files []message.Attachment
	if len(l.File) > 0 {
		files = append(files, message.Attachment{Filename: "certificate.json", ContentType: "application/json", Content: bytes.NewReader(l.File)})
	}
	return h.postAs(ctx, "privacy", "Contracts", request.Letter{To: l.To, Subject: l.Subject, Text: l.Text}, files...)
}

// shownEndings implements httpapi.Endings: who asks becomes who acted.
type shownEndings struct{ *ending.Store }

var _ httpapi.Endings = shownEndings{}

// Order implements httpapi.Endings.
func (s shownEndings) Order(ctx context.Context, o ending.Order, by access.Principal) (ending.Ending, error) {
	o.By = actingAs(by)
	return s.Store.Order(ctx, o)
}

// Undo implements httpapi.Endings.
func (s shownEndings) Undo(ctx context.Context, of ids.Tenant, by access.Principal) (ending.Ending, error) {
	return s.Store.Undo(ctx, of, actingAs(by))
}

// Export implements httpapi.Endings.
func (s shownEndings) Export(ctx context.Context, of ids.Tenant, by access.Principal, category string, w io.Writer) error {
	return s.Store.Export(ctx, of, actor(by), category, w)
}

// leaverForProbe makes a customer that a probe then lets go.
func (h *House) leaverForProbe(ctx context.Context, word string) (probes.Leaver, error) {
	l := probes.Leaver{Name: "Canary (leaves): " + word}
	t, err := h.tenants.Add(ctx, l.Name, h.Config.Region)
	if err != nil {
		return l, err
	}
	l.Tenant, l.Domain = t.ID, "leaves-"+strings.ToLower(word)+".invalid"
	d, err := h.relay.Add(ctx, t.ID, l.Domain)
	if err == nil {
		_, err = h.relay.Vouch(ctx, d.ID)
	}
	if err != nil {
		return l, err
	}
	owner := access.ForRole(t.ID, 0, 0, access.Owner)
	scopes := []access.Scope{access.ScopeMessagesSend, access.ScopeMessagesRead, access.ScopeRoutesManage, access.ScopeContractEnd, access.ScopePolicyManage}
	if _, l.Token, err = h.access.AddToken(ctx, owner, t.ID, "probe", scopes, h.Clock.Now().Add(time.Hour)); err != nil {
		return l, err
	}
	credential, password, err := h.access.AddCredential(ctx, t.ID, "probe")
	l.Username, l.Password = credential.Username, password
	return l, err
}

// leaveForProbe ends the contract where the probe did not come so far.
func (h *House) leaveForProbe(ctx context.Context, of ids.Tenant) error {
	t, err := h.tenants.Get(ctx, scope.Tenant(of), of)
	if err != nil {
		return err
	}
	_, err = h.endings.Order(ctx, ending.Order{Tenant: of, By: evidence.BySystem, Confirm: t.Name, AtOnce: true})
	return err
}

// endedForProbe gives the certificate of an ended contract, or nothing.
func (h *House) endedForProbe(ctx context.Context, of ids.Tenant) ([]byte, error) {
	e, err := h.endings.Live(ctx, of)
	return e.Certificate, err
}

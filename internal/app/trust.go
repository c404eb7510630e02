package app

import (
	"context"
	"path/filepath"
	"time"

	"mailvow/internal/app/probes"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/mention"
	"mailvow/internal/flow/queue"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/product/trust/attest"
	"mailvow/internal/product/trust/document"
	"mailvow/internal/product/trust/incident"
	"mailvow/internal/product/trust/notice"
	"mailvow/internal/protect/backup"
	"mailvow/internal/protect/clearance"
	"mailvow/internal/protect/control"
	"mailvow/internal/protect/ending"
	"mailvow/internal/protect/erase"
	"mailvow/internal/protect/hold"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/onward"
	"mailvow/internal/protect/reads"
	"mailvow/internal/protect/request"
	"mailvow/internal/protect/retain"
	"mailvow/internal/protect/sight"
	"mailvow/internal/protect/subject"
)

// trust are the parts that keep and prove what is promised.
type trust struct {
	inventory *inventory.Inventory
	persons   *history.Holder
	subjects  *subject.Desk
	mentions  *mention.Store
	eraser    *erase.Eraser
	endings   *ending.Store
	cases     *request.Desk
	onward    *onward.Desk
	planned   chan struct{} // a notice was
	retention *retain.Engine
	sight     *sight.Sight
	holds     *hold.Store
	documents *document.Store
	incidents *incident.Desk
	notices   *notice.Store
	assurance
	controls *control.Control
	backups  *backup.Keeper
	probed   *probes.Server
	canary   canary
}

func (p paths) erasures() string    { return filepath.Join(p.root, "erasures") }
func (p paths) erasureKeys() string { return filepath.Join(p.keys, "erasures") }

// openTrust opens what reaches into every store: requests of persons, erasure,
// retention.
func (h *House) openTrust(ctx context.Context) error {
	h.persons = h.index.Holder()
	h.persons.Period, h.history.Floor = h.recordsKept, h.lawKeeps
	ledger, err := h.openLedger()
	if err != nil {
		return err
	}
	h.openCases()
	if err := h.openAssurance(); err != nil {
		return err
	}
	// What finds a person comes after those who find by it.
	h.holds = hold.New(hold.Config{
		Source: h.persons.ForHolds(), DB: h.db, Vault: h.vault, Stage: h.stage, Nudge: h.evidence.Nudge, IDs: h.ids, Clock: h.Clock, Observe: h.observe,
	})
	h.openOnward()
	h.mentions = mention.New(mention.Config{
		DB: h.db, Vault: h.vault, Jobs: h.jobs, Queue: h.queue, Subjects: h.words, Records: h.history, Persons: h.persons,
		Stage: h.stage, Nudge: h.evidence.Nudge, IDs: h.ids, Clock: h.Clock,
	})
	holders := []pledge.Holder{h.holds, h.cases, h.onward, h.mentions, httpapi.Answers{DB: h.db, Vault: h.vault}, h.queue.Holder(h.persons), h.inbox, h.suppress, h.inbound, h.attests, h.access, reads.Holder{Log: h.reads, UserOf: h.userOf}, h.words.Holder(h.persons), h.persons}
	h.subjects = subject.New(subject.Config{
		Holders: holders, DB: h.db, Stage: h.stage, Log: h.evidence, IDs: h.ids, Clock: h.Clock, Inventory: h.inventory, Policy: h.policyLabel, Name: h.customerName,
		Handed: h.handedTo, Tell: h.tellOnward, Texts: h.mentions.Said,
	})
	h.persons.Declared = h.subjects.Declared
	h.eraser = erase.New(erase.Config{
		Holders: holders, Hold: h.holds.Preserve, Tell: h.tellOnward,
		Forget: []func(context.Context, pledge.Subject) error{h.persons.Forget}, KeepAway: h.suppress.KeepAway,
		Ledger: ledger, DB: h.db, Stage: h.stage, Log: h.evidence, IDs: h.ids, Clock: h.Clock, Observe: h.observe,
		Policy: h.policyLabel,
	})
	h.cases.Subjects, h.cases.Eraser, h.cases.Told = h.subjects, h.eraser, h.onward
	h.openLawful()
	h.openEndings(ledger)
	h.openIncidents()
	h.retention, err = retain.New(retain.Config{
		Inventory: h.inventory, Rules: h.purges(ledger), Keys: h.keyPeriods(), DB: h.db, Vault: h.vault, Stage: h.stage,
		Policies: h.policies, Nudge: h.evidence.Nudge, IDs: h.ids, Clock: h.Clock, Observe: h.observe,
	})
	if err != nil {
		return err
	}
	h.openSight()
	if err := h.openBackups(ctx); err != nil {
		return err
	}
	h.openDocuments()
	h.openNotices()
	return h.openControls()
}

// purges are the rules by which each category's period is kept.
func (h *House) purges(ledger *erase.Ledger) []retain.Rule {
	records := func(ctx context.Context, in scope.Scope, before time.Time) (int, error) {
		n, err := h.history.Purge(ctx, in, before)
		if err == nil && n > 0 {
			_, err = h.index.Purge(ctx)
		}
		return n, err
	}
	// These are everybody's alike: no policy sets their periods.
	own := func(purge func(context.Context) (int, error)) func(context.Context, scope.Scope, time.Time) (int, error) {
		return func(ctx context.Context, _ scope.Scope, _ time.Time) (int, error) { return purge(ctx) }
	}
	common := func(purge func(context.Context, time.Time) (int, error)) func(context.Context, scope.Scope, time.Time) (int, error) {
		return func(ctx context.Context, _ scope.Scope, before time.Time) (int, error) { return purge(ctx, before) }
	}
	return []retain.Rule{
		{Category: "held records", Age: time.Second, Purge: own(h.holds.Sweep)},
		{Category: ending.Remains, Age: time.Second, Purge: own(h.endings.Sweep)},
		{Category: "contract ends", Purge: common(h.endings.Purge), Oldest: h.endings.Oldest},
		{Category: "message records", Purge: h.unlessHeld(records), Oldest: h.history.Oldest},
		{Category: "searched subjects", By: "message records", Purge: h.words.Purge, Oldest: h.words.Oldest},
		{Category: "conversations", Purge: h.unlessHeld(h.history.PurgeConversations), Oldest: h.history.OldestConversation},
		{Category: "stored answers", Purge: h.purgeBy("door/httpapi")},
		{Category: "job", Purge: h.purgeBy("keep/job")},
		{Category: reads.Category, Purge: h.reads.Purge, Oldest: h.reads.Oldest},
		{Category: "sessions", Purge: own(h.access.Purge)},
		{Category: "suppressions", Age: time.Second, Purge: own(h.suppress.Purge)},
		{Category: "caught mail", Purge: h.inbox.Purge},
		{Category: "incidents", Purge: common(func(ctx context.Context, before time.Time) (int, error) { return h.incidents.Purge(ctx, before) }), Oldest: func(ctx context.Context) (time.Time, error) { return h.incidents.Oldest(ctx) }},
		{Category: "requests of persons", Purge: common(h.cases.Purge), Oldest: h.cases.Oldest},
		{Category: "notices to recipients", Purge: common(h.onward.Purge), Oldest: h.onward.Oldest},
		{Category: "counts", Purge: h.tally.Purge},
		{Category: mention.Category, Purge: h.mentions.Purge, Oldest: h.mentions.Oldest},
		{Category: "erasure ledger", Purge: common(ledger.Purge), Oldest: ledger.Oldest},
		{Category: attest.Category, Purge: common(h.attests.Purge), Oldest: h.attests.Oldest},
		{Category: clearance.Category, Purge: common(h.clearance.Purge), Oldest: h.clearance.Oldest},
		{Category: backup.Category, Purge: common(h.expireBackups), Oldest: func(ctx context.Context) (time.Time, error) { return h.backups.Oldest(ctx) }},
		{Category: "message bodies", Age: 24 * time.Hour, Purge: common(h.sweepBlobs)},
	}
}

// unlessHeld has what is held copied before a purge takes it. When that fails
// nothing is purged, and so no key dies that opens it.
func (h *House) unlessHeld(purge func(context.Context, scope.Scope, time.Time) (int, error)) func(context.Context, scope.Scope, time.Time) (int, error) {
	return func(ctx context.Context, in scope.Scope, before time.Time) (int, error) {
		if err := h.holds.Preserve(ctx, in); err != nil {
			return 0, err
		}
		return purge(ctx, in, before)
	}
}

// purgeBy runs a package's query named purge, which takes the time and the scope.
func (h *House) purgeBy(pkg string) func(context.Context, scope.Scope, time.Time) (int, error) {
	set := h.db.Set(pkg)
	return func(ctx context.Context, in scope.Scope, before time.Time) (int, error) {
		var n int64
		all, tenant := in.Args()
		err := h.db.Change(ctx, "purge "+pkg, func(tx *db.Tx) (err error) {
			n, err = tx.Do(ctx, set, "purge", before, all, tenant)
			return err
		})
		return int(n), err
	}
}

// sweepBlobs removes bytes to which neither queue nor caught mail refers.
func (h *House) sweepBlobs(ctx context.Context, before time.Time) (int, error) {
	return blob.Sweep(ctx, h.blobs, before, func(ctx context.Context, names []blob.Name) (map[blob.Name]bool, error) {
		used, err := h.queue.BlobsInUse(ctx, names)
		if err != nil {
			return nil, err
		}
		caught, err := h.inbox.BlobsInUse(ctx, names)
		for name := range caught {
			used[name] = true
		}
		return used, err
	})
}

// transitEvery is how often transit keys are looked for whose time is over, and
// transitGone what is promised: after that time from its hour's end none is left.
const (
	transitEvery = 15 * time.Minute
	transitGone  = time.Hour
)

// holdGone is how long after its day a key is needed under which holds' keys are
// wrapped: those of holds that still hold move on, a released one's ends with it.
const holdGone = 24 * time.Hour

// keyPeriods say when the keys of a class are no longer needed. Account and
// platform keys live as long as the contract. Transit keys go within
// transitGone of their hour's end.
func (h *House) keyPeriods() []retain.Keys {
	content := retain.Keys{Class: vault.Content, After: h.queue.KeysAfter(), Needs: []string{"stored answers"}, Survivors: h.queue.Rewrap}
	if h.Dev { // caught mail is sealed as content too, and stays longer
		content.Of = []string{"caught mail"}
		content.Needs = append(content.Needs, "caught mail")
	}
	return []retain.Keys{
		{Class: vault.Transit, After: queue.TransitAfter, Every: transitEvery, Survivors: h.queue.LeaveTransit},
		content,
		{Class: vault.Trace, Of: []string{"message records"}, Needs: []string{"message records", "searched subjects"}},
		{Class: vault.Transcript, Of: []string{"conversations"}, Needs: []string{"conversations"}},
		{Class: vault.Access, Of: []string{reads.Category}, Needs: []string{reads.Category}},
		{Class: vault.Hold, After: holdGone, Survivors: h.outliving},
	}
}

// outliving moves the keys of what stays beyond its period, or its customer.
func (h *House) outliving(ctx context.Context, since, before time.Time, dying func(ids.Key) bool) (int, error) {
	held, err := h.holds.Rewrap(ctx, since, before, dying)
	if err != nil {
		return held, err
	}
	kept, err := h.endings.Rewrap(ctx, since, before, dying)
	return held + kept, err
}

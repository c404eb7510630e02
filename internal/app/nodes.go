package app

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/mention"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/disk"
	"mailvow/internal/keep/job"
	"mailvow/internal/keep/leader"
	"mailvow/internal/keep/object"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/erase"
	"mailvow/internal/protect/evidence"
)

// stores are the places outside the database that nodes share, or one owns.
type stores struct {
	data     object.Bucket // nil: a folder
	keys     object.Bucket // nil: a folder
	sealer   object.Sealer // for what lies beside the keys
	election *leader.Election
}

// shared reports that every store can be reached by several processes.
func (h *House) shared() bool {
	return h.db.Dialect() == db.Postgres && h.stores.data != nil && h.stores.keys != nil
}

// place names the data folder of this machine: two processes cannot both live
// in it.
func (h *House) place() string {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	dir, err := filepath.Abs(h.Config.Data.Dir)
	if err != nil {
		dir = h.Config.Data.Dir
	}
	return name + ":" + dir
}

// alone refuses a second process where a store is a folder: each would keep
// keys and evidence of its own, and open nothing of the other's.
func (h *House) alone(ctx context.Context) error {
	if h.shared() || h.db.Dialect() != db.Postgres {
		return nil
	}
	nodes, err := h.db.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.Alive && n.Number != h.db.Node() && n.Place != h.place() {
			return fault.New(fault.Conflict, "Another Mailvow process ("+n.Place+") works on this PostgreSQL, and data.s3 or data.keys_s3 is not set: several processes must share messages, keys and evidence.").
				WithHint("set data.s3 and data.keys_s3 on every node, or run one process; after a crash of the other one, wait 30 seconds")
		}
	}
	return nil
}

// openBuckets makes the buckets that the configuration names.
func (h *House) openBuckets() (err error) {
	if h.stores.data, err = h.openBucket("data.s3", h.Config.Data.S3); err != nil {
		return err
	}
	h.stores.keys, err = h.openBucket("data.keys_s3", (*config.S3)(h.Config.Data.KeysS3))
	return err
}

// openBucket opens the bucket of a setting, which is its destination's name.
func (h *House) openBucket(setting string, c *config.S3) (object.Bucket, error) {
	if c == nil {
		return nil, nil //nolint:nilnil // no bucket: a folder
	}
	dialer, err := h.gate.To(setting)
	if err != nil {
		return nil, err
	}
	b, err := object.NewS3(object.Config{
		Endpoint: c.Endpoint, TLS: !c.Plaintext, Bucket: c.Bucket, Region: c.Region,
		Access: c.AccessKey.Reveal(), Secret: c.SecretKey.Reveal(), Dial: dialer.Dial, PathStyle: true,
	})
	if err != nil {
		return nil, fault.Wrap(err, "open the bucket "+c.Bucket)
	}
	return b, nil
}

// keyStore is where the vault's keys lie.
func (h *House) keyStore(p paths) *vault.Store {
	if h.stores.keys != nil {
		return vault.Bucket(h.stores.keys, "keys")
	}
	return vault.Folder(h.disk(p.keys), p.keys)
}

func (h *House) openBlobs(p paths) (err error) {
	if h.stores.data != nil {
		h.blobs = blob.Bucket(h.stores.data, "blobs/")
	} else if h.blobs, err = blob.Folder(disk.Machine{}, p.blobs(), h.Config.Region); err != nil {
		return fault.Wrap(err, "open the blob store")
	}
	h.drafts = blob.NewDrafts(h.blobs, h.Config.Data.Inline)
	return nil
}

// files is a place for small files in a bucket, for as long as this house lives.
func (h *House) files(b object.Bucket, prefix string, sealer object.Sealer) *object.Files {
	return object.NewFiles(h.parts.Context(), b, prefix, sealer)
}

func (h *House) openEvidence(ctx context.Context) error {
	h.stage = evidence.NewStage(h.db)
	c := evidence.Config{Staged: h.stage, Clock: h.Clock, Log: h.observe.For("protect/evidence").Log}
	p, origin := h.paths(), h.Config.Hostname+"/evidence"
	var err error
	if h.shared() {
		if c.Ring, err = evidence.SharedRing(h.files(h.stores.keys, "evidence", h.stores.sealer), origin, rand.Reader); err != nil {
			return err
		}
		c.Tiles = evidence.SharedTiles(h.files(h.stores.data, "evidence", nil))
		h.evidence = evidence.New(c)
		return nil
	}
	if c.Ring, err = evidence.OpenRing(p.evidenceKeys(), origin, rand.Reader); err != nil {
		return err
	}
	folder, err := evidence.OpenFolder(p.evidence())
	if err != nil {
		return err
	}
	h.onClose(folder.Close)
	c.Tiles = roomyTiles{folder, h.room(p.evidence())}
	h.evidence, err = evidence.Open(ctx, c)
	return err
}

func (h *House) openLedger() (*erase.Ledger, error) {
	if h.shared() {
		// One file system of two prefixes, so that entries and key stay apart.
		return erase.OpenLedger(h.files(h.stores.keys, "", h.stores.sealer), "erasures/entries", "erasures/key")
	}
	return erase.OpenLedger(h.disk(h.paths().erasures()), h.paths().erasures(), h.paths().erasureKeys())
}

const (
	putBackEvery = 5 * time.Second
	prepareEvery = 2 * time.Minute
	sweepEvery   = 10 * time.Minute
	joinEvery    = 15 * time.Minute
	redactEvery  = time.Second
	redactSettle = 5 * time.Second // until every process has seen a change of the policy
	casesEvery   = 5 * time.Minute
	refreshEvery = 20 * time.Second // 30 s at most, see vault.Refresh
)

// startNodes begins what keeps this node in step with the others, and seeks the
// duties of which one process has each.
func (h *House) startNodes() {
	h.knowDoors()
	h.parts.Go("follow other nodes", h.queue.Keep)
	h.parts.Go("follow the policy", h.policies.Run)
	h.startSupply()
	h.every("learn who accepts a policy", learnEvery, h.notices.Learn)
	h.every("forget destroyed keys", refreshEvery, h.vault.Refresh)
	h.every("make tomorrow's keys", prepareEvery, h.vault.Prepare)
	h.every("follow this node's number", time.Second, func(context.Context) error { h.ids.Move(h.db.Node()); return nil })
	if h.shared() {
		h.parts.Go("follow evidence", h.evidence.Follow)
	}
	switch {
	case !h.shared():
		h.parts.Go("sequence evidence", h.evidence.Run)
	case h.has(config.RoleWorker):
		h.duty("evidence", h.evidence.Run)
	}
	if h.has(config.RoleWorker) || h.has(config.RoleDeliver) {
		h.duty("put back ended nodes", h.repeat("put back ended nodes", putBackEvery, h.putBackEnded))
	}
	h.startControls()
	if h.has(config.RoleWorker) {
		h.duty("sweep keys", h.repeat("sweep keys", sweepEvery, h.vault.Sweep))
		h.duty("finish erasures", h.eraser.Run)
		h.duty("retention", h.retention.Run)
		h.duty("alerts", h.repeat("look for what must be alerted", alertsEvery, h.alerts.Look))
		h.duty("contracts", h.endings.Run)
		h.duty("follow purposes", h.repeat("follow purposes", redactEvery, h.dropUninstructed))
		h.duty("follow redactions", h.repeat("follow redactions", redactEvery, h.rewrite.Look))
		h.parts.Go("jobs", h.runner().Run)
		h.startBackups()
		h.duty("notices", h.repeat("tell accounts of a policy", noticeEvery, h.notices.Tick))
		h.duty("requests", h.repeat("see to requests", casesEvery, h.cases.Tick))
		h.duty("tell recipients", h.tellRecipients)
		h.duty("incidents", h.repeat("follow notices of incidents", incidentsEvery, h.incidents.Tick))
		h.duty("join chunks", h.repeat("join chunks", joinEvery, h.words.Compact))
	}
}

// jobPlaces and jobShare bound the long work at once, and that of one customer.
const jobPlaces, jobShare = 4, 1

// runner does the work that outlives a request.
func (h *House) runner() *job.Runner {
	r := job.NewRunner(h.jobs, h.Clock, h.observe, jobPlaces, jobShare)
	r.Handle(history.RedactJob, h.rewrite.Work)
	r.Handle(mention.Job, h.mentions.Work)
	return r
}

func (h *House) putBackEnded(ctx context.Context) error {
	n, err := h.db.Ended(ctx)
	if err != nil || n == 0 {
		return err
	}
	h.observe.Log.Warn("nodes have ended; what they held is put back", "nodes", n)
	_, err = h.queue.PutBackEnded(ctx)
	return err
}

// duty runs f while this process leads it.
func (h *House) duty(name string, f func(context.Context) error) {
	h.parts.Go(name, func(ctx context.Context) error {
		return h.election.Hold(ctx, name, func(ctx context.Context, _ leader.Term) error { return f(ctx) })
	})
}

func (h *House) every(name string, d time.Duration, f func(context.Context) error) {
	h.parts.Go(name, h.repeat(name, d, f))
}

// repeat runs f at once and every d; a failure is logged and tried again.
func (h *House) repeat(name string, d time.Duration, f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				h.observe.Log.Warn(name, "error", err)
			}
			if clock.Sleep(ctx, h.Clock, d) != nil {
				return nil
			}
		}
	}
}

// Nodes are the processes that share this store, for people.
func (h *House) Nodes(ctx context.Context) ([]db.Node, error) {
	list, err := h.db.Nodes(ctx)
	return slices.DeleteFunc(list, func(n db.Node) bool { return !n.Alive }), err
}

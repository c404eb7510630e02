package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"mailvow/internal/app/stored"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/service"
	"mailvow/internal/door/certificates"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/flow/deliver/remote"
	"mailvow/internal/flow/deliver/webhook"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/inbox"
	"mailvow/internal/flow/intake"
	"mailvow/internal/flow/queue"
	"mailvow/internal/flow/suppress"
	"mailvow/internal/flow/tally"
	"mailvow/internal/flow/words"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/egress"
	"mailvow/internal/keep/job"
	"mailvow/internal/keep/leader"
	"mailvow/internal/keep/vault"
	"mailvow/internal/product/inbound"
	"mailvow/internal/product/relay"
	"mailvow/internal/product/trust/supply"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/reads"
	"mailvow/internal/protect/tenant"
	"mailvow/internal/standard/dns"
)

// House is a server with all its parts, from the ground up.
type House struct {
	Settings
	observe *observe.Observer
	metrics *prometheus.Registry
	parts   *service.Group
	closers []func() error // undone in reverse

	gate     *egress.Gate
	resolver *dns.Resolver
	db       *db.DB
	ids      *ids.Source
	vault    *vault.Vault
	blobs    blob.Store
	drafts   *blob.Drafts
	stores

	tenants  *tenant.Store
	access   *access.Store
	policies *policy.Store
	supply   *supply.Store
	evidence *evidence.Log
	stage    *evidence.Stage
	reads    *reads.Log

	history *history.History
	jobs    *job.Store
	rewrite *history.Rewriter
	index   *history.Index
	words   *words.Words
	queue   *queue.Queue
	intake  *intake.Intake
	inbox   *inbox.Inbox
	courier *remote.Courier
	hooks   *webhook.Courier

	suppress *suppress.Store
	tally    *tally.Tally
	relay    *relay.Store
	inbound  *inbound.Store
	desk     *frontDesk

	trust
	shown shown                 // to the demo customer, in dev mode
	acme  *certificates.Manager // nil without tls.acme
	api   *httpapi.API          // nil without a web door
	doors doors

	doorMeters *doorMeters // nil until the doors are open
}

// Build opens every part. What was opened is closed again when a later one fails.
func Build(ctx context.Context, s Settings) (_ *House, err error) {
	h := &House{Settings: s, metrics: prometheus.NewRegistry()}
	h.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	h.observe = observe.New(s.Log, h.metrics, nil)
	h.parts = service.New(context.WithoutCancel(ctx), h.observe.Log)
	tracer, err := h.openTraces()
	if err != nil {
		return nil, err
	}
	if tracer != nil {
		h.observe.Tracer = tracer
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if err := s.paths().prepare(); err != nil {
		return nil, fault.Because(fault.Invalid, err, fmt.Sprintf("The data folder cannot be made: %v.", err))
	}
	for _, open := range []func(context.Context) error{h.openKeep, h.openProtect, h.openFlow, h.openDoors} {
		if err := open(ctx); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *House) onClose(f func() error) { h.closers = append(h.closers, f) }

// openKeep opens floor 2: what may be dialled, rows, keys, bytes.
func (h *House) openKeep(ctx context.Context) error {
	if err := h.openEgress(); err != nil {
		return err
	}
	c, p := h.Config, h.paths()
	var err error
	h.db, err = db.Open(ctx, db.Config{
		Region: c.Region, Place: h.place(), Dir: p.database(), Dial: h.dialDatabase, Postgres: c.Data.Postgres.Reveal(), Clock: h.Clock, Observe: h.observe,
		Space: db.SpaceMarks{Alert: c.Data.Space.Alert, NoNewMail: c.Data.Space.NoNew, ReadOnly: c.Data.Space.ReadOnly, Reserve: c.Data.Space.Reserve},
	}, stored.Schemas()...)
	if err != nil {
		return err
	}
	h.onClose(h.db.Close)
	h.ids = ids.NewSource(h.Clock, h.db.Node(), h.newest(ctx))
	h.election = leader.New(h.db, h.Clock, h.observe)
	for _, open := range []func() error{
		h.openBuckets, func() error { return h.alone(ctx) }, func() error { return h.openVault(ctx, p) }, func() error { return h.openBlobs(p) },
	} {
		if err := open(); err != nil {
			return err
		}
	}
	return nil
}

// newest is the newest identifier that this store ever saw, so that a clock that
// was set back gives none twice.
func (h *House) newest(ctx context.Context) int64 {
	var id int64
	if err := h.db.Set("flow/queue").One(ctx, "newest", nil, &id); err != nil {
		h.observe.Log.Warn("read the newest identifier", "error", err)
	}
	return id
}

func (h *House) openVault(ctx context.Context, p paths) error {
	kek, err := vault.LoadKEKFile(p.kek)
	if h.Dev && errors.Is(err, os.ErrNotExist) || fault.Is(err, fault.NotFound) && h.Dev {
		if err = vault.CreateKEKFile(p.kek); err == nil {
			kek, err = vault.LoadKEKFile(p.kek)
		}
	}
	if err != nil {
		return fault.Wrap(err, "load the key-encryption key")
	}
	former, err := formerKEKs(h.Config.Data)
	if err != nil {
		return err
	}
	h.vault, err = vault.Open(ctx, vault.Config{KEK: kek, Former: former, Store: h.keyStore(p), Clock: h.Clock, IDs: h.ids})
	if err != nil {
		return err
	}
	h.stores.sealer = kekSealer{h.vault}
	h.onClose(func() error { h.vault.Close(); return nil })
	return nil
}

func (h *House) resolvers() ([]string, error) {
	if h.Config.DNS.Resolver != "" {
		return []string{h.Config.DNS.Resolver}, nil
	}
	f, err := os.Open("/etc/resolv.conf")
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "There is no /etc/resolv.conf; set dns.resolver.")
	}
	defer f.Close()
	list, err := dns.Servers(f)
	if len(list) == 0 && err == nil {
		list = []string{"127.0.0.1:53"}
	}
	return list, err
}

// openProtect opens floor 3: who may, and the proof.
func (h *House) openProtect(ctx context.Context) error {
	h.tenants = tenant.New(h.db, h.vault, h.ids, h.Clock)
	h.tenants.Servers = map[string]string{}
	for _, r := range h.Config.Regions {
		h.tenants.Servers[r.Region] = r.URL
	}
	if err := h.tenants.EnsurePlatform(ctx, "Platform", h.Config.Region); err != nil {
		return err
	}
	h.access = access.New(access.Config{
		DB: h.db, Vault: h.vault, IDs: h.ids, Clock: h.Clock, Tenants: h.tenants, Limits: access.HouseLimits,
		Passwords: access.NewPasswords(access.HouseCost, max(1, runtime.NumCPU()/2)), Networks: h.Config.SMTP.NetworkCredentials,
		Risen: h.risen, Note: h.turned,
	})
	if err := h.openEvidence(ctx); err != nil {
		return err
	}
	h.reads = reads.New(reads.Config{DB: h.db, Vault: h.vault, IDs: h.ids, Clock: h.Clock, Observe: h.observe, Seen: h.shownTo})
	if err := h.openPolicy(ctx); err != nil {
		return err
	}
	return h.openSupply(ctx)
}

// Start starts the roles and listens. It returns once every door is open.
func (h *House) Start(ctx context.Context) error {
	if err := h.startFlow(ctx); err != nil {
		return err
	}
	h.startNodes()
	h.startPatches()
	h.startDomains()
	if err := h.doors.open(h.parts); err != nil {
		return err
	}
	if h.acme != nil {
		h.parts.Go("keep certificates", h.acme.Run)
	}
	return nil
}

// Stop closes the doors, lets what is under way finish until wait is over, puts
// the rest back, and closes the store.
func (h *House) Stop(wait time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.parts.Context()), wait)
	defer cancel()
	end := h.Clock.Now().Add(wait)
	left := func() time.Duration { return max(time.Second, end.Sub(h.Clock.Now())) }
	var err error
	if h.queue != nil { // first, so that another node has what waits while sessions end here
		err = h.queue.LetGo(left())
	}
	err = errors.Join(err, h.doors.shut(ctx))
	if h.queue != nil {
		err = errors.Join(err, h.queue.Stop(left()))
	}
	err = errors.Join(err, h.parts.Stop(left()))
	return errors.Join(err, h.close())
}

func (h *House) close() error {
	var err error
	for i := len(h.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, h.closers[i]())
	}
	h.closers = nil
	return err
}

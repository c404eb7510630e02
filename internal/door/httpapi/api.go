// Package httpapi is the HTTP API: it translates requests into calls of the
// house and the house's answers back. It promises that every operation names a
// permission and is refused without it, that a customer reaches nothing of
// another, that what an operation shows of persons is on record before it goes out, that a repeat with the same Idempotency-Key does nothing twice, that
// every refusal is a problem document that says what to do, and that what went
// wrong inside stays inside. What the operations do is left to the packages
// below.
package httpapi

import (
	"context"
	_ "embed" // tables and the page of the documentation
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/limit"
	"mailvow/internal/base/observe"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/inbox"
	"mailvow/internal/flow/intake"
	"mailvow/internal/flow/queue"
	"mailvow/internal/flow/suppress"
	"mailvow/internal/flow/tally"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/product/inbound"
	"mailvow/internal/product/relay"
	"mailvow/internal/product/trust/document"
	"mailvow/internal/product/trust/supply"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/sight"
	"mailvow/internal/protect/tenant"
)

//go:embed httpapi.sql
var sql string

const pkg = "door/httpapi"

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Version of the document; it moves when the API does.
const Version = "1.0.0"

// Config says how the API behaves.
type Config struct {
	// Hosts are the names under which this server may be asked, without port.
	// Any other Host gets 421, so that no foreign name can be bound to us.
	Hosts []string
	// SecureCookies is for everything but http://localhost.
	SecureCookies bool
	// Rate and Burst are requests per second and asker; 0 is 50 and 200.
	Rate  float64
	Burst int
	// MaxMessage is the largest message that POST /v1/messages takes; 0 is 25 MiB.
	MaxMessage limit.Bytes
	// Bodies is how many bytes of request bodies are in memory at once, over all
	// requests; 0 is 128 MiB. One body of the largest size always fits.
	Bodies limit.Bytes
	// Features are the rooms that only some processes have: "caught".
	Features []string
	// Start says how to send the first mail as a customer; only mailvow dev has
	// it, and it is shown to who may make secrets.
	Start func(ids.Tenant) map[string]string
}

// Acts puts administrative acts on record.
type Acts interface {
	Act(ctx context.Context, who access.Principal, operation string) error
}

// Senders says which addresses a customer may send as; product/relay fills it.
type Senders interface {
	MaySend(ctx context.Context, tenant ids.Tenant, as address.Address) error
}

// Parts are what the API speaks to.
type Parts struct {
	DB      *db.DB
	Vault   *vault.Vault
	IDs     *ids.Source
	Clock   clock.Clock
	Observe *observe.Observer
	Access  *access.Store
	Tenants *tenant.Store
	Acts    Acts
	Reads   Reads
	// Sending and receiving.
	Domains      *relay.Store
	Inbound      *inbound.Store
	Suppressions *suppress.Store
	Senders      Senders
	Routes       queue.Routes
	Drafts       *blob.Drafts
	Intake       *intake.Intake
	Queue        *queue.Queue
	History      *history.History
	Caught       *inbox.Inbox
	Tally        *tally.Tally
	// Trust; each may be nil where this process does not have it.
	Subjects  Subjects
	Requests  Requests
	Onward    Onward
	Mentions  Mentions
	Records   Records
	Holds     Holds
	Assurance Assurance
	Patches   Patches
	Alerts    Alerts
	Watch     Watch
	Staff     Staff
	Sight     *sight.Sight
	Incidents Incidents
	Controls  Controls
	Bundles   Bundles
	Reviews   Reviews
	Backups   BackupState
	Inventory *inventory.Inventory
	Retention Retention
	Evidence  Evidence
	Policy    *policy.Store
	Documents *document.Store
	Supply    *supply.Store
	Endpoints Endpoints
	Endings   Endings
	Notices   Notices
	// Ready says whether the server can work, for /readyz.
	Ready func(context.Context) error
	// Metrics serves /metrics to the machine itself and to who may read the platform.
	Metrics http.Handler
}

// API is the door. It is an http.Handler.
type API struct {
	config     Config
	parts      Parts
	set        *db.Set
	log        *slog.Logger
	mux        *http.ServeMux
	huma       huma.API
	handler    http.Handler
	cursors    cursors
	rates      *rates
	bodies     *limit.Budget // bytes of request bodies in memory
	live       limit.Places  // streams of counts
	over       chan struct{} // closed when streams are to end
	ending     sync.Once
	secretive  map[string]bool   // by pattern: the answer shows a secret
	operations map[string]string // by pattern: the operation's name
	needs      map[string]access.Permission
	signIns    *rates
	meters     meters
}

const (
	maxAskers = 20_000
	// Ten attempts to sign in at once, then one in six seconds: for each account,
	// and for each address those that fail.
	signInRate, signInBurst = 1.0 / 6, 10
)

// New builds the API over a database that was opened with Schema.
func New(c Config, p Parts) (*API, error) {
	if c.Rate == 0 {
		c.Rate, c.Burst = 50, 200
	}
	c.MaxMessage, c.Bodies = orBytes(c.MaxMessage, 25*limit.MiB), orBytes(c.Bodies, 128*limit.MiB)
	key, err := p.Vault.Hash(0, "http cursor key", "1")
	if err != nil {
		return nil, fault.Wrap(err, "derive the key of page marks")
	}
	a := &API{
		config: c, parts: p, set: p.DB.Set(pkg), log: p.Observe.For(pkg).Log, mux: http.NewServeMux(),
		cursors: cursors{key[:]}, rates: newRates(c.Rate, c.Burst, maxAskers), bodies: limit.NewBudget(max(c.Bodies, c.MaxMessage/3*4+limit.MiB)), live: limit.NewPlaces(liveCount), over: make(chan struct{}),
		secretive: map[string]bool{}, operations: map[string]string{}, needs: map[string]access.Permission{}, signIns: newRates(signInRate, signInBurst, maxAskers), meters: newMeters(p.Observe),
	}
	a.huma = humago.New(a.mux, a.document())
	a.routes()
	a.handler = a.frame(a.mux)
	return a, nil
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// EndStreams ends the answers that go on, now and from now on: a server that waits
// for its callers would wait for them.
func (a *API) EndStreams() { a.ending.Do(func() { close(a.over) }) }

// routes registers everything; one line per group of operations.
func (a *API) routes() {
	a.sessionRoutes()
	a.tokenRoutes()
	a.credentialRoutes()
	a.userRoutes()
	a.customerRoutes()
	a.domainRoutes()
	a.inboundRoutes()
	a.suppressionRoutes()
	a.messageRoutes()
	a.rawRoutes()
	a.searchRoutes()
	a.queueRoutes()
	a.caughtRoutes()
	a.overviewRoutes()
	a.trustRoutes()
	a.policyRoutes()
	a.purposeRoutes()
	a.supplyRoutes()
	a.recipientRoutes()
	a.requestRoutes()
	a.mentionRoutes()
	a.holdRoutes()
	a.documentRoutes()
	a.policyNoticeRoutes()
	a.assuranceRoutes()
	a.lawfulRoutes()
	a.patchRoutes()
	a.alertRoutes()
	a.grantRoutes()
	a.noticeRoutes()
	a.terminationRoutes()
	a.incidentRoutes()
	a.plainRoutes()
}

func (a *API) document() huma.Config {
	c := huma.DefaultConfig("Mailvow", Version)
	c.Info.Description = "Send, follow, search and erase mail. Times are RFC 3339 in UTC; identifiers are TypeIDs; lists are pages with a cursor; errors are problem documents (RFC 9457)."
	c.DocsPath, c.SchemasPath, c.OpenAPIPath = "", "", ""
	c.CreateHooks = nil // no $schema fields in answers
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":   {Type: "http", Scheme: "bearer", Description: "A token: mv_ and 40 letters and digits."},
		"session": {Type: "apiKey", In: "cookie", Name: cookieName(a.config.SecureCookies), Description: "The console's session."},
	}
	c.Transformers = []huma.Transformer{func(ctx huma.Context, _ string, v any) (any, error) {
		if m, ok := v.(*huma.ErrorModel); ok {
			p := fromHuma(m)
			p.Instance = instanceOf(ctx.Context())
			return p, nil
		}
		return v, nil
	}}
	c.NoFormatFallback = false
	return c
}

// Purge drops answers that are kept no longer; retention calls it.
func (a *API) Purge(ctx context.Context) (int, error) {
	var n int64
	err := a.parts.DB.Change(ctx, "purge stored answers", func(tx *db.Tx) (err error) {
		n, err = tx.Do(ctx, a.set, "purge", tx.Now().Add(-keepAnswers), 1, 0)
		return err
	})
	return int(n), fault.Wrap(err, "purge stored answers")
}

const keepAnswers = 24 * time.Hour

func unwrap(ctx huma.Context) (*http.Request, http.ResponseWriter) { return humago.Unwrap(ctx) }

package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"mailvow/internal/app/config"
	"mailvow/internal/app/probes"
	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/queue"
	"mailvow/internal/keep/db"
	"mailvow/internal/product/trust/incident"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/control"
	"mailvow/internal/protect/erase"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"
)

// canaryName and canaryDomain are the probes' customer. The domain cannot be
// anybody's (RFC 2606 2).
const (
	canaryName = "Canary (probes of this server)"
	// neighbourName is a second one, where a promise is about several.
	neighbourName = "Canary's neighbour (probes of this server)"
	canaryDomain  = "canary.invalid"
)

// canary says where the canary's mail goes while a probe runs.
type canary struct {
	mu     sync.Mutex
	hosts  map[string]string // domain → address of the probe's host
	tenant ids.Tenant
}

func (c *canary) sendTo(t ids.Tenant, domain, addr string) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hosts == nil {
		c.hosts = map[string]string{}
	}
	c.tenant, c.hosts[domain] = t, addr
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.hosts, domain)
	}
}

// is the canary customer, or zero before the first probe of this process.
func (c *canary) is() ids.Tenant {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tenant
}

// route implements route.Table.First: of the canary's mail, and of letters of this
// server's to the canary.
func (c *canary) route(t ids.Tenant, recipient address.Address) (deliver.Route, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	addr := c.hosts[recipient.Domain()]
	if addr == "" || t != c.tenant && t != tenant.Platform {
		return deliver.Route{}, false
	}
	return deliver.Route{Kind: deliver.Host, Hosts: []string{addr}, TLS: deliver.Plain}, true
}

// openControls makes the catalogue and its probes, which act on this process.
func (h *House) openControls() (err error) {
	s := &probes.Server{
		Hostname: h.Config.Hostname, Doors: map[string]string{}, Knock: h.gate.Knock, KnockFrom: h.gate.KnockFrom, SendTo: h.canary.sendTo,
		Lend:    func(l netip.AddrPort) (func(), error) { return h.gate.Lend(l) },
		Folders: []string{h.paths().root}, Columns: h.db.Columns, Inventory: h.inventory, Clock: h.Clock,
		Canary: h.canaryCustomer, Clear: h.clearCanary, Stored: h.storedForm, Records: h.storedRecords,
		KeyUntil: h.keyUntil, TransitKeys: h.transitKeys, Opens: h.opens, Erase: h.eraseForProbe, Hashes: h.access.PasswordHashes,
		LogKeys: h.logKeys, DeleteRecord: h.deleteForProbe, Policy: h.policyForProbe, Export: h.exportForProbe, Purge: h.retention.Pass, Periods: h.retention.States, Person: h.canaryPerson, Pass: h.canaryPass,
		Places: map[string]int{
			"mx": h.Config.SMTP.PerAddress, "submission": h.Config.SMTP.PerAddress, "submissions": h.Config.SMTP.PerAddress,
			"http": webPerAddress, "https": webPerAddress,
		},
		Pace:   h.Config.SMTP.PerMinute,
		Floors: func() policy.TLS { return h.floors().of(0) }, Below: func() int64 { return h.doorMeters.below.Load() },
		Certificate: func() (*tls.Certificate, error) { return madeUp(h.Clock, "sink.invalid") },
		Console:     h.has(config.RoleConsole), Mail: h.has(config.RoleSMTP), OneProcess: h.db.Dialect() == db.SQLite,
	}
	s.Counted = h.tally.Flush
	s.Leaving, s.Leave, s.Ended, s.Backdate = h.leaverForProbe, h.leaveForProbe, h.endedForProbe, h.endings.Backdate
	s.Aged, s.Keeping, s.Files = h.agedForProbe, h.retention.Keeping, h.filesForProbe
	s.Law, s.Custodian, s.Looked = h.lawForProbe, h.custodianForProbe, h.lookedForProbe
	if !strings.HasPrefix(h.paths().keys, h.paths().root) {
		s.Folders = append(s.Folders, h.paths().keys)
	}
	s.Supply, s.Region, s.Pin = h.supplyDesk(), h.Config.Region, h.pinForProbe
	s.Backups, s.Throwaway = h.backups, h.Dev
	s.Incidents, s.Neighbour = h.incidents, h.neighbour
	s.Drill = func(ctx context.Context, customers []ids.Tenant) (incident.Incident, error) {
		return operatedIncidents{h.incidents, h}.Drill(ctx, customers, evidence.Actor{Role: evidence.BySystem})
	}
	s.Staff, s.Attests, s.Providers, s.Untrained = h.staffForProbe, h.attests, h.providers, h.untrained
	s.Admit, s.Contact = h.documents.Admit, h.canaryContact
	s.Parts, s.Plant, s.Scans, s.Overdue = h.patches.Parts, h.plantForProbe, h.scansForProbe, h.overdueFindings
	s.Alerts, s.ReviewLate = h.lendAlerts, h.lateReview
	if h.db.Dialect() == db.Postgres {
		s.Dump, s.Relations = h.dumpTables, h.dumpRelations
	}
	h.probed = s
	h.controls, err = control.New(control.Config{
		Probes: probes.All(s), Clock: h.Clock, DB: h.db, Stage: h.stage, Nudge: h.evidence.Nudge, IDs: h.ids,
		Observe: h.observe, Alone: h.aloneWithCanary, Customers: h.eachCustomer,
	})
	return err
}

// knowDoors tells the probes where the doors are; a door on every address is
// knocked at on this machine.
func (h *House) knowDoors() {
	for _, d := range h.doors.list {
		at, err := netip.ParseAddrPort(d.listener.Addr().String())
		if err != nil {
			continue
		}
		if at.Addr().IsUnspecified() {
			at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
		}
		h.probed.Doors[d.name] = at.String()
	}
}

// canaryCustomer finds or makes the customer and gives it fresh credentials.
func (h *House) canaryCustomer(ctx context.Context) (probes.Canary, error) {
	c := probes.Canary{Domain: canaryDomain}
	t, err := h.findCanary(ctx)
	if err != nil {
		return c, err
	}
	c.Tenant = t
	d, err := h.relay.Add(ctx, t, canaryDomain)
	if err == nil {
		_, err = h.relay.Vouch(ctx, d.ID)
	}
	if err != nil && !fault.Is(err, fault.Conflict) {
		return c, err
	}
	owner := access.ForRole(t, 0, 0, access.Owner)
	scopes := slices.DeleteFunc(access.Scopes(), func(s access.Scope) bool { return !owner.Grants().Covers(access.OfScopes(s)) })
	token, secret, err := h.access.AddToken(ctx, owner, t, "probe", scopes, h.Clock.Now().Add(time.Hour))
	if err != nil {
		return c, err
	}
	c.Token, c.TokenID = secret, token.ID
	credential, password, err := h.access.AddCredential(ctx, t, "probe")
	c.Username, c.Password, c.Credential = credential.Username, password, credential.ID
	return c, err
}

func (h *House) findCanary(ctx context.Context) (ids.Tenant, error) {
	return h.canaryNamed(ctx, canaryName)
}

// isCanary says whether a customer is the probes'.
func isCanary(t tenant.Tenant) bool { return t.Name == canaryName || t.Name == neighbourName }

// neighbour finds or makes a second canary customer and gives it one administrator.
func (h *House) neighbour(ctx context.Context, administrator address.Address) (ids.Tenant, func(), error) {
	t, err := h.canaryNamed(ctx, neighbourName)
	if err != nil {
		return 0, nil, err
	}
	u, err := h.access.AddUser(ctx, access.House(), access.NewUser{Tenant: t, Email: administrator, Name: "Canary", Role: access.Admin})
	return t, func() {
		if err := h.access.RemoveUser(context.WithoutCancel(ctx), access.House(), scope.Tenant(t), u.ID); err != nil {
			h.observe.Log.Warn("remove the second canary's administrator", "error", err)
		}
	}, err
}

func (h *House) canaryNamed(ctx context.Context, name string) (ids.Tenant, error) {
	for before := ids.Tenant(1<<63 - 1); ; {
		page, err := h.tenants.List(ctx, scope.Everyone, before, 200)
		if err != nil {
			return 0, err
		}
		for _, t := range page {
			if t.Name == name && t.State == tenant.Active {
				if t.Region != h.Config.Region { // a probe was cut off
					return t.ID, h.tenants.Pin(ctx, t.ID, h.Config.Region)
				}
				return t.ID, nil
			}
			before = t.ID
		}
		if len(page) == 0 {
			t, err := h.tenants.Add(ctx, name, h.Config.Region)
			return t.ID, err
		}
	}
}

// pinForProbe puts the canary under another region's name until it is undone.
func (h *House) pinForProbe(ctx context.Context, c probes.Canary, region string) (func(), error) {
	back := func() {
		if err := h.tenants.Pin(context.WithoutCancel(ctx), c.Tenant, h.Config.Region); err != nil {
			h.observe.Log.Warn("bring the canary back to its region; the next probe will", "error", err)
		}
	}
	return back, h.tenants.Pin(ctx, c.Tenant, region)
}

// clearCanary ends what canaryCustomer made and erases what its mail left.
func (h *House) clearCanary(ctx context.Context, c probes.Canary, traces []address.Address) error {
	in := scope.Tenant(c.Tenant)
	_, err := h.queue.Cancel(ctx, in, queue.Selection{Everything: true})
	errs := []error{err, h.access.RemoveToken(ctx, in, c.TokenID), h.access.RemoveCredential(ctx, in, c.Credential)}
	routes, err := h.inbound.List(ctx, in, 1<<63-1, 200)
	errs = append(errs, err)
	for _, r := range routes {
		errs = append(errs, h.inbound.Remove(ctx, in, r.ID))
	}
	users, err := h.access.Users(ctx, in, 1<<63-1, 200)
	errs = append(errs, err)
	for _, u := range users {
		errs = append(errs, h.access.RemoveUser(ctx, access.House(), in, u.ID))
	}
	errs = append(errs, h.releaseCanary(ctx, in), h.lawful.Drop(ctx, c.Tenant))
	messages, err := h.history.Recent(ctx, in, 0, time.Time{}, 1000)
	errs = append(errs, err)
	for _, m := range messages {
		_, err := h.history.Delete(ctx, in, m)
		errs = append(errs, err)
	}
	for _, a := range traces {
		errs = append(errs, h.persons.Forget(ctx, pledge.Subject{Scope: in, Address: a}), h.cases.Forget(ctx, a))
	}
	errs = append(errs, h.clearLetters(ctx, traces), h.onward.Drop(ctx, c.Tenant), h.suppress.Drop(ctx, c.Tenant))
	return errors.Join(slices.DeleteFunc(errs, func(e error) bool { return fault.Is(e, fault.NotFound) || fault.Is(e, fault.Conflict) })...)
}

// clearLetters deletes the records of what the canary wrote to the operator and of
// the answers, which are the platform's.
func (h *House) clearLetters(ctx context.Context, traces []address.Address) error {
	in := scope.Tenant(tenant.Platform)
	list, err := h.history.Recent(ctx, in, 0, h.Clock.Now().Add(-time.Hour), 200)
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range list {
		events, err := h.history.Of(ctx, in, m)
		errs = append(errs, err)
		if slices.ContainsFunc(events, func(e history.Event) bool { return names(e, traces) }) {
			_, err := h.history.Delete(ctx, in, m)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// names says whether an event is about one of some addresses.
func names(e history.Event, list []address.Address) bool {
	return slices.ContainsFunc(list, func(a address.Address) bool {
		return e.Detail.Sender == a.Text() || slices.Contains(e.Detail.Recipients, a.Text())
	})
}

// releaseCanary ends the holds that a probe made.
func (h *House) releaseCanary(ctx context.Context, in scope.Scope) error {
	list, err := h.holds.List(ctx, in, 0, 200)
	for _, x := range list {
		if err == nil && x.Released.IsZero() {
			_, err = h.holds.Release(ctx, in, x.ID, evidence.Actor{Role: evidence.BySystem})
		}
	}
	return err
}

// canaryPerson makes a user who chose a password. Another one is the customer's
// owner, so that this one can be removed.
func (h *House) canaryPerson(ctx context.Context, c probes.Canary, email address.Address, role access.Role, password string) error {
	n := access.NewUser{Tenant: c.Tenant, Email: email, Name: "Canary", Role: role, Password: password}
	if role == access.Auditor {
		n.Until = h.Clock.Now().Add(time.Hour)
	}
	_, err := h.access.AddUser(ctx, access.House(), n)
	return err
}

// canaryPass makes a token of one scope, which ends with the day.
func (h *House) canaryPass(ctx context.Context, c probes.Canary, s access.Scope) (string, error) {
	_, secret, err := h.access.AddToken(ctx, access.House(), c.Tenant, "canary "+string(s), []access.Scope{s}, h.Clock.Now().Add(24*time.Hour))
	return secret, err
}

// storedForm reads how a waiting message lies in the store.
func (h *House) storedForm(ctx context.Context, m ids.Message) (probes.Ciphertext, error) {
	var t, direction, class, size int64
	var name string
	var x probes.Ciphertext
	set := h.db.Set("flow/queue")
	if err := set.One(ctx, "content", []any{int64(m)}, &t, &direction, &class, &size, &name, &x.Key, &x.Row); err != nil {
		return x, fault.Wrap(err, "read a sealed message")
	}
	return x, fault.Wrap(set.One(ctx, "body", []any{int64(m)}, &x.Body), "read a sealed body")
}

// storedRecords reads how a message's record lies in the store.
func (h *House) storedRecords(ctx context.Context, m ids.Message) ([][]byte, error) {
	var list [][]byte
	err := h.db.Set("flow/history").Each(ctx, "of_message", []any{int64(m), 1, int64(0), -1, 0, 1000}, func(scan func(...any) error) error {
		var pos, id, message, recipient, owner, direction, kind, at, attempt int64
		var sealed []byte
		err := scan(&pos, &id, &message, &recipient, &owner, &direction, &kind, &at, &attempt, &sealed)
		list = append(list, bytes.Clone(sealed))
		return err
	})
	return list, fault.Wrap(err, "read a sealed record")
}

func (h *House) eraseForProbe(ctx context.Context, c probes.Canary, person address.Address) ([]byte, error) {
	r, err := h.eraser.Erase(ctx, erase.Order{Scope: scope.Tenant(c.Tenant), Address: person, By: evidence.BySystem, Reason: "probe"})
	if err != nil {
		return nil, err
	}
	return r.Document.JSON()
}

func (h *House) deleteForProbe(ctx context.Context, c probes.Canary, m ids.Message) error {
	_, err := h.history.Delete(ctx, scope.Tenant(c.Tenant), m)
	return err
}

func (h *House) logKeys() []evidence.Key { return h.evidence.Ring.Keys() }

// postgres runs work on a connection of its own, through the gate.
func (h *House) postgres(ctx context.Context, work func(*pgconn.PgConn) error) error {
	c, err := pgconn.ParseConfig(h.Config.Data.Postgres.Reveal())
	if err != nil {
		return fault.Because(fault.Invalid, err, "")
	}
	c.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return h.dialDatabase(ctx, network, addr)
	}
	conn, err := pgconn.ConnectConfig(ctx, c)
	if err != nil {
		return fault.Because(fault.Unavailable, err, "The database does not answer.")
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // a read; what was read counts
	return work(conn)
}

// dumpTables gives every table as the database's own dump reads it.
func (h *House) dumpTables(ctx context.Context, yield func(string, []byte) error) error {
	columns, err := h.db.Columns(ctx)
	if err != nil {
		return err
	}
	return h.postgres(ctx, func(conn *pgconn.PgConn) error {
		last := ""
		for _, c := range columns {
			table, _, _ := strings.Cut(c, ".")
			if table == last {
				continue
			}
			last = table
			w := &pieces{yield: func(b []byte) error { return yield(table, b) }}
			if _, err := conn.CopyTo(ctx, w, fmt.Sprintf("copy %q to stdout (format binary)", table)); err != nil {
				return fault.Because(fault.Unavailable, err, "A table cannot be read.")
			}
			if err := w.end(); err != nil {
				return err
			}
		}
		return nil
	})
}

// dumpRelations gives the files of tables and their overflow, and the write-ahead
// log, where the database lets its user read them. A checkpoint brings into the
// files what is only in memory yet.
func (h *House) dumpRelations(ctx context.Context, yield func(string, []byte) error) error {
	return h.postgres(ctx, func(conn *pgconn.PgConn) error {
		const each = `copy (select pg_read_binary_file(pg_relation_filepath(c.oid)) from pg_class c
			where c.relkind in ('r', 't') and (c.relnamespace = current_schema()::regnamespace or c.oid in
			(select reltoastrelid from pg_class where relnamespace = current_schema()::regnamespace))) to stdout (format binary)`
		const log = `copy (select pg_read_binary_file('pg_wal/' || name) from pg_ls_waldir()) to stdout (format binary)`
		if _, err := conn.Exec(ctx, "checkpoint").ReadAll(); err != nil {
			return fault.Because(fault.Denied, err, "The database's user may not make a checkpoint.")
		}
		for _, x := range [][2]string{{"the files of tables", each}, {"the write-ahead log", log}} {
			w := &pieces{yield: func(b []byte) error { return yield(x[0], b) }}
			if _, err := conn.CopyTo(ctx, w, x[1]); err != nil {
				return fault.Because(fault.Denied, err, "The database does not let its files be read.")
			}
			if err := w.end(); err != nil {
				return err
			}
		}
		return nil
	})
}

// pieces hands on what is written, in overlapping pieces.
type pieces struct {
	yield func([]byte) error
	held  bytes.Buffer
}

const pieceSize, pieceOverlap = 1 << 20, 512

// Write implements io.Writer.
func (p *pieces) Write(b []byte) (int, error) {
	n, _ := p.held.Write(b) // a bytes.Buffer never fails
	if p.held.Len() < pieceSize {
		return n, nil
	}
	if err := p.yield(p.held.Bytes()); err != nil {
		return 0, err
	}
	tail := bytes.Clone(p.held.Bytes()[p.held.Len()-pieceOverlap:])
	p.held.Reset()
	p.held.Write(tail)
	return n, nil
}

func (p *pieces) end() error { return p.yield(p.held.Bytes()) }

var _ io.Writer = (*pieces)(nil)

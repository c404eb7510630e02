package app

import (
	"archive/zip"
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/queue"
	"mailvow/internal/flow/suppress"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/ending"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/hold"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/request"
	"mailvow/internal/protect/tenant"
)

// TestEveryCategoryHasAnEnd: a category that somebody adds to the inventory is
// neither forgotten in the export nor left behind, or this says so.
func TestEveryCategoryHasAnEnd(t *testing.T) {
	t.Parallel()
	h := running(t, "")
	for _, what := range ending.Missing(h.inventory, h.estate()) {
		t.Errorf("app/estate.go: %s", what)
	}
	parts := h.estate()
	if list := ending.Missing(h.inventory, parts[1:]); len(list) != 1 || !strings.HasPrefix(list[0], parts[0].Category) {
		t.Errorf("without the first part: %v", list)
	}
	parts[2].Destroy, parts[4].HandOver = nil, nil
	if list := ending.Missing(h.inventory, parts); len(list) != 2 {
		t.Errorf("a part without an act and without a reason: %v", list)
	}
}

// leaving is a customer with something in every store.
type leaving struct {
	*heldHouse
	name, token, password string
	username              string
	held                  hold.Hold
}

func leave(h *heldHouse) *leaving {
	h.Helper()
	ctx := h.Context()
	l := &leaving{heldHouse: h, name: "Leaving Ltd"}
	c, err := h.tenants.Add(ctx, l.name, "")
	must(h.T, err)
	h.owner = c.ID
	_, err = h.access.AddUser(ctx, access.House(), access.NewUser{Tenant: c.ID, Email: h.address("owner@leaving.example"), Name: "Olga Owner", Role: access.Owner})
	must(h.T, err)
	_, secret, err := h.access.AddToken(ctx, access.ForRole(c.ID, 0, 0, access.Owner), c.ID, "program", []access.Scope{access.ScopeMessagesSend, access.ScopeContractEnd, access.ScopeQueueManage, access.ScopeMessagesRead}, time.Time{})
	must(h.T, err)
	credential, password, err := h.access.AddCredential(ctx, c.ID, "program")
	must(h.T, err)
	l.token, l.username, l.password = secret, credential.Username, password
	d, err := h.relay.Add(ctx, c.ID, "leaving.example")
	must(h.T, err)
	_, err = h.relay.Vouch(ctx, d.ID)
	must(h.T, err)
	_, err = h.inbound.Add(ctx, c.ID, "*@leaving.example", "https://hooks.example/in")
	must(h.T, err)
	_, err = h.suppress.Add(ctx, suppress.Suppression{Tenant: c.ID, Address: h.address("no@mail.example"), Reason: suppress.Manual, Source: suppress.FromAPI})
	must(h.T, err)
	_, _, err = h.policies.Publish(ctx, policy.Draft{Tenant: c.ID, Text: "retention: {message records: {at_least: 60d, law: Test Act}}\nrecord: {outbound: {sender_ip: drop}}", Note: "narrower", Role: evidence.ByOwner})
	must(h.T, err)
	h.mail("boss@leaving.example", "ann@persons.example", "Hello Ann")
	h.mail("boss@leaving.example", "bob@persons.example", "Hello Bob")
	l.held = h.hold(h.person("bob@persons.example"))
	_, err = h.cases.Enter(ctx, c.ID, bySystem, request.Asked{Address: "ann@persons.example", Kind: request.Access})
	must(h.T, err)
	l.waiting()
	if status, text := l.call("GET", "/v1/messages", ""); status != 200 {
		h.Fatalf("list: %d %s", status, text)
	}
	l.mentioned()
	l.reviewed()
	must(h.T, h.subjects.Declare(ctx, c.ID, bySystem, map[string]pledge.Sort{"customer": pledge.CustomerNumber}))
	must(h.T, h.reads.Flush(ctx))
	must(h.T, h.words.CatchUp(ctx))
	must(h.T, h.index.CatchUp(ctx))
	must(h.T, h.db.Change(ctx, "as the rewriter does", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, h.db.Set("flow/history"), "set_redactions", c.ID, `{}`)
		return err
	}))
	must(h.T, h.tally.Flush(ctx))
	return l
}

// waiting leaves mail in the queue, behind a pause, and some in the inbox of caught mail.
func (l *leaving) waiting() {
	l.Helper()
	if status, text := l.call("POST", "/v1/messages", `{"from":"boss@leaving.example","to":["cat@persons.example"],"subject":"Caught","text":"Hello Cat"}`); status >= 300 {
		l.Fatalf("send: %d %s", status, text)
	}
	l.until("the message to be caught", func() bool {
		list, err := l.inbox.List(l.Context(), scope.Tenant(l.owner), 0, 10)
		return err == nil && len(list) == 1
	})
	_, err := l.queue.Pause(l.Context(), queue.Pause{Tenant: l.owner, Reason: "a test"})
	must(l.T, err)
	if status, text := l.call("POST", "/v1/messages", `{"from":"boss@leaving.example","to":["dan@persons.example"],"subject":"Waits","text":"Hello Dan, eve@persons.example asks for you"}`); status >= 300 {
		l.Fatalf("send: %d %s", status, text)
	}
	l.until("the message to be set aside", func() bool {
		counts, err := l.queue.Counts(l.Context(), scope.Tenant(l.owner))
		return err == nil && counts[queue.Paused] == 1
	})
}

// mentioned has somebody looked for in the mail that waits.
func (l *leaving) mentioned() {
	l.Helper()
	_, err := l.mentions.Order(l.Context(), l.owner, bySystem, pledge.Subject{Address: l.address("eve@persons.example")})
	must(l.T, err)
	l.until("a text that names the person to be found", func() bool {
		list, err := l.mentions.List(l.Context(), scope.Tenant(l.owner), 0, 10)
		return err == nil && len(list) == 1 && !list[0].Ended.IsZero() && list[0].Found == 1
	})
}

// reviewed keeps every access.
func (l *leaving) reviewed() {
	l.Helper()
	items, err := l.reviews.Items(l.Context(), l.owner)
	must(l.T, err)
	keep := map[string]bool{}
	for _, x := range items {
		keep[x.ID] = true
	}
	_, err = l.reviews.Sign(l.Context(), l.owner, bySystem, keep)
	must(l.T, err)
}

func (l *leaving) until(what string, done func() bool) {
	l.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(20 * time.Second); !done(); <-poll.C {
		if time.Now().After(end) {
			l.Fatalf("waited in vain for %s", what)
		}
	}
}

func (l *leaving) call(method, path, body string) (int, string) {
	l.Helper()
	r, err := http.NewRequestWithContext(l.Context(), method, "http://"+l.doors.at("http")+path, strings.NewReader(body))
	must(l.T, err)
	r.Header.Set("Authorization", "Bearer "+l.token)
	r.Header.Set("Content-Type", "application/json")
	a, err := http.DefaultClient.Do(r)
	must(l.T, err)
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	must(l.T, err)
	return a.StatusCode, string(b)
}

// talk says commands to a mail door and gives the last answer.
func (l *leaving) talk(door string, commands ...string) string {
	l.Helper()
	raw, err := net.Dial("tcp", l.doors.at(door))
	must(l.T, err)
	c := textproto.NewConn(raw)
	defer c.Close()
	last := ""
	for _, command := range append([]string{""}, commands...) {
		if command != "" {
			must(l.T, c.PrintfLine("%s", command))
		}
		for {
			last, err = c.ReadLine()
			must(l.T, err)
			if len(last) < 4 || last[3] != '-' {
				break
			}
		}
	}
	return last
}

// rows counts, in every table that has customers, what is the customer's.
func (l *leaving) rows() map[string]int {
	l.Helper()
	columns, err := l.db.Columns(l.Context())
	must(l.T, err)
	counts := map[string]int{}
	one := func(table string) int {
		query := fmt.Sprintf(`select count(*) from %q where tenant = %d`, table, int64(l.owner))
		n := 0
		if l.db.Dialect() == db.Postgres {
			must(l.T, l.postgres(l.Context(), func(c *pgconn.PgConn) error {
				r, err := c.Exec(l.Context(), query).ReadAll()
				if err == nil {
					n, err = strconv.Atoi(string(r[0].Rows[0][0]))
				}
				return err
			}))
			return n
		}
		d, err := sql.Open("sqlite", "file:"+filepath.Join(l.paths().database(), "mailvow.db")+"?_pragma=busy_timeout(10000)")
		must(l.T, err)
		defer d.Close()
		must(l.T, d.QueryRowContext(l.Context(), query).Scan(&n))
		return n
	}
	for _, c := range columns {
		if table, is := strings.CutSuffix(c, ".tenant"); is {
			counts[table] = one(table)
		}
	}
	return counts
}

// export fetches the archive and gives its files.
func (l *leaving) export() map[string]string {
	l.Helper()
	status, body := l.call("GET", "/v1/termination/export", "")
	if status != http.StatusOK {
		l.Fatalf("export: %d %s", status, body)
	}
	z, err := zip.NewReader(bytes.NewReader([]byte(body)), int64(len(body)))
	must(l.T, err)
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		must(l.T, err)
		b, err := io.ReadAll(r)
		must(l.T, err)
		files[f.Name] = string(b)
	}
	return files
}

func (l *leaving) state() ending.Ending {
	l.Helper()
	e, err := l.endings.Live(l.Context(), l.owner)
	must(l.T, err)
	return e
}

func (l *leaving) tick() {
	l.Helper()
	must(l.T, l.endings.Tick(l.Context()))
}

func TestAContractEnds(t *testing.T) {
	long(t)
	t.Parallel()
	onBoth(t, func(h *heldHouse) {
		l := leave(h)
		before := l.rows()
		for table, n := range before {
			if n == 0 && !slices.Contains([]string{"ending", "ending_kept", "finding", "http_idempotency", "job", "attestation", "attestation_file", "weakness", "supply_version", "supply_notice", "supply_objection", "onward", "incident_notice", "incident_freeze"}, table) {
				t.Errorf("%s has nothing of the customer: the test shows nothing of it", table)
			}
		}
		l.closes()
		l.undone()
		l.destroyed()
		l.comesNotBack()
		l.remainderGoes()
	})
}

// closes orders the end: what is refused, and what the export holds.
func (l *leaving) closes() {
	l.Helper()
	if status, text := l.call("POST", "/v1/termination", `{"confirm":"Leaving"}`); status != 422 && status != 400 {
		l.Errorf("an end without the name: %d %s", status, text)
	}
	if status, text := l.call("POST", "/v1/termination", `{"confirm":"Leaving Ltd"}`); status != http.StatusCreated {
		l.Fatalf("order: %d %s", status, text)
	}
	l.tick()
	e := l.state()
	if e.State != ending.Waiting || e.Due.Sub(e.Closes) != 30*24*time.Hour-time.Hour || e.Deadline.Sub(e.Closes) != 30*24*time.Hour {
		l.Errorf("after the order: %+v", e)
	}
	if status, text := l.call("POST", "/v1/messages", `{"from":"boss@leaving.example","to":["x@persons.example"],"text":"no"}`); status != 403 || !strings.Contains(text, "its contract ended on") {
		l.Errorf("sending by HTTP: %d %s", status, text)
	}
	if got := l.talk("submission", "EHLO x", "AUTH PLAIN "+plainAuth(l.username, l.password)); !strings.HasPrefix(got, "5") || !strings.Contains(got, "contract ended") {
		l.Errorf("sending by SMTP: %s", got)
	}
	if got := l.talk("mx", "EHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<in@leaving.example>"); !strings.HasPrefix(got, "550 5.2.1 ") {
		l.Errorf("receiving: %s", got)
	}
	files := l.export()
	for name, want := range map[string]string{
		"users.jsonl": "owner@leaving.example", "users.csv": "Olga Owner", "message-records.jsonl": "ann@persons.example", "conversations.jsonl": "RCPT TO",
		"suppressions.csv": "no@mail.example", "routes.jsonl": "hooks.example", "sending-domains.jsonl": "leaving.example", "queued-mail.jsonl": "dan@persons.example",
		"policies.jsonl": "Test Act", "requests-of-persons.jsonl": "ann@persons.example", "index.json": "Leaving Ltd", "index.html": "message records",
		"holds.jsonl": "bob@persons.example", "held-records.jsonl": "bob@persons.example", "customers.jsonl": "Leaving Ltd", "machine-credentials.jsonl": "smtp-", "counts.jsonl": "accepted",
	} {
		if !strings.Contains(files[name], want) {
			l.Errorf("%s of the export does not hold %q: %.300q", name, want, files[name])
		}
	}
	mail := 0
	for name, text := range files {
		if strings.HasSuffix(name, ".eml") && strings.Contains(text, "Hello ") {
			mail++
		}
		if strings.Contains(text, l.token) || strings.Contains(text, l.password) {
			l.Errorf("%s of the export holds a secret", name)
		}
	}
	if mail != 2 {
		l.Errorf("%d messages as .eml, want the one that waits and the one that was caught", mail)
	}
	if l.state().Fetched.IsZero() {
		l.Error("it is not known that the export was fetched")
	}
}

// undone takes the end back, and orders another.
func (l *leaving) undone() {
	l.Helper()
	if status, text := l.call("POST", "/v1/termination/undo", `{}`); status != http.StatusOK {
		l.Fatalf("undo: %d %s", status, text)
	}
	must(l.T, l.tenants.Active(l.Context(), l.owner))
	if _, err := l.endings.Live(l.Context(), l.owner); !fault.Is(err, fault.NotFound) {
		l.Errorf("after the undoing: %v", err)
	}
	if _, err := l.endings.Order(l.Context(), ending.Order{Tenant: l.owner, By: evidence.ByOperator, Confirm: l.name, AtOnce: true}); !fault.Is(err, fault.Denied) {
		l.Errorf("the operator waives the customer's days: %v", err)
	}
	if _, err := l.endings.Order(l.Context(), ending.Order{Tenant: tenant.Platform, By: evidence.ByOperator}); !fault.Is(err, fault.Conflict) {
		l.Errorf("the platform ends: %v", err)
	}
	_, err := l.endings.Order(l.Context(), ending.Order{Tenant: l.owner, By: evidence.ByOperator, Confirm: l.name, At: l.Clock.Now().Add(24 * time.Hour)})
	must(l.T, err)
	if _, err := l.endings.Order(l.Context(), ending.Order{Tenant: l.owner, By: evidence.ByOperator, Confirm: l.name}); !fault.Is(err, fault.Conflict) {
		l.Errorf("a second order: %v", err)
	}
	l.tick()
	must(l.T, l.tenants.Active(l.Context(), l.owner)) // until its date
	if e := l.state(); e.State != ending.Ordered {
		l.Errorf("before its date it is %s", e.State)
	}
}

// destroyed winds the clock past the policy's days.
func (l *leaving) destroyed() {
	l.Helper()
	l.ahead.by.Add(int64(25 * time.Hour))
	l.tick()
	if e := l.state(); e.State != ending.Waiting {
		l.Errorf("on its date it is %s", e.State)
	}
	l.ahead.by.Add(int64(30 * 24 * time.Hour))
	l.tick()
	e := l.state()
	if e.State != ending.Ended || e.Late(l.Clock.Now()) {
		l.Fatalf("after the policy's days: %+v", e)
	}
	if _, err := l.endings.Undo(l.Context(), l.owner, evidence.ByOwner); !fault.Is(err, fault.Conflict) {
		l.Errorf("undone after the end: %v", err)
	}
	for table, n := range l.rows() {
		if n > 0 && !slices.Contains([]string{"hold", "held", "ending", "ending_kept"}, table) {
			l.Errorf("%s still has %d rows of the customer", table, n)
		}
	}
	if _, err := l.vault.Seal(nil, l.owner, vault.Account, vault.AD{Table: "x", Row: 1}, []byte("x")); !fault.Is(err, fault.Gone) {
		l.Errorf("the customer's keys: %v", err)
	}
	r, err := evidence.VerifyCertificate(e.Certificate, evidence.CertificateCheck{Trusted: l.evidence.Ring.Keys()})
	must(l.T, err)
	if r.Of != evidence.OfCustomer || r.Customer != l.owner || !r.SubjectMatches || r.OrderedBy != evidence.ByOperator {
		l.Errorf("the certificate: %+v", r)
	}
	said := map[string]evidence.Counted{}
	for _, c := range r.Categories {
		said[c.Category] = c
	}
	// A law keeps the messages of the last 60 days and the request; a hold keeps Bob's.
	if c := said["message records"]; c.Erased == 0 || c.Kept == 0 || !strings.Contains(c.Why, "Test Act") {
		l.Errorf("message records: %+v", c)
	}
	if c := said["held records"]; c.Kept == 0 || said["users"].Erased != 1 || said["keys"].Erased == 0 || said["requests of persons"].Kept != 1 {
		l.Errorf("the certificate's categories: %+v", said)
	}
	if got := l.kept(l.held); !strings.Contains(got, "bob@persons.example") {
		l.Errorf("what is held after the end: %s", got)
	}
	list, err := l.tenants.List(l.Context(), scope.Everyone, 1<<63-1, 100)
	must(l.T, err)
	if slices.ContainsFunc(list, func(x tenant.Tenant) bool { return x.ID == l.owner }) {
		l.Error("the customer is still in the list")
	}
	if status, _ := l.call("GET", "/v1/termination", ""); status != 401 {
		l.Errorf("the token still opens: %d", status)
	}
}

// comesNotBack does what a restored backup does: rows are there again.
func (l *leaving) comesNotBack() {
	l.Helper()
	must(l.T, l.db.Change(l.Context(), "a restore", func(tx *db.Tx) error {
		_, err := tx.Do(l.Context(), l.db.Set("protect/tenant"), "add", l.owner, tenant.Platform, "lab", []byte{1, 0, 0, 0, 0, 0, 0, 0, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, tx.Now())
		return err
	}))
	l.tenants.Forget(l.owner)
	must(l.T, l.settleRestoreForTest(l.Clock.Now().Add(-40*24*time.Hour)))
	if n := l.rows()["tenant"]; n != 0 {
		l.Error("a restore brought the customer back")
	}
	if e := l.state(); e.State != ending.Ended || !json.Valid(e.Certificate) {
		l.Errorf("after the restore: %+v", e)
	}
}

func (l *leaving) settleRestoreForTest(taken time.Time) error {
	_, err := l.eraser.Replay(l.Context(), taken)
	return err
}

// remainderGoes winds the clock past what the laws want.
func (l *leaving) remainderGoes() {
	l.Helper()
	e := l.state()
	n, until, err := l.endings.Remains(l.Context(), e)
	must(l.T, err)
	var lines string
	must(l.T, l.endings.Lines(l.Context(), e.ID, bySystem, func(_ string, b []byte) error { lines += string(b); return nil }))
	if n == 0 || !strings.Contains(lines, "ann@persons.example") || until.Before(l.Clock.Now().Add(700*24*time.Hour)) {
		l.Errorf("%d records until %s: %s", n, until, lines)
	}
	l.pass(70 * 24 * time.Hour)
	less, _, err := l.endings.Remains(l.Context(), e)
	must(l.T, err)
	if less == 0 || less >= n {
		l.Errorf("60 days after the last of it %d of %d records are kept; the request's are kept for longer", less, n)
	}
	must(l.T, l.endings.Lines(l.Context(), e.ID, bySystem, func(category string, _ []byte) error {
		if category == "message records" {
			t := fmt.Errorf("%s are kept past their end", category)
			return t
		}
		return nil
	}))
	if got := l.kept(l.held); !strings.Contains(got, "bob@persons.example") {
		l.Errorf("what is held 70 days later: %s", got)
	}
	_, err = l.holds.Release(l.Context(), scope.Everyone, l.held.ID, bySystem)
	must(l.T, err)
	l.pass(740 * 24 * time.Hour)
	if left, _, err := l.endings.Remains(l.Context(), e); err != nil || left != 0 {
		l.Errorf("%d records are kept for ever: %v", left, err)
	}
}

func plainAuth(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}

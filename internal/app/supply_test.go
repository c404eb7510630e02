package app

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/product/trust/supply"
	"mailvow/internal/protect/evidence"
)

// elsewhere is a public address that nobody has, RFC 5737.
const elsewhere = "203.0.113.9:4318"

func traced(t *testing.T, c clock.Clock, list ...supply.Entry) *House {
	t.Helper()
	cfg := devConfig(DevOptions{Dir: t.TempDir(), MX: "127.0.0.1:0", Submission: "127.0.0.1:0", HTTP: "127.0.0.1:0"})
	cfg.Observe.OTLP, cfg.SubProcessors = "http://"+elsewhere, list
	h, err := Build(t.Context(), Settings{Config: cfg, Dev: true, Clock: c, Log: slog.DiscardHandler})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Stop(20 * time.Second); err != nil {
			t.Error(err)
		}
	})
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *House) speaks(t *testing.T) error {
	t.Helper()
	d, err := h.gate.To("traces")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	conn, err := d.Dial(ctx, "tcp", elsewhere)
	if err == nil {
		conn.Close()
	}
	return err
}

func watcher(until string) supply.Entry {
	return supply.Entry{
		Name: "Watcher", Kind: supply.Observation, Purposes: []string{"traces"}, Country: "DE", Data: []string{"none"}, Endpoints: []string{elsewhere},
		Agreement: supply.Agreement{Document: "DPA", Until: supply.Date(until)},
	}
}

// TestOutsideNeedsAnEntry: a configured endpoint outside that no sub-processor
// covers is refused, and the probes say so; one that an entry covers is spoken to
// until its agreement ends.
func TestOutsideNeedsAnEntry(t *testing.T) {
	long(t)
	t.Parallel()
	h := traced(t, clock.Wall{})
	if err := h.speaks(t); !fault.Is(err, fault.Denied) {
		t.Errorf("without an entry: %v", err)
	}
	for _, id := range []string{"cm-subprocessors", "ca-transfers", "cj-vendor-terms", "cl-no-sharing"} {
		if f := h.check(t, id); f.Status != pledge.Failing || !strings.Contains(f.Evidence, "traces: "+elsewhere) || !strings.Contains(f.Evidence, "mailvow subprocessor add") {
			t.Errorf("%s: %s: %s", id, f.Status, f.Evidence)
		}
	}
	if _, _, err := h.supply.Announce(t.Context(), supply.Draft{Entry: watcher("2999-01-01"), By: evidence.Actor{Role: evidence.ByOperator}}); err != nil {
		t.Fatal(err)
	}
	if err := h.speaks(t); fault.Is(err, fault.Denied) {
		t.Errorf("with an entry: %v", err)
	}
	if f := h.check(t, "cm-subprocessors"); f.Status != pledge.Kept || !strings.Contains(f.Evidence, "1 outside, each covered") {
		t.Errorf("%s: %s", f.Status, f.Evidence)
	}
}

// TestTheListIsPublished: an entry in use that everybody cannot read of fails.
func TestTheListIsPublished(t *testing.T) {
	long(t)
	t.Parallel()
	h := traced(t, clock.Wall{}, watcher("2999-01-01"))
	if f := h.check(t, "cm-regions"); f.Status != pledge.Kept || !strings.Contains(f.Evidence, "1 outside, each covered") {
		t.Errorf("%s: %s", f.Status, f.Evidence)
	}
	blanked(t, h, "/trust/sub-processors.json", `{"sub_processors":[]}`)
	if f := h.check(t, "cm-regions"); f.Status != pledge.Failing || !strings.Contains(f.Evidence, `covered by "Watcher", which is not on the published list`) {
		t.Errorf("%s: %s", f.Status, f.Evidence)
	}
}

// TestARegionStays: a server whose data was made in another region does not start.
func TestARegionStays(t *testing.T) {
	t.Parallel()
	cfg := devConfig(DevOptions{Dir: t.TempDir(), MX: "127.0.0.1:0"})
	build := func(region string) error {
		cfg.Region = region
		h, err := Build(t.Context(), Settings{Config: cfg, Dev: true, Clock: clock.Wall{}, Log: slog.DiscardHandler})
		if err == nil {
			err = h.close()
		}
		return err
	}
	for _, region := range []string{"local", "eu-central", "eu-central"} {
		if err := build(region); err != nil {
			t.Fatal(region, err)
		}
	}
	if err := build("us-east"); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "belongs in the region eu-central") || !strings.Contains(fault.HintOf(err), "Set region back") {
		t.Errorf("%v", err)
	}
}

func TestAnEntryEndsWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	c := &ahead{}
	h := traced(t, c, watcher(c.Now().AddDate(0, 0, 3).Format(time.DateOnly)))
	if err := h.speaks(t); fault.Is(err, fault.Denied) {
		t.Errorf("while the agreement runs: %v", err)
	}
	c.by.Add(int64(5 * 24 * time.Hour))
	text, _ := fault.Public(h.speaks(t))
	if !strings.Contains(text, "the agreement with Watcher ended on") {
		t.Errorf("after its end: %q", text)
	}
	if list := h.gate.Endpoints(t.Context()); !strings.Contains(list[len(list)-1].Problem, "ended on") {
		t.Errorf("%+v", list)
	}
}

// TestCustomersAreMailed: who answers for a customer gets a mail before a
// sub-processor gets data.
func TestCustomersAreMailed(t *testing.T) {
	t.Parallel()
	h := traced(t, clock.Wall{})
	_, err := h.demo(t.Context())
	must(t, err)
	v, _, err := h.supply.Announce(t.Context(), supply.Draft{Entry: watcher("2999-01-01"), By: evidence.Actor{Role: evidence.ByOperator}})
	must(t, err)
	if !v.Effective.After(time.Now().Add(29 * 24 * time.Hour)) {
		t.Errorf("takes effect on %v", v.Effective)
	}
	listed, err := http.Get("http://" + h.probed.Doors["http"] + "/trust/sub-processors.json")
	must(t, err)
	defer listed.Body.Close()
	if b, err := io.ReadAll(listed.Body); err != nil || !strings.Contains(string(b), `"name":"Watcher"`) || strings.Contains(string(b), elsewhere) {
		t.Errorf("everybody reads %s %v", b, err)
	}
	must(t, h.supply.Tick(t.Context()))
	notices, err := h.supply.Notices(t.Context(), scope.Everyone, v.ID)
	if err != nil || len(notices) != 1 || notices[0].Mailed.IsZero() {
		t.Errorf("%+v %v", notices, err)
	}
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(10 * time.Second); ; <-poll.C {
		list, err := h.inbox.List(t.Context(), scope.Everyone, 1<<62, 10)
		must(t, err)
		if len(list) == 1 && strings.HasPrefix(list[0].Subject, "A new sub-processor from") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("caught %+v", list)
		}
	}
}

// TestTheDatabaseNeedsAnEntryToo: a server does not start on rows in places that
// nobody registered.
func TestTheDatabaseNeedsAnEntryToo(t *testing.T) {
	t.Parallel()
	cfg := devConfig(DevOptions{Dir: t.TempDir(), MX: "127.0.0.1:0"})
	cfg.Data.Postgres = config.Secret("postgres://nobody@" + net.JoinHostPort("203.0.113.7", "5432") + "/x?sslmode=disable&connect_timeout=2")
	_, err := Build(t.Context(), Settings{Config: cfg, Dev: true, Clock: clock.Wall{}, Log: slog.DiscardHandler})
	if err == nil || !strings.Contains(err.Error(), "203.0.113.7:5432 (database) is outside this server") {
		t.Errorf("%v", err)
	}
}

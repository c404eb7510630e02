package attest_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/product/trust/attest"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

var (
	by  = evidence.Actor{Role: evidence.ByOperator}
	own = scope.Tenant(tenant.Platform)
)

const ann ids.User = 7

func open(t *testing.T, d *db.DB, c *lab.Clock) *attest.Store {
	t.Helper()
	source := ids.NewSource(c, 1, 0)
	v := keys.Vault(t, c, source)
	must(t, tenant.New(d, v, source, c).EnsurePlatform(t.Context(), "Platform", "test"))
	return attest.New(attest.Config{DB: d, Vault: v, Stage: evidence.NewStage(d), IDs: source, Clock: c, User: func(_ context.Context, _ scope.Scope, a address.Address) (ids.User, error) {
		if a.Text() == "ann@example.com" {
			return ann, nil
		}
		return 0, fault.New(fault.NotFound, "no such user")
	}})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var schemas = []db.Schema{tenant.Schema, evidence.Schema(), attest.Schema}

// TestTrained: both attestations must count at once, and neither before its date,
// after its end or once withdrawn.
func TestTrained(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas, func(t *testing.T, d *db.DB) {
		c := lab.NewClock(lab.Epoch)
		s := open(t, d, c)
		day := 24 * time.Hour
		add := func(kind attest.Kind, from, until time.Duration) ids.Attestation {
			t.Helper()
			a, err := s.Add(t.Context(), attest.Attestation{
				Tenant: tenant.Platform, Kind: kind, User: ann, Note: "seen", Issued: lab.Epoch.Add(from), Until: lab.Epoch.Add(until),
			}, nil, by)
			must(t, err)
			return a.ID
		}
		is := func(want bool) {
			t.Helper()
			if ok, err := s.Trained(t.Context(), ann); err != nil || ok != want {
				t.Errorf("trained: %v %v, want %v", ok, err, want)
			}
		}
		is(false)
		add(attest.Training, 0, 10*day)
		add(attest.Training, 0, 20*day)
		is(false)
		add(attest.Secrecy, 0, 20*day)
		is(false)
		screening := add(attest.Screening, day, 5*day)
		is(false)
		c.Wind(day)
		is(true)
		if ok, err := s.Trained(t.Context(), ann+1); err != nil || ok {
			t.Error("somebody else is trained", err)
		}
		_, err := s.Withdraw(t.Context(), own, screening, by)
		must(t, err)
		is(false)
		if _, err := s.Withdraw(t.Context(), own, screening, by); !fault.Is(err, fault.Conflict) {
			t.Error("withdrawn twice:", err)
		}
		add(attest.Screening, 0, 5*day)
		is(true)
		c.Wind(4 * day)
		is(false)
	})
}

// TestEvidenceFile: the file comes back as it was, under its hash; nobody of
// another customer gets it, and none larger than the bound is taken.
func TestEvidenceFile(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas, func(t *testing.T, d *db.DB) {
		c := lab.NewClock(lab.Epoch)
		s := open(t, d, c)
		report := bytes.Repeat([]byte("report "), 100_000)
		a := attest.Attestation{Tenant: tenant.Platform, Kind: attest.Audit, Subject: " Example AG ", Issued: lab.Epoch, Until: lab.Epoch.Add(time.Hour), File: attest.File{Name: "a.pdf"}}
		made, err := s.Add(t.Context(), a, report, by)
		must(t, err)
		got, content, err := s.Evidence(t.Context(), own, made.ID)
		if err != nil || !bytes.Equal(content, report) || got.Subject != "Example AG" || got.File.Size != int64(len(report)) || len(got.File.SHA256) != 64 {
			t.Errorf("%+v %d %v", got, len(content), err)
		}
		if _, _, err := s.Evidence(t.Context(), scope.Tenant(99), made.ID); !fault.Is(err, fault.NotFound) {
			t.Error("another customer:", err)
		}
		if _, err := s.Add(t.Context(), a, make([]byte, attest.MaxFile+1), by); !fault.Is(err, fault.Invalid) {
			t.Error("too large:", err)
		}
	})
}

// TestRefused names what is no attestation.
func TestRefused(t *testing.T) {
	t.Parallel()
	d := lab.DB(t, schemas...)
	s := open(t, d, lab.NewClock(lab.Epoch))
	good := attest.Attestation{Tenant: tenant.Platform, Kind: attest.Audit, Subject: "X", Note: "seen", Issued: lab.Epoch, Until: lab.Epoch.Add(time.Hour)}
	for name, change := range map[string]func(*attest.Attestation){
		"kind":           func(a *attest.Attestation) { a.Kind = "dance" },
		"a person's":     func(a *attest.Attestation) { a.Kind = attest.Training },
		"nobody's":       func(a *attest.Attestation) { a.Subject = " " },
		"both":           func(a *attest.Attestation) { a.User = ann },
		"over at once":   func(a *attest.Attestation) { a.Until = a.Issued },
		"for ever":       func(a *attest.Attestation) { a.Until = a.Issued.AddDate(6, 0, 0) },
		"no date":        func(a *attest.Attestation) { a.Issued = time.Time{} },
		"nothing behind": func(a *attest.Attestation) { a.Note = "" },
		"long":           func(a *attest.Attestation) { a.Note = strings.Repeat("x", 3000) },
		"control":        func(a *attest.Attestation) { a.Subject = "a\x1bb" },
	} {
		a := good
		change(&a)
		if _, err := s.Add(t.Context(), a, nil, by); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Add(t.Context(), good, nil, by); err != nil {
		t.Error(err)
	}
}

// TestLatest: what was renewed is judged by the newest, whatever its spelling.
func TestLatest(t *testing.T) {
	t.Parallel()
	d := lab.DB(t, schemas...)
	c := lab.NewClock(lab.Epoch)
	s := open(t, d, c)
	for _, x := range []struct {
		of    string
		until time.Duration
	}{{"Example", 2 * time.Hour}, {"EXAMPLE", time.Hour}, {"Other", time.Hour}} {
		_, err := s.Add(t.Context(), attest.Attestation{Tenant: tenant.Platform, Kind: attest.ProviderReport, Subject: x.of, Note: "seen", Issued: lab.Epoch, Until: lab.Epoch.Add(x.until)}, nil, by)
		must(t, err)
	}
	c.Wind(90 * time.Minute)
	list, err := s.Latest(t.Context(), own)
	must(t, err)
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	for _, a := range list {
		if a.Counts(c.Now()) != (a.Subject == "Example") {
			t.Errorf("%+v", a)
		}
	}
	if list, err := s.Standing(t.Context(), own, attest.ProviderReport); err != nil || len(list) != 1 {
		t.Errorf("standing: %+v %v", list, err)
	}
}

// TestHolder: a person's own attestations are found, handed over and erased with
// their files; others' and those about companies stay.
func TestHolder(t *testing.T) {
	t.Parallel()
	d := lab.DB(t, schemas...)
	c := lab.NewClock(lab.Epoch)
	s := open(t, d, c)
	for _, a := range []attest.Attestation{{Kind: attest.Training, User: ann}, {Kind: attest.Training, User: ann + 1}, {Kind: attest.Audit, Subject: "X"}} {
		a.Tenant, a.Issued, a.Until, a.File.Name = tenant.Platform, lab.Epoch, lab.Epoch.Add(time.Hour), "x"
		_, err := s.Add(t.Context(), a, []byte("x"), by)
		must(t, err)
	}
	who, err := address.Parse("ann@example.com")
	must(t, err)
	stranger, err := address.Parse("bob@example.com")
	must(t, err)
	traces, err := s.Find(t.Context(), pledge.Subject{Scope: scope.Everyone, Address: who})
	if err != nil || len(traces) != 1 || traces[0].Count != 1 {
		t.Errorf("%+v %v", traces, err)
	}
	if traces, err := s.Find(t.Context(), pledge.Subject{Scope: scope.Everyone, Address: stranger}); err != nil || traces != nil {
		t.Errorf("%+v %v", traces, err)
	}
	n := 0
	must(t, s.HandOver(t.Context(), pledge.Subject{Scope: scope.Everyone, Address: who}, func(r pledge.Record) error { n++; return nil }))
	erased, err := s.Erase(t.Context(), pledge.Subject{Scope: scope.Everyone, Address: who})
	if err != nil || n != 1 || len(erased) != 1 || erased[0].Count != 1 {
		t.Errorf("%d %+v %v", n, erased, err)
	}
	if list, err := s.List(t.Context(), own, 0, 10); err != nil || len(list) != 2 {
		t.Errorf("%+v %v", list, err)
	}
	if at, err := s.Oldest(t.Context()); err != nil || !at.Equal(lab.Epoch.Add(time.Hour)) {
		t.Error(at, err)
	}
	if n, err := s.Purge(t.Context(), lab.Epoch.Add(2*time.Hour)); err != nil || n != 2 {
		t.Error(n, err)
	}
}

package lawful_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/product/trust/lawful"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

var by = evidence.Actor{Role: evidence.ByOperator}

const canary ids.Tenant = 55

func open(t *testing.T, d *db.DB, c *lab.Clock) *lawful.Store {
	t.Helper()
	source := ids.NewSource(c, 1, 0)
	v := keys.Vault(t, c, source)
	if err := tenant.New(d, v, source, c).EnsurePlatform(t.Context(), "Platform", "test"); err != nil {
		t.Fatal(err)
	}
	return lawful.New(lawful.Config{
		DB: d, Vault: v, Stage: evidence.NewStage(d), IDs: source, Clock: c, LeftOut: func() ids.Tenant { return canary },
		Export: func(_ context.Context, s pledge.Subject, _ evidence.Actor, w io.Writer) (int, error) {
			return fmt.Fprint(w, "all of ", s.Address.Text())
		},
	})
}

var schemas = []db.Schema{tenant.Schema, evidence.Schema(), lawful.Schema}

func asked(number string, customer ids.Tenant) lawful.Request {
	return lawful.Request{Customer: customer, Kind: lawful.Data, Country: "de", Authority: "Amtsgericht", Case: number, Law: "StPO 100j"}
}

// TestExport: nothing leaves without the number of an open case that concerns the
// customer.
func TestExport(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas, func(t *testing.T, d *db.DB) {
		s := open(t, d, lab.NewClock(lab.Epoch))
		r, err := s.Add(t.Context(), asked("12 Gs 34/26", 7), by)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Add(t.Context(), asked(" 12 GS 34/26", 8), by); !fault.Is(err, fault.Conflict) {
			t.Error("the same number twice:", err)
		}
		who, err := address.Parse("ann@example.com")
		if err != nil {
			t.Fatal(err)
		}
		take := func(number string, customer ids.Tenant) (string, error) {
			var b bytes.Buffer
			_, err := s.Export(t.Context(), scope.Everyone, number, customer, who, by, &b)
			return b.String(), err
		}
		for name, try := range map[string]struct {
			number   string
			customer ids.Tenant
			kind     fault.Kind
		}{
			"no number":        {" ", 7, fault.Invalid},
			"unknown":          {"99", 7, fault.NotFound},
			"another customer": {"12 Gs 34/26", 8, fault.Invalid},
			"no customer":      {"12 Gs 34/26", 0, fault.Invalid},
		} {
			if out, err := take(try.number, try.customer); !fault.Is(err, try.kind) || out != "" {
				t.Errorf("%s: %q %v", name, out, err)
			}
		}
		if out, err := take("12 gs 34/26", 7); err != nil || out != "all of ann@example.com" {
			t.Errorf("%q %v", out, err)
		}
		if _, err := s.Decide(t.Context(), scope.Everyone, r.ID, lawful.Refused, 0, by); !fault.Is(err, fault.Conflict) {
			t.Error("refused after data left:", err)
		}
		if _, err := s.Decide(t.Context(), scope.Everyone, r.ID, lawful.Complied, 1, by); err != nil {
			t.Error(err)
		}
		if out, err := take("12 Gs 34/26", 7); !fault.Is(err, fault.Conflict) || out != "" {
			t.Errorf("decided: %q %v", out, err)
		}
		if _, err := s.Decide(t.Context(), scope.Everyone, r.ID, lawful.Complied, 1, by); !fault.Is(err, fault.Conflict) {
			t.Error("decided twice:", err)
		}
	})
}

// TestReport: whatever is entered, the report counts the register; the probes'
// own entries count for nobody else; while there is nothing it says so.
func TestReport(t *testing.T) {
	t.Parallel()
	d := lab.DB(t, schemas...)
	c := lab.NewClock(lab.Epoch)
	s := open(t, d, c)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(0, 3).Draw(rt, "more") {
			n++
			r := asked(fmt.Sprint("case ", n), rapid.SampledFrom([]ids.Tenant{0, 7, canary}).Draw(rt, "customer"))
			r.Received = c.Now().AddDate(-rapid.IntRange(0, 4).Draw(rt, "years"), 0, 0)
			if _, err := s.Add(t.Context(), r, by); err != nil {
				rt.Fatal(err)
			}
		}
		list, err := s.List(t.Context(), scope.Everyone, 0, 100_000)
		if err != nil {
			rt.Fatal(err)
		}
		for in, counts := range map[scope.Scope]func(ids.Tenant) bool{
			scope.Everyone:       func(t ids.Tenant) bool { return t != canary },
			scope.Tenant(7):      func(t ids.Tenant) bool { return t == 7 },
			scope.Tenant(canary): func(t ids.Tenant) bool { return t == canary },
		} {
			want := int64(0)
			for _, r := range list {
				if counts(r.Customer) {
					want++
				}
			}
			got, err := s.Report(t.Context(), in)
			years := int64(0)
			for _, y := range got.Years {
				years += y.Total
			}
			if err != nil || got.Total != want || years != want || (got.None == lawful.NoneYet) != (want == 0) {
				rt.Fatalf("%+v, want %d: %v", got, want, err)
			}
		}
	})
}

// TestRefused names what no register takes.
func TestRefused(t *testing.T) {
	t.Parallel()
	d := lab.DB(t, schemas...)
	c := lab.NewClock(lab.Epoch)
	s := open(t, d, c)
	for name, change := range map[string]func(*lawful.Request){
		"no case":      func(r *lawful.Request) { r.Case = "" },
		"no authority": func(r *lawful.Request) { r.Authority = " " },
		"no law":       func(r *lawful.Request) { r.Law = "" },
		"no country":   func(r *lawful.Request) { r.Country = "D3" },
		"kind":         func(r *lawful.Request) { r.Kind = "all" },
		"tomorrow":     func(r *lawful.Request) { r.Received = c.Now().Add(time.Hour) },
	} {
		r := asked("1", 7)
		change(&r)
		if _, err := s.Add(t.Context(), r, by); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

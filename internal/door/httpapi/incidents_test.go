package httpapi

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/product/trust/incident"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/reads"
)

// benchIncidents acts for whom the API names.
type benchIncidents struct{ *incident.Desk }

func (r benchIncidents) Open(ctx context.Context, n incident.Opening, _ access.Principal) (incident.Incident, error) {
	return r.Desk.Open(ctx, n, bySystem)
}

func (r benchIncidents) Draft(ctx context.Context, id ids.Incident, c incident.Draft, _ access.Principal) (incident.Incident, error) {
	return r.Desk.Draft(ctx, id, c, bySystem)
}

func (r benchIncidents) Notify(ctx context.Context, id ids.Incident, _ access.Principal) (incident.Incident, error) {
	return r.Desk.Notify(ctx, id, bySystem)
}

func (r benchIncidents) Tell(ctx context.Context, id ids.Incident, duty incident.Duty, t incident.Told, _ access.Principal) (incident.Incident, error) {
	return r.Desk.Tell(ctx, id, duty, t, bySystem)
}

func (r benchIncidents) Contain(ctx context.Context, id ids.Incident, _ access.Principal) (incident.Incident, error) {
	return r.Desk.Contain(ctx, id, bySystem)
}

func (r benchIncidents) Release(ctx context.Context, id ids.Incident, _ access.Principal) (incident.Incident, error) {
	return r.Desk.Release(ctx, id, bySystem)
}

func (r benchIncidents) Close(ctx context.Context, id ids.Incident, _ access.Principal) (incident.Incident, error) {
	return r.Desk.Close(ctx, id, bySystem)
}

// noReads are the records of a server on which nobody read anything.
type noReads struct{}

func (noReads) Each(context.Context, scope.Scope, time.Time, time.Time, func(reads.Read) error) (int, error) {
	return 0, nil
}

func (noReads) Gaps(context.Context, time.Time, time.Time) (time.Time, []reads.Gap, error) {
	return time.Time{}, nil, nil
}

func (noReads) Hash(ids.Tenant, address.Address) (h [16]byte, err error) { return h, nil }

// idle does nothing when it contains.
type idle struct{ incident.Hands }

func (idle) Hold(context.Context, ids.Tenant, string) (ids.Job, error) { return 0, nil }
func (idle) Rotate(context.Context, ids.Tenant) error                  { return nil }

func incidentsOf(p *Parts) Incidents {
	sent := ids.Message(1 << 40)
	return benchIncidents{incident.New(incident.Config{
		DB: p.DB, Vault: p.Vault, IDs: p.IDs, Clock: p.Clock, Observe: p.Observe, Stage: evidence.NewStage(p.DB), Reads: noReads{}, Hands: idle{},
		Breach: func(ids.Tenant) policy.Breach { return policy.Breach{} },
		Contacts: func(context.Context, ids.Tenant) ([]address.Address, error) {
			a, err := address.Parse("owner@acme.example")
			return []address.Address{a}, err
		},
		Post: func(context.Context, incident.Letter) (ids.Message, error) { return sent, nil },
		Fate: func(context.Context, ids.Message) (time.Time, bool, error) { return p.Clock.Now(), false, nil },
		Kept: func() time.Time { return time.Time{} },
	})}
}

var whole = incident.Report{Nature: "A token leaked.", Data: "Recipients.", Persons: 3, Records: 4, Contact: "security@example.com", Consequences: "Spam.", Measures: "Revoked."}

// incident makes one whose notice a customer has got.
func (b *bench) incident(t testing.TB, in ids.Tenant) string {
	t.Helper()
	desk := b.parts.Incidents.(benchIncidents)
	x, err := desk.Open(t.Context(), incident.Opening{Title: "A leaked token", Report: whole, Only: []ids.Tenant{in}}, access.Principal{})
	must(t, err)
	_, err = desk.Notify(t.Context(), x.ID, access.Principal{})
	must(t, err)
	must(t, desk.Tick(t.Context()))
	_, err = desk.Tell(t.Context(), x.ID, incident.ToAuthority, incident.Told{Reference: "AZ 1/26"}, access.Principal{})
	must(t, err)
	return x.ID.String()
}

func (b *bench) containFirst(t testing.TB, id string) {
	t.Helper()
	x, err := ids.Parse[ids.Incident](id)
	must(t, err)
	_, err = b.parts.Incidents.Contain(t.Context(), x, access.Principal{})
	must(t, err)
}

// releaseAfter lets go what a call of contain-incident froze, for the calls after it.
func (b *bench) releaseAfter(t testing.TB, path string, r reply) reply {
	t.Helper()
	if r.Code == http.StatusOK {
		x, err := ids.Parse[ids.Incident](strings.Split(path, "/")[3])
		must(t, err)
		_, err = b.parts.Incidents.Release(t.Context(), x, access.Principal{})
		must(t, err)
	}
	return r
}

// TestIncidents: the operator sees the clocks and acts, the customer the notice that
// it was sent and nothing of others; a frozen export says so until it is released.
func TestIncidents(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	operator, owner, stranger := b.as(t, b.acme, access.Operator), b.as(t, b.acme, access.Owner), b.as(t, b.other, access.Owner)
	var opened Incident
	b.call("POST", "/v1/incidents", `{"title":"A leaked token","customers":["`+b.acme.String()+`","`+b.other.String()+`"],"report":{"nature":"A token leaked."}}`, operator).into(t, &opened)
	if len(opened.Missing) != 6 || len(opened.Clocks) != 3 || len(opened.Notices) != 2 {
		t.Fatalf("%+v", opened)
	}
	at := "/v1/incidents/" + opened.ID
	if r := b.call("GET", at, "", owner); r.Code != http.StatusNotFound {
		t.Errorf("before the notice a customer gets %d %s", r.Code, r.Body)
	}
	if r := b.call("POST", at+"/notify", "", operator); r.Code != http.StatusUnprocessableEntity || !strings.Contains(r.Body.String(), "consequences") {
		t.Errorf("without parts: %d %s", r.Code, r.Body)
	}
	if r := b.call("PATCH", at, `{"report":{"nature":"A token leaked.","data":"Recipients.","persons":3,"records":4,"contact":"security@example.com","consequences":"Spam.","measures":"Revoked."}}`, operator); r.Code != http.StatusOK {
		t.Fatalf("%d %s", r.Code, r.Body)
	}
	if r := b.call("POST", at+"/notify", "", operator); r.Code != http.StatusOK {
		t.Fatalf("%d %s", r.Code, r.Body)
	}
	for _, with := range []func(*http.Request){owner, stranger} {
		var own Incident
		b.call("GET", at, "", with).into(t, &own)
		if len(own.Notices) != 1 || len(own.Clocks) > 0 || len(own.Acts) > 0 || !strings.Contains(own.Text, "Likely consequences:\nSpam.") {
			t.Errorf("a customer sees %+v", own)
		}
	}
	if r := b.call("POST", at+"/contain", "", operator); r.Code != http.StatusOK {
		t.Fatalf("%d %s", r.Code, r.Body)
	}
	export := func() reply { return b.call("POST", "/v1/subjects/export", `{"address":"ann@example.net"}`, owner) }
	if r := export(); r.Code != http.StatusConflict || !strings.Contains(r.Body.String(), "frozen") {
		t.Errorf("a frozen export: %d %s", r.Code, r.Body)
	}
	if r := b.call("POST", at+"/release", "", operator); r.Code != http.StatusOK {
		t.Fatalf("%d %s", r.Code, r.Body)
	}
	if r := export(); r.Code != http.StatusOK {
		t.Errorf("after the release: %d %s", r.Code, r.Body)
	}
	if r := b.call("POST", at+"/close", "", operator); r.Code != http.StatusConflict {
		t.Errorf("closed with a notice under way: %d %s", r.Code, r.Body)
	}
	var page Page[Incident]
	b.call("GET", "/v1/incidents", "", owner).into(t, &page)
	if len(page.Items) != 1 || page.Items[0].Notices[0].Customer != b.acme.String() {
		t.Errorf("%+v", page)
	}
	var over Overview
	b.call("GET", "/v1/overview", "", operator).into(t, &over)
	b.clock.Wind(73 * time.Hour)
	b.call("GET", "/v1/overview", "", b.as(t, b.acme, access.Operator)).into(t, &over)
	if len(over.Alerts) == 0 || over.Alerts[0].Kind != "incident" || !strings.Contains(over.Alerts[0].Text, "overdue") {
		t.Errorf("%+v", over.Alerts)
	}
}

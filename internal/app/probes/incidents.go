package probes

import (
	"context"
	"net/http"
	"strings"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/product/trust/incident"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
)

// tellWithin is what is promised to customers, whatever a policy says.
const tellWithin = 72 * time.Hour

// noticeParts are what each customer must be able to read in a notice (GDPR Art. 33(3)).
var noticeParts = []string{
	"Nature of the breach", "Categories of persons and data", "Approximate number of persons", "Approximate number of records", "Contact",
	"Likely consequences", "Measures taken or proposed",
}

var byProbe = evidence.Actor{Role: evidence.BySystem}

// breach drills with two customers in scope: each must get a whole notice in time.
func (s *Server) breach(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		first, second := x.at("first-", x.sinkDomain()), x.at("second-", x.sinkDomain())
		if err := x.Person(ctx, x.Canary, first, access.Admin, "a canary is told "+x.word); err != nil {
			return verdict{}, err
		}
		neighbour, undo, err := x.Neighbour(ctx, second)
		if err != nil {
			return verdict{}, err
		}
		defer undo()
		drill, err := x.Drill(ctx, []ids.Tenant{x.Tenant, neighbour})
		if err != nil {
			return verdict{}, err
		}
		for _, to := range []address.Address{first, second} {
			if v, err := x.told(ctx, drill.ID, to); err != nil || v.status != "" {
				return v, err
			}
		}
		if v, err := x.inTime(ctx, drill); err != nil || v.status != "" {
			return v, err
		}
		var seen struct {
			Text string `json:"text"`
		}
		if status, err := x.call(ctx, http.MethodGet, "/v1/incidents/"+drill.ID.String(), nil, &seen); err != nil || status != http.StatusOK || !strings.Contains(seen.Text, drill.ID.String()) {
			return bad("a customer in scope does not find its notice in the API (%d) %v", status, err), nil
		}
		if _, err := x.Incidents.Close(ctx, drill.ID, byProbe); err != nil {
			return bad("the drill cannot be closed: %v", err), nil
		}
		return good("a drill with two customers in scope: each got a notice of its own by mail with all %d parts, within its time, which the messages' own records prove; the customer sees it in the API", len(noticeParts)), nil
	})
	return v.end(err)
}

// told waits for the notice of an incident at an address, and reads it.
func (x *scene) told(ctx context.Context, id ids.Incident, to address.Address) (verdict, error) {
	text := ""
	err := x.until(ctx, "the notice", func() (bool, error) {
		list, _ := x.sink.messages()
		for _, m := range list {
			if strings.Contains(strings.ToLower(m.to), strings.ToLower(to.Text())) && strings.Contains(m.data, id.String()) {
				text = strings.ReplaceAll(m.data, "\r\n", "\n")
			}
		}
		return text != "", nil
	})
	if text == "" {
		return bad("a customer in scope got no notice: %v", err), nil
	}
	for _, part := range noticeParts {
		_, after, found := strings.Cut(text, "\n"+part+":\n")
		if line, _, _ := strings.Cut(after, "\n"); !found || strings.TrimSpace(line) == "" {
			return bad("the notice to a customer in scope lacks a part: %s", strings.ToLower(part)), nil
		}
	}
	return verdict{}, err
}

// inTime waits until the notices' delivery is on record, and holds it against their time.
func (x *scene) inTime(ctx context.Context, drill incident.Incident) (verdict, error) {
	var notices []incident.Notice
	err := x.until(ctx, "the delivery to be on record", func() (bool, error) {
		if err := x.Incidents.Tick(ctx); err != nil {
			return false, err
		}
		var err error
		notices, err = x.Incidents.Notices(ctx, scope.Everyone, drill.ID)
		for i := range notices {
			if notices[i].Delivered.IsZero() {
				return false, err
			}
		}
		return true, err
	})
	if err != nil {
		return bad("no record proves that each notice was delivered: %v", err), nil
	}
	if len(notices) != len(drill.Affected) {
		return bad("%d customers are in scope and %d have a notice", len(drill.Affected), len(notices)), nil
	}
	for _, n := range notices {
		if len(n.Messages) == 0 || n.Delivered.After(n.Due) || n.Delivered.After(drill.Aware.Add(tellWithin)) {
			return bad("a notice was late: due %s, delivered %s", n.Due.UTC().Format(time.RFC3339), n.Delivered.UTC().Format(time.RFC3339)), nil
		}
	}
	return verdict{}, nil
}

// procedure drills what is done about a stolen token: what it read is known, one act
// contains it, and what can be undone is undone.
func (s *Server) procedure(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		person, began := x.at("owner-", x.sinkDomain()), x.Clock.Now().Add(-time.Second)
		if err := x.Person(ctx, x.Canary, person, access.Admin, "a canary owns "+x.word); err != nil {
			return verdict{}, err
		}
		other, err := x.Pass(ctx, x.Canary, access.ScopeSubjectsManage)
		if err != nil {
			return verdict{}, err
		}
		reader, err := x.Pass(ctx, x.Canary, access.ScopeMessagesRead)
		if err != nil {
			return verdict{}, err
		}
		if err := x.must(ctx, http.MethodGet, "/v1/users", nil, nil); err != nil {
			return verdict{}, err
		}
		stolen := x.Token
		found, err := x.Incidents.Scope(ctx, incident.Selector{Token: x.TokenID, Since: began}, nil)
		if err != nil {
			return verdict{}, err
		}
		if len(found.Customers) != 1 || found.Customers[0].Tenant != x.Tenant || found.Persons == 0 || len(found.Unknown) == 0 {
			return bad("what the token read is not known: %d customers, %d persons of %d reads", len(found.Customers), found.Persons, found.Reads), nil
		}
		drill, err := x.Incidents.Open(ctx, incident.Opening{Title: "A drill of the probes", Drill: true, Report: drillReport, Scope: &found}, byProbe)
		if err != nil {
			return verdict{}, err
		}
		defer func() {
			_, _ = x.Incidents.Release(context.WithoutCancel(ctx), drill.ID, byProbe) // what is released already says so
		}()
		if _, err := x.Incidents.Contain(ctx, drill.ID, byProbe); err != nil {
			return bad("it cannot be contained: %v", err), nil
		}
		if v, err := x.contained(ctx, stolen, other, reader); err != nil || v.status != "" {
			return v, err
		}
		if _, err := x.Incidents.Release(ctx, drill.ID, byProbe); err != nil {
			return bad("it cannot be released: %v", err), nil
		}
		x.Token = other
		if status, err := x.call(ctx, http.MethodPost, "/v1/subjects/export", map[string]string{"address": person.Text()}, nil); err != nil || status != http.StatusOK {
			return bad("after the release an export answers %d %v", status, err), nil
		}
		return good("a drill of a stolen token: the records of reads named the customer and %d persons and said what they cannot tell; one act ended the token, froze exports, held outgoing mail and rotated the key; what can be undone was", found.Persons), nil
	})
	return v.end(err)
}

var drillReport = incident.Report{
	Nature: "A drill.", Data: "Users: addresses.", Persons: 1, Records: 1, Contact: "The operator.", Consequences: "None.", Measures: "None: it is a drill.",
}

// contained looks from outside whether the token opens anything, an export goes out
// or mail leaves.
func (x *scene) contained(ctx context.Context, stolen, other, reader string) (verdict, error) {
	defer func(t string) { x.Token = t }(x.Token)
	x.Token = stolen
	if status, err := x.call(ctx, http.MethodGet, "/v1/users", nil, nil); err != nil || status != http.StatusUnauthorized {
		return bad("the stolen token is answered %d %v", status, err), nil
	}
	x.Token = other
	if status, err := x.call(ctx, http.MethodPost, "/v1/subjects/export", map[string]string{"address": x.outward().Text()}, nil); err != nil || status != http.StatusConflict {
		return bad("an export answers %d while it is frozen %v", status, err), nil
	}
	if _, err := x.submit(ctx, "submission", x.sender(), x.outward()); err != nil {
		return verdict{}, err
	}
	x.Token = reader
	var pauses []struct {
		Customer string `json:"customer"`
		Domain   string `json:"domain"`
	}
	if err := x.must(ctx, http.MethodGet, "/v1/queue/pauses", nil, &pauses); err != nil {
		return verdict{}, err
	}
	for _, p := range pauses {
		if p.Domain == "" {
			return verdict{}, nil
		}
	}
	return bad("outgoing mail of the customer is not held"), nil
}

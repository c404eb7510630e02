package httpapi

import (
	"context"
	"net/http"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/product/trust/incident"
	"mailvow/internal/protect/access"
)

// Incidents is product/trust/incident.
type Incidents interface {
	Open(ctx context.Context, n incident.Opening, by access.Principal) (incident.Incident, error)
	Get(ctx context.Context, id ids.Incident) (incident.Incident, error)
	List(ctx context.Context, before ids.Incident, limit int) ([]incident.Incident, error)
	Notices(ctx context.Context, in scope.Scope, id ids.Incident) ([]incident.Notice, error)
	Sent(ctx context.Context, t ids.Tenant, before ids.Notice, limit int) ([]incident.Notice, error)
	Clocks(x *incident.Incident, notices []incident.Notice) []incident.Clock
	Alerts(ctx context.Context) ([]incident.Alert, error)
	Scope(ctx context.Context, s incident.Selector, yield func(incident.Person) error) (incident.Scope, error)
	Draft(ctx context.Context, id ids.Incident, c incident.Draft, by access.Principal) (incident.Incident, error)
	Notify(ctx context.Context, id ids.Incident, by access.Principal) (incident.Incident, error)
	Tell(ctx context.Context, id ids.Incident, duty incident.Duty, t incident.Told, by access.Principal) (incident.Incident, error)
	Contain(ctx context.Context, id ids.Incident, by access.Principal) (incident.Incident, error)
	Release(ctx context.Context, id ids.Incident, by access.Principal) (incident.Incident, error)
	Close(ctx context.Context, id ids.Incident, by access.Principal) (incident.Incident, error)
	Frozen(ctx context.Context, in scope.Scope) error
}

// Incident is a breach of personal data, or a drill of one. A customer sees the
// notice that it was sent; what is the operator's alone is left out.
type Incident struct {
	ID        string           `json:"id"`
	Title     string           `json:"title"`
	State     string           `json:"state" enum:"open,contained,closed"`
	Drill     bool             `json:"drill"`
	AwareAt   time.Time        `json:"aware_at" doc:"When somebody was aware: the clocks run from here."`
	OpenedAt  time.Time        `json:"opened_at"`
	ClosedAt  *time.Time       `json:"closed_at"`
	Report    IncidentReport   `json:"report"`
	HighRisk  bool             `json:"high_risk" doc:"Persons must be told (GDPR Art. 34)."`
	Missing   []string         `json:"missing" nullable:"false" doc:"The parts that a notice needs and that are not there."`
	Clocks    []IncidentClock  `json:"clocks" nullable:"false" doc:"For the operator."`
	Notices   []IncidentNotice `json:"notices" nullable:"false"`
	Customers []IncidentScope  `json:"customers" nullable:"false" doc:"Who is in scope, as the records of reads say."`
	Unknown   []string         `json:"unknown" nullable:"false" doc:"What the records cannot tell."`
	Acts      []IncidentAct    `json:"acts" nullable:"false" doc:"What containing did; for the operator."`
	Text      string           `json:"text,omitempty" doc:"For a customer: the notice as it stands."`
}

// IncidentReport is what a notice must say (GDPR Art. 33(3)).
type IncidentReport struct {
	Nature       string `json:"nature,omitempty" maxLength:"4000" doc:"What happened."`
	Data         string `json:"data,omitempty" maxLength:"4000" doc:"Categories of persons and of records."`
	Persons      int    `json:"persons,omitempty" minimum:"0" doc:"Approximately."`
	Records      int    `json:"records,omitempty" minimum:"0" doc:"Approximately."`
	Contact      string `json:"contact,omitempty" maxLength:"4000" doc:"Where more can be learnt."`
	Consequences string `json:"consequences,omitempty" maxLength:"4000" doc:"Likely ones."`
	Measures     string `json:"measures,omitempty" maxLength:"4000" doc:"Taken or proposed."`
}

// IncidentClock is one of the three clocks.
type IncidentClock struct {
	Name     string     `json:"name" enum:"customers,authority,persons"`
	DueAt    time.Time  `json:"due_at"`
	MetAt    *time.Time `json:"met_at"`
	Standing string     `json:"standing" enum:"running,overdue,met,late,not_needed"`
}

// IncidentNotice is the notice to one customer.
type IncidentNotice struct {
	ID          string     `json:"id"`
	Customer    string     `json:"customer"`
	DueAt       time.Time  `json:"due_at"`
	SentAt      *time.Time `json:"sent_at"`
	DeliveredAt *time.Time `json:"delivered_at" doc:"When the next server took it, as the message's own record says."`
	FailedAt    *time.Time `json:"failed_at" doc:"It reached nobody."`
	NoContact   bool       `json:"no_contact" doc:"The customer has no owner or administrator to send it to."`
	Standing    string     `json:"standing" enum:"running,overdue,met,late"`
	Messages    []string   `json:"messages" nullable:"false" doc:"The proof: their records hold the delivery."`
	Draft       string     `json:"draft,omitempty" doc:"For the operator, of one incident: what it says as it stands."`
}

// IncidentScope is one customer in scope.
type IncidentScope struct {
	Customer   string             `json:"customer"`
	Persons    int                `json:"persons" doc:"That are known by address."`
	Categories []IncidentCategory `json:"categories" nullable:"false"`
}

// IncidentCategory is what was read of one category.
type IncidentCategory struct {
	Category string    `json:"category"`
	Reads    int       `json:"reads"`
	Records  int       `json:"records"`
	FirstAt  time.Time `json:"first_at"`
	LastAt   time.Time `json:"last_at"`
}

// IncidentAct is one thing that containing did.
type IncidentAct struct {
	What     string     `json:"what"`
	Target   string     `json:"target"`
	At       time.Time  `json:"at"`
	UndoneAt *time.Time `json:"undone_at"`
	Final    bool       `json:"final" doc:"It cannot be undone."`
}

// ScopeSelector says whose reads are meant: one of token, user, ip and node.
type ScopeSelector struct {
	Token string    `json:"token,omitempty" maxLength:"64"`
	User  string    `json:"user,omitempty" maxLength:"64"`
	IP    string    `json:"ip,omitempty" maxLength:"64" doc:"An address or a network."`
	Node  *int      `json:"node,omitempty" minimum:"0" maximum:"1023"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to,omitempty" doc:"Until now where it is left out."`
}

// ScopeAnswer is what the records of reads say. The persons themselves are written
// by mailvow incident scope --out, encrypted.
type ScopeAnswer struct {
	Reads     int             `json:"reads"`
	Persons   int             `json:"persons"`
	Records   int             `json:"records"`
	Customers []IncidentScope `json:"customers" nullable:"false"`
	Unknown   []string        `json:"unknown" nullable:"false" doc:"What the records cannot tell."`
}

type incidentOut struct{ Body Incident }

type scopeIn struct{ Body ScopeSelector }

type openIncident struct {
	Body struct {
		Title     string         `json:"title" minLength:"1" maxLength:"200"`
		AwareAt   *time.Time     `json:"aware_at,omitempty" doc:"Now where it is left out."`
		Drill     bool           `json:"drill,omitempty" doc:"Its notices say so; it raises no alerts."`
		HighRisk  bool           `json:"high_risk,omitempty"`
		Report    IncidentReport `json:"report,omitempty"`
		Scope     *ScopeSelector `json:"scope,omitempty" doc:"Takes whom the records of reads name into scope."`
		Customers []string       `json:"customers,omitempty" maxItems:"1000" nullable:"false" doc:"Who is in scope besides."`
	}
}

type draftIncident struct {
	ByID
	Body struct {
		Title     *string         `json:"title,omitempty" maxLength:"200"`
		AwareAt   *time.Time      `json:"aware_at,omitempty"`
		HighRisk  *bool           `json:"high_risk,omitempty"`
		Report    *IncidentReport `json:"report,omitempty" doc:"The whole report."`
		Scope     *ScopeSelector  `json:"scope,omitempty"`
		Customers []string        `json:"customers,omitempty" maxItems:"1000" nullable:"false"`
	}
}

type tellIncident struct {
	ByID
	Body struct {
		Duty      string     `json:"duty" enum:"authority,persons"`
		At        *time.Time `json:"at,omitempty"`
		Reference string     `json:"reference,omitempty" maxLength:"4000" doc:"The authority's reference, or how persons were told."`
		NotNeeded string     `json:"not_needed,omitempty" maxLength:"4000" doc:"Why it need not be done."`
	}
}

func (a *API) incidentRoutes() {
	const tag, path = "incidents", "/v1/incidents"
	read, manage := access.IncidentsRead, access.IncidentsManage
	register(a, op{id: "list-incidents", method: http.MethodGet, path: path, summary: "Incidents, newest first; a customer sees the notices that it was sent", tag: tag, needs: read}, a.listIncidents)
	register(a, op{id: "get-incident", method: http.MethodGet, path: path + "/{id}", summary: "One incident", tag: tag, needs: read}, a.getIncident)
	register(a, op{id: "scope-incident", method: http.MethodPost, path: path + "/scope", summary: "Whose data was read by a token, a user, an address or at a node", tag: tag, needs: manage, status: http.StatusOK, quiet: true}, a.scopeIncident)
	register(a, op{id: "open-incident", method: http.MethodPost, path: path, summary: "Open an incident: its clocks run from when somebody was aware", tag: tag, needs: manage, status: http.StatusCreated, quiet: true}, a.openIncident)
	register(a, op{id: "draft-incident", method: http.MethodPatch, path: path + "/{id}", summary: "Write parts of the report, or take a scope", tag: tag, needs: manage, quiet: true}, a.draftIncident)
	register(a, op{id: "tell-incident", method: http.MethodPost, path: path + "/{id}/told", summary: "Put on record that the authority or the persons were told, or why not", tag: tag, needs: manage, status: http.StatusOK, quiet: true}, a.tellIncident)
	for _, act := range []struct {
		id, path, summary string
		do                func(context.Context, ids.Incident, access.Principal) (incident.Incident, error)
	}{
		{"notify-incident", "/notify", "Send its notice to each customer in scope", func(ctx context.Context, id ids.Incident, by access.Principal) (incident.Incident, error) {
			return a.parts.Incidents.Notify(ctx, id, by)
		}},
		{"contain-incident", "/contain", "End tokens and sessions of the scope, freeze exports, hold outgoing mail, rotate keys", func(ctx context.Context, id ids.Incident, by access.Principal) (incident.Incident, error) {
			return a.parts.Incidents.Contain(ctx, id, by)
		}},
		{"release-incident", "/release", "Undo what containing did, where that can be undone", func(ctx context.Context, id ids.Incident, by access.Principal) (incident.Incident, error) {
			return a.parts.Incidents.Release(ctx, id, by)
		}},
		{"close-incident", "/close", "Close an incident in which nothing is left to do", func(ctx context.Context, id ids.Incident, by access.Principal) (incident.Incident, error) {
			return a.parts.Incidents.Close(ctx, id, by)
		}},
	} {
		register(a, op{id: act.id, method: http.MethodPost, path: path + "/{id}" + act.path, summary: act.summary, tag: tag, needs: manage, status: http.StatusOK, quiet: true},
			func(ctx context.Context, _ Asker, in *ByID) (*incidentOut, error) {
				id, err := a.incidentID(in.ID)
				if err != nil {
					return nil, err
				}
				x, err := act.do(ctx, id, requestOf(ctx).who)
				return a.oneIncident(ctx, x, err)
			})
	}
}

func (a *API) incidentID(text string) (ids.Incident, error) {
	if a.parts.Incidents == nil {
		return 0, absent()
	}
	return idAt[ids.Incident]("path.id", text)
}

// frozen refuses an export while an incident freezes it.
func (a *API) frozen(ctx context.Context, in scope.Scope) error {
	if a.parts.Incidents == nil {
		return nil
	}
	return a.parts.Incidents.Frozen(ctx, in)
}

// incidentAlerts are for who manages incidents.
func (a *API) incidentAlerts(ctx context.Context, who Asker) ([]Alert, error) {
	if _, may := who.May(access.IncidentsManage); !may || who.Role != access.Operator || a.parts.Incidents == nil {
		return nil, nil
	}
	found, err := a.parts.Incidents.Alerts(ctx)
	var list []Alert
	for _, x := range found {
		list = append(list, Alert{"incident", x.Text})
	}
	return list, err
}

func (a *API) oneIncident(ctx context.Context, x incident.Incident, err error) (*incidentOut, error) {
	if err != nil {
		return nil, err
	}
	notices, err := a.parts.Incidents.Notices(ctx, scope.Everyone, x.ID)
	if err != nil {
		return nil, err
	}
	v := a.viewIncident(&x, notices)
	for i := range notices {
		_, v.Notices[i].Draft = x.Text(notices[i].Tenant)
	}
	return &incidentOut{v}, nil
}

// viewIncident is what the operator sees.
func (a *API) viewIncident(x *incident.Incident, notices []incident.Notice) Incident {
	v := Incident{
		ID: x.ID.String(), Title: x.Title, State: string(x.State), Drill: x.Drill, AwareAt: x.Aware.UTC(), OpenedAt: x.Opened.UTC(), ClosedAt: when(x.Closed),
		Report: IncidentReport(x.Report), HighRisk: x.HighRisk, Missing: x.Report.Missing(), Clocks: []IncidentClock{}, Notices: []IncidentNotice{},
		Customers: viewScope(x.Affected), Unknown: x.Unknown, Acts: []IncidentAct{},
	}
	if v.Missing == nil {
		v.Missing = []string{}
	}
	for _, c := range a.parts.Incidents.Clocks(x, notices) {
		v.Clocks = append(v.Clocks, IncidentClock{c.Name, c.Due.UTC(), when(c.Met), string(c.Standing)})
	}
	for i := range notices {
		v.Notices = append(v.Notices, a.viewBreachNotice(&notices[i]))
	}
	for _, y := range x.Acts {
		v.Acts = append(v.Acts, IncidentAct{y.What, y.Target, y.At.UTC(), when(y.Undone), y.Final})
	}
	return v
}

func (a *API) viewBreachNotice(n *incident.Notice) IncidentNotice {
	v := IncidentNotice{
		ID: n.ID.String(), Customer: n.Tenant.String(), DueAt: n.Due.UTC(), SentAt: when(n.Sent), DeliveredAt: when(n.Delivered), FailedAt: when(n.Failed),
		NoContact: n.NoContact, Standing: string(n.Standing(a.parts.Clock.Now())), Messages: []string{},
	}
	for _, m := range n.Messages {
		v.Messages = append(v.Messages, m.String())
	}
	return v
}

// viewOwn is what a customer sees of an incident: what it was told.
func (a *API) viewOwn(x *incident.Incident, n *incident.Notice) Incident {
	v := a.viewIncident(x, []incident.Notice{*n})
	v.Clocks, v.Acts, v.Customers = []IncidentClock{}, []IncidentAct{}, []IncidentScope{}
	v.Report.Persons, v.Report.Records = 0, 0 // those are of all customers together
	for _, s := range viewScope(x.Affected) {
		if s.Customer == n.Tenant.String() {
			v.Customers = append(v.Customers, s)
		}
	}
	_, v.Text = x.Text(n.Tenant)
	return v
}

func viewScope(list []incident.Affected) []IncidentScope {
	out := []IncidentScope{}
	for _, c := range list {
		v := IncidentScope{c.Tenant.String(), c.Persons, []IncidentCategory{}}
		for _, k := range c.Categories {
			v.Categories = append(v.Categories, IncidentCategory{k.Name, k.Reads, k.Records, k.First.UTC(), k.Last.UTC()})
		}
		out = append(out, v)
	}
	return out
}

func (a *API) listIncidents(ctx context.Context, who Asker, in *Paging) (*pageOut[Incident], error) {
	if a.parts.Incidents == nil {
		return nil, absent()
	}
	type line struct {
		x       incident.Incident
		notices []incident.Notice
		at      int64
	}
	t, one := who.Scope.ID()
	return pageOf(a, listing("incidents", who), *in, func(before int64, limit int) ([]line, error) {
		var list []line
		if one {
			sent, err := a.parts.Incidents.Sent(ctx, t, ids.Notice(before), limit)
			for i := range sent {
				x, wrong := a.parts.Incidents.Get(ctx, sent[i].Incident)
				if wrong != nil {
					return nil, wrong
				}
				list = append(list, line{x, sent[i : i+1], int64(sent[i].ID)})
			}
			return list, err
		}
		all, err := a.parts.Incidents.List(ctx, ids.Incident(before), limit)
		for i := range all {
			notices, wrong := a.parts.Incidents.Notices(ctx, scope.Everyone, all[i].ID)
			if wrong != nil {
				return nil, wrong
			}
			list = append(list, line{all[i], notices, int64(all[i].ID)})
		}
		return list, err
	}, func(l line) int64 { return l.at }, func(l line) Incident {
		if one {
			return a.viewOwn(&l.x, &l.notices[0])
		}
		return a.viewIncident(&l.x, l.notices)
	})
}

func (a *API) getIncident(ctx context.Context, who Asker, in *ByID) (*incidentOut, error) {
	id, err := a.incidentID(in.ID)
	if err != nil {
		return nil, err
	}
	x, err := a.parts.Incidents.Get(ctx, id)
	t, one := who.Scope.ID()
	if err != nil || !one {
		return a.oneIncident(ctx, x, err)
	}
	notices, err := a.parts.Incidents.Notices(ctx, scope.Tenant(t), id)
	if err != nil {
		return nil, err
	}
	if len(notices) == 0 || notices[0].Sent.IsZero() {
		return nil, fault.New(fault.NotFound, "There is no such incident.")
	}
	return &incidentOut{a.viewOwn(&x, &notices[0])}, nil
}

func (s *ScopeSelector) selector(at string) (incident.Selector, error) {
	out := incident.Selector{Node: s.Node, Since: s.From, Until: s.To}
	var err error
	if s.Token != "" {
		if out.Token, err = idAt[ids.Token](at+"token", s.Token); err != nil {
			return out, err
		}
	}
	if s.User != "" {
		if out.User, err = idAt[ids.User](at+"user", s.User); err != nil {
			return out, err
		}
	}
	if s.IP != "" {
		if out.From, err = incident.ParseNetwork(s.IP); err != nil {
			return out, fault.Field(at+"ip", "Give an IP address, or a network such as 192.0.2.0/24.")
		}
	}
	return out, nil
}

func (a *API) scopeIncident(ctx context.Context, _ Asker, in *scopeIn) (*struct{ Body ScopeAnswer }, error) {
	if a.parts.Incidents == nil {
		return nil, absent()
	}
	found, err := a.scopeOf(ctx, &in.Body, "")
	if err != nil {
		return nil, err
	}
	return &struct{ Body ScopeAnswer }{ScopeAnswer{found.Reads, found.Persons, found.Records(), viewScope(found.Customers), found.Unknown}}, nil
}

func (a *API) scopeOf(ctx context.Context, s *ScopeSelector, at string) (*incident.Scope, error) {
	selector, err := s.selector(at)
	if err != nil {
		return nil, err
	}
	found, err := a.parts.Incidents.Scope(ctx, selector, nil)
	return &found, err
}

// inScope reads a scope and customers that are named.
func (a *API) inScope(ctx context.Context, s *ScopeSelector, customers []string) (found *incident.Scope, only []ids.Tenant, err error) {
	if s != nil {
		if found, err = a.scopeOf(ctx, s, "scope."); err != nil {
			return nil, nil, err
		}
	}
	for _, text := range customers {
		id, err := idAt[ids.Tenant]("customers", text)
		if err != nil {
			return nil, nil, err
		}
		if _, err := a.parts.Tenants.Get(ctx, scope.Everyone, id); err != nil {
			return nil, nil, err
		}
		only = append(only, id)
	}
	return found, only, nil
}

func (a *API) openIncident(ctx context.Context, who Asker, in *openIncident) (*incidentOut, error) {
	if a.parts.Incidents == nil {
		return nil, absent()
	}
	found, only, err := a.inScope(ctx, in.Body.Scope, in.Body.Customers)
	if err != nil {
		return nil, err
	}
	n := incident.Opening{Title: in.Body.Title, Drill: in.Body.Drill, HighRisk: in.Body.HighRisk, Report: incident.Report(in.Body.Report), Scope: found, Only: only}
	if in.Body.AwareAt != nil {
		n.Aware = *in.Body.AwareAt
	}
	x, err := a.parts.Incidents.Open(ctx, n, who.Principal)
	return a.oneIncident(ctx, x, err)
}

func (a *API) draftIncident(ctx context.Context, who Asker, in *draftIncident) (*incidentOut, error) {
	id, err := a.incidentID(in.ID)
	if err != nil {
		return nil, err
	}
	found, only, err := a.inScope(ctx, in.Body.Scope, in.Body.Customers)
	if err != nil {
		return nil, err
	}
	x, err := a.parts.Incidents.Draft(ctx, id, incident.Draft{
		Title: in.Body.Title, Aware: in.Body.AwareAt, HighRisk: in.Body.HighRisk, Report: (*incident.Report)(in.Body.Report), Scope: found, Only: only,
	}, who.Principal)
	return a.oneIncident(ctx, x, err)
}

func (a *API) tellIncident(ctx context.Context, who Asker, in *tellIncident) (*incidentOut, error) {
	id, err := a.incidentID(in.ID)
	if err != nil {
		return nil, err
	}
	told := incident.Told{Reference: in.Body.Reference, NotNeeded: in.Body.NotNeeded}
	if in.Body.At != nil {
		told.At = *in.Body.At
	}
	x, err := a.parts.Incidents.Tell(ctx, id, incident.Duty(in.Body.Duty), told, who.Principal)
	return a.oneIncident(ctx, x, err)
}

package admin

import (
	"context"
	"io"
	"net/http"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/product/trust/incident"
	"mailvow/internal/protect/evidence"
)

// Incidents is product/trust/incident.
type Incidents interface {
	Open(ctx context.Context, n incident.Opening, by evidence.Actor) (incident.Incident, error)
	Get(ctx context.Context, id ids.Incident) (incident.Incident, error)
	List(ctx context.Context, before ids.Incident, limit int) ([]incident.Incident, error)
	Notices(ctx context.Context, in scope.Scope, id ids.Incident) ([]incident.Notice, error)
	Clocks(x *incident.Incident, notices []incident.Notice) []incident.Clock
	Scope(ctx context.Context, s incident.Selector, yield func(incident.Person) error) (incident.Scope, error)
	Draft(ctx context.Context, id ids.Incident, c incident.Draft, by evidence.Actor) (incident.Incident, error)
	Notify(ctx context.Context, id ids.Incident, by evidence.Actor) (incident.Incident, error)
	Tell(ctx context.Context, id ids.Incident, duty incident.Duty, t incident.Told, by evidence.Actor) (incident.Incident, error)
	Contain(ctx context.Context, id ids.Incident, by evidence.Actor) (incident.Incident, error)
	Release(ctx context.Context, id ids.Incident, by evidence.Actor) (incident.Incident, error)
	Close(ctx context.Context, id ids.Incident, by evidence.Actor) (incident.Incident, error)
	Frozen(ctx context.Context, in scope.Scope) error
	// Persons writes the list of those who may have to be told, encrypted to an age
	// recipient.
	Persons(ctx context.Context, s incident.Selector, recipient string, w io.Writer) error
	// Drill opens a drill and sends its notices, to these customers.
	Drill(ctx context.Context, customers []ids.Tenant, by evidence.Actor) (incident.Incident, error)
}

// The operations of incidents.
const (
	IncidentScope   Op[incident.Selector, ScopeOfReads] = "incident/scope"
	IncidentPersons Op[PersonsOf, []byte]               = "incident/persons" // a stream
	IncidentList    Op[struct{}, []Incident]            = "incident/list"
	IncidentShow    Op[IncidentRef, Incident]           = "incident/show"
	IncidentOpen    Op[NewIncident, Incident]           = "incident/open"
	IncidentDraft   Op[IncidentDrafted, Incident]       = "incident/draft"
	IncidentNotify  Op[IncidentRef, Incident]           = "incident/notify"
	IncidentTell    Op[IncidentTold, Incident]          = "incident/tell"
	IncidentContain Op[IncidentRef, Incident]           = "incident/contain"
	IncidentRelease Op[IncidentRef, Incident]           = "incident/release"
	IncidentClose   Op[IncidentRef, Incident]           = "incident/close"
	IncidentDrill   Op[NewIncident, Incident]           = "incident/drill"
)

// ScopeOfReads is what the records of reads say.
type ScopeOfReads struct {
	Reads     int                 `json:"reads"`
	Persons   int                 `json:"persons"`
	Records   int                 `json:"records"`
	Customers []incident.Affected `json:"customers"`
	Unknown   []string            `json:"unknown"`
}

// PersonsOf asks for the encrypted list.
type PersonsOf struct {
	incident.Selector
	Recipient string `json:"recipient"`
}

// IncidentRef names an incident.
type IncidentRef struct {
	ID ids.Incident `json:"id"`
}

// NewIncident opens one.
type NewIncident struct {
	Title     string             `json:"title,omitzero"`
	Aware     time.Time          `json:"aware,omitzero"`
	Drill     bool               `json:"drill,omitzero"`
	HighRisk  bool               `json:"high_risk,omitzero"`
	Report    incident.Report    `json:"report,omitzero"`
	Scope     *incident.Selector `json:"scope,omitempty"`
	Customers []ids.Tenant       `json:"customers,omitempty"`
}

// IncidentDrafted changes what is given.
type IncidentDrafted struct {
	IncidentRef
	Title     *string            `json:"title,omitempty"`
	HighRisk  *bool              `json:"high_risk,omitempty"`
	Report    *incident.Report   `json:"report,omitempty"` // its empty parts stay as they are
	Scope     *incident.Selector `json:"scope,omitempty"`
	Customers []ids.Tenant       `json:"customers,omitempty"`
}

// IncidentTold puts on record that the authority or the persons were told.
type IncidentTold struct {
	IncidentRef
	Duty incident.Duty `json:"duty"`
	incident.Told
}

// Incident is an incident as it is printed.
type Incident struct {
	ID        ids.Incident        `json:"id"`
	Title     string              `json:"title"`
	State     incident.State      `json:"state"`
	Drill     bool                `json:"drill"`
	Aware     time.Time           `json:"aware"`
	Closed    time.Time           `json:"closed,omitzero"`
	Report    incident.Report     `json:"report"`
	HighRisk  bool                `json:"high_risk"`
	Missing   []string            `json:"missing"`
	Clocks    []IncidentClock     `json:"clocks"`
	Notices   []IncidentNotice    `json:"notices"`
	Customers []incident.Affected `json:"customers"`
	Unknown   []string            `json:"unknown"`
	Authority incident.Told       `json:"authority"`
	Persons   incident.Told       `json:"persons"`
	Acts      []incident.Act      `json:"acts"`
}

// IncidentClock is one of the three clocks.
type IncidentClock struct {
	Name     string            `json:"name"`
	Due      time.Time         `json:"due"`
	Met      time.Time         `json:"met,omitzero"`
	Standing incident.Standing `json:"standing"`
}

// IncidentNotice is the notice to one customer.
type IncidentNotice struct {
	Customer  ids.Tenant        `json:"customer"`
	Due       time.Time         `json:"due"`
	Sent      time.Time         `json:"sent,omitzero"`
	Delivered time.Time         `json:"delivered,omitzero"`
	Failed    time.Time         `json:"failed,omitzero"`
	NoContact bool              `json:"no_contact,omitzero"`
	Standing  incident.Standing `json:"standing"`
	Messages  []ids.Message     `json:"messages"`
}

// frozen refuses an export while an incident freezes it.
func (p *Parts) frozen(ctx context.Context, in scope.Scope) error {
	if p.Incidents == nil {
		return nil
	}
	return p.Incidents.Frozen(ctx, in)
}

// shownIncident prints one.
func (p *Parts) shownIncident(ctx context.Context, x incident.Incident, err error) (Incident, error) {
	if err != nil {
		return Incident{}, err
	}
	notices, err := p.Incidents.Notices(ctx, scope.Everyone, x.ID)
	v := Incident{
		ID: x.ID, Title: x.Title, State: x.State, Drill: x.Drill, Aware: x.Aware, Closed: x.Closed, Report: x.Report, HighRisk: x.HighRisk, Missing: x.Report.Missing(),
		Clocks: []IncidentClock{}, Notices: []IncidentNotice{}, Customers: x.Affected, Unknown: x.Unknown, Authority: x.Authority, Persons: x.Persons, Acts: x.Acts,
	}
	if v.Missing == nil {
		v.Missing = []string{}
	}
	for _, c := range p.Incidents.Clocks(&x, notices) {
		v.Clocks = append(v.Clocks, IncidentClock(c))
	}
	now := p.Clock.Now()
	for i := range notices {
		n := &notices[i]
		v.Notices = append(v.Notices, IncidentNotice{n.Tenant, n.Due, n.Sent, n.Delivered, n.Failed, n.NoContact, n.Standing(now), n.Messages})
	}
	return v, err
}

func (s *Server) incidents(mux *http.ServeMux, p Parts) {
	handle(s, mux, IncidentScope, func(ctx context.Context, in incident.Selector) (ScopeOfReads, error) {
		if p.Incidents == nil {
			return ScopeOfReads{}, absent("incidents")
		}
		found, err := p.Incidents.Scope(ctx, in, nil)
		return ScopeOfReads{found.Reads, found.Persons, found.Records(), found.Customers, found.Unknown}, err
	})
	stream(s, mux, IncidentPersons, func(ctx context.Context, in PersonsOf, w io.Writer) error {
		if p.Incidents == nil {
			return absent("incidents")
		}
		return p.Incidents.Persons(ctx, in.Selector, in.Recipient, w)
	})
	handle(s, mux, IncidentList, func(ctx context.Context, _ struct{}) ([]Incident, error) {
		if p.Incidents == nil {
			return nil, absent("incidents")
		}
		list, err := p.Incidents.List(ctx, 0, mostIncidents)
		out := make([]Incident, len(list))
		for i, x := range list {
			if err == nil {
				out[i], err = p.shownIncident(ctx, x, nil)
			}
		}
		return out, err
	})
	for op, do := range map[Op[IncidentRef, Incident]]func(context.Context, ids.Incident) (incident.Incident, error){
		IncidentShow: func(ctx context.Context, id ids.Incident) (incident.Incident, error) { return p.Incidents.Get(ctx, id) },
		IncidentNotify: func(ctx context.Context, id ids.Incident) (incident.Incident, error) {
			return p.Incidents.Notify(ctx, id, operator())
		},
		IncidentContain: func(ctx context.Context, id ids.Incident) (incident.Incident, error) {
			return p.Incidents.Contain(ctx, id, operator())
		},
		IncidentRelease: func(ctx context.Context, id ids.Incident) (incident.Incident, error) {
			return p.Incidents.Release(ctx, id, operator())
		},
		IncidentClose: func(ctx context.Context, id ids.Incident) (incident.Incident, error) {
			return p.Incidents.Close(ctx, id, operator())
		},
	} {
		handle(s, mux, op, func(ctx context.Context, in IncidentRef) (Incident, error) {
			if p.Incidents == nil {
				return Incident{}, absent("incidents")
			}
			x, err := do(ctx, in.ID)
			return p.shownIncident(ctx, x, err)
		})
	}
	s.openIncidents(mux, p)
}

// mostIncidents is how many incidents are listed at most.
const mostIncidents = 1000

// scoped takes a scope where one is asked for.
func (p *Parts) scoped(ctx context.Context, s *incident.Selector) (*incident.Scope, error) {
	if s == nil {
		return nil, nil //nolint:nilnil // no scope was asked for
	}
	found, err := p.Incidents.Scope(ctx, *s, nil)
	return &found, err
}

func (s *Server) openIncidents(mux *http.ServeMux, p Parts) {
	handle(s, mux, IncidentOpen, func(ctx context.Context, in NewIncident) (Incident, error) {
		if p.Incidents == nil {
			return Incident{}, absent("incidents")
		}
		found, err := p.scoped(ctx, in.Scope)
		if err != nil {
			return Incident{}, err
		}
		x, err := p.Incidents.Open(ctx, incident.Opening{
			Title: in.Title, Aware: in.Aware, Drill: in.Drill, HighRisk: in.HighRisk, Report: in.Report, Scope: found, Only: in.Customers,
		}, operator())
		return p.shownIncident(ctx, x, err)
	})
	handle(s, mux, IncidentDrill, func(ctx context.Context, in NewIncident) (Incident, error) {
		if p.Incidents == nil {
			return Incident{}, absent("incidents")
		}
		x, err := p.Incidents.Drill(ctx, in.Customers, operator())
		return p.shownIncident(ctx, x, err)
	})
	handle(s, mux, IncidentDraft, func(ctx context.Context, in IncidentDrafted) (Incident, error) {
		if p.Incidents == nil {
			return Incident{}, absent("incidents")
		}
		x, err := p.Incidents.Get(ctx, in.ID)
		if err != nil {
			return Incident{}, err
		}
		found, err := p.scoped(ctx, in.Scope)
		if err != nil {
			return Incident{}, err
		}
		c := incident.Draft{Title: in.Title, HighRisk: in.HighRisk, Scope: found, Only: in.Customers}
		if in.Report != nil {
			report := x.Report.With(*in.Report)
			c.Report = &report
		}
		x, err = p.Incidents.Draft(ctx, in.ID, c, operator())
		return p.shownIncident(ctx, x, err)
	})
	handle(s, mux, IncidentTell, func(ctx context.Context, in IncidentTold) (Incident, error) {
		if p.Incidents == nil {
			return Incident{}, absent("incidents")
		}
		x, err := p.Incidents.Tell(ctx, in.ID, in.Duty, in.Told, operator())
		return p.shownIncident(ctx, x, err)
	})
}

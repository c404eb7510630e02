package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/ending"
)

// Endings is protect/ending; app fills it.
type Endings interface {
	Plan(of ids.Tenant, closes time.Time) (due, deadline time.Time)
	Order(ctx context.Context, o ending.Order, by access.Principal) (ending.Ending, error)
	Undo(ctx context.Context, of ids.Tenant, by access.Principal) (ending.Ending, error)
	Live(ctx context.Context, of ids.Tenant) (ending.Ending, error)
	List(ctx context.Context, in scope.Scope, before ids.Certificate, limit int) ([]ending.Ending, error)
	Remains(ctx context.Context, e ending.Ending) (records int, until time.Time, err error)
	Exportable(ctx context.Context, of ids.Tenant, category string) error
	// Export writes the archive; the look is on record.
	Export(ctx context.Context, of ids.Tenant, by access.Principal, category string, w io.Writer) error
}

// Termination is the end of a contract, or with the state none what ordering it
// now would bring.
type Termination struct {
	ID          string                `json:"id,omitempty"`
	Customer    string                `json:"customer"`
	Name        string                `json:"name,omitempty" doc:"The customer's name, until it has ended."`
	State       string                `json:"state" enum:"none,ordered,exporting,waiting,destroying,ended,undone"`
	OrderedBy   string                `json:"ordered_by,omitempty" doc:"In which capacity."`
	OrderedAt   *time.Time            `json:"ordered_at"`
	EndsAt      time.Time             `json:"ends_at" doc:"The contract's end: nothing is sent or received from then on."`
	DestroyAt   time.Time             `json:"destroy_at" doc:"Until then the export can be fetched and the end undone; then everything is destroyed."`
	GoneBy      time.Time             `json:"gone_by" doc:"By when everything is gone, as the policy promises."`
	Undoable    bool                  `json:"undoable"`
	Late        bool                  `json:"late" doc:"Something should be gone and is not."`
	FetchedAt   *time.Time            `json:"fetched_at" doc:"When the export was last fetched."`
	EndedAt     *time.Time            `json:"ended_at" doc:"When it ended, or was undone."`
	Categories  []TerminationCategory `json:"categories" nullable:"false"`
	Remains     int                   `json:"remains" doc:"How many records a law still keeps, apart and sealed."`
	RemainsTo   *time.Time            `json:"remains_until" doc:"When the last of them goes."`
	Certificate json.RawMessage       `json:"certificate,omitempty" doc:"The certificate, once it has ended."`
}

// TerminationCategory is what became of one category.
type TerminationCategory struct {
	Category  string     `json:"category"`
	Read      int        `json:"read" doc:"Records that the export has."`
	Destroyed int        `json:"destroyed"`
	Kept      int        `json:"kept"`
	KeptUntil *time.Time `json:"kept_until"`
	Why       string     `json:"why,omitempty"`
}

type terminationOut struct{ Body Termination }

type terminationIn struct {
	Customer string `query:"customer" maxLength:"64" doc:"Without it the asker's own."`
}

type newTermination struct {
	Body struct {
		Customer     string     `json:"customer,omitempty" maxLength:"64" doc:"Without it the asker's own."`
		Confirm      string     `json:"confirm" maxLength:"200" doc:"The customer's name, so that none is ended by mistake."`
		EndsAt       *time.Time `json:"ends_at,omitempty" doc:"The contract's end; without it now."`
		DeleteAtOnce bool       `json:"delete_at_once,omitempty" doc:"Waive the days in which the export could be fetched and the end undone. Only the customer may; it also hastens an end that is ordered."`
	}
}

type undoTermination struct {
	Body struct {
		Customer string `json:"customer,omitempty" maxLength:"64" doc:"Without it the asker's own."`
	}
}

type exportIn struct {
	Category string `query:"category" maxLength:"64" doc:"One category only."`
}

func (a *API) terminationRoutes() {
	tag, p := "customers", access.ContractEnd
	register(a, op{id: "get-termination", method: http.MethodGet, path: "/v1/termination", summary: "How the end of the contract stands, or what ordering it now would bring", tag: tag, needs: p}, a.getTermination)
	register(a, op{id: "order-termination", method: http.MethodPost, path: "/v1/termination", summary: "Order the end of the contract", tag: tag, needs: p, status: http.StatusCreated, quiet: true}, a.orderTermination)
	register(a, op{id: "undo-termination", method: http.MethodPost, path: "/v1/termination/undo", summary: "Undo the end of the contract, until the destroying begins", tag: tag, needs: p, status: http.StatusOK, quiet: true}, a.undoTermination)
	register(a, op{id: "list-terminations", method: http.MethodGet, path: "/v1/terminations", summary: "List ends of contracts, those that were undone with them", tag: tag, needs: p}, a.listTerminations)
	register(a, op{id: "export-customer", method: http.MethodGet, path: "/v1/termination/export", summary: "Everything that is kept of the customer (ZIP): JSON and CSV for each category, mail as .eml; the look is in the evidence log", tag: tag, needs: access.ContractExport}, a.exportCustomer)
}

// whenClosed are the permissions whose changes a closed account may still make:
// what is needed to fetch the export, to undo the end and to answer persons.
var whenClosed = []access.Permission{
	access.SessionOwn, access.ContractEnd, access.ContractExport, access.SubjectsManage, access.MessagesDelete, access.QueueManage, access.TokensManage,
}

// stillOpen refuses what changes something for a customer whose contract is over.
func (a *API) stillOpen(ctx context.Context, who access.Principal, o op) error {
	if o.method == http.MethodGet || slices.Contains(whenClosed, o.needs) {
		return nil
	}
	return a.parts.Tenants.Active(ctx, who.Tenant)
}

func viewTermination(e ending.Ending, now time.Time) Termination {
	v := Termination{
		ID: e.ID.String(), Customer: e.Tenant.String(), Name: e.Name, State: string(e.State), OrderedBy: string(e.By), OrderedAt: when(e.Ordered),
		EndsAt: e.Closes.UTC(), DestroyAt: e.Due.UTC(), GoneBy: e.Deadline.UTC(), Undoable: e.State.Undoable(), Late: e.Late(now), FetchedAt: when(e.Fetched), EndedAt: when(e.Ended),
		Categories: []TerminationCategory{}, Certificate: e.Certificate,
	}
	for _, c := range e.Counts {
		if c.Read+c.Destroyed+c.Kept > 0 {
			v.Categories = append(v.Categories, TerminationCategory{c.Category, c.Read, c.Destroyed, c.Kept, when(c.Until), c.Why})
		}
	}
	return v
}

func (a *API) oneTermination(ctx context.Context, e ending.Ending, err error) (*terminationOut, error) {
	if err != nil {
		return nil, err
	}
	v := viewTermination(e, a.parts.Clock.Now())
	records, until, err := a.parts.Endings.Remains(ctx, e)
	v.Remains, v.RemainsTo = records, when(until)
	return &terminationOut{v}, err
}

// endOf is the customer whose contract is meant: the asker's own, or one that is
// named and lies in the asker's scope.
func (a *API) endOf(ctx context.Context, who Asker, customer string) (ids.Tenant, error) {
	if a.parts.Endings == nil {
		return 0, absent()
	}
	return a.whose(ctx, who, customer)
}

func (a *API) getTermination(ctx context.Context, who Asker, in *terminationIn) (*terminationOut, error) {
	of, err := a.endOf(ctx, who, in.Customer)
	if err != nil {
		return nil, err
	}
	e, err := a.parts.Endings.Live(ctx, of)
	if !fault.Is(err, fault.NotFound) {
		return a.oneTermination(ctx, e, err)
	}
	now := a.parts.Clock.Now().UTC()
	due, deadline := a.parts.Endings.Plan(of, now)
	return &terminationOut{Termination{Customer: of.String(), State: "none", EndsAt: now, DestroyAt: due.UTC(), GoneBy: deadline.UTC(), Categories: []TerminationCategory{}}}, nil
}

func (a *API) orderTermination(ctx context.Context, who Asker, in *newTermination) (*terminationOut, error) {
	b := &in.Body
	of, err := a.endOf(ctx, who, b.Customer)
	if err != nil {
		return nil, err
	}
	o := ending.Order{Tenant: of, AtOnce: b.DeleteAtOnce, Confirm: b.Confirm}
	if b.EndsAt != nil {
		o.At = *b.EndsAt
	}
	e, err := a.parts.Endings.Order(ctx, o, who.Principal)
	return a.oneTermination(ctx, e, err)
}

func (a *API) undoTermination(ctx context.Context, who Asker, in *undoTermination) (*terminationOut, error) {
	of, err := a.endOf(ctx, who, in.Body.Customer)
	if err != nil {
		return nil, err
	}
	e, err := a.parts.Endings.Undo(ctx, of, who.Principal)
	return a.oneTermination(ctx, e, err)
}

func (a *API) listTerminations(ctx context.Context, who Asker, in *Paging) (*pageOut[Termination], error) {
	if a.parts.Endings == nil {
		return nil, absent()
	}
	now := a.parts.Clock.Now()
	return pageOf(a, listing("terminations", who), *in, func(before int64, limit int) ([]ending.Ending, error) {
		return a.parts.Endings.List(ctx, who.Scope, ids.Certificate(before), limit)
	}, func(e ending.Ending) int64 { return int64(e.ID) }, func(e ending.Ending) Termination { return viewTermination(e, now) })
}

// exportCustomer streams the archive. One that breaks off has no directory at its
// end, so that nobody takes a part for the whole.
func (a *API) exportCustomer(ctx context.Context, who Asker, in *exportIn) (*stream, error) {
	if a.parts.Endings == nil {
		return nil, absent()
	}
	if err := a.frozen(ctx, scope.Tenant(who.Tenant)); err != nil {
		return nil, err
	}
	if err := a.parts.Endings.Exportable(ctx, who.Tenant, in.Category); err != nil {
		return nil, err
	}
	name := ending.ExportName(who.Tenant, a.parts.Clock.Now())
	return a.archive(name, "export-customer", func(ctx context.Context, w io.Writer) error {
		return a.parts.Endings.Export(ctx, who.Tenant, who.Principal, in.Category, w)
	}), nil
}

// endingAlerts names the ends that are ordered, and those that are late.
func (a *API) endingAlerts(ctx context.Context, in scope.Scope) ([]Alert, error) {
	if a.parts.Endings == nil {
		return nil, nil
	}
	const most = 100
	ends, err := a.parts.Endings.List(ctx, in, 0, most)
	var list []Alert
	now := a.parts.Clock.Now()
	for _, e := range ends {
		switch {
		case e.Late(now):
			list = append(list, Alert{"contract", "The data of " + e.Tenant.String() + " was to be gone by " + e.Deadline.UTC().Format(time.DateOnly) + " and is not; the server's log says why."})
		case e.State.Undoable():
			list = append(list, Alert{"contract", fmt.Sprintf("The contract of %s ends on %s; its data is destroyed on %s. Until then the export can be fetched and the end undone.", e.Name, e.Closes.UTC().Format(time.DateOnly), e.Due.UTC().Format(time.DateOnly))})
		}
	}
	return list, err
}

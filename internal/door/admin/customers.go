package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/ending"
	"mailvow/internal/protect/evidence"
)

// Endings is protect/ending.
type Endings interface {
	Order(ctx context.Context, o ending.Order) (ending.Ending, error)
	Undo(ctx context.Context, of ids.Tenant, by evidence.Role) (ending.Ending, error)
	Live(ctx context.Context, of ids.Tenant) (ending.Ending, error)
	List(ctx context.Context, in scope.Scope, before ids.Certificate, limit int) ([]ending.Ending, error)
	Remains(ctx context.Context, e ending.Ending) (records int, until time.Time, err error)
	Export(ctx context.Context, of ids.Tenant, by evidence.Actor, category string, w io.Writer) error
	Lines(ctx context.Context, id ids.Certificate, by evidence.Actor, yield func(category string, lines []byte) error) error
}

// The operations of customers.
const (
	CustomerList   Op[CustomerRef, []Customer]  = "customer/list"
	CustomerAdd    Op[NewCustomer, Customer]    = "customer/add"
	CustomerEnd    Op[CustomerRef, Ending]      = "customer/end"
	CustomerUndo   Op[CustomerRef, Ending]      = "customer/undo"
	CustomerState  Op[CustomerRef, []Ending]    = "customer/state"
	CustomerExport Op[CustomerRef, io.Reader]   = "customer/export"
	CustomerKept   Op[CustomerRef, []KeptByLaw] = "customer/kept"
)

// CustomerRef names a customer, or with the zero id all.
type CustomerRef struct {
	Customer ids.Tenant `json:"customer,omitzero"`
	Confirm  string     `json:"confirm,omitempty"`  // the name, for CustomerEnd
	At       time.Time  `json:"at,omitzero"`        // the contract's end; zero: now
	Category string     `json:"category,omitempty"` // of an export
}

// NewCustomer is who is to be added; an empty region is this server's.
type NewCustomer struct {
	Name   string `json:"name"`
	Region string `json:"region,omitempty"`
}

// Customer is a customer as it is printed.
type Customer struct {
	ID      ids.Tenant `json:"id"`
	Name    string     `json:"name"`
	State   string     `json:"state"`
	Region  string     `json:"region"`
	Created time.Time  `json:"created"`
	Closes  time.Time  `json:"closes,omitzero"`
}

// Ending is the end of a contract as it is printed.
type Ending struct {
	ID          ids.Certificate  `json:"id"`
	Customer    ids.Tenant       `json:"customer"`
	Name        string           `json:"name,omitempty"`
	State       ending.State     `json:"state"`
	By          evidence.Role    `json:"ordered_by"`
	Ordered     time.Time        `json:"ordered"`
	Closes      time.Time        `json:"closes"`
	Due         time.Time        `json:"destroy_at"`
	Deadline    time.Time        `json:"gone_by"`
	Late        bool             `json:"late"`
	Fetched     time.Time        `json:"fetched,omitzero"`
	Ended       time.Time        `json:"ended,omitzero"`
	Counts      []ending.Counted `json:"categories"`
	Remains     int              `json:"remains"`
	RemainsTo   time.Time        `json:"remains_until,omitzero"`
	Certificate json.RawMessage  `json:"certificate,omitempty"`
}

// KeptByLaw is one line of what a law keeps of an ended customer.
type KeptByLaw struct {
	Category string          `json:"category"`
	Record   json.RawMessage `json:"record"`
}

func (s *Server) customers(mux *http.ServeMux, p Parts) {
	one := func(ctx context.Context, e ending.Ending, err error) (Ending, error) {
		if err != nil {
			return Ending{}, err
		}
		x := Ending{
			ID: e.ID, Customer: e.Tenant, Name: e.Name, State: e.State, By: e.By, Ordered: e.Ordered, Closes: e.Closes, Due: e.Due, Deadline: e.Deadline,
			Late: e.Late(p.Clock.Now()), Fetched: e.Fetched, Ended: e.Ended, Counts: e.Counts, Certificate: e.Certificate,
		}
		x.Remains, x.RemainsTo, err = p.Endings.Remains(ctx, e)
		return x, err
	}
	handle(s, mux, CustomerList, func(ctx context.Context, in CustomerRef) ([]Customer, error) {
		if p.Tenants == nil {
			return nil, absent("customers")
		}
		list, err := p.Tenants.List(ctx, scopeOf(in.Customer), 1<<63-1, mostCustomers)
		out := []Customer{}
		for _, t := range list {
			if t.Parent != 0 {
				out = append(out, Customer{t.ID, t.Name, string(t.State), t.Region, t.Created, t.Closes})
			}
		}
		return out, err
	})
	act(s, mux, p, CustomerAdd, func(_ NewCustomer, out Customer) string { return out.ID.String() }, func(ctx context.Context, in NewCustomer) (Customer, error) {
		if p.Tenants == nil {
			return Customer{}, absent("customers")
		}
		t, err := p.Tenants.Add(ctx, in.Name, in.Region)
		return Customer{t.ID, t.Name, string(t.State), t.Region, t.Created, t.Closes}, err
	})
	handle(s, mux, CustomerEnd, func(ctx context.Context, in CustomerRef) (Ending, error) {
		if p.Endings == nil {
			return Ending{}, absent("contracts")
		}
		e, err := p.Endings.Order(ctx, ending.Order{Tenant: in.Customer, At: in.At, By: evidence.ByOperator, Confirm: in.Confirm})
		return one(ctx, e, err)
	})
	handle(s, mux, CustomerUndo, func(ctx context.Context, in CustomerRef) (Ending, error) {
		if p.Endings == nil {
			return Ending{}, absent("contracts")
		}
		e, err := p.Endings.Undo(ctx, in.Customer, evidence.ByOperator)
		return one(ctx, e, err)
	})
	handle(s, mux, CustomerState, func(ctx context.Context, in CustomerRef) ([]Ending, error) {
		if p.Endings == nil {
			return nil, absent("contracts")
		}
		list, err := p.Endings.List(ctx, scopeOf(in.Customer), 0, mostCustomers)
		out := make([]Ending, len(list))
		for i, e := range list {
			if err == nil {
				out[i], err = one(ctx, e, nil)
			}
		}
		return out, err
	})
	s.customerFiles(mux, p)
}

func (s *Server) customerFiles(mux *http.ServeMux, p Parts) {
	stream(s, mux, CustomerExport, func(ctx context.Context, in CustomerRef, w io.Writer) error {
		if p.Endings == nil {
			return absent("contracts")
		}
		if err := p.frozen(ctx, scopeOf(in.Customer)); err != nil {
			return err
		}
		return p.Endings.Export(ctx, in.Customer, operator(), in.Category, w)
	})
	stream(s, mux, CustomerKept, func(ctx context.Context, in CustomerRef, w io.Writer) error {
		if p.Endings == nil {
			return absent("contracts")
		}
		e, err := p.Endings.Live(ctx, in.Customer)
		if err != nil {
			return err
		}
		out := json.NewEncoder(w)
		return p.Endings.Lines(ctx, e.ID, operator(), func(category string, lines []byte) error {
			for line := range bytes.Lines(lines) {
				if err := out.Encode(KeptByLaw{category, bytes.TrimSpace(line)}); err != nil {
					return fault.Wrap(err, "write what a law keeps")
				}
			}
			return nil
		})
	})
}

// mostCustomers is how many customers are listed at most.
const mostCustomers = 1000

package lawful

import (
	"context"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
)

// Report is the transparency report: counts, and nothing that names a case.
type Report struct {
	// None is the sentence that stands there while there is nothing to report.
	None    string    `json:"none,omitempty"`
	At      time.Time `json:"at"`
	Total   int64     `json:"total"`
	Persons int64     `json:"persons"` // whose data was given
	// Customers are those whose data was asked for, by their number.
	Customers int64  `json:"customers"`
	Years     []Year `json:"years"`
}

// Year is one calendar year (UTC) of the report.
type Year struct {
	Year      int              `json:"year"`
	Total     int64            `json:"total"`
	Persons   int64            `json:"persons"`
	States    map[State]int64  `json:"states"`
	Kinds     map[Kind]int64   `json:"kinds"`
	Countries map[string]int64 `json:"countries"`
}

// NoneYet is what the report says while the register is empty.
const NoneYet = "No authority has asked for data so far."

// Report counts the register of a scope. What probes entered counts only for
// their own customer.
func (s *Store) Report(ctx context.Context, in scope.Scope) (Report, error) {
	r := Report{At: s.Clock.Now().UTC(), Years: []Year{}}
	var out ids.Tenant
	customers := map[ids.Tenant]bool{}
	if s.LeftOut != nil && in.All() {
		out = s.LeftOut()
	}
	all, own := in.Args()
	err := s.set.Each(ctx, "counted", []any{all, own, out}, func(scan func(...any) error) error {
		var x Request
		var received int64
		if err := scan(&x.Customer, &x.Kind, &x.State, &x.Country, &received, &x.Persons); err != nil {
			return err
		}
		if x.Customer != 0 && !customers[x.Customer] {
			customers[x.Customer] = true
			r.Customers++
		}
		r.add(clock.FromMicros(received).UTC().Year(), x)
		return nil
	})
	if r.Total == 0 {
		r.None = NoneYet
	}
	return r, fault.Wrap(err, "count the register")
}

func (r *Report) add(year int, x Request) {
	i := 0
	for i < len(r.Years) && r.Years[i].Year != year {
		i++
	}
	if i == len(r.Years) {
		r.Years = append(r.Years, Year{Year: year, States: map[State]int64{}, Kinds: map[Kind]int64{}, Countries: map[string]int64{}})
	}
	y := &r.Years[i]
	r.Total, y.Total = r.Total+1, y.Total+1
	r.Persons, y.Persons = r.Persons+x.Persons, y.Persons+x.Persons
	y.States[x.State]++
	y.Kinds[x.Kind]++
	y.Countries[x.Country]++
}

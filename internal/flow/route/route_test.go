package route_test

import (
	"context"
	"testing"

	"mailvow/internal/base/address"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/route"
)

type ours string

func (o ours) Takes(_ context.Context, a address.Address) (bool, error) {
	return a.Domain() == string(o), nil
}

func TestTable(t *testing.T) {
	t.Parallel()
	host := func(h string) deliver.Route { return deliver.Route{Kind: deliver.Host, Hosts: []string{h}} }
	table := &route.Table{Ours: ours("in.test"), Static: []route.Static{{"*.corp.test", host("a:25")}, {"corp.test", host("b:25")}}}
	for _, c := range []struct {
		to   string
		kind deliver.RouteKind
		host string
	}{
		{"x@in.test", deliver.Local, ""},
		{"x@deep.er.corp.test", deliver.Host, "a:25"},
		{"x@corp.test", deliver.Host, "b:25"},
		{"x@notcorp.test", deliver.MX, ""},
	} {
		a, err := address.Parse(c.to)
		if err != nil {
			t.Fatal(err)
		}
		got, err := table.Route(t.Context(), 1, a)
		if err != nil || got.Kind != c.kind || (c.host != "" && got.Hosts[0] != c.host) {
			t.Errorf("%s: %+v, %v", c.to, got, err)
		}
	}
	table.Otherwise = deliver.Route{Kind: deliver.Caught}
	a, _ := address.Parse("x@far.test")
	if got, _ := table.Route(t.Context(), 1, a); got.Kind != deliver.Caught {
		t.Errorf("otherwise: %+v", got)
	}
}

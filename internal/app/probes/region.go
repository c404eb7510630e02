package probes

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/product/trust/supply"
)

// awayRegion is a region that nobody's server stands in.
func (x *scene) awayRegion() string { return "away-" + strings.ToLower(x.word[:16]) }

// regions tries to add, move and serve a customer of another region, to write to a
// store there, and to promise another place; then it reads the published list.
func (s *Server) regions(ctx context.Context) (pledge.Status, string, error) {
	return s.supplied(ctx, func(x *scene) (verdict, error) {
		for _, step := range []func(context.Context) (verdict, error){x.nobodyMoves, x.storeElsewhere, x.listedInUse, x.notServedElsewhere} {
			if v, err := step(ctx); err != nil || v.status != "" {
				return v, err
			}
		}
		return good("a customer of another region was refused when the operator added it, when an existing one was to be moved, and, under that region's name, at the API, at submission and at the mail door; a store that the configuration puts there was refused, on this very machine, with no entry and with one that names another region, and reached with one that names it; a policy that leaves out %s was refused; what is in use is on the published list", s.Region), nil
	})
}

// nobodyMoves adds a customer of another region, moves the canary there, and
// promises the canary a place that this server is not in.
func (x *scene) nobodyMoves(ctx context.Context) (verdict, error) {
	c, err := x.colleague(ctx)
	if err != nil {
		return verdict{}, err
	}
	status, answer, err := x.as(ctx, c, http.MethodPost, "/v1/customers", map[string]string{"name": "Canary " + x.word, "region": x.awayRegion()})
	if err != nil {
		return verdict{}, err
	}
	if status == http.StatusCreated {
		x.undoCustomer(ctx, answer)
	}
	if status != http.StatusUnprocessableEntity || !strings.Contains(answer, "body.region") {
		return bad("a customer of another region was answered %d", status), nil
	}
	status, _, err = x.as(ctx, c, http.MethodPatch, "/v1/customers/"+x.Tenant.String(), map[string]string{"region": x.awayRegion()})
	if err != nil || status != http.StatusConflict {
		return bad("a customer who was to move to another region was answered %d", status), err
	}
	undo, err := x.Policy(ctx, x.Canary, "places: ["+x.awayRegion()+"]")
	if err == nil {
		undo()
		return bad("a policy by which data may be in another region alone was published"), nil
	}
	if !fault.Is(err, fault.Invalid) {
		return verdict{}, err
	}
	return verdict{}, nil
}

// undoCustomer ends a customer that there should not be.
func (x *scene) undoCustomer(ctx context.Context, answer string) {
	var made struct {
		ID string `json:"id"`
	}
	if json.Unmarshal([]byte(answer), &made) != nil {
		return
	}
	if id, err := ids.Parse[ids.Tenant](made.ID); err == nil {
		x.undo = append(x.undo, func() { _ = x.Leave(context.WithoutCancel(ctx), id) })
	}
}

// storeElsewhere speaks to a listener of this machine's as to a store of the
// operator's that stands in another region.
func (x *scene) storeElsewhere(ctx context.Context) (verdict, error) {
	x.clean(ctx)
	store := x.endpoint.listener.Addr().String()
	try := func(region string) error { return x.Supply.Try(ctx, canaryPurpose, store, region, x.Tenant) }
	if err := try(x.Region); err != nil {
		return bad("a store in this server's own region is refused, so that refusals show nothing: %v", err), nil
	}
	if err := try(x.awayRegion()); !fault.Is(err, fault.Denied) {
		return bad("a store in another region was let out with no entry"), nil
	}
	for region, covers := range map[string]bool{"": false, "somewhere-else": false, x.awayRegion(): true} {
		e := x.vendor()
		e.Endpoints, e.Region = []string{store}, region
		if err := x.Supply.Drop(ctx, x.Canary); err != nil {
			return verdict{}, err
		}
		if err := x.Supply.Enact(ctx, x.Canary, e); err != nil {
			return verdict{}, err
		}
		switch err := try(x.awayRegion()); {
		case covers && err != nil:
			return bad("a store in another region is refused though its entry lacks nothing, so that the refusals show nothing: %v", err), nil
		case !covers && !fault.Is(err, fault.Denied):
			return bad("a store in another region was let out by an entry that names %q", region), nil
		}
	}
	return verdict{}, nil
}

// published is one sub-processor as everybody may read it.
type published struct {
	Current *struct {
		Entry supply.Entry `json:"entry"`
	} `json:"current"`
}

// listedInUse looks for every entry in use in what everybody may read.
func (x *scene) listedInUse(ctx context.Context) (verdict, error) {
	status, b, err := x.visit(ctx, http.MethodGet, "/trust/sub-processors.json", nil)
	if err != nil || status != http.StatusOK {
		return bad("the published list of sub-processors is answered %d", status), err
	}
	var list struct {
		Items []published `json:"sub_processors"`
	}
	if err := json.Unmarshal(b, &list); err != nil {
		return bad("the published list of sub-processors cannot be read"), nil //nolint:nilerr // that is the finding
	}
	for _, e := range x.Supply.Endpoints(ctx) {
		if e.Entry == "" {
			continue
		}
		i := slices.IndexFunc(list.Items, func(one published) bool {
			return one.Current != nil && one.Current.Entry.Name == e.Entry
		})
		if i < 0 {
			return bad("%s is covered by %q, which is not on the published list", e.Destination, e.Entry), nil
		}
		if on := list.Items[i].Current.Entry; on.Country == "" || e.Region != "" && on.Region != e.Region {
			return bad("%s is in %q by the configuration, and the published list says %q, %q of it", e.Destination, e.Region, on.Region, on.Country), nil
		}
	}
	return verdict{}, nil
}

// notServedElsewhere puts the canary under another region's name and goes to every
// door with what it signs in with.
func (x *scene) notServedElsewhere(ctx context.Context) (verdict, error) {
	if status, err := x.call(ctx, http.MethodGet, "/v1/routes", nil, nil); err != nil || status != http.StatusOK {
		return bad("the canary in its own region is answered %d, so that refusals show nothing", status), err
	}
	back, err := x.Pin(ctx, x.Canary, x.awayRegion())
	defer back()
	if err != nil {
		return verdict{}, err
	}
	if status, err := x.call(ctx, http.MethodGet, "/v1/routes", nil, nil); err != nil || status != http.StatusForbidden {
		return bad("a customer of another region is served by the API: %d", status), err
	}
	if _, err := x.submit(ctx, "submission", x.sender(), x.outward()); err == nil {
		return bad("a customer of another region may submit mail"), nil
	}
	if _, err := x.arrive(ctx); err == nil {
		return bad("mail is taken for a customer of another region"), nil
	}
	return verdict{}, nil
}

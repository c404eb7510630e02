package probes

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/inventory"
)

// recipient is what the API says of somebody who gets data.
type recipient struct {
	Kind     string   `json:"kind"`
	Name     string   `json:"name"`
	Purposes []string `json:"purposes"`
	Own      []string `json:"own_purposes"`
	Host     string   `json:"host"`
}

func (x *scene) recipients(ctx context.Context) ([]recipient, error) {
	var list struct {
		Items []recipient `json:"items"`
	}
	err := x.must(ctx, http.MethodGet, "/v1/recipients", nil, &list)
	return list.Items, err
}

// noSale tries to give data to those who would use it for themselves, and compares
// the list of recipients with the register and with the canary's routes.
func (s *Server) noSale(ctx context.Context) (pledge.Status, string, error) {
	return s.supplied(ctx, func(x *scene) (verdict, error) {
		x.clean(ctx)
		list, err := x.purposes(ctx)
		if err != nil {
			return verdict{}, err
		}
		if why, err := x.grounds(ctx, list); err != nil || why != "" {
			return bad("%s", why), err
		}
		if why, err := x.sellersRefused(ctx); err != nil || why != "" {
			return bad("%s", why), err
		}
		line, why, err := x.listedWhole(ctx)
		if err != nil || why != "" {
			return bad("%s", why), err
		}
		return good("there is no purpose of marketing; a sub-processor and an endpoint with a purpose of marketing of its own were refused, by the register, when a route was made and when it was changed; %s", line), nil
	})
}

// sellersRefused tries to enter recipients who market for themselves.
func (x *scene) sellersRefused(ctx context.Context) (string, error) {
	seller, broker := x.vendor(), x.vendor()
	seller.Own = []string{"marketing"}
	broker.Purposes = []string{"advertising to recipients"}
	for what, e := range map[string]func() error{
		"uses data for marketing of its own": func() error { _, err := x.Supply.Announce(ctx, x.Canary, seller, time.Time{}); return err },
		"gets data to advertise":             func() error { _, err := x.Supply.Announce(ctx, x.Canary, broker, time.Time{}); return err },
	} {
		if err := e(); !fault.Is(err, fault.Invalid) {
			return fmt.Sprintf("a sub-processor that %s was taken into the register (%v)", what, err), nil
		}
	}
	hook := func(more map[string]any) map[string]any {
		w := map[string]any{"url": "http://" + x.endpoint.listener.Addr().String() + "/list", "recipient": "Canary Lists " + x.word}
		maps.Copy(w, more)
		return w
	}
	for _, more := range []map[string]any{{"own_purposes": []string{"marketing"}}, {"purpose": "direct marketing of their own products"}} {
		in := map[string]any{"recipient": x.at("list-", x.Domain).Text(), "webhook": hook(more)}
		status, b, err := x.exchange(ctx, http.MethodPost, "/v1/routes", in)
		if err != nil || status != http.StatusUnprocessableEntity || !strings.Contains(string(b), "marketing") {
			return fmt.Sprintf("a route to an endpoint with %v is answered %d", slices.Sorted(maps.Keys(more)), status), err
		}
	}
	change := map[string]any{"webhook": map[string]any{"for": map[string]any{"own_purposes": []string{"marketing"}}}}
	status, err := x.call(ctx, http.MethodPatch, "/v1/routes/"+x.route, change, nil)
	if err != nil || status != http.StatusUnprocessableEntity {
		return fmt.Sprintf("giving an endpoint a marketing purpose of its own is answered %d", status), err
	}
	return "", nil
}

// listedWhole compares the list of recipients with the register in force, with the
// routes, and with whom this server spoke to.
func (x *scene) listedWhole(ctx context.Context) (line, wrong string, err error) {
	desk := map[string]any{"webhook": map[string]any{"for": map[string]any{"recipient": "Canary Desk " + x.word, "purpose": "answer what is asked", "own_purposes": []string{"legal duty"}}}}
	if err := x.must(ctx, http.MethodPatch, "/v1/routes/"+x.route, desk, nil); err != nil {
		return "", "", err
	}
	if err := x.Supply.Enact(ctx, x.Canary, x.vendor()); err != nil {
		return "", "", err
	}
	if _, err := x.arrivedWhole(ctx); err != nil {
		return "", "", err
	}
	list, err := x.recipients(ctx)
	if err != nil {
		return "", "", err
	}
	register, err := x.subProcessorsShown(ctx)
	if err != nil {
		return "", "", err
	}
	want := []string{"endpoint " + x.endpoint.listener.Addr().String() + " Canary Desk " + x.word + " to answer what is asked"}
	for _, p := range register {
		if p.State == "in_force" {
			want = append(want, "sub_processor "+p.Entry.Name)
		}
	}
	var have []string
	for _, r := range list {
		text := r.Kind + " " + r.Name
		if r.Kind == "endpoint" {
			text = r.Kind + " " + r.Host + " " + r.Name + " to " + strings.Join(r.Purposes, ", ")
		}
		have = append(have, text)
		if len(r.Purposes) == 0 {
			return "", "the recipient " + r.Name + " has no purpose", nil
		}
	}
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(want, have) {
		return "", fmt.Sprintf("the list of recipients has %d entries, and register and routes %d: %s", len(have), len(want), strings.Join(differ(have, want), "; ")), nil
	}
	spoken, wrong := x.flows()
	return fmt.Sprintf("the list of the %d recipients of the canary's data, each with its purpose, equals the register in force and the canary's route; %s", len(list), spoken), wrong, nil
}

// differ names up to three entries that only one of two lists has.
func differ(a, b []string) []string {
	var out []string
	for _, pair := range [][2][]string{{a, b}, {b, a}} {
		for _, s := range pair[0] {
			if !slices.Contains(pair[1], s) && len(out) < 3 {
				out = append(out, s)
			}
		}
	}
	return out
}

// legalBasis looks at what each category rests on, and stops a processing by an
// objection and by a withdrawal.
func (s *Server) legalBasis(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		counts, why, err := x.bases(ctx)
		if err != nil || why != "" {
			return bad("%s", why), err
		}
		p, err := x.person(ctx)
		if err != nil {
			return verdict{}, fault.Wrap(err, "make a canary person")
		}
		for _, kind := range []string{"withdrawal", "objection"} {
			p.stopped = p.unlooked
			if v, err := p.halted(kind, "subject.objected")(ctx); err != nil || v.status != "" {
				return v, fault.Wrap(err, kind)
			}
		}
		return good("every category of the inventory rests on one of the four bases (%s), and one with another is refused; %s; after each, looking the person up by their address, which rests on legitimate interest, was refused, and went on when it was lifted; what rests on consent stops by the same switch, and in this version no category does", counts, strings.Join(p.notes, "; ")), nil
	})
	return v.end(err)
}

// bases counts the categories by basis as the API shows them, and tries to declare
// one with a basis of another kind.
func (x *scene) bases(ctx context.Context) (line, wrong string, err error) {
	var list []struct {
		Category string `json:"category"`
		Whose    string `json:"whose"`
		Basis    string `json:"basis"`
	}
	if err := x.must(ctx, http.MethodGet, "/v1/inventory", nil, &list); err != nil {
		return "", "", err
	}
	if len(list) != len(x.Inventory.Entries()) {
		return "", fmt.Sprintf("the inventory shows %d categories of %d", len(list), len(x.Inventory.Entries())), nil
	}
	by := map[string]int{}
	for _, c := range list {
		known := slices.Contains(pledge.Bases(), pledge.Basis(c.Basis))
		if c.Whose == string(pledge.Nobody) && c.Basis == string(pledge.NotPersonal) {
			continue
		}
		if !known {
			return "", fmt.Sprintf("%s rests on %q", c.Category, c.Basis), nil
		}
		name, _, _ := strings.Cut(c.Basis, ",")
		by[name]++
	}
	for _, e := range x.Inventory.Entries() {
		c := e.Category
		c.Basis = "habit"
		if _, err := inventory.Join(pledge.Declaration{Package: "probe", Categories: []pledge.Category{c}}); err == nil {
			return "", e.Name + " could be declared on a basis that is none", nil
		}
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, fmt.Sprintf("%d on %s", by[name], name))
	}
	return strings.Join(parts, ", "), "", nil
}

// unlooked looks for the person by their address, as the customer does.
func (p *canaryPerson) unlooked(ctx context.Context, halted bool) (string, error) {
	status, err := p.call(ctx, http.MethodGet, "/v1/messages?"+url.Values{"sender": {p.who.Text()}}.Encode(), nil, nil)
	switch {
	case err != nil:
		return "", err
	case halted && status != http.StatusForbidden:
		return fmt.Sprintf("the person is still looked up by their address (%d)", status), nil
	case !halted && status != http.StatusOK:
		return fmt.Sprintf("looking the person up is answered %d", status), nil
	}
	return "", nil
}

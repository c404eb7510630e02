package inbound

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/lab"
)

// TestARouteIsItsPersonsToo: found, handed over without the secret, and erased
// within the scope; routes of others and of the whole domain stay.
func TestARouteIsItsPersonsToo(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ owns, clock *lab.Clock) {
		s.mustAdd(t, acme, "bob@in.example", "https://hooks.example/bob?key=1")
		s.mustAdd(t, acme, "bob+*@in.example", "https://hooks.example/subs")
		for _, others := range []string{"*@in.example", "bobby@in.example", "ann+*@in.example"} {
			s.mustAdd(t, acme, others, "https://hooks.example/others")
		}
		asked := clock.Now()
		clock.Wind(time.Second)
		bob := pledge.Subject{Scope: scope.Tenant(acme), Address: mail(t, "Bob+news@in.example")}
		if got, err := s.Find(t.Context(), bob); err != nil || len(got) != 1 || got[0].Count != 1 {
			t.Errorf("of a sub-address: %+v, %v", got, err) // its own pattern has no route
		}
		bob.Address = mail(t, "Bob@in.example")
		var said []string
		err := s.HandOver(t.Context(), bob, func(r pledge.Record) error {
			said = append(said, r.Fields["recipient"]+" "+r.Fields["handed_to"])
			for _, v := range r.Fields {
				if strings.Contains(v, "whsec") || strings.Contains(v, "key=1") {
					t.Errorf("handed over: %q", v)
				}
			}
			return nil
		})
		if diff := cmp.Diff([]string{"bob@in.example hooks.example", "bob+*@in.example hooks.example"}, said); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		for name, nobody := range map[string]pledge.Subject{
			"another customer": {Scope: scope.Tenant(other), Address: bob.Address},
			"made later":       {Scope: scope.Everyone, Address: bob.Address, Before: asked},
			"nobody":           {Scope: scope.Everyone},
		} {
			if got, err := s.Erase(t.Context(), nobody); err != nil || len(got) != 0 {
				t.Errorf("%s erased %+v, %v", name, got, err)
			}
		}
		for _, want := range [][]pledge.Erased{{{Category: routes, Count: 2}}, nil} {
			got, err := s.Erase(t.Context(), bob)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		}
		if r, err := s.Match(t.Context(), bob.Address); err != nil || r.Pattern != "*@in.example" {
			t.Errorf("afterwards %q takes the mail, %v", r.Pattern, err)
		}
		left, err := s.List(t.Context(), scope.Everyone, 0, 10)
		if err != nil || len(left) != 3 {
			t.Errorf("%d routes are left, %v", len(left), err)
		}
		if _, err := s.Get(t.Context(), scope.Tenant(acme), left[0].ID); fault.Is(err, fault.NotFound) {
			t.Error("a route of somebody else went")
		}
	})
}

package pledge_test

import (
	"strings"
	"testing"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
)

func TestNobodyGetsDataToMarketSomething(t *testing.T) {
	t.Parallel()
	for _, r := range []pledge.Recipient{
		{}, {Name: "Example Desk GmbH", Purpose: "answer what is asked", Own: []string{"billing", "legal duty"}}, {Own: pledge.OwnPurposes()},
	} {
		if err := r.Check("webhook"); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
	for field, r := range map[string]pledge.Recipient{
		"webhook.own_purposes": {Own: []string{"marketing"}},
		"webhook.purpose":      {Purpose: "Direct Marketing of theirs"},
		"webhook.recipient":    {Name: "ann@example.net"},
	} {
		err := r.Check("webhook")
		if _, at := fault.Public(err); !fault.Is(err, fault.Invalid) || at != field {
			t.Errorf("%+v: %v at %q", r, err, at)
		}
	}
	for _, p := range pledge.Purposes() {
		if strings.Contains(p.What+string(p.Name), "marketing") || (p.Ground == pledge.ByLaw) != (p.Law != "") || (p.Ground == pledge.Instructed) != (p.Stops != "") {
			t.Errorf("%+v", p)
		}
	}
}

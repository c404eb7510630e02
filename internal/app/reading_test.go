package app_test

import (
	"slices"
	"testing"

	"mailvow/internal/app/stored"
	"mailvow/internal/base/pledge"
	"mailvow/internal/door/admin"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/protect/reads"
)

// TestWhatIsReadIsInTheInventory: the doors name categories that are there, of
// somebody's data.
func TestWhatIsReadIsInTheInventory(t *testing.T) {
	t.Parallel()
	i, err := stored.Inventory()
	if err != nil {
		t.Fatal(err)
	}
	named := slices.Concat(httpapi.ReadCategories(), admin.ReadCategories())
	if len(named) < 15 {
		t.Fatalf("only %v are named", named)
	}
	for _, name := range named {
		if k, ok := i.Category(name); name != reads.Any && (!ok || k.About == pledge.Nobody) {
			t.Errorf("%q is no category of personal data", name)
		}
	}
}

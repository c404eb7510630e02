package app

import (
	"testing"
	"time"

	"mailvow/internal/base/pledge"
	"mailvow/internal/lab"
)

// rightsProbed are the promises about the rights of people.
var rightsProbed = []string{"ca-rights", "cj-rights", "mb-rights7", "cl-rights", "mb-ccpa", "mb-erase"}

func TestRightsAreKept(t *testing.T) {
	long(t)
	t.Parallel()
	for name, dsn := range map[string]func() string{"sqlite": func() string { return "" }, "postgres": func() string { return lab.Postgres(t) }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := running(t, dsn(), func(h *House) { h.probed.Patience = 10 * time.Second })
			for _, id := range rightsProbed {
				if f := h.check(t, id); f.Status != pledge.Kept {
					t.Errorf("%s: %s: %s", f.ID, f.Status, f.Evidence)
				}
			}
		})
	}
}

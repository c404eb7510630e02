package app

import (
	"testing"
	"time"

	"mailvow/internal/base/pledge"
)

// rightsProbed are the promises about the rights of people.
var rightsProbed = []string{"ca-rights", "cj-rights", "mb-rights7", "cl-rights", "mb-ccpa", "mb-erase"}

func TestRightsAreKept(t *testing.T) {
	long(t)
	t.Parallel()
	h := running(t, "", func(h *House) { h.probed.Patience = 10 * time.Second })
	for _, id := range rightsProbed {
		if f := h.check(t, id); f.Status != pledge.Kept {
			t.Errorf("%s: %s: %s", f.ID, f.Status, f.Evidence)
		}
	}
}

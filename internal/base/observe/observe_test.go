package observe_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"mailvow/internal/base/address"
	"mailvow/internal/base/observe"
)

func TestNoPersonalValuePasses(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(observe.Guard(slog.NewTextHandler(&out, nil)))
	a, _ := address.Parse("ann.secret@person.example")
	log.With("peer", "203.0.113.9").Info("mail from ann.secret@person.example",
		"to", a, "raw", "to <ann.secret@person.example>", "err", errors.New("550 ann.secret@person.example unknown from 203.0.113.9 2001:db8::7"),
		"quoted", `550 "ann secret"@person.example unknown`, "ip", netip.MustParseAddr("203.0.113.9"), slog.Group("g", "x", "ann.secret@person.example"), "body", []byte("ann.secret"), "count", 3)
	for _, secret := range []string{"secret", "person", "203.0", "2001:db8"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q passed: %s", secret, out.String())
		}
	}
	if !strings.Contains(out.String(), "count=3") {
		t.Errorf("a number was lost: %s", out.String())
	}
}

func TestLoopbackAndTimesStay(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"listening on 127.0.0.1:2525 and [::1]:25", "at 12:34:56", "version 1.2.3.4.5"} {
		if got := observe.Clean(s); got != s && s != "version 1.2.3.4.5" {
			t.Errorf("%q became %q", s, got)
		}
	}
}

package fault_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"mailvow/internal/base/fault"
)

func TestWrapKeepsKindTextAndTrail(t *testing.T) {
	t.Parallel()
	inner := fault.Field("recipient", "Give one address.").WithHint("see the handbook")
	err := fault.Wrap(fault.Wrap(inner, "parse envelope"), "accept message")
	if !fault.Is(err, fault.Invalid) {
		t.Fatalf("kind %v, want invalid", fault.KindOf(err))
	}
	if got, want := err.Error(), "accept message: parse envelope: Give one address."; got != want {
		t.Errorf("trail %q, want %q", got, want)
	}
	if text, field := fault.Public(err); text != "Give one address." || field != "recipient" {
		t.Errorf("public %q field %q", text, field)
	}
	if got := fault.HintOf(err); got != "see the handbook" {
		t.Errorf("hint %q", got)
	}
}

func TestForeignErrorsStayInside(t *testing.T) {
	t.Parallel()
	err := fault.Wrap(io.ErrUnexpectedEOF, "read page")
	if text, _ := fault.Public(err); text != "" {
		t.Errorf("a foreign error's text left the house: %q", text)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
	if fault.Wrap(nil, "nothing") != nil {
		t.Error("wrapping nil must give nil")
	}
	if !fault.Is(fault.Wrap(context.Canceled, "wait"), fault.Unavailable) {
		t.Error("a cancelled wait is unavailable")
	}
	if fault.Is(nil, fault.Internal) {
		t.Error("nil is of no kind")
	}
}

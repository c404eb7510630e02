package audit

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"

	"mailvow/internal/base/clock"
)

// TestADoorThatNeverStopsTalking: an auditor believes nothing, and does not listen
// for ever either.
func TestADoorThatNeverStopsTalking(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close() })
	go func() {
		defer far.Close()
		for _, err := far.Write([]byte("220-")); err == nil; _, err = far.Write(make([]byte, 32<<10)) {
		}
	}()
	a := &auditor{Config: Config{Clock: clock.Wall{}}}
	_, err := a.smtp(t.Context(), func(context.Context) (net.Conn, error) { return near, nil })
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("it ended with %v", err)
	}
}

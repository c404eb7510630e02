package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"mailvow/internal/app"
	"mailvow/internal/app/command"
)

// TestErasedOnTheCommandLine erases a person at a running server and verifies
// the certificate without it.
func TestErasedOnTheCommandLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		const any = "127.0.0.1:0"
		done <- app.Dev(ctx, app.DevOptions{Dir: dir, MX: any, Submission: any, Submissions: any, HTTP: any, JSON: true, Out: in, Err: io.Discard})
	}()
	var ready app.Demo
	if err := json.NewDecoder(out).Decode(&ready); err != nil {
		t.Fatal(err)
	}
	run := func(stdin string, args ...string) (string, int) {
		var said, wrong bytes.Buffer
		code := command.Run(t.Context(), args, &command.Terminal{In: strings.NewReader(stdin), Out: &said, Err: &wrong})
		return said.String() + wrong.String(), code
	}
	certificate, code := run("", "subject", "erase", "--dir", dir, "ada@example.com")
	if code != command.Done {
		t.Fatalf("erase: %d %s", code, certificate)
	}
	check, code := run("", "controls", "check", "--dir", dir, "--json", "cl-minimise", "mb-mfa")
	if code != command.Done || strings.Count(check, "\n") != 2 || !strings.Contains(check, `{"id":"cl-minimise","status":"kept"`) {
		t.Errorf("controls: %d %s", code, check)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if text, code := run(certificate, "certificate", "verify", "-", "--address", "Ada@example.com"); code != command.Done {
		t.Errorf("the certificate does not verify offline: %d %s", code, text)
	}
	if _, code := run(certificate, "certificate", "verify", "-", "--address", "bob@example.com"); code == command.Done {
		t.Error("the certificate verifies for somebody else")
	}
}

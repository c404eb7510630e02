package app_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/smtp"
	"strings"
	"testing"

	"mailvow/internal/app"
)

// dev starts mailvow dev on free ports and returns what it printed.
func dev(t *testing.T, dir string) (app.Demo, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	var log bytes.Buffer
	go func() {
		err := app.Dev(ctx, app.DevOptions{
			Dir: dir, MX: "127.0.0.1:0", Submission: "127.0.0.1:0", Submissions: "127.0.0.1:0", HTTP: "127.0.0.1:0", JSON: true, Out: in, Err: &log,
		})
		in.CloseWithError(fmt.Errorf("the server ended: %w", errOr(err)))
		done <- err
	}()
	var d app.Demo
	if err := json.NewDecoder(out).Decode(&d); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stop: %v", err)
		}
	}
	t.Cleanup(stop)
	return d, stop
}

func errOr(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

// send submits a message as the demo customer over STARTTLS.
func send(d app.Demo, from, to, body string) error {
	c, err := smtp.Dial(d.Submission)
	if err != nil {
		return err
	}
	defer c.Close()
	host, _, _ := strings.Cut(d.Submission, ":")
	if err := c.StartTLS(&tls.Config{InsecureSkipVerify: true}); err != nil {
		return err
	}
	if err := c.Auth(smtp.PlainAuth("", d.Username, d.Password, host)); err != nil {
		return err
	}
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, body); err != nil {
		return err
	}
	return w.Close()
}

func TestDevTakesMailAndKeepsItAcrossARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, stop := dev(t, dir)
	if !d.Ready || d.Domain != app.DevDomain || d.Dir != dir {
		t.Fatalf("printed %+v", d)
	}
	body := "From: you@demo.example\r\nTo: someone@example.net\r\nSubject: Hello\r\n\r\nHello\r\n"
	if err := send(d, "you@demo.example", "someone@example.net", body); err != nil {
		t.Fatal(err)
	}
	err := send(d, "you@elsewhere.example", "someone@example.net", body)
	if err == nil || !strings.HasPrefix(err.Error(), "550 ") || !strings.Contains(err.Error(), "elsewhere.example") {
		t.Errorf("an unverified sender got %v", err)
	}
	stop()
	again, _ := dev(t, dir)
	if again.Token != d.Token || again.Password != d.Password || again.SignIn == d.SignIn {
		t.Errorf("after a restart: %+v, before: %+v", again, d)
	}
	r, err := http.Get("http://" + again.HTTP + "/readyz")
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("readyz: %v %v", r, err)
	}
	r.Body.Close()
}

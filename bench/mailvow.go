package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// mailvow is the program under test as an operator would run it: durable before
// 250, sealed, with its history. What differs from the defaults is what the
// load needs: the generator cannot AUTH, so a network may send; everything goes
// to the sink; and one address may open as many connections as it likes.
type mailvow struct {
	binary string
	signed bool
}

func (m *mailvow) name() string {
	if m.signed {
		return "mailvow+rsa"
	}
	return "mailvow"
}

func (m *mailvow) factor() int {
	if m.signed {
		return 2
	}
	return 4
}

const benchConfig = `hostname: mta.example
data:
  dir: %[1]s
  keys: %[1]s/keystore
  kek: %[1]s/kek
listen:
  submission: %[2]s
smtp:
  connections: 1000
  per_address: 1000
  per_minute: 1000000
delivery:
  smarthost:
    address: %[3]s
    tls: plain
  allow: ["127.0.0.0/8"]
observe:
  level: warn
`

func (m *mailvow) start(ctx context.Context, s setting) (server, error) {
	binary, err := filepath.Abs(m.binary)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(s.dir, "data")
	if err := prepare(ctx, binary, data); err != nil {
		return nil, fmt.Errorf("prepare a customer: %w", err)
	}
	conf := filepath.Join(s.dir, "mailvow.yaml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, benchConfig, data, s.listen, s.sink), 0o600); err != nil {
		return nil, err
	}
	g, err := start(ctx, "mailvow", s.dir, binary, "serve", "--config", conf)
	if err != nil {
		return nil, err
	}
	if err := g.listening(ctx, s.listen); err != nil {
		g.stop()
		return nil, err
	}
	return groups{g}, nil
}

// prepare lets mailvow dev make a data folder with its demo customer, whose
// domain is benchDomain, and lets this machine send as that customer.
func prepare(ctx context.Context, binary, data string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	anywhere := "127.0.0.1:0"
	cmd := exec.CommandContext(ctx, binary, "dev", "--json", "--dir", data,
		"--mx", anywhere, "--submission", anywhere, "--submissions", anywhere, "--http", anywhere)
	var log bytes.Buffer
	cmd.Stderr = &log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // interrupted by us
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, log.String())
		}
	}()
	var ready struct {
		Ready bool
		HTTP  string
		Token string `json:"api_token"`
	}
	if err := json.NewDecoder(out).Decode(&ready); err != nil || !ready.Ready {
		return errors.Join(errors.New("mailvow dev did not become ready"), err)
	}
	return post(ctx, "http://"+ready.HTTP+"/v1/credentials", ready.Token, `{"name":"bench","network":"127.0.0.1/32"}`)
}

func post(ctx context.Context, url, token, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewBufferString(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("POST %s: %s: %s", url, resp.Status, text)
	}
	return err
}

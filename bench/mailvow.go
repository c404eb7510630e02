package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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
  keys: %[1]s-keys
  kek: %[1]s-kek
listen:
  submission: %[2]s
smtp:
  network_credentials: true
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
	if _, err := prepare(ctx, binary, data, m.signed); err != nil {
		return nil, fmt.Errorf("prepare a customer: %w", err)
	}
	return m.serve(ctx, data, s)
}

// config is where the configuration of a server stands that works in a folder.
func (s setting) config() string { return filepath.Join(s.dir, "mailvow.yaml") }

// serve starts the program on a data folder that is prepared.
func (m *mailvow) serve(ctx context.Context, data string, s setting) (server, error) {
	binary, err := filepath.Abs(m.binary)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.config(), fmt.Appendf(nil, benchConfig, data, s.listen, s.sink), 0o600); err != nil {
		return nil, err
	}
	g, err := start(ctx, "mailvow", s.dir, binary, "serve", "--config", s.config())
	if err != nil {
		return nil, err
	}
	if err := g.listening(ctx, s.listen); err != nil {
		g.stop()
		return nil, err
	}
	return groups{g}, nil
}

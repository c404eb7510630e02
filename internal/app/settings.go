// Package app builds the server: it opens every part in the order of the
// floors, gives each what it needs, starts the roles that this process was
// given, and stops them in reverse. It decides nothing about mail.
package app

import (
	"log/slog"
	"os"
	"path/filepath"

	"mailvow/internal/app/config"
	"mailvow/internal/base/clock"
)

// Settings are what a process is started with.
type Settings struct {
	Config *config.Config
	Dev    bool // outbound mail is caught, loopback may be called, the certificate is made up
	Clock  clock.Clock
	Log    slog.Handler
}

// paths are the places of one node's data folder.
type paths struct{ root, keys, kek string }

func (s *Settings) paths() paths {
	d := s.Config.Data
	p := paths{root: d.Dir, keys: d.Keys, kek: d.KEK}
	if s.Dev {
		p.keys, p.kek = filepath.Join(d.Dir, "keystore"), filepath.Join(d.Dir, "kek")
	}
	return p
}

func (p paths) database() string     { return filepath.Join(p.root, "db") }
func (p paths) blobs() string        { return filepath.Join(p.root, "blobs") }
func (p paths) evidence() string     { return filepath.Join(p.root, "evidence") }
func (p paths) evidenceKeys() string { return filepath.Join(p.keys, "evidence") }
func (p paths) socket() string       { return filepath.Join(p.root, "admin.sock") }

// Prepare makes the folders that a first start needs, for its owner alone.
func (p paths) prepare() error {
	for _, dir := range []string{p.root, p.database(), p.blobs(), p.keys} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	return nil
}

func (s *Settings) has(r config.Role) bool {
	for _, x := range s.Config.Roles {
		if x == r {
			return true
		}
	}
	return len(s.Config.Roles) == 0
}

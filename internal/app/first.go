package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/tenant"
)

// InitOptions say what mailvow init writes.
type InitOptions struct {
	Config   string            // the file to write
	Settings map[string]string // dotted settings that are turned on
	Admin    address.Address   // the first administrator
	Environ  []string
}

// First is what a first start needs.
type First struct {
	Config string `json:"config"`
	KEK    string `json:"kek"`
	Admin  string `json:"admin"`
	SignIn string `json:"sign_in_url"`
}

// Init writes a commented configuration and a key-encryption key, and makes the
// first administrator with a one-time link. It refuses to overwrite anything;
// what it made is taken away again when a later step fails, but for the key,
// which may already have sealed something.
func Init(ctx context.Context, o InitOptions) (first First, err error) {
	if _, err := os.Lstat(o.Config); !errors.Is(err, fs.ErrNotExist) {
		return first, exists(o.Config)
	}
	text := config.Starting(o.Settings)
	c, err := config.Parse(o.Config, []byte(text), o.Environ)
	if err != nil {
		return first, err
	}
	if _, err := os.Lstat(c.Data.KEK); !errors.Is(err, fs.ErrNotExist) {
		return first, exists(c.Data.KEK)
	}
	if entries, err := os.ReadDir(c.Data.Dir); err == nil && len(entries) > 0 {
		return first, exists(c.Data.Dir)
	}
	for _, dir := range []string{filepath.Dir(o.Config), filepath.Dir(c.Data.KEK)} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return first, fault.Because(fault.Invalid, err, fmt.Sprintf("The folder %s cannot be made: %v.", dir, errors.Unwrap(err)))
		}
	}
	if err := vault.CreateKEKFile(c.Data.KEK); err != nil {
		return first, err
	}
	link, err := firstAdmin(ctx, c, o.Admin)
	if err != nil {
		return first, fault.Wrap(err, "make the first administrator")
	}
	if err := writeNew(o.Config, text); err != nil {
		return first, err
	}
	return First{Config: o.Config, KEK: c.Data.KEK, Admin: o.Admin.Text(), SignIn: consoleURL(c) + signInPath + link}, nil
}

func exists(path string) error {
	return fault.New(fault.Conflict, path+" is there already; mailvow init overwrites nothing.").
		WithHint("move it away, or name another place by --config, --data, --keys and --kek")
}

func writeNew(path, text string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return fault.Because(fault.Invalid, err, fmt.Sprintf("%s cannot be written: %v.", path, errors.Unwrap(err)))
	}
	_, err = f.WriteString(text)
	return fault.Wrap(errors.Join(err, f.Sync(), f.Close()), "write the configuration")
}

// firstAdmin opens the house with its doors shut.
func firstAdmin(ctx context.Context, c *config.Config, who address.Address) (link string, err error) {
	shut := *c
	shut.Listen, shut.TLS = config.Listen{}, config.TLS{}
	h, err := Build(ctx, Settings{Config: &shut, Clock: clock.Wall{}, Log: slog.DiscardHandler})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, h.Stop(10*time.Second)) }()
	operator := access.ForRole(tenant.Platform, 0, 0, access.Operator)
	u, err := h.access.AddUser(ctx, operator, access.NewUser{Tenant: tenant.Platform, Email: who, Name: "Administrator", Role: access.Operator})
	if err != nil {
		return "", err
	}
	link, _, err = h.access.Link(ctx, operator, scope.Everyone, u.ID)
	return link, err
}

const signInPath = "/sign-in?link="

// signInURL is what somebody opens to sign in at this running server.
func (h *House) signInURL(link string) string {
	if _, port, err := net.SplitHostPort(h.doors.at("http")); err == nil && h.Dev {
		return "http://" + net.JoinHostPort("localhost", port) + signInPath + link
	}
	return consoleURL(h.Config) + signInPath + link
}

// consoleURL is what the administrator types.
func consoleURL(c *config.Config) string {
	if c.Web.URL != "" {
		return c.Web.URL
	}
	if c.Listen.HTTPS != "" {
		return "https://" + withPort(c.Hostname, c.Listen.HTTPS, "443")
	}
	return "http://" + withPort(c.Hostname, c.Listen.HTTP, "80")
}

func withPort(host, listen, usual string) string {
	if _, port, err := net.SplitHostPort(listen); err == nil && port != usual {
		return net.JoinHostPort(host, port)
	}
	return host
}

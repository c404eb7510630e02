package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/tenant"
)

// DevOptions are the flags of mailvow dev.
type DevOptions struct {
	Dir         string // "" is a folder that is thrown away at the end
	MX          string
	Submission  string
	Submissions string
	HTTP        string
	JSON        bool
	Verbose     bool
	Out         io.Writer // what people or programs read
	Err         io.Writer // the log
}

// DevDomain is the demo customer's domain.
const DevDomain = "demo.example"

// Demo is what the demo customer signs in with. A named folder keeps it.
type Demo struct {
	Ready       bool   `json:"ready"`
	HTTP        string `json:"http"`
	MX          string `json:"mx"`
	Submission  string `json:"submission"`
	Submissions string `json:"submissions"`
	Username    string `json:"smtp_username"`
	Password    string `json:"smtp_password"`
	Token       string `json:"api_token"`
	SignIn      string `json:"sign_in_url"`
	Operator    string `json:"operator_sign_in_url"` // of who runs the server: controls, customers, the platform's policy
	Domain      string `json:"domain"`
	Dir         string `json:"dir"`
}

// Dev runs everything in one process in a folder of its own until ctx ends.
// Outbound mail is caught: nothing leaves the machine.
func Dev(ctx context.Context, o DevOptions) (err error) {
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "mailvow-dev-"); err != nil {
			return fault.Because(fault.Unavailable, err, "A temporary folder cannot be made; give --dir.")
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return fault.Because(fault.Invalid, err, "--dir is no folder.")
	}
	level := slog.LevelWarn
	if o.Verbose {
		level = slog.LevelDebug
	}
	h, err := Build(ctx, Settings{
		Config: devConfig(o), Dev: true, Clock: clock.Wall{}, Log: slog.NewTextHandler(o.Err, &slog.HandlerOptions{Level: level}),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Stop(10*time.Second)) }()
	demo, err := h.demo(ctx)
	if err != nil {
		return err
	}
	if err := h.Start(ctx); err != nil {
		return err
	}
	if err := demo.tell(o); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func devConfig(o DevOptions) *config.Config {
	c := config.Default()
	c.Hostname, c.Region = "localhost", "local"
	c.Data.Dir = o.Dir
	c.Data.Space = config.Space{Alert: 1 << 30, NoNew: 256 << 20, ReadOnly: 4 << 20, Reserve: 16 << 20}
	c.Listen = config.Listen{MX: o.MX, Submission: o.Submission, Submissions: o.Submissions, HTTP: o.HTTP}
	return c
}

// demo makes the demo customer once, with a token, a credential and a domain
// that needs no DNS, and a fresh sign-in link each time.
func (h *House) demo(ctx context.Context) (*Demo, error) {
	file := filepath.Join(h.paths().root, "demo.json")
	d := &Demo{}
	if b, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(b, d); err != nil {
			return nil, fault.Because(fault.Invalid, err, "The file "+file+" is damaged; delete the folder or give another --dir.")
		}
	} else if err := h.newDemo(ctx, d, file); err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(h.doors.at("http"))
	if err != nil {
		return nil, fault.Wrap(err, "read the console's address")
	}
	operator, err := h.demoLink(ctx, demoOperator)
	if err != nil {
		return nil, err
	}
	u, err := h.demoLink(ctx, demoUser)
	d.Ready, d.Dir, d.Domain = true, h.paths().root, DevDomain
	d.HTTP, d.MX, d.Submission, d.Submissions = net.JoinHostPort(host, port), h.doors.at("mx"), h.doors.at("submission"), h.doors.at("submissions")
	d.SignIn, d.Operator = h.signInURL(u.link), h.signInURL(operator.link)
	h.shown = shown{u.Tenant, d.lines()}
	return d, err
}

// sampleRecipient is the address that takes mail from outside before there is a
// route; a route for it takes precedence.
const sampleRecipient = "hello@" + DevDomain

// sample implements frontDesk.sample.
func (h *House) sample(a address.Address) (ids.Tenant, bool) {
	return h.shown.tenant, h.shown.tenant != 0 && a.Canonical() == sampleRecipient
}

// shown is what the console shows the demo customer before its first mail.
type shown struct {
	tenant ids.Tenant
	lines  map[string]string
}

func (d *Demo) lines() map[string]string {
	return map[string]string{
		"http": d.HTTP, "mx": d.MX, "submission": d.Submission, "domain": d.Domain, "inbound_recipient": sampleRecipient,
		"smtp_username": d.Username, "smtp_password": d.Password, "api_token": d.Token,
	}
}

// start implements httpapi.Config.Start.
func (h *House) start(t ids.Tenant) map[string]string {
	if t == 0 || t != h.shown.tenant {
		return nil
	}
	return h.shown.lines
}

// features are the rooms that only dev mode has.
func (h *House) features() []string {
	if h.Dev {
		return []string{"caught"}
	}
	return nil
}

const (
	demoUser     = "admin@" + DevDomain
	demoOperator = "operator@" + DevDomain
)

// system acts before anybody has signed in.
var system = access.ForRole(tenant.Platform, 0, 0, access.Operator)

func (h *House) newDemo(ctx context.Context, d *Demo, file string) error {
	t, err := h.tenants.Add(ctx, "Demo", h.Config.Region)
	if err != nil {
		return err
	}
	for _, u := range []access.NewUser{{Tenant: t.ID, Name: "Demo", Role: access.Owner}, {Tenant: tenant.Platform, Name: "Operator", Role: access.Operator}} {
		email := demoUser
		if u.Role == access.Operator {
			email = demoOperator
		}
		if u.Email, err = address.Parse(email); err != nil {
			return err
		}
		if _, err := h.access.AddUser(ctx, system, u); err != nil {
			return err
		}
	}
	owner := access.ForRole(t.ID, 0, 0, access.Owner)
	scopes := slices.DeleteFunc(access.Scopes(), func(s access.Scope) bool { return !owner.Grants().Covers(access.OfScopes(s)) })
	if _, d.Token, err = h.access.AddToken(ctx, owner, t.ID, "demo", scopes, time.Time{}); err != nil {
		return err
	}
	c, password, err := h.access.AddCredential(ctx, t.ID, "demo")
	if err != nil {
		return err
	}
	d.Username, d.Password = c.Username, password
	domain, err := h.relay.Add(ctx, t.ID, DevDomain)
	if err != nil {
		return err
	}
	if _, err := h.relay.Vouch(ctx, domain.ID); err != nil {
		return err
	}
	b, err := json.Marshal(d)
	if err != nil {
		return fault.Wrap(err, "write demo credentials")
	}
	return fault.Wrap(os.WriteFile(file, b, 0o600), "write demo credentials")
}

// linked is a user with a link that signs them in once.
type linked struct {
	access.User
	link string
}

func (h *House) demoLink(ctx context.Context, email string) (l linked, err error) {
	a, err := address.Parse(email)
	if err != nil {
		return l, err
	}
	if l.User, err = h.access.UserByEmail(ctx, scope.Everyone, a); err != nil {
		return l, err
	}
	l.link, _, err = h.access.Link(ctx, system, scope.Everyone, l.ID)
	return l, err
}

// tell prints what a developer needs first.
func (d *Demo) tell(o DevOptions) error {
	if o.JSON {
		return json.NewEncoder(o.Out).Encode(d)
	}
	_, err := fmt.Fprintf(o.Out, `Mailvow is running in %s. Mail that it sends is caught: nothing leaves this machine.

  Console      %s
    operator   %s
  SMTP         %s (STARTTLS), %s (TLS)
    user       %s
    password   %s
  API          http://%s   token %s
  Mail in      %s

Send a mail by SMTP:
  swaks --server %s --auth-user %s --auth-password %s --from you@%s --to someone@example.net

Send a mail by HTTP:
  curl http://%s/v1/messages -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '{"from":"you@%s","to":["someone@example.net"],"subject":"Hello","text":"Hello from Mailvow"}'

Let a mail arrive from outside; it is caught too, until a route takes it to an endpoint of yours:
  swaks --server %s --from friend@example.net --to %s

Stop with Ctrl-C.
`, d.Dir, d.SignIn, d.Operator, d.Submission, d.Submissions, d.Username, d.Password, d.HTTP, d.Token, d.MX,
		d.Submission, d.Username, d.Password, d.Domain, d.HTTP, d.Token, d.Domain, d.MX, sampleRecipient)
	return err
}

// Package audit looks at a server from outside, on the auditor's machine, and
// believes nothing that it says. It keeps every checkpoint of the evidence log
// that it ever saw, verifies that the log only grew, and holds what the doors do
// against what they should and against the policy that the server publishes; as a
// customer of its own it sends and receives mail, deletes and erases, and looks
// for that in the log and at an endpoint of its own. What it found it signs with
// the auditor's own key, together with what cannot be seen from outside. It
// promises to change nothing but what that customer owns. The verification of the log
// is protect/evidence's; arguments and printing are app/command's.
package audit

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/keep/egress"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
)

// Config says what is audited, and what the auditor knows beforehand.
type Config struct {
	URL   string // of API and console
	Dir   string // the auditor's own folder
	Clock clock.Clock
	// Keys are verifier keys that the auditor has from elsewhere; without them
	// the first key that the server shows is believed, once.
	Keys []evidence.Key
	// Held are checkpoints that others were shown.
	Held []string
	// Certificate is one that must stand in the log; nil for none.
	Certificate []byte
	// Doors are those to look at, by name: mx, submission, submissions. Without
	// any, those of the URL's host are tried.
	Doors map[string]string
	// Roots verify certificates; nil is the machine's.
	Roots *x509.CertPool
	// Token, From and To are a customer of the auditor's: with a token a canary
	// is sent. To is From where it is empty.
	Token, From, To string
	// Erase erases To as a person afterwards, with all that this customer holds
	// of it.
	Erase bool
	// Listen is where the auditor listens for webhooks, as host:port, and ListenURL
	// by which address the server reaches that; without Listen no webhook is tried.
	Listen, ListenURL string
	// Watch is how long the endpoint waits for what must not come; 20 s when zero.
	Watch time.Duration
	// Patience is how long something is waited for; 20 s when zero.
	Patience time.Duration
}

// State is what one look found.
type State string

// The closed list of states.
const (
	Holds  State = "holds"
	Broken State = "broken"
	Unseen State = "unseen" // could not be looked at, or is not there
)

// Check is one thing that was looked at.
type Check struct {
	ID    string `json:"id"`
	State State  `json:"state"`
	Saw   string `json:"saw"`
}

// auditor is one audit.
type auditor struct {
	Config
	base   *url.URL
	folder *folder
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	client *http.Client
	checks []Check
	report *Report
	logged logged           // what the log says of the policy
	said   *policy.Document // the published policy in force; nil: there is none to be had
}

// Run audits and writes the report into the folder. What does not hold is in the
// report; an error means that there is none.
func Run(ctx context.Context, c Config) (*Report, error) {
	a, err := open(c)
	if err != nil {
		return nil, err
	}
	visit, err := a.log(ctx)
	if err != nil {
		return nil, err
	}
	visit = a.policy(ctx, visit)
	a.web(ctx)
	a.doors(ctx)
	if a.Token != "" {
		a.customer(ctx, visit)
		if a.Listen != "" {
			a.listens(ctx, visit)
		}
	}
	return a.finish()
}

func open(c Config) (*auditor, error) {
	base, err := url.Parse(strings.TrimSuffix(c.URL, "/"))
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") || base.Path != "" || base.RawQuery != "" {
		return nil, fault.New(fault.Invalid, "The address of a server has the form https://mail.example.com.")
	}
	if c.Patience == 0 {
		c.Patience = 20 * time.Second
	}
	if c.Watch == 0 {
		c.Watch = 20 * time.Second
	}
	if c.To == "" {
		c.To = c.From
	}
	a := &auditor{Config: c, base: base}
	gate, err := egress.New(egress.Config{Clock: c.Clock, Timeout: 15 * time.Second, Destinations: []egress.Destination{
		{Name: "audited server", Purpose: "look at it from outside", Owner: egress.Operator, Hosts: a.hosts()},
	}})
	if err != nil {
		return nil, err
	}
	to, err := gate.To("audited server")
	if err != nil {
		return nil, err
	}
	a.dial = to.Dial
	transport := to.HTTPTransport()
	transport.TLSClientConfig = tlsConfig(base.Hostname(), c.Roots)
	a.client = &http.Client{Transport: transport, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if a.folder, err = openFolder(c.Dir, base.Host); err != nil {
		return nil, err
	}
	a.report = &Report{Format: reportFormat, URL: base.String(), At: c.Clock.Now().UTC().Truncate(time.Millisecond), Auditor: a.folder.verifier}
	return a, nil
}

// standard are the ports on which mail servers listen (RFC 5321, 6409, 8314).
var standard = []struct{ door, port string }{{"mx", "25"}, {"submission", "587"}, {"submissions", "465"}}

// hosts are all host:port pairs that this audit may connect to.
func (a *auditor) hosts() []string {
	port := a.base.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[a.base.Scheme]
	}
	hosts := []string{net.JoinHostPort(a.base.Hostname(), port), net.JoinHostPort(a.base.Hostname(), "80")}
	for _, s := range standard {
		hosts = append(hosts, net.JoinHostPort(a.base.Hostname(), s.port))
	}
	for _, addr := range a.Doors {
		hosts = append(hosts, addr)
	}
	return hosts
}

func (a *auditor) saw(id string, state State, what string) {
	a.checks = append(a.checks, Check{ID: id, State: state, Saw: what})
}

// good says holds or broken, each with its words.
func (a *auditor) good(id string, ok bool, holds, broken string) {
	if ok {
		a.saw(id, Holds, holds)
		return
	}
	a.saw(id, Broken, broken)
}

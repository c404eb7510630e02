package probes

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// scene is one probe's stage: the canary signed in, a host that takes its mail,
// an endpoint that takes mail to it. Close strikes it.
type scene struct {
	*Server
	Canary
	word     string // stands in every message of this scene and nowhere else
	sink     *sink
	endpoint *endpoint
	web      *http.Client
	base     string
	secret   string            // of the endpoint's route
	route    string            // its id
	persons  []address.Address // who is to be forgotten besides
	undo     []func()
}

// newScene sets everything up.
func (s *Server) newScene(ctx context.Context) (_ *scene, err error) {
	x := &scene{Server: s, word: "canary" + rand.Text()}
	defer func() {
		if err != nil {
			err = errors.Join(err, x.close(ctx))
		}
	}()
	if x.Canary, err = s.Canary(ctx); err != nil {
		return x, fault.Wrap(err, "make the canary customer ready")
	}
	if x.sink, err = newSink(); err != nil {
		return x, err
	}
	x.undo = append(x.undo, x.sink.close)
	if x.endpoint, err = newEndpoint(); err != nil {
		return x, err
	}
	x.undo = append(x.undo, x.endpoint.close)
	for _, l := range []net.Listener{x.sink.listener, x.endpoint.listener} {
		at, err := netip.ParseAddrPort(l.Addr().String())
		if err != nil {
			return x, fault.Wrap(err, "lend a listener")
		}
		back, err := s.Lend(at)
		if err != nil {
			return x, err
		}
		x.undo = append(x.undo, back)
	}
	x.undo = append(x.undo, s.SendTo(x.Tenant, x.sinkDomain(), x.sink.listener.Addr().String()))
	x.openWeb()
	return x, x.addRoute(ctx)
}

func (x *scene) sinkDomain() string { return "sink." + x.Domain }

// The canary's addresses are new in each scene.
func (x *scene) sender() address.Address  { return x.at("from-", x.Domain) }
func (x *scene) inbound() address.Address { return x.at("in-", x.Domain) }
func (x *scene) outward() address.Address { return x.at("to-", x.sinkDomain()) }

func (x *scene) at(prefix, domain string) address.Address {
	a, err := address.Parse(prefix + x.word + "@" + domain)
	if err != nil {
		panic(err) // made of letters and digits
	}
	return a
}

// close undoes everything, last first, also when the probe's time is over.
func (x *scene) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if x.route != "" {
		_, _ = x.call(ctx, http.MethodDelete, "/v1/routes/"+x.route, nil, nil) // Clear removes what stays
	}
	for i := len(x.undo) - 1; i >= 0; i-- {
		x.undo[i]()
	}
	if x.Tenant == 0 {
		return nil
	}
	return x.Clear(ctx, x.Canary, append(x.persons, x.sender(), x.inbound(), x.outward()))
}

// on runs a probe in a scene of its own.
func on[T any](ctx context.Context, s *Server, act func(*scene) (T, error)) (result T, err error) {
	x, err := s.newScene(ctx)
	if err != nil {
		return result, fault.Wrap(err, "set the canary up")
	}
	result, err = act(x)
	return result, errors.Join(err, fault.Wrap(x.close(ctx), "clean up after the canary"))
}

// openWeb makes the client of the API: HTTPS where there is that door.
func (x *scene) openWeb() {
	door := x.Doors["http"]
	x.base = "http://" + x.Hostname
	if https := x.Doors["https"]; https != "" {
		door, x.base = https, "https://"+x.Hostname
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return x.Knock(ctx, door) },
		// The probe speaks to our own listener by its address; whether strangers
		// trust its certificate is not what it shows.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, //nolint:gosec // see above
	}
	x.web = &http.Client{Transport: transport, Timeout: 30 * time.Second}
	x.undo = append(x.undo, transport.CloseIdleConnections)
}

// call speaks to the API as the canary and gives the status.
func (x *scene) call(ctx context.Context, method, path string, in, out any) (int, error) {
	status, b, err := x.exchange(ctx, method, path, in)
	if err == nil && out != nil && status < 300 {
		err = json.Unmarshal(b, out)
	}
	return status, fault.Wrap(err, "read the API's answer")
}

// exchange speaks to the API as the canary and gives the status and the answer.
func (x *scene) exchange(ctx context.Context, method, path string, in any) (int, []byte, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return 0, nil, fault.Wrap(err, "write a request")
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, x.base+path, body)
	if err != nil {
		return 0, nil, fault.Wrap(err, "make a request")
	}
	r.Header.Set("Authorization", "Bearer "+x.Token)
	r.Header.Set("Content-Type", "application/json")
	a, err := x.web.Do(r)
	if err != nil {
		return 0, nil, fault.Because(fault.Unavailable, err, "The API does not answer.")
	}
	defer a.Body.Close()
	b, err := io.ReadAll(io.LimitReader(a.Body, 4<<20))
	return a.StatusCode, b, fault.Wrap(err, "read the API's answer")
}

// must is call for what has to succeed.
func (x *scene) must(ctx context.Context, method, path string, in, out any) error {
	status, err := x.call(ctx, method, path, in, out)
	if err == nil && status >= 300 {
		err = fault.New(fault.Unavailable, fmt.Sprintf("%s %s answered %d", method, path, status))
	}
	return err
}

func (x *scene) addRoute(ctx context.Context) error {
	var made struct {
		ID      string `json:"id"`
		Webhook struct {
			Secret string `json:"secret"`
		} `json:"webhook"`
	}
	in := map[string]any{"recipient": x.inbound().Text(), "webhook": map[string]string{"url": "http://" + x.endpoint.listener.Addr().String() + "/"}}
	if err := x.must(ctx, http.MethodPost, "/v1/routes", in, &made); err != nil {
		return fault.Wrap(err, "add the canary's route")
	}
	x.route, x.secret = made.ID, made.Webhook.Secret
	return nil
}

// shown is what the API tells of a message.
type shown struct {
	State      string `json:"state"`
	Recipients []struct {
		State    string     `json:"state"`
		Attempts int        `json:"attempts"`
		Next     *time.Time `json:"next_attempt_at"`
	} `json:"recipients"`
	Timeline []happened     `json:"timeline"`
	Inbound  map[string]any `json:"inbound"`
	Content  bool           `json:"has_content"`
}

// happened is one line of its timeline.
type happened struct {
	Kind  string `json:"kind"`
	Reply string `json:"reply"`
}

func (x *scene) message(ctx context.Context, id ids.Message) (shown, int, error) {
	var m shown
	status, err := x.call(ctx, http.MethodGet, "/v1/messages/"+id.String(), nil, &m)
	return m, status, err
}

// waitState waits until the API shows a message in a state.
func (x *scene) waitState(ctx context.Context, id ids.Message, state string) (shown, error) {
	var m shown
	err := x.until(ctx, "the message to be "+state, func() (bool, error) {
		var err error
		m, _, err = x.message(ctx, id)
		return m.State == state, err
	})
	return m, err
}

// until asks ten times a second, for as long as there is patience.
func (s *Server) until(ctx context.Context, what string, done func() (bool, error)) error {
	patience := s.Patience
	if patience == 0 {
		patience = 30 * time.Second
	}
	for range patience / (100 * time.Millisecond) {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if err := clock.Sleep(ctx, clock.Wall{}, 100*time.Millisecond); err != nil {
			return fault.Wrap(err, "wait for "+what)
		}
	}
	return fault.New(fault.Unavailable, "waited "+patience.String()+" for "+what)
}

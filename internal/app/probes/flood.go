package probes

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
)

// Where the floods come from: addresses of this machine at which nobody is known.
var (
	crowding = netip.MustParseAddr("127.0.0.66")
	pacing   = netip.MustParseAddr("127.0.0.67")
)

// more is by how many connections a flood goes over what a door holds.
const more = 25

// flood takes more places at every door than one address may have, knocks faster
// than one may, says too much at once, and sends the canary's mail meanwhile.
func (s *Server) flood(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		var open []net.Conn
		defer func() {
			for _, c := range open {
				c.Close()
			}
		}()
		var seen []string
		for _, door := range []string{"mx", "submission", "submissions", "http", "https"} {
			if at, err := netip.ParseAddrPort(x.Doors[door]); err != nil || !at.Addr().Is4() || !at.Addr().IsLoopback() {
				continue // a flood from here would come from where the honest client is
			}
			list, err := x.crowd(ctx, door)
			open = append(open, list...)
			if err != nil {
				return verdict{}, err
			}
			in, err := staying(list)
			if err != nil {
				return verdict{}, err
			}
			if in > x.Places[door] {
				return bad("%s holds %d connections of one address, where %d is the most", door, in, x.Places[door]), nil
			}
			seen = append(seen, door)
		}
		if !slices.Contains(seen, "mx") {
			return verdict{pledge.NotApplicable, "the doors cannot be reached on 127.0.0.1, from whose network the flood would come"}, nil
		}
		turned, err := x.pace(ctx)
		if err != nil {
			return verdict{}, err
		}
		if turned == 0 {
			return bad("mx takes %d connections of one address in a moment, where %d a minute are the most", x.Pace+more, x.Pace), nil
		}
		if v, err := x.tooMuch(ctx); err != nil || v.status != pledge.Kept {
			return v, err
		}
		if err := x.servedMeanwhile(ctx); err != nil {
			return bad("during the flood an honest client is not served: %v", err), nil
		}
		return good("from one address more connections were opened than it may have at %s, and those over the limit were turned away; of %d that knocked in a moment %d were; a message and a line over their size and a head of 80 KiB were refused; meanwhile a customer's message was taken and delivered, one from outside reached its endpoint, and the API answered",
			strings.Join(seen, ", "), x.Pace+more, turned), nil
	})
	return v.end(err)
}

// crowd opens more connections than one address may have.
func (x *scene) crowd(ctx context.Context, door string) ([]net.Conn, error) {
	var list []net.Conn
	for range x.Places[door] + more {
		c, err := x.KnockFrom(ctx, x.Doors[door], crowding)
		if err != nil {
			return list, err
		}
		list = append(list, c)
	}
	return list, nil
}

// staying counts those that were not turned away within a second: with 421 or by
// closing.
func staying(list []net.Conn) (int, error) {
	end := time.Now().Add(time.Second)
	var in atomic.Int64
	var all sync.WaitGroup
	defer all.Wait()
	for _, c := range list {
		if err := c.SetReadDeadline(end); err != nil {
			return 0, fault.Wrap(err, "set a deadline")
		}
		all.Go(func() {
			b := make([]byte, 4)
			n, err := c.Read(b)
			if errors.Is(err, os.ErrDeadlineExceeded) || n > 0 && !bytes.HasPrefix(b, []byte("421")) {
				in.Add(1)
			}
		})
	}
	all.Wait()
	return int(in.Load()), nil
}

// pace comes and goes faster than one address may, and counts refusals.
func (x *scene) pace(ctx context.Context) (int, error) {
	turned := 0
	for range x.Pace + more {
		c, err := x.KnockFrom(ctx, x.Doors["mx"], pacing)
		if err != nil {
			return turned, err
		}
		in, err := staying([]net.Conn{c})
		c.Close()
		if err != nil {
			return turned, err
		}
		if in == 0 {
			turned++
		}
	}
	return turned, nil
}

// tooMuch declares a message, says a line and sends a head over their sizes.
func (x *scene) tooMuch(ctx context.Context) (verdict, error) {
	c, err := x.dial(ctx, "mx", false)
	if err != nil {
		return verdict{}, err
	}
	defer c.Close()
	for what, line := range map[string]string{"a message of a terabyte": "MAIL FROM:<> SIZE=1099511627776", "a line of 100,000 letters": "NOOP " + strings.Repeat("x", 100_000)} {
		if err := c.ask(5, "%s", line); err != nil {
			return bad("mx does not refuse %s", what), nil
		}
	}
	if err := c.ask(250, "NOOP"); err != nil {
		return bad("after too long a line the conversation does not go on"), nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, x.base+"/v1/session", http.NoBody)
	if err != nil {
		return verdict{}, fault.Wrap(err, "make a request")
	}
	r.Header.Set("X-Flood", strings.Repeat("x", 80<<10))
	a, err := x.web.Do(r)
	if err != nil {
		return verdict{}, fault.Because(fault.Unavailable, err, "The API does not answer.")
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		return bad("a request with a head of 80 KiB is answered %d", a.StatusCode), nil
	}
	return good(""), nil
}

// servedMeanwhile is an honest client: mail both ways, and the API.
func (x *scene) servedMeanwhile(ctx context.Context) error {
	id, err := x.submit(ctx, "submission", x.sender(), x.outward())
	if err == nil {
		_, err = x.waitState(ctx, id, "delivered")
	}
	if err == nil {
		_, err = x.arrivedWhole(ctx)
	}
	return err
}

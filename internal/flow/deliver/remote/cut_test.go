package remote_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"mailvow/internal/flow/outcome"
	"mailvow/internal/lab"
)

// cutter stands between a courier and a server and cuts connections after a
// number of octets.
type cutter struct {
	addr string

	mu       sync.Mutex
	up, down int64 // octets that still pass in all; then every connection is cut
	cut      bool  // cuts at all
	conns    map[net.Conn]struct{}
}

func newCutter(t testing.TB, to string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{addr: l.Addr().String(), conns: map[net.Conn]struct{}{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			c.mu.Lock()
			c.conns[near], c.conns[far] = struct{}{}, struct{}{}
			c.mu.Unlock()
			wg.Go(func() { c.pass(far, near, &c.up) })
			wg.Go(func() { c.pass(near, far, &c.down) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		c.mu.Lock()
		for conn := range c.conns {
			conn.Close()
		}
		c.mu.Unlock()
		wg.Wait()
	})
	return c
}

func (c *cutter) set(cut bool, up, down int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut, c.up, c.down = cut, up, down
}

// pass copies until its budget is spent, then closes both ends.
func (c *cutter) pass(to, from net.Conn, budget *int64) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		c.mu.Lock()
		spent := false
		if c.cut {
			if int64(n) >= *budget {
				n, spent = int(*budget), true
			}
			*budget -= int64(n)
		}
		c.mu.Unlock()
		if _, err := to.Write(buf[:n]); err != nil || spent {
			return
		}
	}
}

// TestCutAnywhere cuts the connection after any number of octets in either
// direction. Whatever happens, the courier never says delivered for what the
// server did not take, and never says that nothing arrived when it did.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	d := newCutting(t)
	rapid.Check(t, func(r *rapid.T) {
		size := rapid.SampledFrom([]int{200, 5000, 100_000}).Draw(r, "size")
		octets := func(most int) *rapid.Generator[int64] {
			return rapid.OneOf(rapid.Int64Range(0, int64(most)), rapid.Just(int64(1<<40)))
		}
		kept := rapid.Bool().Draw(r, "a kept connection")
		d.deliver(r, size, kept, octets(size+400).Draw(r, "octets up"), octets(500).Draw(r, "octets down"))
	})
}

// TestCutAnswers cuts the server's answers short at one place after another: all
// three kinds of outcome come about.
func TestCutAnswers(t *testing.T) {
	t.Parallel()
	d := newCutting(t)
	seen := map[outcome.Kind]int{}
	for down := int64(0); down < 500; down += 9 { // the last answer is longer than that
		for _, o := range d.deliver(t, 200, false, 1<<40, down) {
			seen[o.Kind]++
		}
	}
	if seen[outcome.Delivered] == 0 || seen[outcome.Deferred] == 0 || seen[outcome.Unknown] == 0 {
		t.Errorf("not every kind was seen: %v", seen)
	}
}

// cutting delivers through a cutter.
type cutting struct {
	t       *testing.T
	server  *lab.RemoteServer
	between *cutter
}

func newCutting(t *testing.T) *cutting {
	t.Helper()
	server := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining})
	return &cutting{t, server, newCutter(t, server.Addr)}
}

// deliver makes one attempt that is cut and judges its outcomes; kept says that
// it goes over a connection on which a message was delivered before.
func (d *cutting) deliver(r rapid.TB, size int, kept bool, up, down int64) []outcome.Outcome {
	c := courier(d.t, nil)
	defer c.Close()
	p := parcel(d.t, d.between.addr, size, "a@b.example", "c@b.example")
	if kept {
		d.between.set(false, 0, 0)
		if out := c.Deliver(context.Background(), p); kinds(out) != "delivered delivered" {
			r.Fatalf("without a cut: %+v", out)
		}
	}
	before := len(d.server.Messages())
	d.between.set(true, up, down)
	out := c.Deliver(context.Background(), p)
	d.between.set(false, 0, 0)
	c.Close()
	d.server.Quiet()
	taken := len(d.server.Messages()) - before
	for _, o := range out {
		switch {
		case taken > 1:
			r.Fatalf("the message was taken %d times in one attempt", taken)
		case taken == 0 && o.Kind == outcome.Delivered:
			r.Fatalf("delivered, and the server has nothing: %+v", o)
		case taken == 1 && o.Kind != outcome.Delivered && o.Kind != outcome.Unknown:
			r.Fatalf("the server took it, and the outcome is %v: %+v", o.Kind, o)
		case o.Kind == outcome.Failed:
			r.Fatalf("a cut is no reason to fail: %+v", o)
		}
	}
	return out
}

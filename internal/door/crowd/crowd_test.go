package crowd

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// call connects from an address and says whether it was taken: a place is
// answered with one letter.
func call(t *testing.T, to net.Addr, from string) (net.Conn, bool) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadFull(c, make([]byte, 1))
	return c, err == nil
}

func TestOneAddressCannotTakeEveryPlace(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var turned atomic.Int64
	l := New(inner, Limits{Connections: 5, PerAddress: 2, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}, func() { turned.Add(1) })
	gone := make(chan struct{}, 10)
	done := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				done <- err
				return
			}
			go func() {
				_, _ = c.Write([]byte("y"))
				_, _ = io.Copy(io.Discard, c)
				c.Close()
				c.Close() // a place is given back once
				gone <- struct{}{}
			}()
		}
	}()
	first, ok := call(t, l.Addr(), "127.0.0.2")
	for _, want := range []struct {
		from  string
		taken bool
	}{
		{"127.0.0.2", true}, {"127.0.0.2", false}, {"127.0.0.3", true}, {"127.0.0.1", true},
		{"127.0.0.1", true}, {"127.0.0.1", false}, {"127.0.0.4", false}, // all five places are taken
	} {
		if _, taken := call(t, l.Addr(), want.from); taken != want.taken {
			t.Errorf("%s is taken: %v", want.from, taken)
		}
	}
	if !ok || turned.Load() != 3 {
		t.Errorf("the first is taken: %v; %v were turned away", ok, turned.Load())
	}
	first.Close()
	<-gone
	if _, ok := call(t, l.Addr(), "127.0.0.2"); !ok {
		t.Error("a place that was left is not given again")
	}
	l.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

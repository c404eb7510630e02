package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/smtp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mailvow/internal/lab"
)

var soak = flag.Bool("soak", false, "kill the server two hundred times")

const (
	killSenders = 10 // sessions of the load
	killPerSite = 20 // deliveries at once, all of the load being for one destination
)

// TestKilledUnderLoad kills the server at random moments, starts it again on the
// same folder, and counts: nothing that was acknowledged is lost, and what came
// twice was being delivered when the server died, of which there can be only as
// many as it delivers at once.
func TestKilledUnderLoad(t *testing.T) {
	rounds := 10
	switch {
	case *soak:
		rounds = 200
	case testing.Short():
		rounds = 3
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("%d rounds, seed %d", rounds, seed)
	l := &ledger{acknowledged: map[int]bool{}, arrived: map[int][]int{}}
	sink := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining, Forget: true, End: l.arrival})
	w := smarthost(sink.Addr)
	w.delivery += fmt.Sprintf("\n  per_site: %d", killPerSite)
	w.smtp = "  plaintext_auth: true"
	x := newSite(t, w)
	for round := range rounds {
		s := x.serve(t)
		stop := l.load(t.Context(), x.demo)
		<-time.After(time.Duration(random.IntN(1000)) * time.Millisecond) // the random moment
		l.begin(round + 1)
		s.kill()
		stop()
	}
	s := x.serve(t)
	l.settle(t, s)
	l.check(t, rounds)
	s.stop(t)
}

// ledger knows each numbered message: whether it was acknowledged, and in which
// rounds it arrived. A round ends with a kill.
type ledger struct {
	mu           sync.Mutex
	last, round  int
	acknowledged map[int]bool
	arrived      map[int][]int
}

const numberField = "X-Number: "

// arrival is the sink's end of data.
func (l *ledger) arrival(_ int, data []byte) string {
	_, rest, found := bytes.Cut(data, []byte(numberField))
	line, _, _ := bytes.Cut(rest, []byte("\r\n"))
	n, err := strconv.Atoi(string(line))
	if !found || err != nil || !bytes.HasSuffix(data, []byte("\r\nthe end\r\n")) {
		return "550 5.6.0 this is no whole message of the load"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrived[n] = append(l.arrived[n], l.round)
	return ""
}

// begin is called before the kill that ends a round: what arrives from now on
// may be in flight.
func (l *ledger) begin(round int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.round = round
}

func (l *ledger) next() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	return l.last
}

func (l *ledger) acknowledge(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acknowledged[n] = true
}

// load sends numbered messages until the server is gone; the function it gives
// waits for that.
func (l *ledger) load(ctx context.Context, d demo) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for range killSenders {
		wg.Go(func() {
			for ctx.Err() == nil {
				if l.session(d) != nil {
					<-time.After(10 * time.Millisecond) // the server is starting, or gone
				}
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

var killBody = strings.Repeat("Sixty-four octets of a line of a message that is sent under load\r\n", 150)

// session sends messages on one connection until it breaks.
func (l *ledger) session(d demo) error {
	c, err := smtp.Dial(d.Submission)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Auth(smtp.PlainAuth("", d.Username, d.Password, "127.0.0.1")); err != nil {
		return err
	}
	for {
		n := l.next()
		if err := c.Mail("you@" + d.Domain); err != nil {
			return err
		}
		if err := c.Rcpt(fmt.Sprintf("n%d@sink.example", n)); err != nil {
			return err
		}
		out, err := c.Data()
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "From: you@%s\r\nTo: n%d@sink.example\r\nSubject: load\r\n%s%d\r\n\r\n%sthe end\r\n", d.Domain, n, numberField, n, killBody)
		if err := out.Close(); err != nil {
			return err
		}
		l.acknowledge(n)
	}
}

// settle waits until the queue is empty; what waits for its next attempt is
// tried now.
func (l *ledger) settle(t *testing.T, s *server) {
	t.Helper()
	eventually(t, "the queue is empty", func() bool {
		left := queue(t, s)
		if len(left) == 0 {
			return true
		}
		s.call(t, http.MethodPost, "/v1/queue/retry", map[string]any{"domain": "sink.example"}, nil)
		return false
	})
}

func (l *ledger) check(t *testing.T, rounds int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	lost, twice := 0, map[int]int{} // per round in which the first copy came
	for n := range l.acknowledged {
		if len(l.arrived[n]) == 0 {
			if lost++; lost < 10 {
				t.Errorf("message %d was acknowledged and is lost", n)
			}
		}
	}
	for _, in := range l.arrived {
		for _, round := range in[:len(in)-1] {
			twice[round]++
		}
	}
	all := 0
	for round, n := range twice {
		all += n
		if n > 2*killPerSite { // a round's first arrivals may have been in flight when the one before ended
			t.Errorf("%d messages of round %d came again; only %d can have been in flight", n, round, killPerSite)
		}
	}
	if all > rounds*killPerSite {
		t.Errorf("%d messages came again; only %d can have been in flight", all, rounds*killPerSite)
	}
	t.Logf("%d kills, %d acknowledged, %d arrived, %d lost, %d came twice", rounds, len(l.acknowledged), len(l.arrived), lost, all)
	if len(l.acknowledged) < 10*rounds {
		t.Errorf("only %d messages were acknowledged in %d rounds: this was no load", len(l.acknowledged), rounds)
	}
}

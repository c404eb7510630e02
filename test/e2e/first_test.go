package e2e

import (
	"bytes"
	"net/http"
	"testing"

	"mailvow/internal/lab"
)

// TestTheThreeLines is the first quarter of an hour with mailvow: a mail arrives
// from outside, one is submitted and one is sent by the API.
func TestTheThreeLines(t *testing.T) {
	t.Parallel()
	s := dev(t, "")
	e := hook(t)
	e.route(t, s)
	raw := []byte("From: friend@example.net\r\nTo: hello@demo.example\r\nSubject: Hi\r\n\r\n.Hello\r\n..\r\n")
	c := dial(t, s.MX)
	c.want("250 2.0.0 Accepted as msg_", c.send("friend@example.net", raw, "hello@demo.example"))
	eventually(t, "the webhook came", func() bool { return len(e.take("hello@demo.example")) == 1 })
	if got := e.take("hello@demo.example")[0].Data; !bytes.HasSuffix(got.Raw, raw) || got.Message.Subject != "Hi" {
		t.Errorf("the webhook brought %q", got.Raw)
	}
	c = submit(t, s.demo)
	c.want("250 2.0.0 Accepted as msg_", c.send("you@demo.example", []byte(letter("a@example.net", "one")), "a@example.net"))
	s.must(t, http.MethodPost, "/v1/messages", map[string]any{"from": "you@demo.example", "to": []string{"b@example.net"}, "subject": "two", "text": "Hello"}, nil)
	eventually(t, "the queue is empty", func() bool { return queued(t, s) == 0 })
}

func TestServeSendsThroughItsSmarthost(t *testing.T) {
	t.Parallel()
	sink := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining})
	s := newSite(t, smarthost(sink.Addr)).serve(t)
	c := submit(t, s.demo)
	raw := []byte(letter("a@example.net", "one"))
	c.want("250 2.0.0", c.send("you@demo.example", raw, "a@example.net"))
	eventually(t, "the sink has it", func() bool { return len(sink.Messages()) == 1 })
	if got := sink.Messages()[0]; !bytes.HasSuffix(got.Data, raw) {
		t.Errorf("it arrived as %q", got.Data)
	}
}

func smarthost(addr string) world {
	return world{delivery: "  smarthost:\n    address: " + addr + "\n    tls: plain"}
}

// item is one line of the queue.
type item struct {
	ID        string `json:"id"`
	Message   string `json:"message"`
	Recipient string `json:"recipient"`
	State     string `json:"state"`
	Attempts  int    `json:"attempts"`
	LastReply string `json:"last_reply"`
}

func queue(t testing.TB, s *server) []item {
	t.Helper()
	var page struct {
		Items []item `json:"items"`
	}
	s.must(t, http.MethodGet, "/v1/queue?limit=100", nil, &page)
	return page.Items
}

func queued(t testing.TB, s *server) int { return len(queue(t, s)) }

package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/egress"
)

// Op is one operation: its name on the socket, what it takes and what it gives.
type Op[In, Out any] string

// The operations.
const (
	QueueList    Op[QueueFilter, []Item]     = "queue/list"
	QueueRetry   Op[Selection, Count]        = "queue/retry"
	QueueFail    Op[Selection, Count]        = "queue/fail"
	QueueHold    Op[Selection, Count]        = "queue/hold"
	QueueRelease Op[Selection, Count]        = "queue/release"
	QueuePause   Op[Pause, Pause]            = "queue/pause"
	QueuePauses  Op[MessageRef, []Pause]     = "queue/pauses"
	QueueResume  Op[Pause, Count]            = "queue/resume"
	DomainAdd    Op[NewDomain, Domain]       = "domain/add"
	DomainList   Op[DomainRef, []Domain]     = "domain/list"
	DomainCheck  Op[DomainRef, Domain]       = "domain/check"
	MessageList  Op[MessageFilter, Messages] = "message/list"
	MessageShow  Op[MessageRef, Message]     = "message/show"
	MessageErase Op[MessageRef, Deleted]     = "message/delete"
	KeysRotate   Op[Rotation, Count]         = "keys/rotate"
	Ping         Op[struct{}, ServerVersion] = "ping"
)

// ServerVersion says which build answers.
type ServerVersion struct {
	Version string `json:"version"`
}

// maxBody bounds one request and one answer.
const maxBody = 16 << 20

// problem is a fault on its way over the socket. The command line is the
// operator's, so it sees the hint.
type problem struct {
	Kind  fault.Kind `json:"kind"`
	Text  string     `json:"text"`
	Field string     `json:"field,omitzero"`
	Hint  string     `json:"hint,omitzero"`
}

// Client speaks to a running server.
type Client struct{ http *http.Client }

// Dial finds the server whose socket this is. Whether it answers is seen at the
// first call.
func Dial(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		short, done, err := shortPath(path)
		if err != nil {
			return nil, unanswered(path)
		}
		defer done()
		conn, err := egress.Socket(ctx, short)
		if err != nil {
			return nil, unanswered(path)
		}
		return conn, nil
	}
	return &Client{&http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: time.Hour}}
}

// unanswered has no cause: that a socket is not there says it all.
func unanswered(path string) error {
	return fault.New(fault.Unavailable, "No server answers on "+path+".").WithHint("start it, or name it by --dir or --config")
}

// Call makes the server do an operation. A fault of the server comes back as it
// was, with its public text and hint.
func Call[In, Out any](ctx context.Context, c *Client, op Op[In, Out], in In) (out Out, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return out, fault.Wrap(err, "write "+string(op))
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://mailvow/"+string(op), bytes.NewReader(body))
	if err != nil {
		return out, fault.Wrap(err, "write "+string(op))
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return out, fault.Wrap(err, "ask the server")
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxBody+1))
	if err != nil || len(text) > maxBody {
		return out, fault.Because(fault.Unavailable, err, "The server's answer broke off or is too long; narrow what you ask for.")
	}
	if answer.StatusCode != http.StatusOK {
		return out, problemOf(text)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return out, fault.Because(fault.Unavailable, err, "The server's answer is not understood; it may be of another version.")
	}
	return out, nil
}

func problemOf(text []byte) error {
	var p problem
	if err := json.Unmarshal(text, &p); err != nil || p.Text == "" && p.Kind != fault.Internal {
		return fault.New(fault.Unavailable, "The server's answer is not understood; it may be of another version.")
	}
	if p.Text == "" {
		p.Text = "The server failed; its log says why."
	}
	return &fault.Error{Kind: p.Kind, Text: p.Text, Field: p.Field, Hint: p.Hint, Err: fmt.Errorf("answered by the server")}
}

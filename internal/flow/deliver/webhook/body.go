package webhook

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/message"
	"mailvow/internal/flow/deliver"
)

// shownText bounds the text and the HTML of the parsed view, each. The raw
// message is always whole.
const shownText = 1 << 20

// event is the body of a webhook. Its raw message is written behind it, so that
// it can be streamed; see open.
type event struct {
	Type      string    `json:"type"` // message.received
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	ID        string        `json:"id"`        // the message, msg_…
	Recipient string        `json:"recipient"` // this recipient of it, rcp_…; the webhook's id
	Customer  string        `json:"customer"`
	Envelope  envelope      `json:"envelope"`
	Size      int64         `json:"size"`
	Message   *message.View `json:"message"`
}

type envelope struct {
	From     string `json:"from"` // "" is the null reverse-path
	To       string `json:"to"`
	RemoteIP string `json:"remote_ip,omitempty"`
	Helo     string `json:"helo,omitempty"`
	TLS      string `json:"tls,omitempty"`
	Protocol string `json:"protocol,omitempty"`
}

const (
	beforeRaw = `,"raw":"`
	afterRaw  = `"}}`
)

// body makes the bodies of one parcel.
type body struct {
	parcel *deliver.Parcel
	view   *message.View
}

func newBody(p *deliver.Parcel) (*body, error) {
	m, err := message.Parse(p.Content, p.Content.Size(), message.Options{})
	if err != nil {
		return nil, fault.Wrap(err, "parse a message for its webhook")
	}
	view, err := m.View(shownText)
	if err != nil {
		return nil, fault.Wrap(err, "read a message for its webhook")
	}
	return &body{parcel: p, view: view}, nil
}

// head is everything before the raw message.
func (b *body) head(r *deliver.Recipient) ([]byte, error) {
	p := b.parcel
	out, err := json.Marshal(event{
		Type:      "message.received",
		Timestamp: p.Received.UTC(),
		Data: data{
			ID:        p.Message.String(),
			Recipient: r.ID.String(),
			Customer:  p.Tenant.String(),
			Size:      p.Content.Size(),
			Message:   b.view,
			Envelope: envelope{
				From: p.Sender.Text(), To: r.Address.Text(),
				RemoteIP: p.Peer.IP, Helo: p.Peer.Name, TLS: p.Peer.TLS, Protocol: p.Peer.Protocol,
			},
		},
	})
	if err != nil {
		return nil, fault.Wrap(err, "write a webhook's body")
	}
	return append(bytes.TrimSuffix(out, []byte("}}")), beforeRaw...), nil
}

func (b *body) length(head []byte) int64 {
	size := b.parcel.Content.Size()
	return int64(len(head)) + (size+2)/3*4 + int64(len(afterRaw))
}

// open reads head, the message in base64, and the end.
func (b *body) open(head []byte) io.Reader {
	return io.MultiReader(bytes.NewReader(head), &base64Reader{from: b.parcel.Content}, bytes.NewReader([]byte(afterRaw)))
}

const base64Block = 24 << 10 // of the message; a multiple of three

// base64Reader encodes content a block at a time.
type base64Reader struct {
	from   deliver.Content
	offset int64
	src    []byte
	out    []byte
	rest   []byte // of out, not read yet
}

// Read implements io.Reader.
func (r *base64Reader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *base64Reader) fill() error {
	want := min(r.from.Size()-r.offset, base64Block)
	if want <= 0 {
		return io.EOF
	}
	if r.src == nil {
		r.src = make([]byte, want)
		r.out = make([]byte, base64.StdEncoding.EncodedLen(int(want)))
	}
	n, err := r.from.ReadAt(r.src[:want], r.offset)
	if int64(n) < want {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fault.Wrap(err, "read a message for its webhook")
	}
	r.offset += want
	base64.StdEncoding.Encode(r.out, r.src[:want])
	r.rest = r.out[:base64.StdEncoding.EncodedLen(int(want))]
	return nil
}

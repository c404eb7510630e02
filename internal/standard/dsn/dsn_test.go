package dsn_test

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/reply"
	"mailvow/internal/standard/dsn"
)

// TestWhatPeersSayFits: however long and foreign a peer's answer is, no line is
// longer than mail may be, the part for programs holds what its type may hold, and
// the whole is labelled as its parts are (RFC 2045 6.4, RFC 5322 2.1.1, RFC 6533).
func TestWhatPeersSayFits(t *testing.T) {
	t.Parallel()
	for _, utf8 := range []bool{false, true} {
		r := dsn.Report{
			Hostname: "mail.example.com", To: "ann@example.com", Boundary: "notice1", MessageID: "<1@mail.example.com>", UTF8: utf8,
			Received: time.Unix(0, 0), Now: time.Unix(60, 0), Headers: []byte("Subject: Grüße\r\n"),
			Recipients: []dsn.Recipient{{
				Address: "bob@example.net", Action: dsn.Failed, RemoteMTA: "mx.example.net", At: time.Unix(60, 0),
				Reply: reply.Reply{Code: 550, Text: "Café: " + strings.Repeat("no such mailbox ", 300) + strings.Repeat("é", 3000)},
			}},
		}
		var b bytes.Buffer
		if err := r.Write(&b); err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(b.String(), "\r\n") {
			if len(line) > 998 {
				t.Errorf("a line of %d octets: %.80s", len(line), line)
			}
		}
		m, err := mail.ReadMessage(&b)
		if err != nil {
			t.Fatal(err)
		}
		_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
		if err != nil || m.Header.Get("Content-Transfer-Encoding") != "8bit" {
			t.Errorf("%v %v", m.Header, err)
		}
		for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
			p, err := parts.NextRawPart()
			if err == io.EOF { //nolint:errorlint // as it is documented
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(p)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(p.Header.Get("Content-Type"), "message/delivery-status") && strings.ContainsFunc(string(text), func(c rune) bool { return c > '~' }) {
				t.Errorf("beyond ASCII in %s:\n%s", p.Header.Get("Content-Type"), text)
			}
		}
	}
}

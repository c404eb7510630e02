package message_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/message"
)

var aDate = time.Date(2026, 11, 21, 12, 0, 0, 0, time.FixedZone("", 3600))

// seed is a source of boundaries that gives the same ones each time.
func seed() io.Reader { return strings.NewReader(strings.Repeat("0123456789abcde", 20)) }

func compose() message.Compose {
	return message.Compose{
		From: []message.Mailbox{{Name: "Ann Lee", Address: "ann@example.com"}}, To: []message.Mailbox{{Address: "bob@example.net"}},
		Subject: "Hello", Date: aDate, MessageID: "1@example.com", Random: seed(),
	}
}

func written(t testing.TB, c message.Compose) string {
	t.Helper()
	var b bytes.Buffer
	n, err := c.WriteTo(&b)
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(b.Len()) {
		t.Errorf("WriteTo says %d bytes, wrote %d", n, b.Len())
	}
	return b.String()
}

func TestWritesExactly(t *testing.T) {
	t.Parallel()
	c := compose()
	c.Cc = []message.Mailbox{{Name: `Doe, "J"`, Address: "j@example.org"}, {Name: "Jörg", Address: "joerg@bücher.example"}}
	c.Headers = []message.HeaderField{{"X-Two", "b"}, {"X-One", "a"}, {"Bcc", "secret@example.com"}, {"X-Two", "c"}}
	c.Text, c.HTML = "Hi\nthere", "<p>Grüße <img src=\"cid:i@x\">"
	c.Attachments = []message.Attachment{
		{Filename: "a.png", ContentType: "image/png", ContentID: "i@x", Inline: true, Content: strings.NewReader("png")},
		{Filename: "Übersicht der Rechnungen des vergangenen Jahres und noch mehr.pdf", ContentType: "application/pdf", Content: strings.NewReader(strings.Repeat("x", 60))},
		{Filename: "mail.eml", ContentType: "message/rfc822", Content: strings.NewReader("Subject: x\n\nü\n")},
	}
	want := strings.ReplaceAll(`Date: Sat, 21 Nov 2026 12:00:00 +0100
From: Ann Lee <ann@example.com>
To: bob@example.net
Cc: "Doe, \"J\"" <j@example.org>, =?utf-8?b?SsO2cmc=?=
 <joerg@xn--bcher-kva.example>
Subject: Hello
Message-ID: <1@example.com>
X-Two: b
X-One: a
X-Two: c
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=_303132333435363738396162636465"

--=_303132333435363738396162636465
Content-Type: multipart/alternative;
 boundary="=_303132333435363738396162636465"

`, "\n", "\r\n")
	got := written(t, c)
	if !strings.HasPrefix(got, want) {
		t.Errorf("header:\n%s", cmp.Diff(strings.Split(want, "\n"), strings.Split(got[:min(len(want), len(got))], "\n")))
	}
	for _, line := range strings.Split(got, "\r\n") {
		if strings.ContainsAny(line, "\r\n") || len(line) > 78 && !strings.Contains(line, "img src") {
			t.Errorf("line %q", line)
		}
	}
	if strings.Contains(got, "secret") {
		t.Error("Bcc was written")
	}
}

func TestStructureOfWrittenMessage(t *testing.T) {
	t.Parallel()
	c := compose()
	c.Random = nil
	c.Text, c.HTML = "Hi\n", "<p>Grüße <img src=\"cid:i@x\">"
	name := "Übersicht der Rechnungen des vergangenen Jahres und noch etwas mehr.pdf"
	enclosed := "Subject: x\r\n\r\nü\r\n"
	c.Attachments = []message.Attachment{
		{Filename: "a.png", ContentType: "image/png", ContentID: "i@x", Inline: true, Content: strings.NewReader("png")},
		{Filename: name, ContentType: "application/pdf", Content: strings.NewReader(strings.Repeat("x", 1000))},
		{Filename: "mail.eml", ContentType: "message/rfc822", Content: strings.NewReader(enclosed)},
	}
	m := parse(t, []byte(written(t, c)))
	var tree []string
	m.Walk(func(p *message.Part) bool {
		tree = append(tree, p.Section()+" "+p.Type.Value+" "+p.Encoding)
		return true
	})
	want := []string{
		" multipart/mixed ", "1 multipart/alternative ", "1.1 text/plain 7bit", "1.2 multipart/related ", "1.2.1 text/html quoted-printable",
		"1.2.2 image/png base64", "2 application/pdf base64", "3 message/rfc822 8bit", "3.1 text/plain ",
	}
	if diff := cmp.Diff(want, tree); diff != "" {
		t.Error(diff)
	}
	if len(m.Defects) != 0 {
		t.Errorf("our own message has defects: %v", m.Defects)
	}
	files := m.Files()
	if len(files) != 3 || files[1].Filename() != name || files[0].ContentID() != "i@x" || !files[0].IsInline() {
		t.Errorf("files: %v", files)
	}
	if got := string(readAll(t, files[2].Raw())); got != enclosed {
		t.Errorf("enclosed message %q", got)
	}
	if got := string(readAll(t, m.HTMLPart().Text())); got != c.HTML {
		t.Errorf("html %q", got)
	}
}

func TestInjectionIsRefused(t *testing.T) {
	t.Parallel()
	evil := "x\r\nBcc: victim@example.com"
	for field, spoil := range map[string]func(*message.Compose){
		"from":                   func(c *message.Compose) { c.From[0].Name = evil },
		"to":                     func(c *message.Compose) { c.To[0].Address = "a@example.com\r\nX: y" },
		"cc":                     func(c *message.Compose) { c.Cc = []message.Mailbox{{Name: "a\nb", Address: "a@example.com"}} },
		"reply_to":               func(c *message.Compose) { c.ReplyTo = []message.Mailbox{{Address: "not an address"}} },
		"subject":                func(c *message.Compose) { c.Subject = evil },
		"message_id":             func(c *message.Compose) { c.MessageID = "a@b>\r\nX: y" },
		"in_reply_to":            func(c *message.Compose) { c.InReplyTo = []string{"no-at"} },
		"headers.X-A":            func(c *message.Compose) { c.Headers = []message.HeaderField{{"X-A", evil}} },
		"headers.X-A:?b":         func(c *message.Compose) { c.Headers = []message.HeaderField{{"X-A:\nb", "v"}} },
		"headers.":               func(c *message.Compose) { c.Headers = []message.HeaderField{{"", "v"}} },
		"headers.content-type":   func(c *message.Compose) { c.Headers = []message.HeaderField{{"content-type", "text/html"}} },
		"headers.From":           func(c *message.Compose) { c.Headers = []message.HeaderField{{"From", "a@example.com"}} },
		"date":                   func(c *message.Compose) { c.Date = time.Time{} },
		"text":                   func(c *message.Compose) { c.Text = "\xff" },
		"attachments.0":          func(c *message.Compose) { c.Attachments = []message.Attachment{{Filename: evil, Content: seed()}} },
		"attachments.0.content":  func(c *message.Compose) { c.Attachments = []message.Attachment{{Filename: "a"}} },
		"attachments.0.filename": func(c *message.Compose) { c.Attachments = []message.Attachment{{Filename: "\xff", Content: seed()}} },
		"attachments.0.content_type": func(c *message.Compose) {
			c.Attachments = []message.Attachment{{ContentType: "multipart/mixed", Content: seed()}}
		},
		"attachments.0.content_id": func(c *message.Compose) { c.Attachments = []message.Attachment{{ContentID: "a b", Content: seed()}} },
	} {
		c := compose()
		spoil(&c)
		var b bytes.Buffer
		_, err := c.WriteTo(&b)
		if _, at := fault.Public(err); !fault.Is(err, fault.Invalid) || at != field || b.Len() > 0 {
			t.Errorf("%s: error %v names %q, %d bytes written", field, err, at, b.Len())
		}
	}
}

func TestSMTPUTF8(t *testing.T) {
	t.Parallel()
	c := compose()
	c.Subject, c.To = "Grüße", []message.Mailbox{{Name: "Jörg", Address: "jörg@example.com"}}
	if _, err := c.WriteTo(io.Discard); !fault.Is(err, fault.Invalid) || !c.NeedsUTF8() {
		t.Errorf("without SMTPUTF8: %v", err)
	}
	c.SMTPUTF8 = true
	if got := written(t, c); !strings.Contains(got, "Subject: Grüße\r\n") || !strings.Contains(got, "To: Jörg <jörg@example.com>\r\n") {
		t.Errorf("got %q", got)
	}
}

func TestReportBody(t *testing.T) {
	t.Parallel()
	c := compose()
	c.Body = &message.Entity{
		Type: message.ContentType{Value: "multipart/report", Params: []message.Param{{Name: "report-type", Value: "delivery-status"}}},
		Parts: []*message.Entity{
			{Type: message.ContentType{Value: "text/plain"}, Text: "It failed.\n"},
			{Type: message.ContentType{Value: "message/delivery-status"}, Text: "Reporting-MTA: dns; x\n\nAction: failed\n"},
			{Type: message.ContentType{Value: "text/rfc822-headers"}, Text: "Subject: ü\n"},
		},
	}
	m := parse(t, []byte(written(t, c)))
	if len(m.Root.Children) != 3 || len(m.Defects) != 0 {
		t.Fatalf("%d parts, defects %v", len(m.Root.Children), m.Defects)
	}
	if got := string(readAll(t, m.Root.Children[1].Decoded())); got != "Reporting-MTA: dns; x\r\n\r\nAction: failed\r\n" {
		t.Errorf("status %q", got)
	}
}

// TestRoundTrip: what is written is read back the same, whatever it holds.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	line := rapid.StringMatching(`[^\pC\pZ]([^\pC\p{Zl}\p{Zp}]{0,200}[^\pC\pZ])?`)
	rapid.Check(t, func(t *rapid.T) {
		c := message.Compose{
			From: []message.Mailbox{{Name: line.Draw(t, "from"), Address: "a@example.com"}}, Date: aDate, MessageID: "x@example.com",
			To:      []message.Mailbox{{Name: line.Draw(t, "to"), Address: "b.c@example.com"}, {Address: `"d e"@example.com`}, {Name: line.Draw(t, "to2"), Address: "f@example.com"}},
			Subject: line.Draw(t, "subject"), Text: rapid.String().Draw(t, "text"), HTML: rapid.String().Draw(t, "html"),
			SMTPUTF8: rapid.Bool().Draw(t, "utf8"),
		}
		name, data := line.Draw(t, "filename"), rapid.SliceOf(rapid.Byte()).Draw(t, "data")
		c.Headers = []message.HeaderField{{"X-Any", line.Draw(t, "header")}}
		c.Attachments = []message.Attachment{{Filename: name, Content: bytes.NewReader(data)}}
		var b bytes.Buffer
		if _, err := c.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		roundTrip(t, c, b.Bytes(), name, data)
	})
}

func roundTrip(t *rapid.T, c message.Compose, raw []byte, name string, data []byte) {
	m, err := message.Parse(bytes.NewReader(raw), int64(len(raw)), message.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := m.Header()
	if diff := cmp.Diff(c.From, h.Mailboxes("From")) + cmp.Diff(c.To, h.Mailboxes("To")); diff != "" {
		t.Errorf("addresses: %s\n%s", diff, raw)
	}
	if h.Text("Subject") != c.Subject || h.Text("X-Any") != c.Headers[0].Value {
		t.Errorf("subject %q header %q", h.Text("Subject"), h.Text("X-Any"))
	}
	files := m.Files()
	last := files[len(files)-1]
	slash := strings.LastIndexAny(name, `/\`)
	if got := last.Filename(); got != strings.TrimSpace(name[slash+1:]) && got != "" {
		t.Errorf("file name %q, want %q", got, name)
	}
	got, err := io.ReadAll(last.Decoded())
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("attachment %q, want %q, %v", got, data, err)
	}
	for part, want := range map[*message.Part]string{m.TextPart(): c.Text, m.HTMLPart(): c.HTML} {
		if part == nil {
			continue
		}
		text, err := io.ReadAll(part.Text())
		want = strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(want)
		if err != nil || string(text) != want {
			t.Errorf("text %q, want %q, %v", text, want, err)
		}
	}
	for _, l := range bytes.Split(raw, []byte("\r\n")) {
		if len(l) > 998 || bytes.ContainsAny(l, "\r\n") {
			t.Errorf("line %q", l)
		}
	}
}

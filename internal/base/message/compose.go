package message

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
)

// Compose is a message to be written. Bcc has no field: it belongs into the
// envelope, and a Bcc among Headers is left out.
type Compose struct {
	From       []Mailbox // at least one
	Sender     Mailbox   // zero is none; required with more than one From (RFC 5322 3.6.2)
	To         []Mailbox
	Cc         []Mailbox
	ReplyTo    []Mailbox
	Subject    string
	Date       time.Time // required
	MessageID  string    // required, without or with its brackets
	InReplyTo  []string
	References []string
	Headers    []HeaderField // further fields, written in this order

	Text        string // text/plain; line ends of any kind
	HTML        string // text/html
	Attachments []Attachment
	Body        *Entity // if set, the whole body: Text, HTML and Attachments must be empty

	SMTPUTF8 bool      // write UTF-8 in headers as it is (RFC 6532); the message then needs an SMTPUTF8 road
	Random   io.Reader // source of boundaries; nil is crypto/rand
}

// HeaderField is a field to be written. Value is text; it is folded and encoded
// as needed.
type HeaderField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Attachment is a file. Content is read once, while the message is written.
type Attachment struct {
	Filename    string
	ContentType string // "" is application/octet-stream; parameters are kept
	ContentID   string // for cid: links of the HTML text
	Inline      bool   // with ContentID and HTML: multipart/related
	Content     io.Reader
}

// Entity is one part to be written, for bodies that Compose does not build by
// itself, such as multipart/report. It has Parts, or Text, or Content.
type Entity struct {
	Type        ContentType
	Disposition ContentType   // Value "" is none
	Headers     []HeaderField // Content-ID, Content-Description and such
	Parts       []*Entity     // of a multipart
	Text        string        // text with line ends of any kind; the shortest readable encoding is chosen
	Content     io.Reader     // bytes, written as base64; of message/*, lines, written as they are

	boundary string
	encoding string
	text     string // Text with CRLF
}

// WriteTo writes the message with CRLF line ends. It checks everything before
// the first byte: a fault.Invalid names the field that would break the form.
func (c Compose) WriteTo(w io.Writer) (int64, error) {
	body, err := c.entity()
	if err != nil {
		return 0, err
	}
	header, err := c.header()
	if err != nil {
		return 0, err
	}
	random := c.Random
	if random == nil {
		random = rand.Reader
	}
	if err := body.prepare(random, true, 0); err != nil {
		return 0, err
	}
	mime, err := body.header()
	if err != nil {
		return 0, err
	}
	out := &countWriter{w: bufio.NewWriter(w)}
	out.string(header)
	out.string("MIME-Version: 1.0\r\n")
	out.string(mime)
	out.string("\r\n")
	if err := body.write(out); err != nil {
		return out.n, err
	}
	return out.n, out.flush()
}

// NeedsUTF8 reports whether an address forces SMTPUTF8 on the message.
func (c Compose) NeedsUTF8() bool {
	for _, list := range [][]Mailbox{c.From, {c.Sender}, c.To, c.Cc, c.ReplyTo} {
		for _, m := range list {
			if a, err := address.Parse(m.Address); err == nil && a.NeedsUTF8() {
				return true
			}
		}
	}
	return false
}

// header gives the fields above MIME-Version.
func (c Compose) header() (string, error) {
	h := &headerWriter{utf8: c.SMTPUTF8}
	if err := c.required(); err != nil {
		return "", err
	}
	h.raw("Date", c.Date.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	h.mailboxes("From", "from", c.From)
	if c.Sender != (Mailbox{}) {
		h.mailboxes("Sender", "sender", []Mailbox{c.Sender})
	}
	h.mailboxes("Reply-To", "reply_to", c.ReplyTo)
	h.mailboxes("To", "to", c.To)
	h.mailboxes("Cc", "cc", c.Cc)
	if c.Subject != "" {
		h.text("Subject", "subject", c.Subject)
	}
	h.ids("Message-ID", "message_id", []string{c.MessageID})
	h.ids("In-Reply-To", "in_reply_to", c.InReplyTo)
	h.ids("References", "references", c.References)
	for _, f := range c.Headers {
		if !strings.EqualFold(f.Name, "Bcc") {
			c.further(h, f)
		}
	}
	return h.b.String(), h.err
}

func (c Compose) required() error {
	switch {
	case len(c.From) == 0:
		return fault.Field("from", "A message needs a From address.")
	case len(c.From) > 1 && c.Sender == (Mailbox{}):
		return fault.Field("sender", "With more than one From address a Sender is needed.")
	case c.Date.IsZero() || c.Date.Year() < 1900 || c.Date.Year() > 9999:
		return fault.Field("date", "A message needs a date between the years 1900 and 9999.")
	}
	return nil
}

// further writes one of Headers. The fields that Compose writes itself are
// refused, because two of them would be read in two ways.
func (c Compose) further(h *headerWriter, f HeaderField) {
	lower := strings.ToLower(f.Name)
	field := "headers." + safeName(f.Name)
	switch {
	case lower == "in-reply-to" && len(c.InReplyTo) == 0, lower == "references" && len(c.References) == 0:
	case lower == "date", lower == "from", lower == "sender", lower == "reply-to", lower == "to", lower == "cc", lower == "subject",
		lower == "message-id", lower == "in-reply-to", lower == "references", lower == "mime-version", strings.HasPrefix(lower, "content-"):
		h.fail(fault.Field(field, "This header has a field of its own; it cannot stand among the further headers."))
		return
	}
	h.text(f.Name, field, f.Value)
}

// safeName makes a header's name fit for a message to its author.
func safeName(s string) string {
	if len(s) > 60 {
		s = s[:60]
	}
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// entity builds the body: alternative of text and HTML, related images beside
// the HTML, all mixed with the attachments.
func (c Compose) entity() (*Entity, error) {
	if c.Body != nil {
		if c.Text != "" || c.HTML != "" || len(c.Attachments) > 0 {
			return nil, fault.Field("body", "A body of its own cannot be joined with text, html or attachments.")
		}
		return c.Body, nil
	}
	var files, images []*Entity
	for i, a := range c.Attachments {
		e, err := a.entity("attachments." + strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		if a.Inline && a.ContentID != "" && c.HTML != "" {
			images = append(images, e)
		} else {
			files = append(files, e)
		}
	}
	for _, t := range [2]struct{ field, value string }{{"text", c.Text}, {"html", c.HTML}} {
		if !utf8.ValidString(t.value) {
			return nil, fault.Field(t.field, "The text is not valid UTF-8.")
		}
	}
	body := textEntity("text/plain", c.Text)
	if c.HTML != "" {
		html := textEntity("text/html", c.HTML)
		if len(images) > 0 {
			html = group("multipart/related", append([]*Entity{html}, images...))
			html.Type.Params = []Param{{"type", "text/html"}}
		}
		if c.Text == "" {
			body = html
		} else {
			body = group("multipart/alternative", []*Entity{body, html})
		}
	}
	if len(files) == 0 {
		return body, nil
	}
	if c.Text == "" && c.HTML == "" {
		return group("multipart/mixed", files), nil
	}
	return group("multipart/mixed", append([]*Entity{body}, files...)), nil
}

func group(mediaType string, parts []*Entity) *Entity {
	return &Entity{Type: ContentType{Value: mediaType}, Parts: parts}
}

func textEntity(mediaType, text string) *Entity {
	charset := "us-ascii"
	if !isASCII(text) {
		charset = "utf-8"
	}
	return &Entity{Type: ContentType{Value: mediaType, Params: []Param{{"charset", charset}}}, Text: text}
}

func (a Attachment) entity(field string) (*Entity, error) {
	if a.Content == nil {
		return nil, fault.Field(field+".content", "The attachment has no content.")
	}
	if strings.ContainsAny(a.ContentType+a.Filename+a.ContentID, "\r\n\x00") {
		return nil, fault.Field(field, "Line ends and NUL are not allowed in an attachment's name, type or id.")
	}
	if !utf8.ValidString(a.Filename) {
		return nil, fault.Field(field+".filename", "The file name is not valid UTF-8.")
	}
	ct, _ := ParseParams(a.ContentType)
	if ct.Value == "" {
		ct.Value = "application/octet-stream"
	}
	if !isMediaType(ct.Value) || ct.Major() == "multipart" {
		return nil, fault.Field(field+".content_type", "The content type must have the form type/subtype and be no multipart.")
	}
	e := &Entity{Type: ct, Content: a.Content, Disposition: ContentType{Value: "attachment"}}
	if a.Inline {
		e.Disposition.Value = "inline"
	}
	if a.Filename != "" {
		e.Disposition.Params = []Param{{"filename", a.Filename}}
	}
	if a.ContentID != "" {
		id := strings.TrimSuffix(strings.TrimPrefix(a.ContentID, "<"), ">")
		if !isMessageID(id, false) {
			return nil, fault.Field(field+".content_id", "A content id has no spaces, brackets or control characters.")
		}
		e.Headers = []HeaderField{{"Content-ID", "<" + id + ">"}}
	}
	return e, nil
}

// prepare chooses boundaries and encodings of the whole tree.
func (e *Entity) prepare(random io.Reader, root bool, depth int) error {
	if depth > 50 {
		return fault.Field("body", "The parts are nested too deeply.")
	}
	if e.Type.Major() == "multipart" {
		if len(e.Parts) == 0 {
			return fault.Field("body", "A multipart needs at least one part.")
		}
		var seed [15]byte
		if _, err := io.ReadFull(random, seed[:]); err != nil {
			return fault.Wrap(err, "read random bytes for a boundary")
		}
		// Neither base64 nor quoted-printable can hold "=_" (RFC 2045 6.7 note).
		e.boundary = "=_" + hex.EncodeToString(seed[:])
		for _, p := range e.Parts {
			if err := p.prepare(random, false, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return e.chooseEncoding(root)
}

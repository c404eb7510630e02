package message

import (
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// TextPart is the first text/plain leaf to show, or nil.
func (m *Message) TextPart() *Part { return m.first("text/plain") }

// HTMLPart is the first text/html leaf to show, or nil.
func (m *Message) HTMLPart() *Part { return m.first("text/html") }

// first finds a body of the message itself: no attachment and nothing within an
// enclosed message.
func (m *Message) first(mediaType string) *Part {
	var found *Part
	var visit func(p *Part)
	visit = func(p *Part) {
		switch {
		case found != nil:
		case p.IsMultipart():
			for _, c := range p.Children {
				visit(c)
			}
		case p.IsLeaf() && !p.Opaque && p.Type.Value == mediaType && !p.attached():
			found = p
		}
	}
	visit(m.Root)
	return found
}

// attached reports a text that is a file rather than a body.
func (p *Part) attached() bool {
	d := p.Disposition().Value
	return d == "attachment" || d != "inline" && p.Filename() != "" && p.Parent != nil
}

// Files are the leaves and enclosed messages that are not the bodies to show,
// in order: attachments, inline images, calendars, signatures. Enclosed
// messages count as one file; their own parts are not listed.
func (m *Message) Files() []*Part {
	text, html := m.TextPart(), m.HTMLPart()
	var files []*Part
	var visit func(p *Part)
	visit = func(p *Part) {
		switch {
		case p.IsMultipart():
			for _, c := range p.Children {
				visit(c)
			}
		case p == text || p == html:
		case p.Size() == 0 && p.Type.Major() == "text" && !p.attached():
		default:
			files = append(files, p)
		}
	}
	visit(m.Root)
	return files
}

// IsInline reports a part that is shown within the HTML body: it has a
// Content-ID or asks for it, and is not sent as an attachment.
func (p *Part) IsInline() bool {
	d := p.Disposition().Value
	related := p.Parent != nil && p.Parent.Type.Value == "multipart/related"
	return d == "inline" || d == "" && p.ContentID() != "" && related
}

// View is a message as people and programs want to see it, in UTF-8. It is
// made for JSON; the offsets are those that IMAP needs.
type View struct {
	MessageID   string      `json:"message_id,omitempty"`
	InReplyTo   []string    `json:"in_reply_to,omitempty"`
	References  []string    `json:"references,omitempty"`
	Date        *time.Time  `json:"date,omitempty"`
	Subject     string      `json:"subject"`
	From        []Mailbox   `json:"from"`
	Sender      []Mailbox   `json:"sender,omitempty"`
	ReplyTo     []Mailbox   `json:"reply_to,omitempty"`
	To          []Mailbox   `json:"to"`
	Cc          []Mailbox   `json:"cc,omitempty"`
	Headers     []ViewField `json:"headers"`
	Text        string      `json:"text"`
	HTML        string      `json:"html"`
	Truncated   bool        `json:"truncated,omitempty"` // Text or HTML was cut at the limit
	Attachments []ViewFile  `json:"attachments"`
	Structure   ViewPart    `json:"structure"`
	Defects     []Defect    `json:"defects,omitempty"`
	Size        int64       `json:"size"`
}

// ViewField is a header field, decoded.
type ViewField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// ViewFile is an attachment or an inline part.
type ViewFile struct {
	Part        string `json:"part"` // section number; for a file within a text "1#1"
	Filename    string `json:"filename,omitempty"`
	ContentType string `json:"content_type"`
	ContentID   string `json:"content_id,omitempty"`
	Inline      bool   `json:"inline,omitempty"`
	Size        int64  `json:"size"` // decoded bytes
}

// ViewPart is a node of the tree with its offsets.
type ViewPart struct {
	Part        string     `json:"part"`
	ContentType string     `json:"content_type"`
	Encoding    string     `json:"encoding,omitempty"`
	Layer       int        `json:"layer,omitempty"`
	HeaderStart int64      `json:"header_start"`
	BodyStart   int64      `json:"body_start"`
	BodyEnd     int64      `json:"body_end"`
	Lines       int        `json:"lines"`
	Opaque      bool       `json:"opaque,omitempty"`
	Parts       []ViewPart `json:"parts,omitempty"`
}

// View reads the bodies to show, each up to limit bytes of UTF-8, and counts
// the decoded sizes. The error is one of the reader.
func (m *Message) View(limit int64) (*View, error) {
	h := m.Header()
	v := &View{
		MessageID: h.MessageID(), InReplyTo: h.MessageIDs("In-Reply-To"), References: h.MessageIDs("References"), Subject: h.Text("Subject"),
		From: h.Mailboxes("From"), Sender: h.Mailboxes("Sender"), ReplyTo: h.Mailboxes("Reply-To"), To: h.Mailboxes("To"), Cc: h.Mailboxes("Cc"),
		Defects: m.Defects, Size: m.Size, Structure: viewPart(m.Root), Attachments: []ViewFile{},
	}
	if t, ok := h.Date(); ok {
		v.Date = &t
	}
	for _, f := range h.Fields {
		v.Headers = append(v.Headers, ViewField{Name: DecodeText(f.Name()), Value: f.Text()})
	}
	var err error
	if v.Text, err = m.shown(m.TextPart(), limit, v); err != nil {
		return nil, err
	}
	if v.HTML, err = m.shown(m.HTMLPart(), limit, v); err != nil {
		return nil, err
	}
	for _, p := range m.Files() {
		size, err := p.DecodedSize()
		if err != nil {
			return nil, err
		}
		v.Attachments = append(v.Attachments, ViewFile{
			Part: p.Section(), Filename: p.Filename(), ContentType: p.Type.Value, ContentID: p.ContentID(), Inline: p.IsInline(), Size: size,
		})
	}
	return v, m.embedded(v)
}

func (m *Message) embedded(v *View) error {
	p := m.TextPart()
	if p == nil {
		return nil
	}
	for i := range p.Embedded {
		size, err := io.Copy(io.Discard, p.OpenEmbedded(i))
		if err != nil {
			return err
		}
		v.Attachments = append(v.Attachments, ViewFile{
			Part: p.Section() + "#" + strconv.Itoa(i+1), Filename: baseName(p.Embedded[i].Name), ContentType: "application/octet-stream", Size: size,
		})
	}
	return nil
}

// OpenEmbedded streams the decoded bytes of a uuencoded file within a text.
func (p *Part) OpenEmbedded(i int) io.Reader {
	return newBodyReader(p.src, p.Embedded[i].Span, decoder{coding: codingUU})
}

// shown reads a body to show. A cut at the limit falls between two characters.
func (m *Message) shown(p *Part, limit int64, v *View) (string, error) {
	if p == nil {
		return "", nil
	}
	var b strings.Builder
	n, err := io.CopyN(&b, p.Text(), limit+1)
	if err == io.EOF {
		return b.String(), nil
	}
	if err != nil || n <= limit {
		return b.String(), err
	}
	v.Truncated = true
	s := b.String()[:limit]
	for len(s) > 0 && !utf8.RuneStart(b.String()[len(s)]) {
		s = s[:len(s)-1]
	}
	return s, nil
}

func viewPart(p *Part) ViewPart {
	v := ViewPart{
		Part: p.Section(), ContentType: p.Type.Value, Encoding: p.Encoding, Layer: p.Layer, Opaque: p.Opaque,
		HeaderStart: p.Header.Start, BodyStart: p.Body.Start, BodyEnd: p.Body.End, Lines: p.Lines,
	}
	for _, c := range p.Children {
		v.Parts = append(v.Parts, viewPart(c))
	}
	return v
}

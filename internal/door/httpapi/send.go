package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/message"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/intake"
	"mailvow/internal/flow/queue"
)

// NewMessage is a message to be sent: in parts, or raw.
type NewMessage struct {
	From        string            `json:"from,omitempty" maxLength:"998" example:"Ann <ann@example.com>"`
	To          []string          `json:"to,omitempty" maxItems:"1000" nullable:"false" example:"[\"bob@example.net\"]"`
	Cc          []string          `json:"cc,omitempty" maxItems:"1000" nullable:"false"`
	Bcc         []string          `json:"bcc,omitempty" maxItems:"1000" nullable:"false"`
	ReplyTo     []string          `json:"reply_to,omitempty" maxItems:"20" nullable:"false"`
	Subject     string            `json:"subject,omitempty" maxLength:"998"`
	Text        string            `json:"text,omitempty"`
	HTML        string            `json:"html,omitempty"`
	Headers     map[string]string `json:"headers,omitempty" doc:"Further header fields."`
	Attachments []NewAttachment   `json:"attachments,omitempty" maxItems:"100" nullable:"false"`
	Tags        []string          `json:"tags,omitempty" maxItems:"20" nullable:"false"`
	Metadata    map[string]string `json:"metadata,omitempty" doc:"Words of your own that the record keeps, at most 20."`
	Class       string            `json:"class,omitempty" enum:"transactional,marketing,digest" default:"transactional"`
	Raw         string            `json:"raw,omitempty" doc:"A whole message in base64, instead of subject, text, html, headers and attachments. Lines that end in LF get CRLF."`
}

// NewAttachment is a file of a message.
type NewAttachment struct {
	Filename    string `json:"filename,omitempty" maxLength:"255"`
	ContentType string `json:"content_type,omitempty" maxLength:"255"`
	Content     string `json:"content" doc:"In base64."`
	ContentID   string `json:"content_id,omitempty" maxLength:"255"`
	Disposition string `json:"disposition,omitempty" enum:"attachment,inline" default:"attachment"`
}

type newMessage struct{ Body NewMessage }

// Accepted says that a message will be delivered.
type Accepted struct {
	ID         string              `json:"id"`
	Recipients []AcceptedRecipient `json:"recipients" nullable:"false"`
}

// AcceptedRecipient is one recipient of an accepted message.
type AcceptedRecipient struct {
	ID      string `json:"id"`
	Address string `json:"address"`
}

type acceptedOut struct{ Body Accepted }

const (
	maxRecipients = 1000
)

// letter is a message on its way to intake.
type letter struct {
	from       address.Address
	recipients []address.Address
	write      func(io.Writer) error
	utf8       bool
}

func (a *API) sendMessage(ctx context.Context, who Asker, in *newMessage) (*acceptedOut, error) {
	tags, err := tagsOf(&in.Body)
	if err != nil {
		return nil, err
	}
	var l *letter
	if in.Body.Raw != "" {
		l, err = rawLetter(&in.Body)
	} else {
		l, err = a.composed(&in.Body)
	}
	if err != nil {
		return nil, err
	}
	sub, err := a.submission(ctx, who, l, classes[in.Body.Class], tags)
	if err != nil {
		return nil, err
	}
	return a.accept(ctx, sub, l)
}

// accept writes the message into a draft and hands it over.
func (a *API) accept(ctx context.Context, sub *intake.Submission, l *letter) (*acceptedOut, error) {
	sub.Draft = a.parts.Drafts.Begin(ctx)
	body := &measured{w: sub.Draft, most: int64(a.config.MaxMessage)}
	err := l.write(body)
	if err == nil {
		err = sub.Draft.Finish()
	}
	if err != nil {
		if discarded := sub.Draft.Discard(ctx); discarded != nil {
			a.log.WarnContext(ctx, "discard a draft; the sweep will", "error", discarded)
		}
		return nil, err
	}
	sub.Need = deliver.Need{EightBit: body.eight, SMTPUTF8: l.utf8}
	return a.hand(ctx, sub, l)
}

var classes = map[string]queue.Class{"": queue.Transactional, "transactional": queue.Transactional, "marketing": queue.Marketing, "digest": queue.Digest}

// measured holds the size, and notes octets that need 8BITMIME.
type measured struct {
	w     io.Writer
	size  int64
	most  int64
	eight bool
}

func (m *measured) Write(p []byte) (int, error) {
	if m.size += int64(len(p)); m.size > m.most {
		return 0, &fault.Error{Kind: fault.Invalid, Field: "attachments", Text: "The message is larger than " + strconv.FormatInt(m.most>>20, 10) + " MiB."}
	}
	if !m.eight {
		m.eight = slices.ContainsFunc(p, func(c byte) bool { return c >= 0x80 })
	}
	return m.w.Write(p)
}

func tagsOf(m *NewMessage) ([]string, error) {
	if len(m.Metadata) > 20 {
		return nil, fault.Field("metadata", "At most 20 words of metadata.")
	}
	tags := slices.Clone(m.Tags)
	for _, t := range m.Tags {
		if t == "" || len(t) > 100 || isMetadata(t) || strings.ContainsFunc(t, isControl) {
			return nil, fault.Field("tags", "A tag has 1 to 100 bytes without control characters, and does not begin with meta:.")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m.Metadata)) {
		if key == "" || len(key) > 64 || strings.ContainsAny(key, "=") || len(m.Metadata[key]) > 500 || strings.ContainsFunc(key+m.Metadata[key], isControl) {
			return nil, fault.Field("metadata", "A word of metadata has a name of 1 to 64 bytes without = and a value of at most 500 bytes, without control characters.")
		}
		tags = append(tags, history.Attribute(key, m.Metadata[key]))
	}
	return tags, nil
}

func isMetadata(tag string) bool { _, _, is := history.IsAttribute(tag); return is }

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// mailbox reads one address with or without a name.
func mailbox(field, text string) (message.Mailbox, address.Address, error) {
	list := message.ParseMailboxes(text)
	if len(list) != 1 {
		return message.Mailbox{}, address.Address{}, fault.Field(field, "Give one address: ann@example.com, or Ann <ann@example.com>.")
	}
	a, err := addressAt(field, list[0].Address)
	if err != nil {
		return message.Mailbox{}, a, err
	}
	return message.Mailbox{Name: list[0].Name, Address: a.Text()}, a, nil
}

func mailboxes(field string, texts []string) ([]message.Mailbox, []address.Address, error) {
	var boxes []message.Mailbox
	var list []address.Address
	for i, text := range texts {
		m, a, err := mailbox("body."+field+"["+strconv.Itoa(i)+"]", text)
		if err != nil {
			return nil, nil, err
		}
		boxes, list = append(boxes, m), append(list, a)
	}
	return boxes, list, nil
}

// composed writes a message from its parts.
func (a *API) composed(m *NewMessage) (*letter, error) {
	from, sender, err := mailbox("body.from", m.From)
	if err != nil {
		return nil, err
	}
	c := message.Compose{From: []message.Mailbox{from}, Subject: m.Subject, Text: m.Text, HTML: m.HTML, Date: a.parts.Clock.Now()}
	c.MessageID = ids.New[ids.Reference](a.parts.IDs).String() + "@" + sender.Domain()
	var to, cc, bcc []address.Address
	if c.To, to, err = mailboxes("to", m.To); err != nil {
		return nil, err
	}
	if c.Cc, cc, err = mailboxes("cc", m.Cc); err != nil {
		return nil, err
	}
	if _, bcc, err = mailboxes("bcc", m.Bcc); err != nil {
		return nil, err
	}
	if c.ReplyTo, _, err = mailboxes("reply_to", m.ReplyTo); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		c.Headers = append(c.Headers, message.HeaderField{Name: name, Value: m.Headers[name]})
	}
	if c.Attachments, err = attachments(m.Attachments); err != nil {
		return nil, err
	}
	l := &letter{from: sender}
	if l.recipients, err = recipients(to, cc, bcc); err != nil {
		return nil, err
	}
	c.SMTPUTF8 = c.NeedsUTF8()
	l.utf8 = c.SMTPUTF8 || slices.ContainsFunc(l.recipients, address.Address.NeedsUTF8)
	l.write = func(w io.Writer) error { _, err := c.WriteTo(w); return err }
	return l, nil
}

func attachments(list []NewAttachment) ([]message.Attachment, error) {
	var out []message.Attachment
	for i, n := range list {
		content, err := base64.StdEncoding.DecodeString(n.Content)
		if err != nil {
			return nil, fault.Field("body.attachments["+strconv.Itoa(i)+"].content", "The content is not base64 (RFC 4648 section 4).")
		}
		out = append(out, message.Attachment{
			Filename: n.Filename, ContentType: n.ContentType, ContentID: n.ContentID, Inline: n.Disposition == "inline", Content: bytes.NewReader(content),
		})
	}
	return out, nil
}

// recipients joins lists, each mailbox once.
func recipients(lists ...[]address.Address) ([]address.Address, error) {
	seen := map[string]bool{}
	var all []address.Address
	for _, list := range lists {
		for _, a := range list {
			if !seen[a.Canonical()] {
				seen[a.Canonical()] = true
				all = append(all, a)
			}
		}
	}
	switch {
	case len(all) == 0:
		return nil, fault.Field("to", "The message has no recipient.")
	case len(all) > maxRecipients:
		return nil, fault.Field("to", "A message has at most 1000 recipients.")
	}
	return all, nil
}

// rawLetter takes a whole message. Its From must be an address that the customer
// may use; recipients are those given, or those of its header.
func rawLetter(m *NewMessage) (*letter, error) {
	if m.Subject+m.Text+m.HTML != "" || len(m.Headers)+len(m.Attachments)+len(m.ReplyTo) > 0 {
		return nil, fault.Field("raw", "Give either raw, or subject, text, html, headers, reply_to and attachments.")
	}
	raw, err := base64.StdEncoding.DecodeString(m.Raw)
	if err != nil {
		return nil, fault.Field("raw", "The message is not base64 (RFC 4648 section 4).")
	}
	m.Raw = ""
	if raw, err = lines(raw); err != nil {
		return nil, err
	}
	h, err := message.ParseHeader(bytes.NewReader(raw), int64(len(raw)), message.Options{})
	if err != nil {
		return nil, fault.Wrap(err, "read a raw message")
	}
	l := &letter{write: func(w io.Writer) error { _, err := w.Write(raw); return err }}
	if l.from, err = rawFrom(&h, m.From); err != nil {
		return nil, err
	}
	if l.recipients, err = rawRecipients(&h, m); err != nil {
		return nil, err
	}
	head := raw[:min(int(h.Body), len(raw))]
	l.utf8 = slices.ContainsFunc(head, func(c byte) bool { return c >= 0x80 }) || slices.ContainsFunc(l.recipients, address.Address.NeedsUTF8)
	return l, nil
}

// lines gives every line CRLF; a CR alone is refused, because some hosts take it
// for a line end and others do not.
func lines(raw []byte) ([]byte, error) {
	raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
	if bytes.IndexByte(raw, '\r') >= 0 {
		return nil, fault.Field("raw", "The message holds a CR without LF. Encode it, or end lines with CRLF.")
	}
	if !bytes.HasSuffix(raw, []byte("\n")) {
		raw = append(raw, '\n')
	}
	return bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n")), nil
}

func rawFrom(h *message.Header, given string) (address.Address, error) {
	list := h.Mailboxes("From")
	if len(list) != 1 || len(h.All("From")) != 1 {
		return address.Address{}, fault.Field("raw", "The message must have one From field with one address.")
	}
	from, err := addressAt("raw", list[0].Address)
	if err != nil || given == "" {
		return from, err
	}
	_, sender, err := mailbox("body.from", given)
	if err == nil && sender.Domain() != from.Domain() {
		err = fault.Field("from", "The sender's domain must be that of the message's From field.")
	}
	return sender, err
}

func rawRecipients(h *message.Header, m *NewMessage) ([]address.Address, error) {
	if _, ok := h.Get("Bcc"); ok {
		return nil, fault.Field("raw", "The message holds a Bcc field, which everybody would see. Remove it, and name those recipients in bcc.")
	}
	_, to, err := mailboxes("to", m.To)
	if err != nil {
		return nil, err
	}
	_, cc, err := mailboxes("cc", m.Cc)
	if err != nil {
		return nil, err
	}
	_, bcc, err := mailboxes("bcc", m.Bcc)
	if err != nil {
		return nil, err
	}
	if len(to)+len(cc) == 0 {
		for _, name := range []string{"To", "Cc"} {
			for _, box := range h.Mailboxes(name) {
				a, err := addressAt("raw", box.Address)
				if err != nil {
					return nil, err
				}
				to = append(to, a)
			}
		}
	}
	return recipients(to, cc, bcc)
}

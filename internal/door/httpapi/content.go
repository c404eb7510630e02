package httpapi

import (
	"context"
	"io"
	"mime"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/microcosm-cc/bluemonday"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/message"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/reads"
)

func scopeOf(t ids.Tenant) scope.Scope { return scope.Tenant(t) }

// stream answers with bytes that somebody else wrote: never shown by a browser,
// always saved.
type stream struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Length      string `header:"Content-Length"`
	Security    string `header:"Content-Security-Policy"`
	Body        func(huma.Context)
}

func download(contentType, name string, size int64, from io.Reader, done io.Closer) *stream {
	s := &stream{
		ContentType: contentType, Disposition: mime.FormatMediaType("attachment", map[string]string{"filename": name}),
		Security: "default-src 'none'; sandbox",
	}
	if s.Disposition == "" {
		s.Disposition = "attachment"
	}
	if size >= 0 {
		s.Length = strconv.FormatInt(size, 10)
	}
	s.Body = func(ctx huma.Context) {
		defer done.Close()
		io.Copy(ctx.BodyWriter(), from) // a peer that has gone is no concern of ours
	}
	return s
}

// mayPreview holds the policy in force: where it says that content is not shown, no
// role opens it.
func (a *API) mayPreview(who Asker) error {
	if a.parts.Policy != nil && a.parts.Policy.For(who.Tenant, a.parts.Clock.Now()).Document.Preview == policy.Off {
		return fault.New(fault.Denied, "The privacy policy in force says that the content of messages is not shown (preview: off).")
	}
	return nil
}

func (a *API) getContent(ctx context.Context, who Asker, in *ByID) (*stream, error) {
	id, err := idAt[ids.Message]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	if err := a.mayPreview(who); err != nil {
		return nil, err
	}
	content, err := a.parts.Queue.Content(ctx, who.Scope, id)
	if err != nil {
		return nil, err
	}
	reads.Saw(ctx, ofQueue, who.Tenant, id, id.Time())
	return download("message/rfc822", id.String()+".eml", content.Size(), io.NewSectionReader(content, 0, content.Size()), content), nil
}

// Parsed is a message for reading.
type Parsed struct {
	From        string        `json:"from"`
	To          []string      `json:"to" nullable:"false"`
	Subject     string        `json:"subject"`
	Date        string        `json:"date,omitempty"`
	Headers     []HeaderField `json:"headers" nullable:"false"`
	Text        string        `json:"text"`
	HTML        string        `json:"html" doc:"Sanitised: no scripts, forms, frames or event handlers."`
	Attachments []File        `json:"attachments" nullable:"false"`
	Truncated   bool          `json:"truncated,omitempty" doc:"The text is longer than what is shown."`
	Size        int64         `json:"size"`
}

// File is an attachment of a message.
type File struct {
	ID          string `json:"id" doc:"The part's number."`
	Index       int    `json:"index"`
	Filename    string `json:"filename"`
	ContentType string `json:"content_type"`
	ContentID   string `json:"content_id,omitempty"`
	Size        int64  `json:"size"`
}

type parsedOut struct{ Body Parsed }

func (a *API) getParsed(ctx context.Context, who Asker, in *ByID) (*parsedOut, error) {
	id, err := idAt[ids.Message]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	if err := a.mayPreview(who); err != nil {
		return nil, err
	}
	content, err := a.parts.Queue.Content(ctx, who.Scope, id)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	p, err := parse(content)
	if err != nil {
		return nil, err
	}
	reads.Saw(ctx, ofQueue, who.Tenant, id, id.Time())
	return &parsedOut{*p}, nil
}

// shown is how much of a text is shown.
const shown = 1 << 20

type sized interface {
	io.ReaderAt
	Size() int64
}

func parse(content sized) (*Parsed, error) {
	m, err := message.Parse(content, content.Size(), message.Options{})
	if err != nil {
		return nil, fault.Wrap(err, "read a message")
	}
	v, err := m.View(shown)
	if err != nil {
		return nil, fault.Wrap(err, "read a message")
	}
	p := &Parsed{
		From: plainList(v.From), To: []string{}, Subject: v.Subject, Headers: []HeaderField{}, Text: v.Text, HTML: sanitise(v.HTML),
		Attachments: []File{}, Truncated: v.Truncated, Size: v.Size,
	}
	if v.Date != nil {
		p.Date = v.Date.Format("2006-01-02T15:04:05Z07:00")
	}
	for _, to := range v.To {
		p.To = append(p.To, plain(to))
	}
	for _, h := range v.Headers {
		p.Headers = append(p.Headers, HeaderField(h))
	}
	for i, f := range v.Attachments {
		p.Attachments = append(p.Attachments, File{ID: f.Part, Index: i, Filename: f.Filename, ContentType: f.ContentType, ContentID: f.ContentID, Size: f.Size})
	}
	return p, nil
}

func plain(m message.Mailbox) string {
	if m.Name == "" {
		return m.Address
	}
	return m.Name + " <" + m.Address + ">"
}

func plainList(list []message.Mailbox) string {
	texts := make([]string, len(list))
	for i, m := range list {
		texts[i] = plain(m)
	}
	return strings.Join(texts, ", ")
}

// sanitise keeps what makes a mail readable and nothing that acts. The console
// shows the rest in a frame without network besides.
func sanitise(html string) string {
	if html == "" {
		return ""
	}
	p := bluemonday.UGCPolicy()
	p.AllowTables()
	p.AllowElements("center", "font", "u", "s")
	p.AllowAttrs("align", "valign", "width", "height", "bgcolor", "border", "cellpadding", "cellspacing", "color", "face", "size").Globally()
	p.AllowStyles("color", "background-color", "font-family", "font-size", "font-weight", "font-style", "text-align", "text-decoration",
		"line-height", "padding", "margin", "border", "width", "max-width", "height", "display", "vertical-align").Globally()
	p.AllowURLSchemes("mailto", "http", "https", "cid")
	p.RequireNoReferrerOnLinks(true)
	p.RequireNoFollowOnLinks(true)
	return p.Sanitize(html)
}

package httpapi

import (
	"context"
	"io"
	"net/http"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/message"
	"mailvow/internal/flow/inbox"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/reads"
)

// CaughtItem is one message in the built-in inbox.
type CaughtItem struct {
	ID         string    `json:"id"`
	From       string    `json:"from"`
	To         []string  `json:"to" nullable:"false"`
	Subject    string    `json:"subject"`
	ReceivedAt time.Time `json:"received_at"`
	Size       int64     `json:"size"`
}

// Caught is one caught message for reading.
type Caught struct {
	ID         string    `json:"id"`
	ReceivedAt time.Time `json:"received_at"`
	Parsed
}

type caughtOut struct{ Body Caught }

type caughtFile struct {
	ByID
	Index int `path:"index" minimum:"0" maximum:"10000"`
}

func (a *API) caughtRoutes() {
	register(a, op{id: "list-caught", method: http.MethodGet, path: "/v1/caught", summary: "List the built-in inbox, newest first", tag: "caught", needs: access.CaughtRead}, a.listCaught)
	register(a, op{id: "get-caught", method: http.MethodGet, path: "/v1/caught/{id}", summary: "One caught message for reading", tag: "caught", needs: access.CaughtRead}, a.getCaught)
	register(a, op{id: "get-caught-source", method: http.MethodGet, path: "/v1/caught/{id}/source", summary: "A caught message's bytes", tag: "caught", needs: access.CaughtRead}, a.getCaughtSource)
	register(a, op{id: "get-caught-attachment", method: http.MethodGet, path: "/v1/caught/{id}/attachments/{index}", summary: "One attachment of a caught message", tag: "caught", needs: access.CaughtRead}, a.getCaughtFile)
	register(a, op{id: "delete-caught", method: http.MethodDelete, path: "/v1/caught/{id}", summary: "Delete a caught message", tag: "caught", needs: access.CaughtManage, quiet: true}, a.deleteCaught)
	register(a, op{id: "clear-caught", method: http.MethodDelete, path: "/v1/caught", summary: "Empty the built-in inbox", tag: "caught", needs: access.CaughtManage, quiet: true}, a.clearCaught)
}

func viewCaught(i inbox.Item) CaughtItem {
	to := i.To
	if to == nil {
		to = []string{}
	}
	return CaughtItem{ID: i.ID.String(), From: i.From, To: to, Subject: i.Subject, ReceivedAt: i.At.UTC(), Size: i.Size}
}

func (a *API) listCaught(ctx context.Context, who Asker, in *Paging) (*pageOut[CaughtItem], error) {
	return pageOf(a, listing("caught", who), *in, func(before int64, limit int) ([]inbox.Item, error) {
		return a.parts.Caught.List(ctx, who.Scope, ids.Caught(before), limit)
	}, func(i inbox.Item) int64 { return int64(i.ID) }, func(i inbox.Item) CaughtItem {
		reads.Saw(ctx, ofCaught, i.Tenant, i.ID, i.At)
		return viewCaught(i)
	})
}

// open finds a caught message; the caller closes its content.
func (a *API) openCaught(ctx context.Context, who Asker, text string) (inbox.Item, caughtContent, error) {
	id, err := idAt[ids.Caught]("path.id", text)
	if err != nil {
		return inbox.Item{}, caughtContent{}, err
	}
	item, content, err := a.parts.Caught.Open(ctx, who.Scope, id)
	if err == nil {
		reads.Saw(ctx, ofCaught, item.Tenant, item.ID, item.At)
	}
	return item, caughtContent{content}, err
}

type caughtContent struct{ *inbox.Content }

// Size is the length in bytes.
func (c caughtContent) Size() int64 { return c.Content.Size }

func (a *API) getCaught(ctx context.Context, who Asker, in *ByID) (*caughtOut, error) {
	item, content, err := a.openCaught(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	p, err := parse(content)
	if err != nil {
		return nil, err
	}
	p.To = viewCaught(item).To // the envelope's: it shows bcc as well
	return &caughtOut{Caught{ID: item.ID.String(), ReceivedAt: item.At.UTC(), Parsed: *p}}, nil
}

func (a *API) getCaughtSource(ctx context.Context, who Asker, in *ByID) (*stream, error) {
	item, content, err := a.openCaught(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	return download("message/rfc822", item.ID.String()+".eml", content.Size(), io.NewSectionReader(content, 0, content.Size()), content), nil
}

func (a *API) getCaughtFile(ctx context.Context, who Asker, in *caughtFile) (*stream, error) {
	_, content, err := a.openCaught(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	m, err := message.Parse(content, content.Size(), message.Options{})
	if err != nil {
		return nil, closing(content, fault.Wrap(err, "read a message"))
	}
	files := m.Files()
	if in.Index >= len(files) {
		return nil, closing(content, fault.New(fault.NotFound, "The message has no such attachment."))
	}
	f := files[in.Index]
	name := f.Filename()
	if name == "" {
		name = "attachment"
	}
	return download("application/octet-stream", name, -1, f.Decoded(), content), nil
}

func closing(c io.Closer, err error) error {
	if e := c.Close(); e != nil && err == nil {
		return e
	}
	return err
}

func (a *API) deleteCaught(ctx context.Context, who Asker, in *ByID) (*nothing, error) {
	id, err := idAt[ids.Caught]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.parts.Caught.Delete(ctx, who.Scope, id)
}

func (a *API) clearCaught(ctx context.Context, who Asker, _ *nothing) (*nothing, error) {
	return nil, a.parts.Caught.Clear(ctx, who.Scope)
}

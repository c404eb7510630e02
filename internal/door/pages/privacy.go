// Package pages is the door for people without an account: what links in mail
// lead to, and the trust centre. It promises that a link acts by POST alone, that
// its text is not kept by caches, sent on to other sites or indexed, and that a
// stranger learns nothing from a link that is wrong. What is shown is given by the
// products.
package pages

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/ending"
	"mailvow/internal/protect/onward"
	"mailvow/internal/protect/request"
	"mailvow/internal/protect/subject"
)

//go:embed privacy
var privacyFiles embed.FS

// Requests is protect/request, as persons reach it.
type Requests interface {
	Ask(ctx context.Context, q request.Asked) error
	Proving(ctx context.Context, link string) (request.Case, error)
	Prove(ctx context.Context, link string) (string, error)
	Choosing(ctx context.Context, link string) (request.Case, error)
	Choose(ctx context.Context, link string, k request.Kind, law string) (string, error)
	Page(ctx context.Context, link string) (request.Case, []request.Part, error)
	Result(ctx context.Context, link string) (request.Case, request.Share, error)
	Fetch(ctx context.Context, link string, f subject.Format, w io.Writer) error
	ChildReport(ctx context.Context, link string) (request.Case, error)
	EraseChild(ctx context.Context, link string) (request.Case, error)
}

// Closings closes accounts by links that were mailed to their owners; protect/ending
// does.
type Closings interface {
	Closing(ctx context.Context, link string) (ending.Offer, error)
	CloseBy(ctx context.Context, link, confirm string, atOnce bool) (ending.Ending, error)
}

// Privacy is the public page on which a person asks for their rights, and the
// pages that the links in its mail lead to. They work without scripts and set no
// cookies. It is an http.Handler for /privacy and what is below.
type Privacy struct {
	requests Requests
	closings Closings
	clock    clock.Clock
	log      *slog.Logger
	pages    *template.Template
	mux      http.Handler
	limits   *limits
	copies   limit.Places
}

const (
	maxForm      = 32 << 10
	copiesAtOnce = 4
)

// NewPrivacy makes the pages.
func NewPrivacy(r Requests, e Closings, c clock.Clock, log *slog.Logger) (*Privacy, error) {
	p := &Privacy{
		requests: r, closings: e, clock: c, log: log, limits: newLimits(c, askEvery, askBurst), copies: limit.NewPlaces(copiesAtOnce),
	}
	var err error
	p.pages, err = template.New("").Funcs(template.FuncMap{
		"day": func(t time.Time) string { return t.UTC().Format("2 January 2006") }, "state": stateWords, "told": toldWords,
	}).ParseFS(privacyFiles, "privacy/pages.html")
	if err != nil {
		return nil, fault.Because(fault.Internal, err, "")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /privacy", func(w http.ResponseWriter, _ *http.Request) { p.form(w, http.StatusOK, form{}) })
	mux.HandleFunc("POST /privacy", p.ask)
	mux.HandleFunc("GET "+GPCPath, globalPrivacy)
	mux.HandleFunc("GET "+request.ProofPath+"{link}", p.confirm)
	mux.HandleFunc("POST "+request.ProofPath+"{link}", p.prove)
	mux.HandleFunc("GET "+request.ChoicePath+"{link}", func(w http.ResponseWriter, r *http.Request) { p.choose(w, r, http.StatusOK, form{}) })
	mux.HandleFunc("POST "+request.ChoicePath+"{link}", p.chosen)
	mux.HandleFunc("GET "+request.CasePath+"{link}", p.standing)
	mux.HandleFunc("GET "+request.ResultPath+"{link}", p.result)
	mux.HandleFunc("POST "+request.ResultPath+"{link}", p.fetch)
	mux.HandleFunc("GET "+request.ChildPath+"{link}", p.childReport)
	mux.HandleFunc("POST "+request.ChildPath+"{link}", p.eraseChild)
	mux.HandleFunc("GET "+ending.ClosePath+"{link}", p.closing)
	mux.HandleFunc("POST "+ending.ClosePath+"{link}", p.close)
	// Another site cannot make its visitors ask.
	p.mux = http.NewCrossOriginProtection().Handler(mux)
	return p, nil
}

// ServeHTTP implements http.Handler.
func (p *Privacy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	p.mux.ServeHTTP(w, r)
}

// GPCPath is where a site says that it honours Global Privacy Control.
const GPCPath = "/.well-known/gpc.json"

// globalPrivacy says so: nothing here is sold or shared, with the signal or
// without it (globalprivacycontrol.github.io/gpc-spec, section 4).
func globalPrivacy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"gpc": true, "lastUpdate": "2026-11-22"}`+"\n") // the peer went
}

func stateWords(s request.State) string {
	switch s {
	case request.Open, request.Accepted:
		return "The request is open"
	case request.Extended:
		return "The request is open and takes longer"
	case request.Answered:
		return "The request was answered"
	case request.Refused:
		return "The request was refused"
	case request.Unproved, request.Lapsed:
	}
	return "Nobody confirmed this request"
}

func toldWords(n onward.Notice) string {
	switch n.State {
	case onward.Acknowledged:
		return "acknowledged on " + n.Ended.UTC().Format("2 January 2006")
	case onward.Settled:
		return "told by other means on " + n.Ended.UTC().Format("2 January 2006")
	case onward.Unanswered:
		return "did not answer within a month"
	case onward.Open:
	}
	return "to acknowledge by " + n.Due.UTC().Format("2 January 2006")
}

// form is what the form shows.
type form struct {
	Problem, Address, Law, Note string
	Kind                        request.Kind
	Kinds                       []request.Kind
	Laws                        []request.Law
	Known                       []known
}

// known is a field for a further word by which somebody is known.
type known struct {
	Is           pledge.Sort
	Label, Value string
	Fill         string // what a browser may fill in
}

// knownBy reads the fields, or gives them empty.
func knownBy(r *http.Request) []known {
	list := []known{
		{Is: pledge.FullName, Label: "Name", Fill: "name"}, {Is: pledge.Phone, Label: "Phone number", Fill: "tel"},
		{Is: pledge.CustomerNumber, Label: "Customer number", Fill: "off"}, {Is: pledge.AccountName, Label: "Account", Fill: "username"},
	}
	for i := range list {
		if r != nil {
			list[i].Value = strings.TrimSpace(r.PostForm.Get(string(list[i].Is)))
		}
	}
	return list
}

func (f *form) asked() request.Asked {
	q := request.Asked{Address: f.Address, Kind: f.Kind, Law: f.Law, Note: f.Note}
	for _, k := range f.Known {
		if k.Value != "" {
			q.Identifiers = append(q.Identifiers, pledge.Identifier{Is: k.Is, Value: k.Value})
		}
	}
	return q
}

func (p *Privacy) form(w http.ResponseWriter, status int, f form) {
	f.Kinds, f.Laws = request.Kinds(), request.Laws()
	if f.Known == nil {
		f.Known = knownBy(nil)
	}
	p.show(w, status, "form", f)
}

// show writes a whole page or none.
func (p *Privacy) show(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := p.pages.ExecuteTemplate(&b, name, data); err != nil {
		p.log.Error("a page could not be written", "page", name, "error", err)
		http.Error(w, "This page cannot be shown just now; try again later.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the peer went
}

func (p *Privacy) refuse(w http.ResponseWriter, r *http.Request, err error) {
	text, _ := fault.Public(err)
	status, title := http.StatusServiceUnavailable, "Not now"
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Invalid, fault.Unauthenticated, fault.Denied:
		status, title = http.StatusNotFound, "This link leads nowhere"
	case fault.Gone, fault.Conflict:
		status, title = http.StatusGone, "This link is over"
	case fault.Internal, fault.Exhausted, fault.Unavailable, fault.ReadOnly, fault.Full:
		text = "This cannot be done just now; try again later."
		p.log.WarnContext(r.Context(), "a person's page failed", "error", err)
	}
	p.show(w, status, "refused", map[string]string{"Title": title, "Text": text})
}

func (p *Privacy) ask(w http.ResponseWriter, r *http.Request) {
	if !p.limits.may(r.RemoteAddr) {
		w.Header().Set("Retry-After", "600")
		p.show(w, http.StatusTooManyRequests, "refused", map[string]string{"Title": "Too many requests", "Text": "Too many requests came from your network. Try again in ten minutes."})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		p.form(w, http.StatusBadRequest, form{Problem: "The form did not come through; send it again."})
		return
	}
	f := form{Address: r.PostForm.Get("address"), Kind: request.Kind(r.PostForm.Get("kind")), Law: r.PostForm.Get("law"), Note: r.PostForm.Get("note"), Known: knownBy(r)}
	err := p.requests.Ask(r.Context(), f.asked())
	switch {
	case fault.Is(err, fault.Invalid):
		f.Problem, _ = fault.Public(err)
		p.form(w, http.StatusBadRequest, f)
	case err != nil:
		p.refuse(w, r, err)
	default:
		p.show(w, http.StatusOK, "sent", nil)
	}
}

func (p *Privacy) confirm(w http.ResponseWriter, r *http.Request) {
	c, err := p.requests.Proving(r.Context(), r.PathValue("link"))
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	p.show(w, http.StatusOK, "confirm", c)
}

func (p *Privacy) prove(w http.ResponseWriter, r *http.Request) {
	to, err := p.requests.Prove(r.Context(), r.PathValue("link"))
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	http.Redirect(w, r, request.CasePath+to, http.StatusSeeOther)
}

// choose shows the mail of which a request can be made.
func (p *Privacy) choose(w http.ResponseWriter, r *http.Request, status int, f form) {
	c, err := p.requests.Choosing(r.Context(), r.PathValue("link"))
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	f.Kinds, f.Laws = request.Kinds(), request.Laws()
	p.show(w, status, "choose", struct {
		form
		Case request.Case
	}{f, c})
}

func (p *Privacy) chosen(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	f := form{Kind: request.Kind(r.PostFormValue("kind")), Law: r.PostFormValue("law")}
	to, err := p.requests.Choose(r.Context(), r.PathValue("link"), f.Kind, f.Law)
	switch {
	case fault.Is(err, fault.Invalid):
		f.Problem, _ = fault.Public(err)
		p.choose(w, r, http.StatusBadRequest, f)
	case err != nil:
		p.refuse(w, r, err)
	default:
		http.Redirect(w, r, request.CasePath+to, http.StatusSeeOther)
	}
}

func (p *Privacy) standing(w http.ResponseWriter, r *http.Request) {
	c, parts, err := p.requests.Page(r.Context(), r.PathValue("link"))
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	p.show(w, http.StatusOK, "case", struct {
		Case  request.Case
		Parts []request.Part
	}{c, parts})
}

func (p *Privacy) result(w http.ResponseWriter, r *http.Request) {
	c, s, err := p.requests.Result(r.Context(), r.PathValue("link"))
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	p.show(w, http.StatusOK, "result", struct {
		Case  request.Case
		Share request.Share
		Copy  bool
	}{c, s, copied(c.Kind)})
}

// copied reports that a result is a copy of data, not a certificate.
func copied(k request.Kind) bool { return k == request.Access || k == request.Portability }

func (p *Privacy) fetch(w http.ResponseWriter, r *http.Request) {
	c, _, err := p.requests.Result(r.Context(), r.PathValue("link"))
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	if !p.copies.TryTake() {
		p.refuse(w, r, fault.New(fault.Unavailable, ""))
		return
	}
	defer p.copies.Leave()
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	format, name, kind := subject.Text, "your-data.txt", "text/plain; charset=utf-8"
	switch {
	case !copied(c.Kind):
		name, kind = "certificate.json", "application/json"
	case r.PostFormValue("form") == string(subject.Lines):
		format, name, kind = subject.Lines, "your-data.jsonl", "application/jsonl"
	case r.PostFormValue("form") == string(subject.Zip):
		format, name, kind = subject.Zip, "your-data.zip", "application/zip"
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	if err := p.requests.Fetch(r.Context(), r.PathValue("link"), format, w); err != nil {
		p.log.WarnContext(r.Context(), "a result could not be handed over whole", "case", c.ID.String(), "error", err)
		panic(http.ErrAbortHandler) // so that half a copy does not look whole
	}
}

package pages

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/product/trust/document"
	"mailvow/internal/protect/request"
)

//go:embed trust
var trustFiles embed.FS

// Papers is product/trust/document, as the public reaches it.
type Papers interface {
	Versions(ctx context.Context, k document.Kind) ([]document.Version, error)
	Get(ctx context.Context, k document.Kind, number int) (document.Issue, error)
	Admitted(ctx context.Context, link string) (document.Issue, error)
}

// Inquiries take what people write to the operator; protect/request does.
type Inquiries interface {
	Inquire(ctx context.Context, k request.Kind, from, text string) (request.Case, error)
}

// PublicControl is a promise and how it stands.
type PublicControl struct {
	ID, Says string
	Status   pledge.Status
	Seen     time.Time // zero: never
	Since    time.Time // failing since then
}

// PublicPolicy is one version of the policy.
type PublicPolicy struct {
	Number    int       `json:"number"`
	Effective time.Time `json:"effective"`
	Published time.Time `json:"published"`
	Withdrawn time.Time `json:"withdrawn,omitzero"`
	Note      string    `json:"note"`
	Text      string    `json:"text"`    // as it stands in the evidence log by its SHA-256
	Changes   []string  `json:"changes"` // against the version before
}

// SecurityText is what security.txt says beside its own contact (RFC 9116).
type SecurityText struct {
	Contacts   []string
	Disclosure string
	Languages  []string
}

// TrustParts are what the trust centre shows.
type TrustParts struct {
	Papers    Papers
	Inquiries Inquiries
	Controls  func(context.Context) ([]PublicControl, error)
	Policies  func(context.Context) ([]PublicPolicy, error)
	Stored    func() []document.Cookie // what the server's pages store in a browser
	Operator  string                   // its name
	Contacts  document.Contacts
	Security  SecurityText
	Base      func() string // where people reach this server
	Clock     clock.Clock
	Log       *slog.Logger
}

// Trust is the public trust centre: the documents in all their versions, the state
// of the controls, the versions of the policy, and how to reach the operator. It
// needs no sign-in and no script, sets no cookie and loads nothing from elsewhere.
// It is an http.Handler for /trust, what is below, CookiesPath with and without
// ".json", and /.well-known/security.txt.
type Trust struct {
	TrustParts
	pages  *template.Template
	mux    http.Handler
	limits *limits
}

// NewTrust makes the pages.
func NewTrust(p TrustParts) (*Trust, error) {
	t := &Trust{TrustParts: p, limits: newLimits(p.Clock, writeEvery, writeBurst)}
	var err error
	t.pages, err = template.New("").Funcs(template.FuncMap{
		"day": day, "time": func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 MST") },
		"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) }, "kind": inquiryWords,
	}).ParseFS(trustFiles, "trust/*.html")
	if err != nil {
		return nil, fault.Because(fault.Internal, err, "")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /trust", t.index)
	mux.HandleFunc("GET /trust/style.css", trustStyle)
	mux.HandleFunc("GET /trust/feed.atom", t.feed)
	mux.HandleFunc("GET /trust/controls", t.controls)
	mux.HandleFunc("GET /trust/policy", t.policies)
	mux.HandleFunc("GET /trust/policy.json", t.policyTexts)
	mux.HandleFunc("GET /trust/contact", func(w http.ResponseWriter, r *http.Request) {
		t.contact(w, http.StatusOK, inquiry{Kind: request.Kind(r.URL.Query().Get("about"))})
	})
	mux.HandleFunc("POST /trust/contact", t.inquire)
	mux.HandleFunc("GET "+CookiesPath, t.cookies)
	mux.HandleFunc("GET "+CookiesPath+".json", t.cookieRegister)
	mux.HandleFunc("GET "+document.AdmitPath+"{link}", t.admitted)
	mux.HandleFunc("GET "+document.AdmitPath+"{link}/{form}", t.admitted)
	mux.HandleFunc("GET /trust/{kind}", t.newest)
	mux.HandleFunc("GET /trust/{kind}/{file}", t.version)
	mux.HandleFunc("GET /.well-known/security.txt", t.securityText)
	// Another site cannot make its visitors write.
	t.mux = http.NewCrossOriginProtection().Handler(mux)
	return t, nil
}

// ServeHTTP implements http.Handler.
func (t *Trust) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	if path := strings.TrimSuffix(r.URL.Path, "/"); path != r.URL.Path && r.Method == http.MethodGet {
		http.Redirect(w, r, path, http.StatusPermanentRedirect)
		return
	}
	t.mux.ServeHTTP(w, r)
}

func trustStyle(w http.ResponseWriter, _ *http.Request) {
	b, err := trustFiles.ReadFile("trust/style.css")
	if err != nil {
		http.Error(w, "There is no such page.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(b) // the peer went
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

func inquiryWords(k request.Kind) string {
	switch k {
	case request.Question:
		return "A question about data handling, regions or sub-processors"
	case request.Privacy:
		return "Data protection: a question to the officer"
	case request.Child:
		return "A person under 16 uses this service, or their data is here"
	case request.Report:
		return "Security: I found a vulnerability"
	case request.Abuse:
		return "Abuse: unwanted or harmful mail came from here"
	}
	return string(k)
}

// show writes a whole page or none.
func (t *Trust) show(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	page := struct {
		*Trust
		Data any
	}{t, data}
	if err := t.pages.ExecuteTemplate(&b, name, page); err != nil {
		t.Log.Error("a page could not be written", "page", name, "error", err)
		http.Error(w, "This page cannot be shown just now; try again later.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the peer went
}

type refusal struct{ Title, Text string }

func (t *Trust) refuse(w http.ResponseWriter, r *http.Request, err error) {
	text, _ := fault.Public(err)
	status, title := http.StatusServiceUnavailable, "Not now"
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Invalid, fault.Unauthenticated, fault.Denied, fault.Conflict:
		status, title = http.StatusNotFound, "There is no such page"
	case fault.Gone:
		status, title = http.StatusGone, "This link is over"
	case fault.Exhausted:
		status, title = http.StatusTooManyRequests, "Too many messages"
	case fault.Internal, fault.Unavailable, fault.ReadOnly, fault.Full:
		text = "This cannot be shown just now; try again later."
		t.Log.WarnContext(r.Context(), "a page of the trust centre failed", "error", err)
	}
	t.show(w, status, "refused", refusal{title, text})
}

// shelf is one document with its versions.
type shelf struct {
	document.Sort
	Versions []document.Version
}

// Newest is the newest version.
func (s shelf) Newest() document.Version { return s.Versions[0] }

// Older are the others.
func (s shelf) Older() []document.Version { return s.Versions[1:] }

func (t *Trust) shelves(ctx context.Context) ([]shelf, error) {
	all, err := t.Papers.Versions(ctx, "")
	if err != nil {
		return nil, err
	}
	var list []shelf
	for _, sort := range document.Sorts() {
		s := shelf{Sort: sort}
		for _, v := range all {
			if v.Kind == sort.Kind {
				s.Versions = append(s.Versions, v)
			}
		}
		if sort.Public {
			list = append(list, s)
		}
	}
	return list, nil
}

func (t *Trust) index(w http.ResponseWriter, r *http.Request) {
	shelves, err := t.shelves(r.Context())
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	list, err := t.Controls(r.Context())
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	counts := map[string]int{}
	for _, c := range list {
		counts[string(c.Status)]++
	}
	t.show(w, http.StatusOK, "index", struct {
		Shelves []shelf
		Counts  map[string]int
		All     int
	}{shelves, counts, len(list)})
}

// newest leads from a document to its newest version.
func (t *Trust) newest(w http.ResponseWriter, r *http.Request) {
	t.paper(w, r, r.PathValue("kind"), 0, "")
}

func (t *Trust) version(w http.ResponseWriter, r *http.Request) {
	number, form, _ := strings.Cut(r.PathValue("file"), ".")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || strconv.Itoa(n) != number {
		t.refuse(w, r, fault.New(fault.NotFound, "There is no such version."))
		return
	}
	t.paper(w, r, r.PathValue("kind"), n, form)
}

// paper shows a published version of a public document.
func (t *Trust) paper(w http.ResponseWriter, r *http.Request, kind string, number int, form string) {
	sort, err := document.SortOf(document.Kind(kind))
	if err == nil && !sort.Public {
		err = fault.New(fault.NotFound, "This document is handed to whom the operator admits; ask for it by the form.")
	}
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	i, err := t.Papers.Get(r.Context(), sort.Kind, number)
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	at := fmt.Sprintf("/trust/%s/%d", sort.Kind, i.Paper.Number)
	if form != "" {
		// What was published never changes.
		w.Header().Set("Cache-Control", "public, max-age=86400, immutable")
		t.file(w, r, i, form)
		return
	}
	versions, err := t.Papers.Versions(r.Context(), sort.Kind)
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	t.show(w, http.StatusOK, "paper", shown{Paper: i.Paper, Body: template.HTML(i.Paper.HTML()), At: at + ".", Versions: versions}) //nolint:gosec // written by the document package, which escapes every text
}

// shown is a document's page.
type shown struct {
	Paper    *document.Paper
	Body     template.HTML
	At       string // before "pdf"
	Versions []document.Version
}

// file gives one form of a document.
func (t *Trust) file(w http.ResponseWriter, r *http.Request, i document.Issue, form string) {
	data, media, err := i.Form(form)
	if err != nil || form == "html" {
		t.refuse(w, r, fault.New(fault.NotFound, "A document has the forms pdf, md, json and note."))
		return
	}
	number := "copy"
	if i.Paper.Number > 0 {
		number = strconv.Itoa(i.Paper.Number)
	}
	h := w.Header()
	h.Set("Content-Type", media)
	way := "inline"
	if form == "json" || form == "note" {
		way = "attachment"
	}
	h.Set("Content-Disposition", fmt.Sprintf("%s; filename=\"%s-%s.%s\"", way, i.Paper.Kind, number, form))
	h.Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data) // the peer went
}

// admitted shows a document to whoever has a link to it.
func (t *Trust) admitted(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Robots-Tag", "noindex")
	link := r.PathValue("link")
	i, err := t.Papers.Admitted(r.Context(), link)
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	if form := r.PathValue("form"); form != "" {
		t.file(w, r, i, form)
		return
	}
	t.show(w, http.StatusOK, "paper", shown{Paper: i.Paper, Body: template.HTML(i.Paper.HTML()), At: document.AdmitPath + link + "/"}) //nolint:gosec // as above
}

// group is the promises of one state.
type group struct {
	Title, Text, Tone string
	List              []PublicControl
}

func (t *Trust) controls(w http.ResponseWriter, r *http.Request) {
	list, err := t.Controls(r.Context())
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	groups := []group{
		{Title: "Not kept", Text: "A probe saw that these do not hold.", Tone: "bad"},
		{Title: "Seen to hold", Text: "A probe acted on the running server as an outsider does and saw that these hold.", Tone: "good"},
		{Title: "Attested", Text: "People do these; the operator answers for them, and the statement has an end.", Tone: "good"},
		{Title: "Do not apply here", Text: "This server does nothing that these are about.", Tone: "calm"},
		{Title: "Not shown yet", Text: "Nothing shows these on this server yet, so it does not claim them.", Tone: "calm"},
	}
	at := map[pledge.Status]int{pledge.Failing: 0, pledge.Kept: 1, pledge.Attested: 2, pledge.NotApplicable: 3, pledge.NotYet: 4}
	for _, c := range list {
		g := &groups[at[c.Status]]
		g.List = append(g.List, c)
	}
	t.show(w, http.StatusOK, "controls", groups)
}

func (t *Trust) policies(w http.ResponseWriter, r *http.Request) {
	list, err := t.Policies(r.Context())
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	t.show(w, http.StatusOK, "policies", struct {
		List []PublicPolicy
		Now  time.Time
	}{list, t.Clock.Now()})
}

// policyTexts gives every version for programs: an auditor holds the texts against
// the evidence log, and what they say against what is seen.
func (t *Trust) policyTexts(w http.ResponseWriter, r *http.Request) {
	list, err := t.Policies(r.Context())
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	out, err := json.Marshal(map[string]any{"versions": list})
	if err != nil {
		t.refuse(w, r, fault.Because(fault.Internal, err, ""))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(out) // the peer went
}

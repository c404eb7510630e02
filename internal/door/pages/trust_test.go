package pages

import (
	"context"
	"encoding/xml"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/lab"
	"mailvow/internal/product/trust/document"
	"mailvow/internal/protect/request"
)

// shelfOf has two versions of one document.
type shelfOf struct{}

func (shelfOf) Versions(_ context.Context, k document.Kind) ([]document.Version, error) {
	list := []document.Version{{Kind: document.Agreement, Number: 2, Published: lab.Epoch, Note: "shorter"}, {Kind: document.Agreement, Number: 1, Published: lab.Epoch.Add(-time.Hour)}}
	if k != "" && k != document.Agreement {
		return nil, nil
	}
	return list, nil
}

func (shelfOf) Get(_ context.Context, k document.Kind, number int) (document.Issue, error) {
	if k != document.Agreement || number > 2 {
		return document.Issue{}, fault.New(fault.NotFound, "There is no such version of this document.")
	}
	if number == 0 {
		number = 2
	}
	p := &document.Paper{Kind: k, Title: "Data processing agreement", By: "<Example>", Number: number, Date: lab.Epoch, Policy: "1", Blocks: []document.Block{
		{Heading: "One & two", Level: 2}, {Paragraph: []document.Sentence{{Text: "It <b>holds</b>.", Rests: []string{"ca-rest"}, Shaky: []string{"ca-rest"}}}},
	}}
	return document.Issue{Paper: p, JSON: []byte("{}"), Markdown: p.Markdown(), PDF: []byte("%PDF"), Note: []byte("note")}, nil
}

func (s shelfOf) Admitted(ctx context.Context, link string) (document.Issue, error) {
	if link != "good" {
		return document.Issue{}, fault.New(fault.NotFound, "This link leads nowhere.")
	}
	return s.Get(ctx, document.Agreement, 1)
}

// letterbox keeps what was written.
type letterbox struct{ got []string }

func (l *letterbox) Inquire(_ context.Context, k request.Kind, from, text string) (request.Case, error) {
	if strings.TrimSpace(text) == "" {
		return request.Case{}, fault.Field("note", "Write what it is about.")
	}
	a, err := address.Parse(from)
	if err != nil {
		return request.Case{}, fault.Field("address", "That is no address.")
	}
	if text == "break" {
		return request.Case{}, fault.Because(fault.Internal, errors.New("secret detail"), "")
	}
	l.got = append(l.got, string(k)+" "+from+" "+text)
	return request.Case{ID: ids.Case(7 << 22), Kind: k, Address: a, Received: lab.Epoch}, nil
}

func trustPages(t *testing.T, base string) (*Trust, *letterbox) {
	t.Helper()
	box := &letterbox{}
	h, err := NewTrust(TrustParts{
		Papers: shelfOf{}, Inquiries: box, Operator: "Example", Base: func() string { return base }, Clock: lab.NewClock(lab.Epoch), Log: slog.New(slog.DiscardHandler),
		Controls: func(context.Context) ([]PublicControl, error) {
			return []PublicControl{{ID: "ca-rest", Says: "All is sealed.", Status: pledge.Failing, Seen: lab.Epoch, Since: lab.Epoch}, {ID: "mb-tls", Says: "TLS.", Status: pledge.Kept, Seen: lab.Epoch}}, nil
		},
		Policies: func(context.Context) ([]PublicPolicy, error) {
			return []PublicPolicy{{Number: 1, Effective: lab.Epoch, Published: lab.Epoch, Text: "answers: 1KiB"}}, nil
		},
		Contacts: document.Contacts{Privacy: "privacy@mail.test", Security: "security@mail.test", Abuse: "abuse@mail.test"},
		Security: SecurityText{Contacts: []string{"https://example.com/security"}, Languages: []string{"en", "de"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return h, box
}

func visit(h http.Handler, method, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestTrustPages: every page stands without script, cookie or stranger, and says
// what it must.
func TestTrustPages(t *testing.T) {
	t.Parallel()
	h, _ := trustPages(t, "https://mail.test")
	for path, says := range map[string]string{
		"/trust": "Version 2 of", "/trust/controls": "Not kept since", "/trust/policy": "answers: 1KiB", "/trust/contact?about=security": `value="security" selected`,
		"/trust/dpa": "Version 2", "/trust/dpa/1": "Not seen to hold when this was made: ca-rest", "/trust/admitted/good": "Version 1",
	} {
		w := visit(h, "GET", path, nil)
		body := w.Body.String()
		if w.Code != 200 || !strings.Contains(body, says) || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
			t.Errorf("%s: %d, without %q: %s", path, w.Code, says, body)
		}
		for _, never := range []string{"<script", "style=\"", "src=\"", "<b>holds", "//fonts", "<Example>"} {
			if strings.Contains(body, never) {
				t.Errorf("%s holds %s", path, never)
			}
		}
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || w.Header().Get("Set-Cookie") != "" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, w.Header())
		}
	}
	for path, media := range map[string]string{"/trust/dpa/1.pdf": "application/pdf", "/trust/dpa/1.md": "text/markdown; charset=utf-8", "/trust/dpa/2.json": "application/json", "/trust/dpa/2.note": "text/plain; charset=utf-8", "/trust/admitted/good/note": "text/plain; charset=utf-8", "/trust/style.css": "text/css; charset=utf-8"} {
		if w := visit(h, "GET", path, nil); w.Code != 200 || w.Header().Get("Content-Type") != media || w.Body.Len() == 0 {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
	for _, path := range []string{"/trust/poem", "/trust/dpa/3", "/trust/dpa/01", "/trust/dpa/1.exe", "/trust/dpa/1.html", "/trust/dpa/x", "/trust/security-paper", "/trust/security-paper/1", "/trust/admitted/bad"} {
		if w := visit(h, "GET", path, nil); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestTrustFeed(t *testing.T) {
	t.Parallel()
	h, _ := trustPages(t, "https://mail.test")
	w := visit(h, "GET", "/trust/feed.atom", nil)
	var f atomFeed
	if err := xml.Unmarshal(w.Body.Bytes(), &f); err != nil || len(f.Entries) != 3 || f.Updated != lab.Epoch.UTC().Format(time.RFC3339) {
		t.Fatalf("%v %+v", err, f)
	}
	if e := f.Entries[0]; e.Link.Href != "https://mail.test/trust/dpa/2" || e.Summary != "shorter" {
		t.Errorf("%+v", e)
	}
}

// TestSecurityText holds the file to RFC 9116: it never is past its end.
func TestSecurityText(t *testing.T) {
	t.Parallel()
	h, _ := trustPages(t, "https://mail.test")
	w := visit(h, "GET", "/.well-known/security.txt", nil)
	body := w.Body.String()
	for _, line := range []string{"Contact: mailto:security@mail.test\n", "Contact: https://example.com/security\n", "Preferred-Languages: en, de\n", "Canonical: https://mail.test/.well-known/security.txt\n", "Policy: https://mail.test/trust/security\n"} {
		if !strings.Contains(body, line) {
			t.Errorf("it lacks %q: %s", line, body)
		}
	}
	_, rest, _ := strings.Cut(body, "Expires: ")
	stamp, _, _ := strings.Cut(rest, "\n")
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil || !at.After(lab.Epoch.AddDate(0, 3, 0)) || at.After(lab.Epoch.AddDate(1, 0, 0)) || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%v %v %v", at, err, w.Header())
	}
	plain, _ := trustPages(t, "http://localhost:8080")
	if body := visit(plain, "GET", "/.well-known/security.txt", nil).Body.String(); strings.Contains(body, "http://") {
		t.Errorf("an address of the web without TLS: %s", body)
	}
}

func TestContactForm(t *testing.T) {
	t.Parallel()
	h, box := trustPages(t, "https://mail.test")
	write := func(address, note string) *httptest.ResponseRecorder {
		return visit(h, "POST", "/trust/contact", url.Values{"kind": {"security"}, "address": {address}, "note": {note}})
	}
	if w := write("ann@persons.example", "a hole"); w.Code != 200 || !strings.Contains(w.Body.String(), "case_") || len(box.got) != 1 || box.got[0] != "security ann@persons.example a hole" {
		t.Errorf("%d %q %s", w.Code, box.got, w.Body)
	}
	if w := write("nobody", "<i>x"); w.Code != 400 || !strings.Contains(w.Body.String(), "That is no address.") || !strings.Contains(w.Body.String(), "&lt;i&gt;x") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := write("ann@persons.example", "break"); w.Code != 503 || strings.Contains(w.Body.String(), "secret detail") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	r := httptest.NewRequest("POST", "/trust/contact", strings.NewReader("kind=abuse&address=a@b.example&note=x"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 403 {
		t.Errorf("another site writes: %d", w.Code)
	}
	for range 15 {
		w = write("ann@persons.example", "again")
	}
	if w.Code != 429 || w.Header().Get("Retry-After") == "" || len(box.got) > 10 {
		t.Errorf("a flood: %d, %d cases", w.Code, len(box.got))
	}
}

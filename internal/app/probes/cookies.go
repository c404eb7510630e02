package probes

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/access"
)

// firstVisit looks at the server's pages as somebody does who comes for the first
// time, at what signing in stores, and at mail as it reaches a recipient.
func (s *Server) firstVisit(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		wrong, pages, err := x.storesNothing(ctx)
		if wrong != "" || err != nil {
			return bad("%s", wrong), err
		}
		list, err := x.register(ctx)
		if err != nil {
			return verdict{}, err
		}
		wrong, set, err := x.onlyRegistered(ctx, list)
		if wrong != "" || err != nil {
			return bad("%s", wrong), err
		}
		if wrong, err = x.untouched(ctx); wrong != "" || err != nil {
			return bad("%s", wrong), err
		}
		return good("%d pages, asked for with and without the signals Global Privacy Control and Do Not Track, set no cookie and load nothing from elsewhere; signing in sets %s, which the register of %d lines lists as essential; HTML mail to two recipients of whom no consent is on record arrived with the links and pictures that were sent, nothing added and alike for both; that a browser stores nothing more is a test of the build",
			pages, strings.Join(set, ", "), len(list)), nil
	})
	return v.end(err)
}

// banner asks whether there is anything that a banner would have to ask about.
func (s *Server) banner(ctx context.Context) (pledge.Status, string, error) {
	var pages int
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		wrong, n, err := x.storesNothing(ctx)
		if wrong != "" || err != nil {
			return bad("%s, and no banner asked", wrong), err
		}
		pages = n
		list, err := x.register(ctx)
		if err != nil {
			return verdict{}, err
		}
		for _, c := range list {
			if !c.Essential {
				return bad("%s needs consent, and no banner asks for it", c.Name), nil
			}
		}
		for _, path := range []string{"/trust", "/privacy"} {
			p, err := x.newcomer(ctx, path)
			if err != nil {
				return verdict{}, err
			}
			if !strings.Contains(p.body, `href="/cookies"`) {
				return bad("%s does not say what is stored in a browser", path), nil
			}
		}
		return good("%d", len(list)), nil
	})
	status, evidence, err := v.end(err)
	if status != pledge.Kept || err != nil {
		return status, evidence, err
	}
	return pledge.NotApplicable, fmt.Sprintf("there is nothing to consent to: %d pages, visited for the first time, store nothing, each of the %s lines of the register is essential, and the pages say so in place of a banner", pages, evidence), nil
}

// hostedPage is one answer as a browser gets it.
type hostedPage struct {
	path   string
	status int
	header http.Header
	body   string
}

// newcomer asks without cookies; the signals are "Name: value".
func (x *scene) newcomer(ctx context.Context, path string, signals ...string) (hostedPage, error) {
	p := hostedPage{path: path}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, x.base+path, nil)
	if err != nil {
		return p, fault.Wrap(err, "make a request")
	}
	r.Header.Set("Accept", "text/html")
	for _, s := range signals {
		name, value, _ := strings.Cut(s, ": ")
		r.Header.Set(name, value)
	}
	a, err := x.web.Do(r)
	if err != nil {
		return p, fault.Because(fault.Unavailable, err, "The server's pages do not answer.")
	}
	defer a.Body.Close()
	b, err := io.ReadAll(io.LimitReader(a.Body, 4<<20))
	p.status, p.header, p.body = a.StatusCode, a.Header, string(b)
	return p, fault.Wrap(err, "read a page")
}

var (
	// elsewhere is what a browser would load by itself from another host.
	elsewhere = regexp.MustCompile(`(?i)<(?:script|img|iframe|source|video|audio|embed|object|link)\b[^>]*\s(?:src|srcset|data|href)\s*=\s*["']?\s*(?:https?:)?//[^"'\s>]+`)
	// onward is a link to a page of the same server.
	onward = regexp.MustCompile(`href="(/[^"#?/][^"#?.]*)["#?]`)
	// foreign is a source of a Content-Security-Policy on another host.
	foreign = regexp.MustCompile(`https?:|\*`)
)

// wrong says what a page stores or loads that it should not, or "".
func (p hostedPage) wrong() string {
	policy := p.header.Get("Content-Security-Policy")
	switch {
	case p.header.Get("Set-Cookie") != "":
		name, _, _ := strings.Cut(p.header.Get("Set-Cookie"), "=")
		return p.path + " sets the cookie " + name + " at the first visit"
	case elsewhere.MatchString(p.body):
		return p.path + " loads from elsewhere: " + elsewhere.FindString(p.body)
	case p.status < 300 && strings.HasPrefix(p.header.Get("Content-Type"), "text/html") && (policy == "" || foreign.MatchString(policy)):
		return p.path + " lets a browser load from elsewhere"
	}
	return ""
}

// mostPages bounds a walk through the server's pages.
const mostPages = 60

// storesNothing walks from the pages that everybody knows of along their links.
func (x *scene) storesNothing(ctx context.Context) (wrong string, pages int, err error) {
	open := []string{"/trust", "/privacy", "/cookies", "/certificate"}
	if x.Console {
		open = append(open, "/sign-in")
	}
	known := len(open)
	for at := 0; at < len(open) && at < mostPages; at++ {
		p, err := x.newcomer(ctx, open[at])
		if err != nil || p.wrong() != "" {
			return p.wrong(), at, err
		}
		if at < known && p.status >= 300 {
			return fmt.Sprintf("%s answers %d", p.path, p.status), at, nil
		}
		for _, l := range onward.FindAllStringSubmatch(p.body, -1) {
			if !slices.Contains(open, l[1]) && !strings.HasPrefix(l[1], "/evidence/") {
				open = append(open, l[1])
			}
		}
		pages++
	}
	for _, path := range open[:known] {
		p, err := x.newcomer(ctx, path, "Sec-GPC: 1", "DNT: 1")
		if err != nil || p.wrong() != "" {
			return p.wrong(), pages, err
		}
		if path == "/cookies" && !strings.Contains(p.body, "Global Privacy Control. It is honoured") {
			return "a browser that sends Global Privacy Control is not told that it is honoured", pages, nil
		}
	}
	var gpc struct {
		GPC bool `json:"gpc"`
	}
	if p, err := x.newcomer(ctx, "/.well-known/gpc.json"); err != nil || json.Unmarshal([]byte(p.body), &gpc) != nil || !gpc.GPC {
		return "the server does not say that it honours Global Privacy Control", pages, err
	}
	return "", pages, nil
}

// storedThing is one line of the register of what is stored in a browser.
type storedThing struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	Purpose   string `json:"purpose"`
	Life      string `json:"life"`
	MaxAge    int64  `json:"max_age"`
	Essential bool   `json:"essential"`
}

// register reads it as everybody can.
func (x *scene) register(ctx context.Context) ([]storedThing, error) {
	p, err := x.newcomer(ctx, "/cookies.json")
	if err != nil {
		return nil, err
	}
	var said struct {
		Stored []storedThing `json:"stored"`
	}
	if p.status != http.StatusOK || json.Unmarshal([]byte(p.body), &said) != nil {
		return nil, fault.New(fault.Unavailable, fmt.Sprintf("The register of cookies answers %d.", p.status))
	}
	for _, c := range said.Stored {
		if c.Purpose == "" || c.Life == "" {
			return nil, fault.New(fault.Invalid, "The register names "+c.Name+" without purpose or life.")
		}
	}
	return said.Stored, nil
}

// onlyRegistered signs a person in and holds what is set to the register.
func (x *scene) onlyRegistered(ctx context.Context, list []storedThing) (wrong string, set []string, err error) {
	person, password := x.at("person-", x.Domain), "a canary sings "+rand.Text()
	if err := x.Person(ctx, x.Canary, person, access.Viewer, password); err != nil {
		return "", nil, err
	}
	in := fmt.Sprintf(`{"email":%q,"password":%q}`, person.Text(), password)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, x.base+"/v1/session", strings.NewReader(in))
	if err != nil {
		return "", nil, fault.Wrap(err, "make a request")
	}
	r.Header.Set("Content-Type", "application/json")
	a, err := x.web.Do(r)
	if err != nil {
		return "", nil, fault.Because(fault.Unavailable, err, "The API does not answer.")
	}
	defer a.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(a.Body, 1<<20)) // what is set stands in the header
	for _, c := range a.Cookies() {
		i := slices.IndexFunc(list, func(s storedThing) bool { return s.Kind == "cookie" && s.Name == c.Name })
		switch {
		case i < 0:
			return "signing in sets the cookie " + c.Name + ", which the register does not list", nil, nil
		case !list[i].Essential:
			return "signing in sets the cookie " + c.Name + ", which is not essential, and asks nobody", nil, nil
		case int64(c.MaxAge) > list[i].MaxAge || c.MaxAge == 0 && !c.Expires.IsZero():
			return "the cookie " + c.Name + " lives longer than the register says", nil, nil
		}
		set = append(set, c.Name)
	}
	if len(set) == 0 {
		return fmt.Sprintf("signing in answers %d and sets no cookie", a.StatusCode), nil, nil
	}
	return "", set, nil
}

// letter is HTML mail with a link and a picture, as a customer would write it.
func (x *scene) letter(to address.Address) (mail, body string) {
	body = `<p>canary ` + x.word + ` <a href="https://shop.invalid/offer?of=` + x.word + `">look</a> <img src="https://shop.invalid/p.png" alt=""></p>`
	return strings.Join([]string{
		"From: " + x.sender().Text(), "To: " + to.Text(), "Subject: canary " + x.word, "Date: " + x.Clock.Now().UTC().Format(time.RFC1123Z),
		"Message-ID: <" + x.word + "." + to.Local() + "@" + x.Domain + ">", "MIME-Version: 1.0", "Content-Type: text/html; charset=utf-8", "", body, "",
	}, "\r\n"), body
}

// added are the header fields that mail gets on its way (RFC 5321 4.4, RFC 6376).
var added = []string{"received", "dkim-signature"}

// untouched sends a letter to two persons and looks at what reaches each.
func (x *scene) untouched(ctx context.Context) (wrong string, err error) {
	other := x.at("other-", x.sinkDomain())
	x.persons = append(x.persons, other)
	for _, to := range []address.Address{x.outward(), other} {
		mail, body := x.letter(to)
		if _, err := x.hand(ctx, "submission", x.sender(), mail, to); err != nil {
			return "", err
		}
		var got string
		err := x.until(ctx, "a letter to arrive", func() (bool, error) {
			list, _ := x.sink.messages()
			i := slices.IndexFunc(list, func(m taken) bool { return m.to == to.Text() })
			if i >= 0 {
				got = list[i].data
			}
			return i >= 0, nil
		})
		if err != nil {
			return "", err
		}
		head, arrived, _ := strings.Cut(got, "\n\n")
		if strings.TrimSpace(arrived) != body {
			return "mail to a person without consent does not arrive as it was sent: a picture, a mark or a link in it was changed", nil
		}
		if name := strange(head, mail); name != "" {
			return "mail to a person without consent arrives with the field " + name + " added", nil
		}
	}
	return "", nil
}

// strange names a header field that was neither sent nor is one of the road's.
func strange(head, sent string) string {
	sent = strings.ToLower(sent)
	for line := range strings.Lines(head) {
		if line[0] == ' ' || line[0] == '\t' {
			continue
		}
		name, _, _ := strings.Cut(strings.ToLower(line), ":")
		if !slices.Contains(added, name) && !strings.HasPrefix(sent, name+":") && !strings.Contains(sent, "\n"+name+":") {
			return name
		}
	}
	return ""
}

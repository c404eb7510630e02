package probes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/product/trust/document"
	"mailvow/internal/protect/control"
)

// visit asks for a page as a stranger does: without credentials.
func (x *scene) visit(ctx context.Context, method, path string, form url.Values) (int, []byte, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, x.base+path, body)
	if err != nil {
		return 0, nil, fault.Wrap(err, "make a request")
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	a, err := x.web.Do(r)
	if err != nil {
		return 0, nil, fault.Because(fault.Unavailable, err, "The server's pages do not answer.")
	}
	defer a.Body.Close()
	b, err := io.ReadAll(io.LimitReader(a.Body, 8<<20))
	return a.StatusCode, b, fault.Wrap(err, "read a page")
}

// paper is a signed document as the API hands it over.
type paper struct {
	Markdown []byte `json:"markdown"`
	PDF      []byte `json:"pdf"`
	JSON     []byte `json:"json"`
	Note     []byte `json:"note"`
}

func (x *scene) copyOf(ctx context.Context, k document.Kind) (paper, error) {
	var p paper
	err := x.must(ctx, http.MethodGet, "/v1/documents/"+string(k)+"/copy", nil, &p)
	return p, fault.Wrap(err, "ask for a document")
}

// holds verifies every form by the log's keys, and that a changed one does not pass.
func (x *scene) holds(p paper, k document.Kind) (string, error) {
	for form, file := range map[string][]byte{"json": p.JSON, "markdown": p.Markdown, "pdf": p.PDF} {
		s, err := document.Verify(p.Note, file, x.LogKeys())
		if err != nil {
			text, _ := fault.Public(err)
			return "the signature of the " + form + " does not hold: " + text, nil
		}
		if s.Form != form || s.Document != k || s.Server != x.Hostname {
			return fmt.Sprintf("the note is about %s of %s", s.Document, s.Server), nil
		}
		changed := bytes.Clone(file)
		changed[len(changed)/2] ^= 1
		if _, err := document.Verify(p.Note, changed, x.LogKeys()); err == nil {
			return "the " + form + " with one bit changed verifies as well", nil
		}
	}
	if !bytes.HasPrefix(p.PDF, []byte("%PDF-")) || len(p.Markdown) < 500 {
		return "the document is not drawn", nil
	}
	return "", nil
}

// agreementSigned asks for the agreement as a customer does, twice: under the
// policy in force and under a narrower one.
func (s *Server) agreementSigned(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		const narrower = "within 7 hours"
		before, err := x.copyOf(ctx, document.Agreement)
		if err != nil {
			return verdict{}, err
		}
		if wrong, err := x.holds(before, document.Agreement); wrong != "" || err != nil {
			return bad("%s", wrong), err
		}
		if strings.Contains(string(before.Markdown), narrower) || !strings.Contains(string(before.Markdown), x.Tenant.String()) {
			return bad("the agreement does not name the customer, or says what its policy does not"), nil
		}
		if err := x.under(ctx, "breach: {customer: 7h}"); err != nil {
			return verdict{}, err
		}
		after, err := x.copyOf(ctx, document.Agreement)
		if err != nil {
			return verdict{}, err
		}
		if wrong, err := x.holds(after, document.Agreement); wrong != "" || err != nil {
			return bad("%s", wrong), err
		}
		if !strings.Contains(string(after.Markdown), narrower) {
			return bad("the agreement does not follow the policy: under one that tells of a breach %s it says something else", narrower), nil
		}
		return good("a customer asked for its agreement and got it in three forms, of %d, %d and %d bytes, whose signature verifies from the bytes alone and does not with one bit changed; under a narrower policy the agreement says the narrower term",
			len(after.JSON), len(after.Markdown), len(after.PDF)), nil
	})
	return v.end(err)
}

// securityPaper gets the paper by a link, as somebody whom the operator admits, and
// tries without one.
func (s *Server) securityPaper(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		if status, _, err := x.visit(ctx, http.MethodGet, "/trust/"+string(document.SecurityPaper), nil); status != http.StatusNotFound {
			return bad("without being admitted the paper answers %d", status), err
		}
		if status, _ := x.call(ctx, http.MethodGet, "/v1/documents/"+string(document.SecurityPaper)+"/copy", nil, nil); status != http.StatusForbidden {
			return bad("a customer who was not admitted is answered %d", status), nil
		}
		link, err := s.Admit(document.SecurityPaper, time.Hour)
		if err != nil {
			return verdict{}, err
		}
		var p paper
		for form, into := range map[string]*[]byte{"json": &p.JSON, "md": &p.Markdown, "pdf": &p.PDF, "note": &p.Note} {
			status, b, err := x.visit(ctx, http.MethodGet, link+"/"+form, nil)
			if err != nil || status != http.StatusOK {
				return bad("with a link the paper's %s answers %d", form, status), err
			}
			*into = b
		}
		if wrong, err := x.holds(p, document.SecurityPaper); wrong != "" || err != nil {
			return bad("%s", wrong), err
		}
		return namesControls(p.JSON)
	})
	return v.end(err)
}

// namesControls holds every control that a paper names to the catalogue.
func namesControls(b []byte) (verdict, error) {
	var p document.Paper
	if err := json.Unmarshal(b, &p); err != nil {
		return bad("the paper cannot be read"), nil //nolint:nilerr // what it is is the finding
	}
	list, err := control.Catalogue()
	if err != nil {
		return verdict{}, err
	}
	there, named := map[string]bool{}, map[string]bool{}
	for _, c := range list {
		there[c.ID] = true
	}
	for _, r := range p.Rests {
		named[r.ID] = true
	}
	for _, block := range p.Blocks {
		if block.Table != nil && len(block.Table.Head) > 0 && block.Table.Head[0] == "Control" {
			for _, r := range block.Table.Rows {
				named[r.Cells[0]] = true
			}
		}
	}
	for id := range named {
		if !there[id] {
			return bad("the paper names the control %s, which does not exist", id), nil
		}
	}
	if len(named) == 0 {
		return bad("the paper names no control"), nil
	}
	return good("the paper is given by a link of the operator's and not without one; its signature verifies from the bytes alone; each of the %d controls that it names is in the catalogue", len(named)), nil
}

var casePath = regexp.MustCompile(`/privacy/case/[A-Za-z0-9_-]+`)

// opensCase writes a mail from outside and follows the confirmation to the page on
// which the case stands with its date.
func (x *scene) opensCase(ctx context.Context, to string) (wrong string, err error) {
	box, err := address.Parse(to)
	if err != nil {
		return "the contact " + to + " is no address", nil //nolint:nilerr // what it is is the finding
	}
	_, before := x.confirmed()
	if _, err := x.submit(ctx, "mx", x.outward(), box); err != nil {
		return "mail to " + to + " is not taken", nil //nolint:nilerr // the door's answer is the finding
	}
	return x.standsOpen(ctx, "mail to "+to, before)
}

// confirmed are the links in what the sink took, oldest first.
func (x *scene) confirmed() (links []string, n int) {
	list, _ := x.sink.messages()
	for _, m := range list {
		flat := strings.ReplaceAll(strings.ReplaceAll(m.data, "=\r\n", ""), "=3D", "=")
		if at := casePath.FindString(flat); at != "" {
			links = append(links, at)
		}
	}
	return links, len(links)
}

// standsOpen waits for one more confirmation and reads the case's page.
func (x *scene) standsOpen(ctx context.Context, what string, before int) (wrong string, err error) {
	var links []string
	late := x.until(ctx, "the confirmation", func() (bool, error) {
		links, _ = x.confirmed()
		return len(links) > before, nil
	})
	if late != nil {
		return what + " opened no case that was confirmed", nil //nolint:nilerr // as above
	}
	status, page, err := x.visit(ctx, http.MethodGet, links[len(links)-1], nil)
	if err != nil {
		return "", err
	}
	if status != http.StatusOK || !bytes.Contains(page, []byte("is open, due on")) {
		return fmt.Sprintf("the case of %s answers %d without a date", what, status), nil
	}
	return "", nil
}

// securityContact reads security.txt and writes to the address in it.
func (s *Server) securityContact(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		status, b, err := x.visit(ctx, http.MethodGet, "/.well-known/security.txt", nil)
		if err != nil || status != http.StatusOK {
			return bad("security.txt answers %d", status), err
		}
		to, ends := "", ""
		for line := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch {
			case name == "Contact" && to == "":
				to = strings.TrimPrefix(value, "mailto:")
			case name == "Expires":
				ends = value
			}
		}
		until, err := time.Parse(time.RFC3339, ends)
		if err != nil || !until.After(s.Clock.Now()) {
			return bad("security.txt has ended or has no end: %q", ends), nil //nolint:nilerr // as above
		}
		if wrong, err := x.opensCase(ctx, to); wrong != "" || err != nil {
			return bad("%s", wrong), err
		}
		return good("security.txt is served and good until %s; a mail from outside to %s opened a case with a date, and was confirmed", until.Format(time.DateOnly), to), nil
	})
	return v.end(err)
}

// contact asks a question by the trust centre's form.
func (s *Server) contact(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		if status, page, err := x.visit(ctx, http.MethodGet, "/trust/contact", nil); err != nil || status != http.StatusOK || !bytes.Contains(page, []byte("<form")) {
			return bad("the form answers %d", status), err
		}
		_, before := x.confirmed()
		status, page, err := x.visit(ctx, http.MethodPost, "/trust/contact", url.Values{"kind": {"question"}, "address": {x.outward().Text()}, "note": {"In which region is my data? " + x.word}})
		if err != nil || status != http.StatusOK || !bytes.Contains(page, []byte("case_")) {
			return bad("a question by the form answers %d and names no case", status), err
		}
		if wrong, err := x.standsOpen(ctx, "the form", before); wrong != "" || err != nil {
			return bad("%s", wrong), err
		}
		return good("a question by the form of the trust centre opened a case with a date, which was confirmed by mail"), nil
	})
	return v.end(err)
}

var privacyBox = regexp.MustCompile(`privacy@[A-Za-z0-9.-]*[A-Za-z0-9]`)

// officer finds the address in the documents and writes to it.
func (s *Server) officer(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		to := ""
		for _, k := range []document.Kind{document.PrivacyPolicy, document.Agreement, document.Processing} {
			p, err := x.copyOf(ctx, k)
			if err != nil {
				return verdict{}, err
			}
			if to = privacyBox.FindString(string(p.Markdown)); to == "" {
				return bad("the document %s gives no address for data protection", k), nil
			}
		}
		if wrong, err := x.opensCase(ctx, to); wrong != "" || err != nil {
			return bad("%s", wrong), err
		}
		return good("the privacy policy, the agreement and the record of processing name %s; a mail there opened a case with a date, and was confirmed", to), nil
	})
	return v.end(err)
}

// boxes writes to the addresses for privacy and for abuse.
func (s *Server) boxes(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		for _, local := range []string{"privacy", "abuse"} {
			if wrong, err := x.opensCase(ctx, local+"@"+s.Hostname); wrong != "" || err != nil {
				return bad("%s", wrong), err
			}
		}
		return good("a mail from outside to privacy@%s and one to abuse@%s each opened a case with a date, and was confirmed", s.Hostname, s.Hostname), nil
	})
	return v.end(err)
}

// policyChanges publishes two versions of the canary's policy and looks for the
// second in the mail, on the overview and among the versions.
func (s *Server) policyChanges(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		if err := s.Contact(ctx, x.Canary, x.outward()); err != nil {
			return verdict{}, err
		}
		for _, text := range []string{"breach: {customer: 9h}", "breach: {customer: 8h}"} {
			if err := x.under(ctx, text); err != nil {
				return verdict{}, err
			}
		}
		day := s.Clock.Now().UTC().Format("2 January 2006")
		late := x.until(ctx, "the notice", func() (bool, error) {
			list, _ := x.sink.messages()
			for _, m := range list {
				text := strings.ReplaceAll(strings.ReplaceAll(m.data, "=\r\n", ""), "\r\n", " ")
				if strings.Contains(text, "version 2, in force from "+day) && strings.Contains(text, "8 hours") {
					return true, nil
				}
			}
			return false, nil
		})
		if late != nil {
			return bad("no mail told of version 2 of the policy"), nil //nolint:nilerr // what did not come is the finding
		}
		if wrong, err := x.noticed(ctx); wrong != "" || err != nil {
			return bad("%s", wrong), err
		}
		var first struct {
			Text string `json:"text"`
		}
		if err := x.must(ctx, http.MethodGet, "/v1/policy/versions/1", nil, &first); err != nil || !strings.Contains(first.Text, "9h") {
			return bad("the older version is not there any more"), err
		}
		if status, page, err := x.visit(ctx, http.MethodGet, "/trust/policy", nil); err != nil || status != http.StatusOK || !bytes.Contains(page, []byte(`id="v1"`)) {
			return bad("the public page of the platform's versions answers %d without the first", status), err
		}
		return good("a second version of a customer's policy was mailed to its contact with number and date, stood on its overview until it was seen, and the first is still there; the platform's versions are public"), nil
	})
	return v.end(err)
}

// noticed looks for the notice on the overview and takes it off.
func (x *scene) noticed(ctx context.Context) (wrong string, err error) {
	unseen := func() (found bool, dated bool, err error) {
		var page struct {
			Notices []struct {
				Number    int       `json:"number"`
				Effective time.Time `json:"effective_at"`
			} `json:"notices"`
		}
		err = x.must(ctx, http.MethodGet, "/v1/overview", nil, &page)
		for _, n := range page.Notices {
			if n.Number == 2 {
				return true, !n.Effective.IsZero(), err
			}
		}
		return false, false, err
	}
	found, dated, err := unseen()
	if err != nil || !found || !dated {
		return "the overview shows no dated notice of version 2", err
	}
	if err := x.must(ctx, http.MethodPost, "/v1/notices/own/2/seen", map[string]any{}, nil); err != nil {
		return "", err
	}
	if found, _, err = unseen(); found {
		return "a notice that was seen stands there still", err
	}
	return "", err
}

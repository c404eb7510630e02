package probes

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/evidence"
	rights "mailvow/internal/protect/request"
)

// children writes to the officer as a person under the age term whom the canary wrote
// to, looks where the case stands, and confirms by the mailed link.
func (s *Server) children(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		status, page, err := x.visit(ctx, http.MethodGet, "/privacy", nil)
		if err != nil || status != http.StatusOK || !bytes.Contains(page, []byte("not for people under 16")) || !bytes.Contains(page, []byte("/trust/contact?about=child")) {
			return bad("the public page gives no age and no address to report a child: %d", status), err
		}
		who, err := x.correspondent(ctx, "child-")
		if err != nil {
			return verdict{}, err
		}
		held, err := x.kept(ctx, who)
		if err != nil || held == 0 {
			return bad("nothing is kept about the person before, so that erasing shows nothing"), err
		}
		if wrong, err := x.reportsChild(ctx, who); wrong != "" || err != nil {
			return bad("%s", wrong), err
		}
		link, err := x.mailed(ctx, who, 0, rights.ChildPath)
		if err != nil {
			return bad("a report of a child by mail was not confirmed with a link to have everything erased"), nil //nolint:nilerr // what did not come is the finding
		}
		if wrong, err := x.opensCase(ctx, "privacy@"+s.Hostname); wrong != "" || err != nil {
			return bad("%s", wrong), err
		}
		if v, err := x.childFirst(ctx, who); err != nil || v.status != "" {
			return v, err
		}
		return x.childErased(ctx, who, link, held)
	})
	return v.end(err)
}

// kept counts what the canary's record holds about a person.
func (x *scene) kept(ctx context.Context, who address.Address) (n int, err error) {
	err = x.Export(ctx, x.Canary, who, func(pledge.Record) error { n++; return nil })
	return n, err
}

// reportsChild mails the officer from outside.
func (x *scene) reportsChild(ctx context.Context, who address.Address) (wrong string, err error) {
	c, err := x.dial(ctx, "mx", false)
	if err != nil {
		return "", err
	}
	defer c.Close()
	to := "privacy@" + x.Hostname
	for _, line := range []string{"MAIL FROM:<" + who.Text() + ">", "RCPT TO:<" + to + ">"} {
		if err := c.ask(250, "%s", line); err != nil {
			return "mail to " + to + " is not taken", nil //nolint:nilerr // the door's answer is the finding
		}
	}
	if err := c.ask(354, "DATA"); err != nil {
		return "", err
	}
	mail := strings.Join([]string{"From: " + who.Text(), "To: " + to, "Subject: A child uses this service", "Message-ID: <child-" + x.word + "@" + who.Domain() + ">", "", "I am 12 years old.", ""}, "\r\n")
	_, err = c.say(250, "%s.", mail)
	return "", err
}

// childFirst reads the list of cases as one of the operator's people.
func (x *scene) childFirst(ctx context.Context, who address.Address) (verdict, error) {
	c, err := x.colleague(ctx)
	if err == nil {
		err = x.attest(ctx, c, x.Clock.Now().Add(moment*200))
	}
	if err != nil {
		return verdict{}, err
	}
	status, answer, err := x.as(ctx, c, http.MethodGet, "/v1/requests", nil)
	var page struct {
		Items []struct {
			Kind    string `json:"kind"`
			Address string `json:"address"`
		} `json:"items"`
	}
	if err == nil && status != http.StatusOK {
		err = fault.New(fault.Unavailable, "the list of cases is not shown to one of the operator's people")
	}
	if err == nil {
		err = fault.Wrap(json.Unmarshal([]byte(answer), &page), "read the list of cases")
	}
	if err != nil {
		return verdict{}, err
	}
	for _, r := range page.Items {
		if r.Kind != string(rights.Child) {
			break
		}
		if strings.EqualFold(r.Address, who.Text()) {
			return verdict{}, nil
		}
	}
	return bad("the report of a child does not stand ahead of all other cases"), nil
}

// childErased opens the link, which changes nothing, and confirms.
func (x *scene) childErased(ctx context.Context, who address.Address, link string, held int) (verdict, error) {
	for range 2 {
		if status, page, err := x.visit(ctx, http.MethodGet, link, nil); err != nil || status != http.StatusOK || !bytes.Contains(page, []byte("<form")) {
			return bad("the link in the confirmation answers %d", status), err
		}
	}
	if n, err := x.kept(ctx, who); err != nil || n < held {
		return bad("opening the link erased something: %d records of %d are left", n, held), err
	}
	before := len(x.letters(who))
	if status, _, err := x.visit(ctx, http.MethodPost, link, nil); err != nil || status != http.StatusOK {
		return bad("the confirmation that it is a child is answered %d", status), err
	}
	if n, err := x.kept(ctx, who); err != nil || n > 0 {
		return bad("after the erasure %d records about the child are still kept", n), err
	}
	if status, _, err := x.visit(ctx, http.MethodPost, link, nil); err != nil || status != http.StatusGone {
		return bad("the link acts a second time: %d", status), err
	}
	paper, err := x.result(ctx, who, before, "")
	if err != nil {
		return verdict{}, err
	}
	r, err := evidence.VerifyCertificate(paper, evidence.CertificateCheck{Trusted: x.LogKeys(), Address: &who})
	if err != nil || erasedIn(r, "message records") == 0 {
		return bad("the certificate of the erasure does not verify: %v", err), nil
	}
	return good("a mail to privacy@%s about a child opened a case ahead of all others, a newer one among them; its confirmation had a link, which changed nothing when it was opened and erased everything about the address at once when it was confirmed: %d records before, none after, and a certificate that verifies; the public page says the age and where to report", x.Hostname, held), nil
}

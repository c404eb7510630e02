package app_test

import (
	"encoding/json"
	"net/http"
	"net/smtp"
	"net/url"
	"strings"
	"testing"

	"mailvow/internal/app"
)

// TestMailToTheOperatorOpensACase writes to each of the addresses as a stranger
// does, and sees the confirmation that a case is open.
func TestMailToTheOperatorOpensACase(t *testing.T) {
	t.Parallel()
	d, _ := dev(t, "")
	for _, box := range []string{"privacy", "security", "abuse"} {
		from := box + "-writer@persons.example"
		body := "From: " + from + "\r\nTo: " + box + "@localhost\r\nSubject: Hello\r\n\r\nWhere is my data?\r\n"
		if err := arrives(d.MX, from, box+"@localhost", body); err != nil {
			t.Fatal(err)
		}
		at := mailed(t, d, from, "/privacy/case/")
		if status, text := page(t, d, "GET", at, nil); status != 200 || !strings.Contains(text, "an answer to your") || !strings.Contains(text, "due on") {
			t.Errorf("%s: %d %s", box, status, text)
		}
	}
	// A machine's answer opens none.
	if err := arrives(d.MX, "robot@persons.example", "abuse@localhost", "From: robot@persons.example\r\nAuto-Submitted: auto-replied\r\n\r\nI am away.\r\n"); err != nil {
		t.Fatal(err)
	}
	if status, text := page(t, d, "POST", "/trust/contact", url.Values{"kind": {"question"}, "address": {"form@persons.example"}, "note": {"Which region?"}}); status != 200 || !strings.Contains(text, "case_") {
		t.Errorf("the form: %d %s", status, text)
	}
	mailed(t, d, "form@persons.example", "/privacy/case/")
	asksByMail(t, d)
	for _, m := range ask[struct{ Items []struct{ To []string } }](t, d, "GET", "/v1/caught", "").Items {
		if m.To[0] == "robot@persons.example" {
			t.Error("a machine was answered")
		}
	}
}

// asksByMail: who wrote to privacy@ makes a request of it by the link that comes
// back; somebody whom nobody here knows gets the same.
func asksByMail(t *testing.T, d app.Demo) {
	t.Helper()
	const known, stranger = "known@persons.example", "stranger@persons.example"
	ask[any](t, d, "POST", "/v1/messages", `{"from":"you@demo.example","to":["`+known+`"],"subject":"Hello","text":"Hello"}`)
	choose := map[string]string{}
	for _, from := range []string{known, stranger} {
		if err := arrives(d.MX, from, "privacy@localhost", "From: "+from+"\r\nTo: privacy@localhost\r\nSubject: My data\r\n\r\nPlease delete it.\r\n"); err != nil {
			t.Fatal(err)
		}
		choose[from] = mailed(t, d, from, "/privacy/choose/")
		if status, text := page(t, d, "GET", choose[from], nil); status != 200 || !strings.Contains(text, "Please delete it.") {
			t.Errorf("%s reads the link: %d %s", from, status, text)
		}
	}
	if list := requested(t, d); len(list) != 0 {
		t.Errorf("before the choice the customer sees %+v", list)
	}
	if status, _ := page(t, d, "POST", choose[known], url.Values{"kind": {"all"}}); status != 400 {
		t.Errorf("a request of no kind: %d", status)
	}
	if status, text := page(t, d, "POST", choose[stranger], url.Values{"kind": {"erasure"}}); status != 200 || !strings.Contains(text, "Nobody here held anything about you") {
		t.Errorf("a stranger's request: %d %s", status, text)
	}
	if status, text := page(t, d, "POST", choose[known], url.Values{"kind": {"erasure"}, "law": {"ccpa"}}); status != 200 || !strings.Contains(text, "Demo") {
		t.Errorf("the request: %d %s", status, text)
	}
	if list := requested(t, d); len(list) != 1 || list[0].Kind != "erasure" || list[0].Address != known {
		t.Errorf("after the choice the customer sees %+v", list)
	}
	if status, _ := page(t, d, "POST", choose[known], url.Values{"kind": {"erasure"}}); status != 410 {
		t.Errorf("the link was used twice: %d", status)
	}
}

// arrives hands a message in at the MX door as another server does.
func arrives(mx, from, to, text string) error {
	c, err := smtp.Dial(mx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

// TestTrustCentre: the pages stand on a running server, and its documents speak of
// what it is.
func TestTrustCentre(t *testing.T) {
	t.Parallel()
	d, _ := dev(t, "")
	for _, path := range []string{"/trust", "/trust/controls", "/trust/policy", "/trust/contact", "/trust/feed.atom", "/.well-known/security.txt"} {
		if status, text := page(t, d, "GET", path, nil); status != 200 || text == "" {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, _ := page(t, d, "GET", "/trust/dpa", nil); status != http.StatusNotFound {
		t.Errorf("what was not published: %d", status)
	}
	copied := ask[struct {
		Markdown, PDF, Note []byte
		JSON                json.RawMessage
	}](t, d, "GET", "/v1/documents/dpa/copy", "")
	if !strings.HasPrefix(string(copied.PDF), "%PDF-") || !strings.Contains(string(copied.Markdown), "localhost") || !strings.Contains(string(copied.Note), "document dpa copy") {
		t.Errorf("a copy: %.200s", copied.Markdown)
	}
}

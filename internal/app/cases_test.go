package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailvow/internal/app"
)

// page asks for a page as a stranger does and gives its status and text.
func page(t *testing.T, d app.Demo, method, path string, form url.Values) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+d.HTTP+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

// mailed waits for a mail to somebody with a link to a path and gives the link's.
func mailed(t *testing.T, d app.Demo, to, path string) string {
	t.Helper()
	find := regexp.MustCompile(regexp.QuoteMeta(path) + `[A-Za-z0-9_-]+`)
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-poll.C {
		type row struct {
			ID string
			To []string
		}
		for _, m := range ask[struct{ Items []row }](t, d, "GET", "/v1/caught", "").Items {
			if len(m.To) != 1 || m.To[0] != to {
				continue
			}
			if found := find.FindString(ask[struct{ Text string }](t, d, "GET", "/v1/caught/"+m.ID, "").Text); found != "" {
				return found
			}
		}
	}
	t.Fatalf("no mail to %s with a link to %s came", to, path)
	return ""
}

// TestAPersonIsErasedWithoutAnAccount goes the whole way: form, mailed link,
// proof, the customer's decision, the certificate behind a mailed link.
func TestAPersonIsErasedWithoutAnAccount(t *testing.T) {
	t.Parallel()
	d, _ := dev(t, "")
	const person = "ann@persons.example"
	ask[any](t, d, "POST", "/v1/messages", `{"from":"you@demo.example","to":["`+person+`"],"subject":"Hello","text":"Hello"}`)
	found := func() int {
		return len(ask[struct{ Findings []any }](t, d, "POST", "/v1/subjects/find", `{"address":"`+person+`"}`).Findings)
	}
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(20 * time.Second); found() == 0 && time.Now().Before(end); {
		<-poll.C
	}
	if status, text := page(t, d, "GET", "/privacy", nil); status != 200 || !strings.Contains(text, "<form") || strings.Contains(text, "<script") {
		t.Fatalf("the form: %d %s", status, text)
	}
	form := url.Values{"address": {person}, "kind": {"erasure"}, "law": {"gdpr"}}
	known, said := page(t, d, "POST", "/privacy", form)
	stranger, saidToo := page(t, d, "POST", "/privacy", url.Values{"address": {"nobody@persons.example"}, "kind": {"erasure"}})
	if known != 200 || stranger != 200 || said != saidToo {
		t.Errorf("the answers differ: %d %s and %d %s", known, said, stranger, saidToo)
	}
	if list := requested(t, d); len(list) != 0 {
		t.Errorf("before the proof the customer sees %+v", list)
	}
	proof := mailed(t, d, person, "/privacy/confirm/")
	if status, _ := page(t, d, "GET", proof, nil); status != 200 || len(requested(t, d)) != 0 {
		t.Errorf("reading the link answered %d and opened %+v", status, requested(t, d))
	}
	if status, text := page(t, d, "POST", proof, url.Values{}); status != 200 || !strings.Contains(text, "Demo") || !strings.Contains(text, "message records") {
		t.Errorf("after the proof: %d %s", status, text)
	}
	if status, _ := page(t, d, "POST", proof, url.Values{}); status != 410 {
		t.Errorf("the link was used twice: %d", status)
	}
	list := requested(t, d)
	if len(list) != 1 || list[0].State != "open" || list[0].Address != person {
		t.Fatalf("after the proof the customer sees %+v", list)
	}
	ask[any](t, d, "POST", "/v1/requests/"+list[0].ID+"/decide", `{"decision":"accept"}`)
	result := mailed(t, d, person, "/privacy/result/")
	if status, _ := page(t, d, "GET", result, nil); status != 200 {
		t.Errorf("the result's page: %d", status)
	}
	_, certificate := page(t, d, "POST", result, url.Values{})
	if !json.Valid([]byte(certificate)) || !strings.Contains(certificate, "salt") {
		t.Errorf("the certificate is %s", certificate)
	}
	if status, _ := page(t, d, "GET", result+"A", nil); status != 404 {
		t.Errorf("a forged link answered %d", status)
	}
	if after := requested(t, d); len(after) != 1 || after[0].State != "answered" {
		t.Errorf("in the end the customer sees %+v", after)
	}
}

type requestRow struct{ ID, State, Address, Kind string }

func requested(t *testing.T, d app.Demo) []requestRow {
	t.Helper()
	return ask[struct{ Items []requestRow }](t, d, "GET", "/v1/requests", "").Items
}

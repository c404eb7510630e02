package app_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailvow/internal/app"
)

// ask calls the API with the demo token and reads what comes back.
func ask[T any](t *testing.T, d app.Demo, method, path, body string) T {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+d.HTTP+path, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+d.Token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	var v T
	if err != nil || answer.StatusCode >= 300 || json.Unmarshal(b, &v) != nil {
		t.Fatalf("%s %s: %s %s (%v)", method, path, answer.Status, b, err)
	}
	return v
}

func TestDevServesWhatTheConsoleReads(t *testing.T) {
	t.Parallel()
	d, _ := dev(t, "")
	session := ask[struct{ Features []string }](t, d, "GET", "/v1/session", "")
	if diff := cmp.Diff([]string{"caught"}, session.Features); diff != "" {
		t.Error(diff)
	}
	overview := ask[struct{ Start map[string]string }](t, d, "GET", "/v1/overview", "")
	want := map[string]string{
		"http": d.HTTP, "mx": d.MX, "submission": d.Submission, "domain": d.Domain, "inbound_recipient": "hello@demo.example",
		"smtp_username": d.Username, "smtp_password": d.Password, "api_token": d.Token,
	}
	if diff := cmp.Diff(want, overview.Start); diff != "" {
		t.Error(diff)
	}
	foreign, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.HTTP+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	foreign.Host = "evil.example"
	if answer, err := http.DefaultClient.Do(foreign); err != nil || answer.StatusCode != http.StatusMisdirectedRequest || answer.Body.Close() != nil {
		t.Errorf("the console under a foreign name: %v %v", answer, err)
	}
	controls := ask[[]struct{ ID, Says, Status string }](t, d, "GET", "/v1/controls", "")
	if len(controls) < 40 || controls[0].Says == "" || controls[0].Status == "" {
		t.Errorf("%d controls, the first %+v", len(controls), controls[:min(1, len(controls))])
	}
}

// TestDevQueueIsByRecipientDomain: whichever way mail goes, people pause and
// list it by the domain that it is for.
func TestDevQueueIsByRecipientDomain(t *testing.T) {
	t.Parallel()
	d, _ := dev(t, "")
	ask[any](t, d, "POST", "/v1/queue/pause", `{"domain":"paused.example","reason":"a move"}`)
	ask[any](t, d, "POST", "/v1/messages", `{"from":"you@demo.example","to":["a@paused.example","b@open.example"],"subject":"x","text":"x"}`)
	type row struct{ Recipient, Domain, State string }
	list := func() []row {
		return ask[struct{ Items []row }](t, d, "GET", "/v1/queue", "").Items
	}
	want := []row{{"a@paused.example", "paused.example", "paused"}}
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(20 * time.Second); !cmp.Equal(want, list()) && time.Now().Before(end); {
		<-poll.C
	}
	if diff := cmp.Diff(want, list()); diff != "" {
		t.Fatal(diff)
	}
	ask[any](t, d, "POST", "/v1/queue/resume", `{"domain":"paused.example"}`)
	for end := time.Now().Add(20 * time.Second); len(list()) > 0 && time.Now().Before(end); {
		<-poll.C
	}
	if left := list(); len(left) > 0 {
		t.Errorf("after the pause there is %+v", left)
	}
}

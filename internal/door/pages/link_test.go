package pages

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/protect/link"
)

func TestGetShowsAndPostActs(t *testing.T) {
	t.Parallel()
	source := ids.NewSource(clock.Wall{}, 1, 0)
	links := link.New(lab.DB(t, link.Schema), keys.Vault(t, clock.Wall{}, source), source, clock.Wall{})
	purpose := link.Purpose{Name: "confirm", Once: true, Life: time.Hour}
	acted := 0
	mux := http.NewServeMux()
	mux.Handle("/confirm/{link}", &Action{
		Links: links, Purpose: purpose,
		Show: func(w http.ResponseWriter, _ *http.Request, l link.Link) { fmt.Fprintf(w, "about %v", l.Subject) },
		Act:  func(*db.Tx, link.Link) error { acted++; return nil },
		Done: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "done") },
		Refused: func(w http.ResponseWriter, _ *http.Request, status int, text string) {
			http.Error(w, text, status)
		},
	})
	text, err := links.Make(purpose, 7, 11)
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		method, link string
		status       int
		acted        int
	}{
		{"GET", text, 200, 0}, {"HEAD", text, 200, 0}, {"GET", text, 200, 0}, {"PUT", text, 405, 0}, {"DELETE", text, 405, 0},
		{"POST", text + "A", 404, 0}, {"GET", "nonsense", 404, 0},
		{"POST", text, 200, 1}, {"POST", text, 410, 1}, {"GET", text, 410, 1},
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(step.method, "/confirm/"+step.link, nil))
		if w.Code != step.status || acted != step.acted {
			t.Errorf("step %d, %s: %d, acted %d times: %s", i, step.method, w.Code, acted, w.Body)
		}
		if w.Header().Get("Referrer-Policy") != "no-referrer" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("step %d: the link may be kept or sent on: %v", i, w.Header())
		}
	}
}

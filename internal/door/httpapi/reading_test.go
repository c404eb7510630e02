package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"mailvow/internal/base/fault"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/reads"
)

// noted keeps what was put on record.
type noted struct {
	mu   sync.Mutex
	list []string
	none error
}

func (n *noted) Record(_ context.Context, by reads.Reader, declared []string, t *reads.Tally) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	line := string(by.Door) + " " + by.Operation + " " + strings.Join(declared, ",")
	if t.Empty() {
		line += " nothing"
	}
	n.list = append(n.list, line)
	return n.none
}

// TestEveryOperationSaysWhatItReads: what is not in the table counts as reading
// anything; here it fails, and so does a line without an operation.
func TestEveryOperationSaysWhatItReads(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	there := map[string]bool{}
	for _, o := range operations(b.API) {
		there[o.OperationID] = true
		if _, said := reading[o.OperationID]; !said {
			t.Errorf("%s (%s %s) does not say which personal data it shows: add a line to reading in reading.go", o.OperationID, o.Method, o.Path)
		}
	}
	for id := range reading {
		if !there[id] {
			t.Errorf("the table of reading names %q, and there is no such operation", id)
		}
	}
}

// TestWhoReadsNothingShowsNobody: the answer of an operation that declares nothing
// has no field in which a person's data stands, save where it gives back what was
// just sent or the asker's own.
func TestWhoReadsNothingShowsNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	own := []string{"create-user", "create-route", "create-suppression", "create-hold", "enter-request", "send-message", "send-raw-message", "get-session", "sign-in", "change-self"}
	personal := []string{"email", "address", "recipient", "sender", "sender_ip", "envelope_sender", "envelope_recipient", "headers"}
	for _, o := range operations(b.API) {
		if len(declared(o.OperationID)) > 0 || slices.Contains(own, o.OperationID) {
			continue
		}
		for status, r := range o.Responses {
			if !strings.HasPrefix(status, "2") || r == nil {
				continue
			}
			for _, m := range r.Content {
				for _, name := range fields(b.API, m.Schema, map[string]bool{}) {
					if slices.Contains(personal, name) {
						t.Errorf("%s shows %q and declares that it reads nothing", o.OperationID, name)
					}
				}
			}
		}
	}
}

func fields(a *API, s *huma.Schema, seen map[string]bool) []string {
	if s == nil {
		return nil
	}
	if s.Ref != "" {
		if seen[s.Ref] {
			return nil
		}
		seen[s.Ref] = true
		return fields(a, a.huma.OpenAPI().Components.Schemas.SchemaFromRef(s.Ref), seen)
	}
	var list []string
	for name, p := range s.Properties {
		list = append(append(list, name), fields(a, p, seen)...)
	}
	return append(list, fields(a, s.Items, seen)...)
}

// TestReadsAreOnRecord: an answer with personal data goes out after its record, a
// repeat too, and not at all without.
func TestReadsAreOnRecord(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	n := &noted{}
	b.API.parts.Reads = n
	owner := b.as(t, b.acme, access.Owner)
	token := b.token(t, b.acme, access.ScopeUsersManage)
	for _, c := range []struct {
		method, path, body string
		with               func(*http.Request)
		want               string
	}{
		{"GET", "/v1/users", "", owner, "console list-users users"},
		{"GET", "/v1/users", "", token, "api list-users users"},
		{"GET", "/v1/messages", "", owner, "console list-messages message records nothing"},
		{"GET", "/v1/tokens", "", owner, ""},
		{"GET", "/v1/users/usr_nonsense", "", owner, ""},
	} {
		n.list = nil
		b.call(c.method, c.path, c.body, c.with)
		if got := strings.Join(n.list, "; "); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.method, c.path, got, c.want)
		}
	}
	n.list, n.none = nil, fault.New(fault.Unavailable, "No record can be written.")
	if r := b.call("GET", "/v1/users", "", owner); r.Code != http.StatusServiceUnavailable || strings.Contains(r.Body.String(), "@") {
		t.Errorf("without a record: %d %s", r.Code, r.Body)
	}
}

// TestARepeatIsOnRecord: a stored answer shows the same again.
func TestARepeatIsOnRecord(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	n := &noted{}
	b.API.parts.Reads = n
	owner, key := b.as(t, b.acme, access.Owner), header("Idempotency-Key", "once")
	for range 2 {
		if r := b.call("POST", "/v1/subjects/find", `{"address":"ann@example.com"}`, owner, key); r.Code != http.StatusOK {
			t.Fatal(r.Code, r.Body)
		}
	}
	want := []string{"console find-subject * nothing", "console find-subject * nothing"}
	if !slices.Equal(n.list, want) {
		t.Errorf("on record: %q", n.list)
	}
}

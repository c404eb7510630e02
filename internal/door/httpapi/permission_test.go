package httpapi

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/queue"
	"mailvow/internal/flow/suppress"
	"mailvow/internal/product/trust/attest"
	"mailvow/internal/product/trust/finding"
	"mailvow/internal/product/trust/lawful"
	"mailvow/internal/product/trust/supply"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/alert"
	"mailvow/internal/protect/clearance"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/hold"
	"mailvow/internal/protect/policy"
	rights "mailvow/internal/protect/request"
	"mailvow/internal/protect/tenant"
)

// operations gives every operation that the API registered.
func operations(a *API) []*huma.Operation {
	var all []*huma.Operation
	for _, item := range a.huma.OpenAPI().Paths {
		for _, o := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete, item.Head, item.Options} {
			if o != nil {
				all = append(all, o)
			}
		}
	}
	slices.SortFunc(all, func(x, y *huma.Operation) int { return strings.Compare(x.OperationID, y.OperationID) })
	return all
}

func needs(o *huma.Operation) access.Permission {
	p, _ := o.Metadata[permissionKey].(access.Permission)
	return p
}

// TestEveryOperationNamesAPermission: one that does not, or names one outside the
// closed list, fails; only signing in is open.
func TestEveryOperationNamesAPermission(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, o := range operations(b.API) {
		p := needs(o)
		if p == open && o.OperationID == "sign-in" {
			continue
		}
		if !slices.Contains(access.Permissions(), p) {
			t.Errorf("%s %s names no permission: %q", o.Method, o.Path, p)
		}
		if len(o.Security) == 0 || o.Extensions["x-permission"] != string(p) {
			t.Errorf("%s %s does not say in the document what it needs", o.Method, o.Path)
		}
	}
}

// thing makes something of a customer that a path's {id} can name.
type thing func(t testing.TB, b *bench, in ids.Tenant) string

// things says what stands behind {id} under each collection.
var things = map[string]thing{
	"/v1/holds/{id}": func(t testing.TB, b *bench, in ids.Tenant) string {
		who, err := addressAt("x", "bob@other.example")
		must(t, err)
		h, err := b.parts.Holds.Add(t.Context(), hold.Hold{Tenant: in, Kind: hold.Person, Address: who, Ground: hold.Claim, Review: b.clock.Now().Add(30 * 24 * time.Hour)}, access.Principal{})
		must(t, err)
		return h.ID.String()
	},
	"/v1/incidents/{id}": func(t testing.TB, b *bench, in ids.Tenant) string { return b.incident(t, in) },
	"/v1/tokens/{id}": func(t testing.TB, b *bench, in ids.Tenant) string {
		token, _, err := b.parts.Access.AddToken(t.Context(), access.House(), in, "x", []access.Scope{access.ScopeMessagesSend}, time.Time{})
		must(t, err)
		return token.ID.String()
	},
	"/v1/credentials/{id}": func(t testing.TB, b *bench, in ids.Tenant) string {
		c, _, err := b.parts.Access.AddCredential(t.Context(), in, "x")
		must(t, err)
		return c.ID.String()
	},
	"/v1/users/{id}": func(t testing.TB, b *bench, in ids.Tenant) string {
		id := ids.New[ids.User](b.parts.IDs)
		to, err := addressAt("x", fmt.Sprintf("u%d@%s.example", id, in))
		must(t, err)
		u, err := b.parts.Access.AddUser(t.Context(), access.House(), access.NewUser{Tenant: in, Email: to, Name: "X", Role: access.Viewer})
		must(t, err)
		return u.ID.String()
	},
	"/v1/domains/{id}": func(t testing.TB, b *bench, in ids.Tenant) string {
		d, err := b.parts.Domains.Add(t.Context(), in, fmt.Sprintf("d%d.example", ids.New[ids.Domain](b.parts.IDs)))
		must(t, err)
		return d.ID.String()
	},
	"/v1/routes/{id}": func(t testing.TB, b *bench, in ids.Tenant) string {
		pattern := fmt.Sprintf("r%d@%s", ids.New[ids.Domain](b.parts.IDs), b.domainOf(t, in))
		r, err := b.parts.Inbound.Add(t.Context(), in, pattern, "https://hook.example/")
		must(t, err)
		return r.ID.String()
	},
	"/v1/suppressions/{id}": func(t testing.TB, b *bench, in ids.Tenant) string {
		to, err := addressAt("x", fmt.Sprintf("s%d@%s.example", ids.New[ids.User](b.parts.IDs), in))
		must(t, err)
		n, err := b.parts.Suppressions.Add(t.Context(), suppress.Suppression{Tenant: in, Address: to, Reason: suppress.Manual, Source: suppress.FromAPI})
		must(t, err)
		return n.ID.String()
	},
	"/v1/messages/{id}": func(t testing.TB, b *bench, in ids.Tenant) string {
		body := fmt.Sprintf(`{"from":"ann@%s","to":["bob@example.net"],"subject":"Hello","text":"Hello Bob"}`, b.domainOf(t, in))
		var made Accepted
		b.call("POST", "/v1/messages", body, b.token(t, in, access.ScopeMessagesSend)).into(t, &made)
		return made.ID
	},
	"/v1/caught/{id}": func(t testing.TB, b *bench, in ids.Tenant) string {
		from, err := addressAt("x", "ann@"+b.domainOf(t, in))
		must(t, err)
		raw := "From: ann@news.example\r\nTo: bob@example.net\r\nSubject: Caught\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHello\r\n--b\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nattached\r\n--b--\r\n"
		must(t, b.parts.Caught.Catch(t.Context(), &deliver.Parcel{
			Message: ids.New[ids.Message](b.parts.IDs), Tenant: in, Sender: from, Recipients: []deliver.Recipient{{ID: ids.New[ids.Recipient](b.parts.IDs), Address: from}},
			Content: strings.NewReader(raw), Received: b.clock.Now(),
		}))
		list, err := b.parts.Caught.List(t.Context(), scope.Tenant(in), 0, 1)
		must(t, err)
		return list[0].ID.String()
	},
	"/v1/policy/versions/{id}": func(t testing.TB, b *bench, in ids.Tenant) string {
		b.versions++
		v, _, err := b.parts.Policy.Publish(t.Context(), policy.Draft{
			Tenant: in, Text: fmt.Sprintf("scans: %dh", b.versions), Effective: b.clock.Now().Add(24 * time.Hour), Role: evidence.ByOwner,
		})
		must(t, err)
		return strconv.Itoa(v.Number)
	},
	"/v1/sub-processors/{id}": func(t testing.TB, b *bench, in ids.Tenant) string {
		return b.announced(t, in).ID.String()
	},
	"/v1/objections/{id}": func(t testing.TB, b *bench, in ids.Tenant) string {
		o, err := b.parts.Supply.Object(t.Context(), in, 0, b.announced(t, in).ID, "a test", evidence.Actor{Role: evidence.ByOwner})
		must(t, err)
		return o.ID.String()
	},
	"/v1/requests/{id}": func(t testing.TB, b *bench, in ids.Tenant) string {
		c, err := b.parts.Requests.Enter(t.Context(), in, access.Principal{}, rights.Asked{Address: "ann@example.net", Kind: rights.Access})
		must(t, err)
		return c.ID.String()
	},
	"/v1/alerts/{id}": func(t testing.TB, b *bench, _ ids.Tenant) string {
		board := b.parts.Alerts.(benchAlerts).Board
		must(t, board.Raise(t.Context(), alert.Condition{Marker: ids.New[ids.Alert](b.parts.IDs).String(), Kind: alert.Space, Text: "x"}))
		list, err := board.Standing(t.Context())
		must(t, err)
		return list[0].ID.String()
	},
	"/v1/attestations/{id}": func(t testing.TB, b *bench, _ ids.Tenant) string {
		a, err := b.parts.Assurance.Attest(t.Context(), attest.Attestation{
			Kind: attest.Audit, Subject: "Example", Issued: b.clock.Now(), Until: b.clock.Now().Add(time.Hour), File: attest.File{Name: "report.pdf"},
		}, []byte("a report"), access.Principal{})
		must(t, err)
		return a.ID.String()
	},
	"/v1/findings/{id}": func(t testing.TB, b *bench, _ ids.Tenant) string {
		w, err := b.parts.Assurance.Found(t.Context(), finding.Weakness{Source: finding.Test, Severity: finding.Low, Title: "x"}, access.Principal{})
		must(t, err)
		return w.ID.String()
	},
	"/v1/lawful-requests/{id}": func(t testing.TB, b *bench, in ids.Tenant) string {
		r, err := b.parts.Assurance.Ask(t.Context(), lawful.Request{
			Customer: in, Kind: lawful.Data, Country: "DE", Authority: "A court", Case: ids.New[ids.Request](b.parts.IDs).String(), Law: "a law",
		}, access.Principal{})
		must(t, err)
		return r.ID.String()
	},
	"/v1/grants/{id}": func(t testing.TB, b *bench, _ ids.Tenant) string {
		me := access.ForRole(tenant.Platform, b.users[tenant.Platform][access.Operator].ID, 0, access.Operator)
		g, err := b.parts.Staff.Take(t.Context(), me, clearance.Grant{Reason: "a test", Until: b.clock.Now().Add(time.Hour)})
		must(t, err)
		return g.ID.String()
	},
	"/v1/mentions/{id}": func(t testing.TB, b *bench, in ids.Tenant) string {
		who, err := addressAt("x", "bob@other.example")
		must(t, err)
		x, err := b.parts.Mentions.Order(t.Context(), in, access.Principal{}, pledge.Subject{Address: who})
		must(t, err)
		return x.ID.String()
	},
	"/v1/onward/{id}": func(_ testing.TB, b *bench, in ids.Tenant) string {
		return b.parts.Onward.(*noticeShelf).add(in).String() //nolint:forcetypeassert // the bench's own
	},
	"/v1/customers/{id}": func(t testing.TB, b *bench, _ ids.Tenant) string {
		c, err := b.parts.Tenants.Add(t.Context(), "X", "test")
		must(t, err)
		return c.ID.String()
	},
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const newVendor = `{"entry":{"name":"UNIQUE","kind":"support","purposes":["tickets"],"country":"DE","data":["names"],"agreement":{"document":"DPA","until":"2030-12-31"}}}`

// announced is a sub-processor that will get a customer's data.
func (b *bench) announced(t testing.TB, in ids.Tenant) supply.Version {
	t.Helper()
	v, _, err := b.parts.Supply.Announce(t.Context(), supply.Draft{Tenant: in, By: evidence.Actor{Role: evidence.ByOperator}, Entry: supply.Entry{
		Name: "Vendor", Kind: supply.Support, Purposes: []string{"tickets"}, Country: "DE", Data: []string{"names"}, Endpoints: []string{"tickets.example"},
		Agreement: supply.Agreement{Document: "DPA", Until: "2030-12-31"},
	}})
	must(t, err)
	return v
}

// bodies are requests that the operations take.
var bodies = map[string]string{
	"sign-in":                    `{"email":"nobody@example.com","password":"a wrong password"}`,
	"change-self":                `{"name":"New Name"}`,
	"create-token":               `{"name":"x","scopes":["messages:send"]}`,
	"create-credential":          `{"name":"x"}`,
	"create-user":                `{"email":"UNIQUE@example.org","name":"X","role":"viewer"}`,
	"change-user":                `{"name":"New Name"}`,
	"create-customer":            `{"name":"New"}`,
	"create-domain":              `{"name":"UNIQUE.example"}`,
	"create-route":               `{"recipient":"UNIQUE@acme-owns.example","webhook":{"url":"https://hook.example/"}}`,
	"change-route":               `{"webhook":{"url":"https://hook.example/new"}}`,
	"open-incident":              `{"title":"A leaked token"}`,
	"draft-incident":             `{"title":"Another title"}`,
	"tell-incident":              `{"duty":"authority","reference":"AZ 1/26"}`,
	"scope-incident":             `{"ip":"192.0.2.0/24","from":"2026-11-01T00:00:00Z"}`,
	"create-hold":                `{"kind":"person","address":"bob@example.net","ground":"claim","review_at":"2026-12-20T00:00:00Z"}`,
	"review-hold":                `{"review_at":"2026-12-20T00:00:00Z"}`,
	"create-suppression":         `{"address":"UNIQUE@example.net"}`,
	"send-message":               `{"from":"ann@acme-owns.example","to":["bob@example.net"],"subject":"Hello","text":"Hello Bob"}`,
	"send-raw-message":           "From: ann@acme-owns.example\r\nTo: bob@example.net\r\n\r\nHello Bob\r\n",
	"retry-queue":                `{"domain":"example.net"}`,
	"release-queue":              `{"domain":"example.net"}`,
	"hold-queue":                 `{"domain":"example.net"}`,
	"fail-queue":                 `{"domain":"nowhere.example"}`,
	"pause-queue":                `{"domain":"example.net","reason":"a test"}`,
	"find-subject":               `{"address":"bob@example.net"}`,
	"export-subject":             `{"address":"bob@example.net"}`,
	"archive-subject":            `{"address":"bob@example.net"}`,
	"set-identifying-attributes": `{"attributes":[{"name":"customer","is":"customer_number"}]}`,
	"correct-subject":            `{"address":"bob@example.net","field":"name","value":"Bob"}`,
	"restrict-subject":           `{"address":"bob@example.net","on":true}`,
	"erase-subject":              `{"address":"bob@example.net","reason":"asked"}`,
	"search-mentions":            `{"address":"bob@example.net"}`,
	"decide-mention":             `{"n":1,"verdict":"leave_out"}`,
	"enter-request":              `{"address":"bob@example.net","kind":"access"}`,
	"decide-request":             `{"decision":"refuse","reason":"a test"}`,
	"create-attestation":         `{"kind":"audit","subject":"Example","note":"seen","until":"2026-12-20T00:00:00Z"}`,
	"import-vulnerabilities":     `{"file":"eyJpZCI6IlgiLCJtb2RpZmllZCI6IjIwMjYtMTEtMDFUMDA6MDA6MDBaIn0="}`,
	"create-finding":             `{"source":"test","severity":"low","title":"x"}`,
	"move-finding":               `{"state":"dismissed","reason":"none"}`,
	"create-lawful-request":      `{"kind":"data","country":"DE","authority":"A court","case":"UNIQUE","law":"a law"}`,
	"decide-lawful-request":      `{"state":"refused"}`,
	"export-for-authority":       `{"case":"UNIQUE","customer":"ten_00000000000000000000000001","address":"bob@example.net"}`,
	"take-grant":                 `{"reason":"a test","until":"UNTIL"}`,
	"resume-queue":               `{"domain":"example.net"}`,
	"order-termination":          `{"confirm":"any"}`,
	"undo-termination":           `{}`,
	"change-customer":            `{"name":"New"}`,
	"check-policy":               `{"settings":{"answers":"1KiB"}}`,
	"publish-policy":             `{"settings":{"answers":"1KiB"}}`,
	"instruct-purpose":           `{"instructed":false}`,
	"publish-document":           `{"anyway":"a test"}`,
	"admit-to-document":          `{"days":7}`,

	"check-sub-processor":     newVendor,
	"add-sub-processor":       newVendor,
	"change-sub-processor":    newVendor,
	"object-to-sub-processor": `{"reason":"a test"}`,
	"sign-access-review":      `{"decisions":[{"id":"usr_x","keep":true}]}`,
	"answer-objection":        `{"answer":"a test"}`,
	"see-notice":              `{"accept":true}`,
}

func collection(path string) string {
	if i := strings.Index(path, "{id}"); i >= 0 {
		return path[:i+4]
	}
	return path
}

// thing makes what an operation's path names; one that is deleted is made anew.
func (b *bench) thing(t testing.TB, o *huma.Operation, in ids.Tenant) string {
	t.Helper()
	name := collection(o.Path)
	make, ok := things[name]
	if !ok {
		t.Fatalf("say in things what stands behind %s", name)
	}
	if o.Method == http.MethodDelete {
		return make(t, b, in)
	}
	key := name + in.String()
	if strings.HasPrefix(name, "/v1/incidents") { // each act leaves it in another state
		x := make(t, b, in)
		if o.OperationID == "release-incident" {
			b.containFirst(t, x)
		}
		return x
	}
	if o.OperationID == "release-hold" || o.OperationID == "review-hold" || o.OperationID == "read-hold" || slices.Contains([]string{"withdraw-attestation", "move-finding", "decide-lawful-request", "end-grant"}, o.OperationID) { // once each
		return make(t, b, in)
	}
	if b.made[key] == "" {
		b.made[key] = make(t, b, in)
	}
	return b.made[key]
}

// try calls an operation on a thing of a customer.
func (b *bench) try(t testing.TB, o *huma.Operation, in ids.Tenant, with func(*http.Request)) reply {
	t.Helper()
	path := o.Path
	if before, after, ok := strings.Cut(path, "{id}"); ok {
		path = before + b.thing(t, o, in) + after
	}
	if o.OperationID == "resume-queue" {
		_, err := b.parts.Queue.Pause(t.Context(), queue.Pause{Tenant: in, Domain: "example.net"})
		must(t, err)
	}
	path = strings.NewReplacer("{index}", "0", "{kind}", "measures", "{whose}", "platform", "{number}", "2", "{name}", "count", "{list}", "joiners").Replace(path)
	body := bodies[o.OperationID]
	if o.RequestBody != nil && body == "" {
		t.Fatalf("say in bodies what %s takes", o.OperationID)
	}
	body = strings.Replace(body, "UNTIL", b.clock.Now().Add(time.Hour).Format(time.RFC3339), 1)
	body = strings.Replace(body, "UNIQUE", fmt.Sprintf("u%d", ids.New[ids.User](b.parts.IDs)), 1)
	if o.OperationID == "send-raw-message" {
		return b.call(o.Method, path, body, with, header("Content-Type", rawType))
	}
	if o.OperationID == "contain-incident" {
		return b.releaseAfter(t, path, b.call(o.Method, path, body, with))
	}
	return b.call(o.Method, path, body, with)
}

// refused reports that somebody was turned away for what they are.
func refused(r reply) bool {
	return r.Code == http.StatusUnauthorized || r.Code == http.StatusForbidden
}

// TestPermissionTable calls every operation without credentials, as every role
// and with every scope, and compares what happens with the permission table and
// with the matrix that people have read (testdata/permissions.txt).
func TestPermissionTable(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("thousands of calls, one after the other: nothing for the race detector")
	}
	b := newBench(t)
	b.domain(t, b.acme, "acme-owns.example")
	var matrix strings.Builder
	row := func(name string, cells ...string) {
		fmt.Fprintf(&matrix, "%s\n", strings.TrimRight(fmt.Sprintf("%-28s %s", name, strings.Join(cells, " ")), " "))
	}
	for _, o := range operations(b.API) {
		p := needs(o)
		cells := []string{fmt.Sprintf("%-20s", p)}
		if r := b.try(t, o, b.acme, func(*http.Request) {}); p != open && r.Code != http.StatusUnauthorized {
			t.Errorf("%s without credentials: %d", o.OperationID, r.Code)
		}
		for _, role := range access.Roles() {
			r := b.try(t, o, b.acme, b.as(t, b.acme, role))
			may := p == open || access.OfRole(role)[p] != access.None
			if p != open && may == refused(r) && !personCannot(o, role) {
				t.Errorf("%s as %s: %d %s, but the table says %v", o.OperationID, role, r.Code, r.Body, may)
			}
			if may && p != open && (role == access.Owner || role == access.Operator) && r.Code >= 300 && !personCannot(o, role) {
				t.Errorf("%s as %s may, but does not succeed: %d %s", o.OperationID, role, r.Code, r.Body)
			}
			cells = append(cells, mark(may, string(role)))
		}
		for _, s := range access.Scopes() {
			r := b.try(t, o, b.acme, b.token(t, b.acme, s))
			may := p == open || access.OfScopes(s)[p] != access.None
			if p != open && may == refused(r) && !tokenCannot(o) {
				t.Errorf("%s with %s: %d %s, but the table says %v", o.OperationID, s, r.Code, r.Body, may)
			}
			cells = append(cells, mark(may, string(s)))
		}
		row(o.OperationID, cells...)
	}
	golden(t, "permissions.txt", matrix.String())
}

// tokenCannot names what needs a person though the table lets a token try, or
// what a token with one scope may not hand on.
func tokenCannot(o *huma.Operation) bool {
	return slices.Contains([]string{"change-self", "create-token", "create-user", "change-user", "delete-user", "create-sign-in-link", "create-hold"}, o.OperationID)
}

// personCannot names what the bodies of this test ask and the house refuses for
// another reason than the table.
func personCannot(o *huma.Operation, role access.Role) bool {
	return role == access.Operator && slices.Contains([]string{
		"create-user",          // a viewer in the platform's own tenant
		"delete-token",         // tokens and credentials are the customer's own business
		"delete-credential",    // likewise
		"create-route",         // the domain is a customer's
		"send-message",         // likewise
		"send-raw-message",     // likewise
		"get-content",          // what mail says is the customer's
		"get-parsed",           // likewise
		"get-conversations",    // likewise
		"export-for-authority", // under the number of a case, which has a test of its own
		"withdraw-policy",      // a customer's own; the operator has the platform's

		"object-to-sub-processor", // customers object
		"change-sub-processor",    // one change at a time
		"remove-sub-processor",    // likewise
	}, o.OperationID)
}

func mark(may bool, name string) string {
	if may {
		return name
	}
	return strings.Repeat("-", len(name))
}

// TestAnotherCustomer: whatever may be done to one's own things cannot be done to
// another customer's; they are not there.
func TestAnotherCustomer(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("thousands of calls, one after the other: nothing for the race detector")
	}
	b := newBench(t)
	for _, o := range operations(b.API) {
		if !strings.Contains(o.Path, "{id}") || access.OfRole(access.Owner)[needs(o)] == access.None {
			continue
		}
		if o.OperationID == "delete-message" {
			continue // what is deleted is decided behind the interface, with a test there
		}
		id := things[collection(o.Path)](t, b, b.other)
		path := strings.Replace(strings.Replace(o.Path, "{id}", id, 1), "{index}", "0", 1)
		r := b.call(o.Method, path, bodies[o.OperationID], b.as(t, b.acme, access.Owner))
		if r.Code != http.StatusNotFound {
			t.Errorf("%s on another customer's: %d %s", o.OperationID, r.Code, r.Body)
		}
		if r := b.call(o.Method, path, bodies[o.OperationID], b.as(t, b.other, access.Owner)); r.Code >= 300 {
			t.Errorf("%s on one's own, after a stranger tried: %d %s", o.OperationID, r.Code, r.Body)
		}
	}
}

// TestListsStayApart: no list shows another customer's things.
func TestListsStayApart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, make := range things {
		make(t, b, b.other)
	}
	for _, o := range operations(b.API) {
		if o.OperationID == "watch-counts" || o.Method != http.MethodGet || strings.Contains(o.Path, "{") || access.OfRole(access.Owner)[needs(o)] == access.None {
			continue
		}
		r := b.call(o.Method, o.Path, "", b.as(t, b.acme, access.Owner))
		if r.Code != http.StatusOK || strings.Contains(r.Body.String(), "other.example") || strings.Contains(r.Body.String(), b.other.String()) {
			t.Errorf("%s: %d %s", o.OperationID, r.Code, r.Body)
		}
	}
	users, err := b.parts.Access.Users(t.Context(), scope.Tenant(b.other), 0, 10)
	if err != nil || len(users) == 0 {
		t.Error("there was nothing to see: the test could not fail", err)
	}
}

// golden compares with a file that people read; MAILVOW_GOLDEN=write writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("MAILVOW_GOLDEN") == "write" {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s is not what happens now (%v). Read the difference; if it is meant, run the test with MAILVOW_GOLDEN=write.\n%s", path, err, got)
	}
}

package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/reply"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/chunk"
	"mailvow/internal/lab"
	"mailvow/internal/product/trust/document"
	"mailvow/internal/product/trust/incident"
	"mailvow/internal/product/trust/supply"
	"mailvow/internal/protect/alert"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/onward"
)

// courier is a courier that a test bends.
type courier func(ctx context.Context, p *deliver.Parcel) []outcome.Outcome

func (c courier) Deliver(ctx context.Context, p *deliver.Parcel) []outcome.Outcome { return c(ctx, p) }

// lying says that it delivered.
func lying(_ context.Context, p *deliver.Parcel) []outcome.Outcome {
	list := make([]outcome.Outcome, len(p.Recipients))
	for i := range list {
		list[i] = outcome.FromReply("liar.invalid", reply.New(250, "2.0.0", "taken"))
	}
	return list
}

// instead replaces the courier of one kind of route.
func instead(kind deliver.RouteKind, make func(deliver.Courier) deliver.Courier) func(*testing.T, *House) {
	return func(_ *testing.T, h *House) { h.queue.Couriers[kind] = make(h.queue.Couriers[kind]) }
}

// statement runs SQL behind the server's back.
func statement(text string) func(*testing.T, *House) {
	return func(t *testing.T, h *House) {
		d, err := sql.Open("sqlite", "file:"+url.PathEscape(filepath.Join(h.paths().database(), "mailvow.db"))+"?_pragma=busy_timeout(10000)")
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if _, err := d.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
}

// leak writes what passes into a file of the data folder, as a debug log would.
func leak(t *testing.T, h *House) {
	file := filepath.Join(h.paths().root, "debug.log")
	instead(deliver.Host, func(real deliver.Courier) deliver.Courier {
		return courier(func(ctx context.Context, p *deliver.Parcel) []outcome.Outcome {
			b, _ := io.ReadAll(io.NewSectionReader(p.Content, 0, p.Content.Size()))
			_ = os.WriteFile(file, b, 0o600)
			return real.Deliver(ctx, p)
		})
	})(t, h)
}

// plainDoor puts a mail door without TLS in the place of mx.
func plainDoor(t *testing.T, h *House) {
	remote := lab.RemoteSMTP(t, lab.Remote{Command: func(_ int, line string) string {
		if strings.EqualFold(line, "STARTTLS") {
			return "502 5.5.1 not here"
		}
		return ""
	}})
	at := netip.MustParseAddrPort(remote.Addr)
	h.gate.Own(at)
	h.probed.Doors["mx"] = at.String()
}

// chatty puts a door before the API that shows one field more.
func chatty(t *testing.T, h *House) {
	to := &url.URL{Scheme: "http", Host: h.probed.Doors["http"]}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
		ModifyResponse: func(r *http.Response) error {
			b, err := io.ReadAll(r.Body)
			b = bytes.Replace(b, []byte(`"sender_ip"`), []byte(`"helo":"x","sender_ip"`), 1)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
			r.Header.Del("Content-Length")
			return err
		},
	}
	door := httptest.NewServer(proxy)
	t.Cleanup(door.Close)
	at := netip.MustParseAddrPort(strings.TrimPrefix(door.URL, "http://"))
	h.gate.Own(at)
	h.probed.Doors["http"] = at.String()
}

// trusting puts a door before the API that hides where a request comes from.
func trusting(t *testing.T, h *House) {
	to := &url.URL{Scheme: "http", Host: h.probed.Doors["http"]}
	door := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
		r.Out.Header.Del("Sec-Fetch-Site")
		r.Out.Header.Del("Origin")
	}})
	t.Cleanup(door.Close)
	at := netip.MustParseAddrPort(strings.TrimPrefix(door.URL, "http://"))
	h.gate.Own(at)
	h.probed.Doors["http"] = at.String()
}

// generous puts a door before the API that fills in a case number where there is none.
func generous(t *testing.T, h *House) {
	to := &url.URL{Scheme: "http", Host: h.probed.Doors["http"]}
	var mu sync.Mutex
	var number string
	door := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
		if !strings.HasPrefix(r.In.URL.Path, "/v1/lawful-") || r.In.Method != http.MethodPost {
			return
		}
		b, _ := io.ReadAll(r.In.Body)
		var in map[string]any
		_ = json.Unmarshal(b, &in)
		mu.Lock()
		defer mu.Unlock()
		if r.In.URL.Path == "/v1/lawful-requests" {
			number, _ = in["case"].(string)
		} else if in["case"] == "" {
			in["case"] = number
			b, _ = json.Marshal(in)
		}
		r.Out.Body, r.Out.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	}})
	t.Cleanup(door.Close)
	at := netip.MustParseAddrPort(strings.TrimPrefix(door.URL, "http://"))
	h.gate.Own(at)
	h.probed.Doors["http"] = at.String()
}

// anything lets the operator's parts speak to everybody.
type anything struct{}

// Covers implements egress.Terms.
func (anything) Covers(string, string, string, ids.Tenant) (string, error) { return "", nil }

func ungoverned(_ *testing.T, h *House) { h.gate.Govern(anything{}) }

// heedless covers what an entry names, whatever it lacks.
type heedless struct{ *supply.Store }

// Covers implements egress.Terms.
func (s heedless) Covers(purpose, endpoint, region string, of ids.Tenant) (string, error) {
	for _, p := range s.List(scope.Tenant(of)) {
		for _, v := range []*supply.Version{p.Current, p.Coming} {
			if v != nil && slices.Contains(v.Entry.Endpoints, endpoint) {
				return v.Entry.Name, nil
			}
		}
	}
	return s.Store.Covers(purpose, endpoint, region, of)
}

func unread(_ *testing.T, h *House) { h.gate.Govern(heedless{h.supply}) }

// hiding shows customers an empty register.
func hiding(t *testing.T, h *House) { blank("/v1/sub-processors", `{"items":[]}`)(t, h) }

func unlisted(t *testing.T, h *House) { blank("/v1/recipients", `{"items":[]}`)(t, h) }

// blank puts a door before the server that answers one path with a text.
func blank(path, text string) func(*testing.T, *House) {
	return func(t *testing.T, h *House) { blanked(t, h, path, text) }
}

func blanked(t *testing.T, h *House, path, text string) {
	to := &url.URL{Scheme: "http", Host: h.probed.Doors["http"]}
	door := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
		ModifyResponse: func(r *http.Response) error {
			if r.Request.URL.Path == path {
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
				r.Header.Del("Content-Length")
			}
			return nil
		},
	})
	t.Cleanup(door.Close)
	at := netip.MustParseAddrPort(strings.TrimPrefix(door.URL, "http://"))
	h.gate.Own(at)
	h.probed.Doors["http"] = at.String()
}

// launder puts a door before the API that takes out what a recipient does with data
// on its own account.
func launder(t *testing.T, h *House) {
	to := &url.URL{Scheme: "http", Host: h.probed.Doors["http"]}
	door := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
		if strings.HasPrefix(r.In.URL.Path, "/v1/routes") && r.In.Method == http.MethodPost {
			b, _ := io.ReadAll(r.In.Body)
			b = bytes.ReplaceAll(b, []byte(`["marketing"]`), []byte(`[]`))
			r.Out.Body, r.Out.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		}
	}})
	t.Cleanup(door.Close)
	at := netip.MustParseAddrPort(strings.TrimPrefix(door.URL, "http://"))
	h.gate.Own(at)
	h.probed.Doors["http"] = at.String()
}

// silent posts the first notice only and says that it posted all.
func silent(_ *testing.T, h *House) {
	real, posted := h.incidents.Post, ids.Message(0)
	h.incidents.Post = func(ctx context.Context, l incident.Letter) (_ ids.Message, err error) {
		if posted == 0 {
			posted, err = real(ctx, l)
		}
		return posted, err
	}
}

// evasive leaves the consequences out of every notice.
func evasive(_ *testing.T, h *House) {
	real := h.incidents.Post
	h.incidents.Post = func(ctx context.Context, l incident.Letter) (ids.Message, error) {
		before, after, _ := strings.Cut(l.Text, "\nLikely consequences:\n")
		_, after, _ = strings.Cut(after, "\n")
		l.Text = before + after
		return real(ctx, l)
	}
}

// tardy delivers notices after four days.
func tardy(_ *testing.T, h *House) {
	real := h.incidents.Fate
	h.incidents.Fate = func(ctx context.Context, m ids.Message) (time.Time, bool, error) {
		at, failed, err := real(ctx, m)
		if !at.IsZero() {
			at = at.Add(96 * time.Hour)
		}
		return at, failed, err
	}
}

// forgetful makes the eraser ask nobody.
func forgetful(_ *testing.T, h *House) { h.eraser.Holders = nil }

// forger signs documents with a key of its own.
func forger(t *testing.T, h *House) {
	ring, err := evidence.OpenRing(t.TempDir()+"/keys", h.Config.Hostname+"/evidence", rand.Reader)
	must(t, err)
	h.documents.Sign = ring.SignStatement
}

// boaster knows of a control that nobody has.
func boaster(_ *testing.T, h *House) {
	real := h.documents.Facts
	h.documents.Facts = func(ctx context.Context, of ids.Tenant) (document.Facts, error) {
		f, err := real(ctx, of)
		f.Seen["zz-made-up"] = document.Seen{Says: "All is well.", Status: pledge.Kept}
		return f, err
	}
}

// unasked lets couriers carry whatever a policy instructs.
func unasked(_ *testing.T, h *House) {
	for kind, c := range h.queue.Couriers {
		if asks, is := c.(instructedCourier); is {
			h.queue.Couriers[kind] = asks.Courier
		}
	}
}

// deaf makes nobody be told of what became of a person's data.
func deaf(_ *testing.T, h *House) {
	h.onward.Got = func(context.Context, pledge.Subject, func(onward.Endpoint) error) error { return nil }
}

// unfiltered makes restrictions forgotten as they are written.
func unfiltered(t *testing.T, h *House) {
	statement("create trigger lose after insert on suppression begin delete from suppression where id = new.id; end")(t, h)
}

// leaky puts a door before the server whose public page says whom it knows.
func leaky(t *testing.T, h *House) {
	to := &url.URL{Scheme: "http", Host: h.probed.Doors["http"]}
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/privacy" && r.Method == http.MethodPost {
			b, _ := io.ReadAll(r.Body)
			if r.Body = io.NopCloser(bytes.NewReader(b)); bytes.Contains(b, []byte("nobody-")) {
				http.Error(w, "We do not know this address.", http.StatusNotFound)
				return
			}
		}
		(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to); p.Out.Host = p.In.Host }}).ServeHTTP(w, r)
	}))
	t.Cleanup(door.Close)
	at := netip.MustParseAddrPort(strings.TrimPrefix(door.URL, "http://"))
	h.gate.Own(at)
	h.probed.Doors["http"] = at.String()
}

// crowdless puts a door before mx at which every caller is this machine's user.
func crowdless(t *testing.T, h *House) {
	to := h.probed.Doors["mx"]
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { door.Close(); all.Wait() })
	all.Go(func() {
		for {
			near, err := door.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			all.Go(func() { _, _ = io.Copy(far, near); far.Close() })
			all.Go(func() { _, _ = io.Copy(near, far); near.Close() })
		}
	})
	at := netip.MustParseAddrPort(door.Addr().String())
	h.gate.Own(at)
	h.probed.Doors["mx"] = at.String()
}

// overdue leaves a record of 1970 that nobody can delete.
func overdue(t *testing.T, h *House) {
	statement("create trigger keep before delete on history begin select raise(ignore); end")(t, h)
	statement("insert into history (pos, id, message, recipient, tenant, direction, kind, at, attempt, sealed) values (1, 1, 1, 0, 7, 1, 1, 1, 0, x'00')")(t, h)
}

func failed(real deliver.Courier) deliver.Courier {
	return courier(func(ctx context.Context, p *deliver.Parcel) []outcome.Outcome {
		list := real.Deliver(ctx, p)
		for i := range list {
			if list[i].Kind == outcome.Deferred {
				list[i] = outcome.ByUs(outcome.Failed, 554, "5.0.0", "given up at once")
			}
		}
		return list
	})
}

// keptBack makes the end of a contract destroy the keys and nothing else.
func keptBack(_ *testing.T, h *House) {
	for i := range h.endings.Parts {
		h.endings.Parts[i].Destroy = nil
	}
}

// patient lets a probe wait for what comes every few seconds.
func patient(_ *testing.T, h *House) { h.probed.Patience = time.Minute }

// TestProbesSeeWhatIsBroken breaks what each promise rests on: its probe fails.
func TestProbesSeeWhatIsBroken(t *testing.T) {
	long(t)
	t.Parallel()
	liar := func(deliver.Courier) deliver.Courier { return courier(lying) }
	for _, c := range []struct {
		id     string
		before func(*testing.T, *House) // the start
		after  func(*testing.T, *House)
		says   string
	}{
		{id: "ca-rest", before: leak, says: "in the clear in 1 places, such as debug.log"},
		{id: "cm-encryption", before: leak, says: "in the clear in 1 places, such as debug.log"},
		{id: "mb-tls", after: plainDoor, says: "mx: TLS does not come about"},
		{id: "cm-content-transient", after: statement("create trigger keep before delete on body begin select raise(ignore); end"), says: "sealed bytes of the canary are still in"},
		{id: "cl-queue", after: statement("create trigger keep before delete on message begin select raise(ignore); end"), says: "sealed bytes of the canary are still in"},
		{id: "cm-inbound-http", before: instead(deliver.Webhook, liar), says: "called 0 times"},
		{id: "cm-inbound-record", after: chatty, says: "has the fields date_received, envelope_recipient, envelope_sender, helo"},
		{id: "cm-metadata-delete", after: statement("create trigger keep before delete on history begin select raise(ignore); end"), says: "after the deletion the record answers 200"},
		{id: "cm-redact", after: statement("create trigger keep before update on history begin select raise(ignore); end"), says: "kept from before the switch still shows"},
		{id: "cm-outbound-policy", after: statement("create trigger lose after insert on policy_version begin update policy_version set text = 'staff: grant' where tenant = new.tenant and number = new.number; end"), says: "shows the subject, which its policy drops"},
		{id: "ca-instructions", after: statement("create trigger lose after insert on policy_version begin update policy_version set text = 'staff: grant' where tenant = new.tenant and number = new.number; end"), says: "the purpose deliver is not instructed, and /v1/messages is answered 2"},
		{id: "ca-instructions", before: unasked, says: "mail that was queued before went to the next host"},
		{id: "ca-instructions", after: func(_ *testing.T, h *House) { h.tally.Purposes = nil }, says: "the purpose count is not instructed, and the chart has"},
		{id: "mb-legal-basis", after: unfiltered, says: "after withdrawal mail to the person is"},
		{id: "mb-legal-basis", after: func(_ *testing.T, h *House) { h.history.MaySearch = nil }, says: "still looked up by their address"},
		{id: "mb-no-sale", after: launder, says: "a route to an endpoint with [own_purposes] is answered 201"},
		{id: "mb-no-sale", after: unlisted, says: "the list of recipients has 0 entries"},
		{id: "cj-retention", after: overdue, says: "message records: failing"},
		{id: "cj-relay", before: instead(deliver.Host, liar), says: "took 0 of 2"},
		{id: "cl-retry", before: instead(deliver.Host, failed), says: "waited 3s for the message to be deferred"},
		{id: "cl-dsn", before: instead(deliver.Local, liar), says: "the sender was not told"},
		{id: "cl-minimise", after: statement("create table diary (day int, secret text)"), says: "diary.day, diary.secret"},
		{id: "ca-ropa", after: statement("create table diary (day int, secret text)"), says: "does not list diary.day, diary.secret"},
		{id: "ca-rbac", after: statement("create trigger promote after insert on access_user begin update access_user set role = 'owner' where id = new.id; end"), says: "is not refused to the role admin"},
		{id: "ca-ddos", after: crowdless, says: "mx holds 75 connections of one address, where 50 is the most"},
		{id: "mb-csrf", after: trusting, says: "a request with Sec-Fetch-Site: cross-site is answered 2"},
		{id: "mb-argon2id", after: statement("create trigger weak after insert on access_user begin update access_user set password = '$2b$12$abcdefghijklmnopqrstuv' where id = new.id and new.password <> ''; end"), says: "not Argon2id"},
		{id: "ca-transit", after: plainDoor, says: "mx: TLS 1.2 does not come about"},
		{id: "ca-transit", after: statement("create trigger lose after insert on policy_version begin update policy_version set text = 'staff: grant' where tenant = new.tenant and number = new.number; end"), says: "mx takes the canary's mail in the clear"},
		{id: "ca-transit", before: instead(deliver.Host, liar), says: "waited 3s for the message to be deferred"},
		{id: "cj-hold", after: statement("create trigger lose before insert on held begin select raise(ignore); end"), says: "the held canary is not in what the hold keeps"},
		{id: "ca-training", after: statement("create trigger endless after insert on attestation begin update attestation set until = 9000000000000000 where id = new.id; end"), says: "an attestation has run out and messages are still open"},
		{id: "ca-audit-rights", after: statement("create trigger endless after update on access_user when new.until > 0 begin update access_user set until = 9000000000000000 where id = new.id; end"), says: "the session is still open"},
		{id: "ca-audit-rights", after: statement("update policy_version set text = text || ' # and more'"), says: "does not verify"},
		{id: "mb-need-to-know", after: statement("create trigger endless after insert on access_grant begin update access_grant set until = 9000000000000000 where id = new.id; end"), says: "a grant has run out and messages are still open"},
		{id: "ca-monitoring", after: func(_ *testing.T, h *House) { h.guesses.Raise = func(context.Context, alert.Condition) {} }, says: "no alert came"},
		{id: "mb-patches", after: statement("create trigger lose before insert on weakness begin select raise(ignore); end"), says: "raised no finding"},
		{id: "cm-lawful", after: statement("create trigger lose before insert on lawful_request begin select raise(ignore); end"), says: "after the first entry the report still says"},
		{id: "cl-authorities", after: generous, says: "without a case number was answered 200"},
		{id: "cm-dpa", after: forger, says: "the signature of the"},
		{id: "cm-whitepaper", after: boaster, says: "names the control zz-made-up, which does not exist"},
		{id: "cm-contact", after: statement("create trigger lose before insert on request_case begin select raise(ignore); end"), says: "without a date"},
		{id: "cm-cookies", after: measuring, says: "/trust/policy sets the cookie _visitor at the first visit"},
		{id: "cm-cookies", before: instead(deliver.Host, curious), says: "does not arrive as it was sent"},
		{id: "mb-banner", after: measuring, says: "at the first visit, and no banner asked"},
		{id: "ca-security-contact", before: instead(deliver.Cases, liar), says: "opened no case that was confirmed"},
		{id: "cj-intake", before: func(_ *testing.T, h *House) { h.desk.operator = nil }, says: "is not taken"},
		{id: "mb-dpo", before: instead(deliver.Cases, liar), says: "opened no case that was confirmed"},
		{id: "ca-rights", after: forgetful, says: "the certificate counts nothing erased from message records"},
		{id: "cj-rights", after: deaf, says: "the request says of who was told []"},
		{id: "mb-rights7", after: unfiltered, says: "after restriction mail to the person is deferred"},
		{id: "cl-rights", after: leaky, says: "the public page tells a known address from an unknown one"},
		{id: "mb-ccpa", after: statement("create trigger slow after insert on request_share begin update request_share set due = due + 864000000000 where request = new.request; end"), says: "the answer is due"},
		{id: "mb-erase", after: statement("create trigger keep before delete on history begin select raise(ignore); end"), says: "after the purge the sealed record is still in"},
		{id: "ca-termination", after: keptBack, says: "the certificate counts no records"},
		{id: "cl-contract-end", after: func(_ *testing.T, h *House) {
			h.endings.Outlive = func(context.Context, ids.Tenant) (int, error) { return 0, errClosed }
		}, says: "waited 3s for the contract to end"},
		{id: "mb-policy-changes", after: statement("create trigger lose before insert on account_notice begin select raise(ignore); end"), says: "no mail told of version 2"},
		{id: "mb-children", after: statement("create trigger demote after insert on request_case begin update request_case set kind = 'privacy' where id = new.id and kind = 'child'; end"), says: "does not stand ahead of all other cases"},
		{id: "mb-children", after: forgetful, says: "records about the child are still kept"},
		{id: "mb-policy-accept", after: statement("create trigger lose before update of accepted on account_notice begin select raise(ignore); end"), says: "no acceptance of version 2 is on record"},
		{id: "mb-policy-accept", before: patient, after: statement("create trigger lose before insert on link_used begin select raise(ignore); end"), says: "the owner confirmed and is answered 410"},
		{id: "ca-breach", after: silent, says: "a customer in scope got no notice"},
		{id: "ca-breach", after: evasive, says: "lacks a part: likely consequences"},
		{id: "ca-breach", after: tardy, says: "a notice was late"},
		{id: "ca-incident", after: statement("create trigger lose before insert on read_batch begin select raise(ignore); end"), says: "what the token read is not known"},
		{id: "ca-incident", after: statement("create trigger keep before delete on access_token begin select raise(ignore); end"), says: "the stolen token is answered 200"},
		{id: "mb-certificate", after: forgetful, says: "counts no erased record"},
		{id: "cm-subprocessors", after: ungoverned, says: "that no sub-processor covers was let out"},
		{id: "ca-subprocessor-notice", after: statement("create trigger hurry after insert on supply_version begin update supply_version set effective = announced where processor = new.processor; end"), says: "that is only announced was let out"},
		{id: "ca-subprocessor-notice", after: unread, says: "that is only announced was let out"},
		{id: "ca-subprocessor-notice", after: statement("create trigger silent before insert on supply_notice begin select raise(ignore); end"), says: "no notice to the customer is on record"},
		{id: "ca-subprocessor-notice", after: hiding, says: "not shown what is announced"},
		{id: "cm-regions", after: ungoverned, says: "a store in another region was let out with no entry"},
		{id: "cm-regions", after: unread, says: "a store in another region was let out by an entry that names"},
		{id: "cm-regions", after: statement("create trigger stay after update of region on tenant begin update tenant set region = old.region where id = new.id; end"), says: "a customer of another region is served by the API: 200"},
		{id: "ca-transfers", after: unread, says: "was let out though"},
		{id: "cj-vendor-terms", after: unread, says: "was let out though its agreement ended"},
		{id: "mb-vendor-dpa", after: ungoverned, says: "that no sub-processor covers was let out"},
		{id: "cl-vendor-contracts", after: unread, says: "was let out though its agreement ended"},
		{id: "cj-sharing", after: unread, says: "was let out though its entry has another purpose"},
		{id: "cl-no-sharing", after: ungoverned, says: "that nobody registered was let out"},
	} {
		t.Run(c.id+": "+c.says, func(t *testing.T) {
			t.Parallel()
			h := running(t, "", func(h *House) {
				h.probed.Patience = 3 * time.Second
				if c.before != nil {
					c.before(t, h)
				}
			})
			if c.after != nil {
				c.after(t, h)
			}
			if f := h.check(t, c.id); f.Status != pledge.Failing || !strings.Contains(f.Evidence, c.says) {
				t.Errorf("%s: %s", f.Status, f.Evidence)
			}
		})
	}
}

// TestProbesOnPostgres: what the files of another program hold is shown where it
// lets itself be read.
func TestProbesOnPostgres(t *testing.T) {
	long(t)
	t.Parallel()
	h := running(t, lab.Postgres(t))
	for _, id := range probed {
		if f := h.check(t, id); f.Status != pledge.Kept {
			t.Errorf("%s: %s: %s", f.ID, f.Status, f.Evidence)
		}
	}
	if f := h.check(t, "cm-mgmt-separate"); f.Status != pledge.Failing {
		t.Errorf("one process does everything: %+v", f)
	}
	apart := runningAs(t, lab.Postgres(t), []config.Role{config.RoleSMTP, config.RoleDeliver, config.RoleAPI})
	if f := apart.check(t, "cm-mgmt-separate"); f.Status != pledge.Kept {
		t.Errorf("the console runs apart: %+v", f)
	}
}

// eternal is a place from which nothing goes.
type eternal struct{ chunk.Place }

func (eternal) Delete(context.Context, string) error { return nil }

// TestBackupProbesSeeWhatIsBroken breaks backups, one way after the other.
func TestBackupProbesSeeWhatIsBroken(t *testing.T) {
	long(t)
	t.Parallel()
	h, dir, clock := backed(t, "")
	if f := h.check(t, "ca-backup-dr"); f.Status != pledge.Kept {
		t.Fatalf("%s: %s", f.Status, f.Evidence)
	}
	sees := func(id, says string) {
		t.Helper()
		if f := h.check(t, id); f.Status != pledge.Failing || !strings.Contains(f.Evidence, says) {
			t.Errorf("%s is %s: %s; want %q", id, f.Status, f.Evidence, says)
		}
	}
	plain := filepath.Join(dir, "mailvow.db")
	must(t, os.WriteFile(plain, []byte("SQLite format 3\x00"), 0o600))
	sees("mb-backups", "holds mailvow.db, which is none")
	must(t, os.Remove(plain))
	chunks, err := filepath.Glob(filepath.Join(dir, "chunks", "*", "*"))
	must(t, err)
	good, err := os.ReadFile(chunks[0])
	must(t, err)
	must(t, os.WriteFile(chunks[0], []byte("SQLite format 3\x00"), 0o600))
	sees("mb-backups", "is not encrypted")
	must(t, os.Remove(chunks[0]))
	sees("ca-backup-dr", "a file of it is missing")
	if d, err := h.backups.Try(t.Context(), evidence.BySystem); err != nil || d.Good {
		t.Errorf("a drill without a chunk: %+v %v", d, err)
	}
	must(t, os.WriteFile(chunks[0], good, 0o600))
	sees("ca-backup-dr", "the last restore that was tried failed")
	sees("ca-availability", "the last restore that was tried failed")
	door := h.probed.Doors["mx"]
	h.probed.Doors["mx"] = "127.0.0.1:1"
	sees("ca-availability", "mx does not answer")
	h.probed.Doors["mx"] = door

	place := h.backups.Store.Place
	h.backups.Store.Place = eternal{place}
	sees("mb-backup-purge", "is still there")
	h.backups.Store.Place = place

	clock.by.Add(int64(25 * time.Hour))
	sees("mb-backups", "the newest is not younger than 24h")
	clock.by.Add(int64(40 * 24 * time.Hour))
	sees("mb-backup-purge", "and may be 720h")
}

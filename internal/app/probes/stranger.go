package probes

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/evidence"
)

// correspondent makes a person without an account: mail to them was delivered.
func (x *scene) correspondent(ctx context.Context, name string) (address.Address, error) {
	who := x.at(name, x.sinkDomain())
	x.persons = append(x.persons, who)
	id, err := x.submit(ctx, "submission", x.sender(), who)
	if err == nil {
		_, err = x.waitState(ctx, id, "delivered")
	}
	return who, err
}

// withoutAccount goes the way of a person whom nobody here knows but by their
// address: the public page, the mailed link, what is held, and its deletion.
func (s *Server) withoutAccount(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		who, err := x.correspondent(ctx, "person-")
		if err != nil {
			return verdict{}, err
		}
		by := x.stranger()
		if v, err := x.unproved(ctx, by, who); err != nil || v.status != "" {
			return v, err
		}
		page, seen, err := x.proved(ctx, by, who, "access", "gdpr")
		if err != nil {
			return verdict{}, err
		}
		if !strings.Contains(page, "message records") {
			return bad("after the proof the person is not shown what is held"), nil
		}
		before := len(x.letters(who))
		if _, err := x.decide(ctx, seen.ID, nil); err != nil {
			return verdict{}, err
		}
		b, err := x.result(ctx, who, before, "zip")
		if err != nil {
			return verdict{}, err
		}
		a, why := takenApart(b)
		if why != "" || len(a.categories["message records"]) == 0 {
			return bad("the archive of what is held is not whole: %s", why), nil
		}
		gone, err := x.byMail(ctx, by, who, "erasure", "gdpr")
		if err != nil {
			return verdict{}, err
		}
		before = len(x.letters(who))
		if _, err := x.decide(ctx, gone.ID, nil); err != nil {
			return verdict{}, err
		}
		paper, err := x.result(ctx, who, before, "")
		if err != nil {
			return verdict{}, err
		}
		if r, err := evidence.VerifyCertificate(paper, evidence.CertificateCheck{Trusted: x.LogKeys(), Address: &who}); err != nil || erasedIn(r, "message records") == 0 {
			return bad("the certificate of the deletion does not verify: %v", err), nil
		}
		left := map[string]any{}
		if err := x.must(ctx, http.MethodGet, "/v1/messages?recipient="+url.QueryEscape(who.Text()), nil, &left); err != nil {
			return verdict{}, err
		}
		if items, _ := left["items"].([]any); len(items) > 0 {
			return bad("after the deletion %d records of the person are found", len(items)), nil
		}
		return good("a person without an account asked on the public page, which says the same of an unknown address; only the link mailed to the address opened the case, and a changed link none; the person saw who holds what, fetched it as one archive (%d categories), wrote to privacy@ and by the link that came back asked for its deletion, and the certificate verifies", len(a.categories)), nil
	})
	return v.end(err)
}

// unproved asks for somebody and for nobody and makes sure that nothing but the
// mailed link tells them apart or opens anything.
func (x *scene) unproved(ctx context.Context, by *http.Client, who address.Address) (verdict, error) {
	form := func(a string) url.Values { return url.Values{"address": {a}, "kind": {"restriction"}} }
	known, said, _, err := x.page(ctx, by, "/privacy", form(who.Text()))
	if err != nil {
		return verdict{}, err
	}
	unknown, saidToo, _, err := x.page(ctx, by, "/privacy", form(x.at("nobody-", x.sinkDomain()).Text()))
	if err != nil {
		return verdict{}, err
	}
	x.persons = append(x.persons, x.at("nobody-", x.sinkDomain()))
	if known != http.StatusOK || known != unknown || !bytes.Equal(said, saidToo) {
		return bad("the public page tells a known address from an unknown one: %d and %d", known, unknown), nil
	}
	proof, err := x.mailed(ctx, who, 0, "/privacy/confirm/")
	if err != nil {
		return verdict{}, err
	}
	changed := proof[:len(proof)-1] + string(proof[len(proof)-1]^1)
	for _, path := range []string{changed, "/privacy/confirm/" + strings.Repeat("A", 60)} {
		status, _, _, err := x.page(ctx, by, path, url.Values{})
		if err != nil || status < 400 {
			return bad("a forged link answers %d %v", status, err), nil
		}
	}
	if status, _, _, err := x.page(ctx, by, proof, nil); err != nil || status != http.StatusOK {
		return bad("the mailed link answers %d %v", status, err), nil
	}
	if list, err := x.requests(ctx, who); err != nil || len(list) != 0 {
		return bad("before the proof %d requests are open %v", len(list), err), nil
	}
	return verdict{}, nil
}

// california asks under the CCPA and keeps an eye on both clocks: the receipt is
// confirmed within 10 business days and the answer given within 45.
func (s *Server) california(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		who, err := x.correspondent(ctx, "person-")
		if err != nil {
			return verdict{}, err
		}
		by := x.stranger()
		before := len(x.letters(who))
		_, r, err := x.proved(ctx, by, who, "erasure", "ccpa")
		if err != nil {
			return verdict{}, err
		}
		if v, err := x.clocks(ctx, r, who, before); err != nil || v.status != "" {
			return v, err
		}
		before = len(x.letters(who))
		if r, err = x.decide(ctx, r.ID, nil); err != nil || r.State != "answered" {
			return bad("the request is %s %v", r.State, err), nil
		}
		if _, err := x.result(ctx, who, before, ""); err != nil {
			return verdict{}, err
		}
		if v, err := x.lateShows(ctx); err != nil || v.status != "" {
			return v, err
		}
		if v, err := x.unsold(ctx, by); err != nil || v.status != "" {
			return v, err
		}
		return good("a request under the CCPA was confirmed at once, due within 10 business days, and answered, due within 45 days of receipt; one received 40 days ago shows as due soon and one of 46 days as overdue, with an alert; with Global Privacy Control the pages set no cookie and serve the same, and the server says under /.well-known/gpc.json that it honours it; no purpose of this server is a sale"), nil
	})
	return v.end(err)
}

// clocks counts the two terms itself.
func (x *scene) clocks(ctx context.Context, r requested, who address.Address, before int) (verdict, error) {
	confirm := r.Received
	for left := 10; left > 0; {
		confirm = confirm.AddDate(0, 0, 1)
		if d := confirm.UTC().Weekday(); d != time.Saturday && d != time.Sunday {
			left--
		}
	}
	if _, err := x.mailed(ctx, who, before+1, "/privacy/case/"); err != nil {
		return bad("the receipt was not confirmed to the person: %v", err), nil
	}
	if err := x.must(ctx, http.MethodGet, "/v1/requests/"+r.ID, nil, &r); err != nil {
		return verdict{}, err
	}
	if len(r.Shares) != 1 || r.ConfirmBy == nil || r.ConfirmedAt == nil {
		return bad("the request has no clock for its confirmation"), nil
	}
	if d := r.ConfirmBy.Sub(confirm); d > 0 || r.ConfirmedAt.After(*r.ConfirmBy) {
		return bad("the receipt is confirmed %v, by %v, and 10 business days end %v", r.ConfirmedAt, r.ConfirmBy, confirm), nil
	}
	if due, want := r.Shares[0].Due, r.Received.AddDate(0, 0, 45); due.After(want) || r.Shares[0].Standing != "in_time" {
		return bad("the answer is due %v, and 45 days end %v", due, want), nil
	}
	return verdict{}, nil
}

// lateShows enters requests that came in long ago.
func (x *scene) lateShows(ctx context.Context) (verdict, error) {
	for days, want := range map[int]string{40: "soon", 46: "overdue"} {
		who := x.at(fmt.Sprintf("days%d-", days), x.sinkDomain())
		x.persons = append(x.persons, who)
		var r requested
		in := map[string]any{"address": who.Text(), "kind": "access", "law": "ccpa", "received_at": x.Clock.Now().AddDate(0, 0, -days)}
		if err := x.must(ctx, http.MethodPost, "/v1/requests", in, &r); err != nil {
			return verdict{}, err
		}
		if len(r.Shares) != 1 || r.Shares[0].Standing != want {
			return bad("a request of %d days ago stands as %+v", days, r.Shares), nil
		}
	}
	var all struct {
		Alerts []struct {
			Kind string `json:"kind"`
			Text string `json:"text"`
		} `json:"alerts"`
	}
	if err := x.must(ctx, http.MethodGet, "/v1/overview", nil, &all); err != nil {
		return verdict{}, err
	}
	for _, a := range all.Alerts {
		if a.Kind == "requests" && strings.Contains(a.Text, "not answered in time") {
			return verdict{}, nil
		}
	}
	return bad("a request that is overdue raises no alert"), nil
}

// unsold looks for what a browser with Global Privacy Control meets.
func (x *scene) unsold(ctx context.Context, by *http.Client) (verdict, error) {
	status, _, header, err := x.page(ctx, by, "/privacy", nil)
	if err != nil || status != http.StatusOK || header.Get("Set-Cookie") != "" {
		return bad("with Sec-GPC the page answers %d, cookie %q %v", status, header.Get("Set-Cookie"), err), nil
	}
	status, b, _, err := x.page(ctx, by, "/.well-known/gpc.json", nil)
	if err != nil {
		return verdict{}, err
	}
	if status != http.StatusOK || !bytes.Contains(bytes.ReplaceAll(b, []byte(" "), nil), []byte(`"gpc":true`)) {
		return bad("the server does not say that it honours Global Privacy Control: %d", status), nil
	}
	for _, e := range x.Inventory.Entries() {
		text := strings.ToLower(e.Purpose + " " + e.Recipients)
		if strings.Contains(text, "sell") || strings.Contains(text, "sale") || strings.Contains(text, "advertis") {
			return bad("the purpose of %s is a sale", e.Name), nil
		}
	}
	return verdict{}, nil
}

// expired lets the canary's records be no longer needed and looks for them after
// the next pass of retention, while somebody else's stay.
func (s *Server) expired(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		id, err := x.submit(ctx, "submission", x.sender(), x.outward())
		if err == nil {
			_, err = x.waitState(ctx, id, "delivered")
		}
		if err != nil {
			return verdict{}, err
		}
		sealed, err := x.Records(ctx, id)
		if err != nil || len(sealed) == 0 {
			return bad("the canary's record is not found as it lies in the store: %v", err), nil
		}
		pieces := map[string][]byte{}
		for i, b := range sealed {
			maps.Copy(pieces, cut(fmt.Sprintf("sealed record %d", i+1), b))
		}
		if before, _, err := x.search(ctx, pieces); err != nil || len(before) == 0 {
			return bad("the sealed record was not found while it was kept: the probe does not look where the server writes (%v)", err), nil
		}
		if err := x.Purge(ctx); err != nil {
			return verdict{}, err
		}
		if _, status, err := x.message(ctx, id); err != nil || status != http.StatusOK {
			return bad("a record went before its period was over: %d %v", status, err), nil
		}
		if err := x.under(ctx, "retention: {message records: at once, conversations: at once}"); err != nil {
			return verdict{}, err
		}
		return x.purged(ctx, id, pieces)
	})
	return v.end(err)
}

// purged makes passes until the record is gone, and scans.
func (x *scene) purged(ctx context.Context, id ids.Message, pieces map[string][]byte) (verdict, error) {
	status := 0
	late := x.until(ctx, "the record to be purged", func() (bool, error) {
		if err := x.Purge(ctx); err != nil {
			return false, err
		}
		var err error
		_, status, err = x.message(ctx, id)
		return status == http.StatusNotFound, err
	})
	if status != http.StatusNotFound {
		return bad("a record whose period is over answers %d: %v", status, late), nil
	}
	seen, total := found{}, int64(0)
	late = x.until(ctx, "the sealed record to go", func() (bool, error) {
		var err error
		seen, total, err = x.search(ctx, pieces)
		return len(seen) == 0, err
	})
	if len(seen) > 0 {
		return bad("after the purge the sealed record is still in %v", seen), nil
	}
	if late != nil {
		return verdict{}, late
	}
	if found, err := x.lookedUp(ctx); err != nil || found {
		return bad("after the purge a search still finds the message: %v", err), nil
	}
	return good("a record stayed while its period ran; when it was over the next pass took it: neither its id nor its recipient finds it, and none of %d pieces of its sealed rows is in %d bytes of %s", len(pieces), total, x.places(ctx, pieces)), nil
}

func (x *scene) lookedUp(ctx context.Context) (bool, error) {
	var list struct {
		Items []any `json:"items"`
	}
	err := x.must(ctx, http.MethodGet, "/v1/messages?recipient="+url.QueryEscape(x.outward().Text()), nil, &list)
	return len(list.Items) > 0, fault.Wrap(err, "search for what was purged")
}

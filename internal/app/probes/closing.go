package probes

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/ending"
)

// policyAccepted changes the policy of a customer of its own, uses the service as that
// customer, and then closes the account by the link in the notice.
func (s *Server) policyAccepted(ctx context.Context) (pledge.Status, string, error) {
	accepted := ""
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		return x.leaves(ctx, "", func(ctx context.Context, y *scene, l Leaver) (v verdict, err error) {
			if accepted, v, err = y.acceptsByUse(ctx, x); err == nil && v.status == "" {
				v, err = y.disagrees(ctx, x, l)
			}
			return v, err
		})
	})
	if err == nil && v.status == pledge.Kept {
		v.evidence = accepted + "; then the link in the notice, which changed nothing when it was opened, closed the account and erased it: " + v.evidence
	}
	return v.end(err)
}

// acceptsByUse has two versions announced to the customer's owner, whose mail goes to
// the scene's, and looks for the acceptance of the second after a use and not before.
func (x *scene) acceptsByUse(ctx context.Context, owner *scene) (string, verdict, error) {
	if err := x.Person(ctx, x.Canary, owner.outward(), access.Owner, rand.Text()); err != nil {
		return "", verdict{}, err
	}
	for _, text := range []string{"breach: {customer: 9h}", "breach: {customer: 8h}"} {
		if err := x.under(ctx, text); err != nil {
			return "", verdict{}, err
		}
		undo := x.undo[len(x.undo)-1]
		owner.undo = append(owner.undo, undo)
	}
	number, how, err := x.newestNotice(ctx)
	if err != nil || number != 2 || how != "" {
		return "", bad("before any use the newest notice is version %d, accepted by %q", number, how), err
	}
	used := 0
	late := x.until(ctx, "the acceptance", func() (bool, error) {
		if used++; used%5 == 1 { // a domain that the customer has: the answer does not matter
			if _, err := x.submit(ctx, "submission", x.sender(), x.outward()); err != nil {
				return false, err
			}
		}
		number, how, err = x.newestNotice(ctx)
		return how != "", err
	})
	if late != nil || number != 2 || how != "use" {
		return "", bad("the customer used the service and no acceptance of version 2 is on record"), nil //nolint:nilerr // what did not come is the finding
	}
	return "the first use after version 2 of a policy took effect is on record as its acceptance", verdict{}, nil
}

// newestNotice is the newest version that the customer was told of, and how it was
// accepted.
func (x *scene) newestNotice(ctx context.Context) (number int, how string, err error) {
	var list []struct {
		Number int       `json:"number"`
		At     time.Time `json:"accepted_at"`
		By     string    `json:"accepted_by"`
	}
	if err := x.must(ctx, http.MethodGet, "/v1/notices", nil, &list); err != nil || len(list) == 0 {
		return 0, "", err
	}
	return list[0].Number, list[0].By, nil
}

// disagrees closes the account by the link that the owner was mailed.
func (x *scene) disagrees(ctx context.Context, owner *scene, l Leaver) (verdict, error) {
	link, err := owner.mailed(ctx, owner.outward(), 0, ending.ClosePath)
	if err != nil {
		return bad("no notice with a link that closes the account was mailed to its owner"), nil //nolint:nilerr // as above
	}
	for range 2 {
		if status, page, err := x.visit(ctx, http.MethodGet, link, nil); err != nil || status != http.StatusOK || !bytes.Contains(page, []byte("<form")) {
			return bad("the link in the notice answers %d", status), err
		}
	}
	forged := []byte(link)
	forged[len(forged)-8] ^= 1
	for what, try := range map[string]struct {
		path, name string
		status     int
	}{
		"a link with one letter changed":     {string(forged), l.Name, http.StatusNotFound},
		"the link without the name":          {link, "", http.StatusUnprocessableEntity},
		"the link with somebody else's name": {link, "Canary", http.StatusUnprocessableEntity},
	} {
		if status, _, err := x.visit(ctx, http.MethodPost, try.path, url.Values{"confirm": {try.name}, "at_once": {"yes"}}); err != nil || status != try.status {
			return bad("%s is answered %d", what, status), err
		}
	}
	var now struct {
		State string `json:"state"`
	}
	if err := x.must(ctx, http.MethodGet, "/v1/termination", nil, &now); err != nil || now.State != "none" {
		return bad("before anybody confirmed, the contract's end is %q", now.State), err
	}
	sure := url.Values{"confirm": {l.Name}, "at_once": {"yes"}}
	if status, page, err := x.visit(ctx, http.MethodPost, link, sure); err != nil || status != http.StatusOK || !strings.Contains(string(page), "The account is closed") {
		return bad("the owner confirmed and is answered %d", status), err
	}
	if status, _, err := x.visit(ctx, http.MethodPost, link, sure); err != nil || !slices.Contains([]int{http.StatusGone, http.StatusNotFound}, status) {
		return bad("the link acts a second time: %d", status), err
	}
	return verdict{}, nil
}

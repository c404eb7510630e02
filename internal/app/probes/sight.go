package probes

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
)

// asker signs a request as somebody.
type asker func(*http.Request)

func cookied(c Colleague) asker { return func(r *http.Request) { r.Header.Set("Cookie", c.Cookie) } }

// asks fetches a path as somebody and gives the answer's text.
func (x *scene) asks(ctx context.Context, who asker, path string) (status int, answer string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, x.base+path, nil)
	if err != nil {
		return 0, "", fault.Wrap(err, "make a request")
	}
	who(r)
	return x.answered(r)
}

// admitted takes a grant for the canary, where the policy asks staff for one, and
// enters what else it asks for.
func (x *scene) admitted(ctx context.Context, c Colleague) error {
	in := map[string]any{"customer": x.Tenant.String(), "reason": "a probe of this server", "until": x.Clock.Now().Add(10 * time.Minute)}
	status, answer, err := x.as(ctx, c, http.MethodPost, "/v1/grants", in)
	if err == nil && status != http.StatusCreated {
		err = fault.New(fault.Unavailable, fmt.Sprintf("a grant was answered %d: %.200s", status, answer))
	}
	return err
}

// twoWeeks is how far back prepared logs are shown.
const twoWeeks = 14 * 24 * time.Hour

// preparedLogs puts the canary under a policy of two weeks and lets everybody who
// can sign in ask for a record from either side of them.
func (s *Server) preparedLogs(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		if err := x.under(ctx, "retention: {message records: 14d}\nvisible: {records: [operator, owner, admin], back: 14d}"); err != nil {
			return verdict{}, err
		}
		if v, err := s.ages(ctx, x.Canary, "message records"); err != nil || v.status != pledge.Kept {
			return v, err
		}
		now := x.Clock.Now()
		young, err := x.Aged(ctx, x.Canary, "message records", now.Add(hair-twoWeeks))
		if err != nil {
			return verdict{}, err
		}
		old, err := x.Aged(ctx, x.Canary, "message records", now.Add(-hair-twoWeeks))
		x.undo = append(x.undo, func() { _ = young.Remove(context.WithoutCancel(ctx)); _ = old.Remove(context.WithoutCancel(ctx)) }) // what stays goes with the hour
		if err != nil {
			return verdict{}, err
		}
		if v, err := x.logReaders(ctx, young, old); err != nil || v.status != "" {
			return v, err
		}
		return good("under a policy of two weeks a record an hour short of them was shown to owner, admin and one of the operator's people, in the list and by its id, and to a developer, a viewer and a developer's token not; one an hour past them was shown to nobody while it was still there, and is what a purge takes. Support staff are the operator's people, under a grant where the policy asks for one"), nil
	})
	return v.end(err)
}

// logReaders lets those who may and those who may not ask for both records.
func (x *scene) logReaders(ctx context.Context, young, old Aged) (verdict, error) {
	for _, role := range []access.Role{access.Owner, access.Admin, access.Developer, access.Viewer} {
		as, err := x.signedIn(ctx, role)
		if err != nil {
			return verdict{}, err
		}
		may := role == access.Owner || role == access.Admin
		if v, err := x.shown(ctx, as, "the role "+string(role), may, young, old); err != nil || v.status != "" {
			return v, err
		}
		if role != access.Developer {
			continue
		}
		token, err := x.tokenOf(ctx, as)
		if err != nil {
			return verdict{}, err
		}
		if v, err := x.shown(ctx, token, "a developer's token", false, young, old); err != nil || v.status != "" {
			return v, err
		}
	}
	c, err := x.colleague(ctx)
	if err == nil {
		err = x.admitted(ctx, c)
	}
	if err != nil {
		return verdict{}, err
	}
	return x.shown(ctx, cookied(c), "one of the operator's people", true, young, old)
}

// tokenOf lets somebody make a token that reads messages.
func (x *scene) tokenOf(ctx context.Context, who asker) (asker, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, x.base+"/v1/tokens", strings.NewReader(`{"name":"canary","scopes":["messages:read"]}`))
	if err != nil {
		return nil, fault.Wrap(err, "make a request")
	}
	who(r)
	r.Header.Set("Content-Type", "application/json")
	status, answer, err := x.answered(r)
	var made struct {
		Secret string `json:"secret"`
	}
	if err == nil && (status != http.StatusCreated || json.Unmarshal([]byte(answer), &made) != nil || made.Secret == "") {
		err = fault.New(fault.Unavailable, fmt.Sprintf("making a token was answered %d", status))
	}
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+made.Secret) }, err
}

// shown lets somebody list and open both records.
func (x *scene) shown(ctx context.Context, who asker, name string, may bool, young, old Aged) (verdict, error) {
	list := "/v1/messages?" + url.Values{"customer": {x.Tenant.String()}, "to": {x.Clock.Now().Add(2*hair - twoWeeks).UTC().Format(time.RFC3339)}, "limit": {"200"}}.Encode()
	status, answer, err := x.asks(ctx, who, list)
	if err != nil {
		return verdict{}, err
	}
	one, _, err := x.asks(ctx, who, "/v1/messages/"+young.ID)
	if err != nil {
		return verdict{}, err
	}
	other, _, err := x.asks(ctx, who, "/v1/messages/"+old.ID)
	switch {
	case err != nil:
		return verdict{}, err
	case strings.Contains(answer, old.ID) || other == http.StatusOK:
		return bad("to %s a record older than two weeks is shown", name), nil
	case may && (status != http.StatusOK || one != http.StatusOK || !strings.Contains(answer, young.ID)):
		return bad("to %s a record younger than two weeks is not shown: the list answers %d, its id %d", name, status, one), nil
	case !may && (status != http.StatusForbidden || one != http.StatusForbidden):
		return bad("%s is shown records: the list answers %d, an id %d", name, status, one), nil
	}
	return verdict{}, nil
}

// rawLogs leaves conversations from either side of what a law wants, erases
// somebody of whom one speaks, and lets everybody ask for them.
func (s *Server) rawLogs(ctx context.Context) (pledge.Status, string, error) {
	before, ruled := s.Keeping(0, "conversations")
	law := s.Law("conversations")
	if !ruled || law == "" {
		return pledge.NotApplicable, fmt.Sprintf("the policy in force names no law that wants SMTP conversations kept; they go after %d days (the profile gateway keeps them for 12 months)", int(s.Clock.Now().Sub(before).Hours()/24)), nil
	}
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		before, _ := x.Keeping(x.Tenant, "conversations")
		young, err := x.Aged(ctx, x.Canary, "conversations", before.Add(hair))
		if err != nil {
			return verdict{}, err
		}
		old, err := x.Aged(ctx, x.Canary, "conversations", before.Add(-hair))
		if err != nil {
			return verdict{}, err
		}
		id, err := x.submit(ctx, "submission", x.sender(), x.outward())
		if err == nil {
			_, err = x.waitState(ctx, id, "delivered")
		}
		if err != nil {
			return verdict{}, err
		}
		if v, err := x.leftByErasure(ctx); err != nil || v.status != "" {
			return v, err
		}
		if v, err := x.custody(ctx, id, young, old); err != nil || v.status != "" {
			return v, err
		}
		failed := x.Purge(ctx)
		if there, err := old.There(ctx); err != nil || there {
			return bad("a conversation an hour past its period is still there after the purge"), err
		}
		if there, err := young.There(ctx); err != nil || !there {
			return bad("a conversation an hour short of its period is gone"), err
		}
		if failed != nil {
			return bad("a purge failed: %s", fault.KindOf(failed)), nil
		}
		if v, err := x.othersRefused(ctx); err != nil || v.status != "" {
			return v, err
		}
		return good("%s: a conversation an hour short of it opens for the custodian and for no owner, admin, developer, viewer, token or operator; one an hour past it is gone; an erasure left the conversation of the person's message and its certificate says why; what the custodian read is on record, and none of it is in the clear on disk", law), nil
	})
	return v.end(err)
}

// leftByErasure erases the recipient: the certificate names the law.
func (x *scene) leftByErasure(ctx context.Context) (verdict, error) {
	person := x.outward()
	text, err := x.Erase(ctx, x.Canary, person)
	if err != nil {
		return verdict{}, err
	}
	report, err := evidence.VerifyCertificate(text, evidence.CertificateCheck{Trusted: x.LogKeys(), Address: &person})
	if err != nil {
		return bad("the certificate does not verify: %v", err), nil
	}
	for _, c := range report.Categories {
		if c.Category == "conversations" && c.Kept > 0 && strings.Contains(c.Why, "law") {
			return verdict{}, nil
		}
	}
	return bad("the certificate of an erasure does not say that a law keeps the conversation: %+v", report.Categories), nil
}

// custody lets the custodian, and then everybody else, ask for conversations.
func (x *scene) custody(ctx context.Context, of ids.Message, young, old Aged) (verdict, error) {
	c, undo, err := x.Custodian(ctx)
	if err != nil {
		return verdict{}, err
	}
	x.undo = append(x.undo, undo)
	if err := x.admitted(ctx, c); err != nil {
		return verdict{}, err
	}
	began := x.Clock.Now()
	path := "/v1/conversations?limit=200&customer=" + x.Tenant.String()
	aged := path + "&to=" + url.QueryEscape(began.Add(-24*time.Hour).UTC().Format(time.RFC3339))
	status, answer, err := x.asks(ctx, cookied(c), aged)
	switch {
	case err != nil:
		return verdict{}, err
	case status != http.StatusOK || !strings.Contains(answer, young.ID):
		return bad("a conversation an hour short of its period does not open for the custodian: %d", status), nil
	case strings.Contains(answer, old.ID):
		return bad("a conversation past its period is shown"), nil
	}
	if status, answer, err = x.asks(ctx, cookied(c), path+"&message="+of.String()); err != nil || status != http.StatusOK || !strings.Contains(answer, x.outward().Text()) {
		return bad("after the erasure the conversation that a law keeps does not open for the custodian: %d", status), err
	}
	if n, err := x.Looked(ctx, c.User, x.Tenant, began.Add(-time.Minute)); err != nil || n < 2 {
		return bad("what the custodian read is not on record: %d conversations are", n), err
	}
	seen, _, err := x.search(ctx, map[string][]byte{"the recipient's name": []byte(x.word)})
	if err != nil || len(seen) > 0 {
		return bad("a name in a conversation is in the clear in %v", seen), err
	}
	return verdict{}, nil
}

// othersRefused lets everybody but the custodian ask for conversations.
func (x *scene) othersRefused(ctx context.Context) (verdict, error) {
	path := "/v1/conversations?customer=" + x.Tenant.String()
	everybody := map[string]asker{"the customer's own token": func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+x.Token) }}
	for _, role := range []access.Role{access.Owner, access.Admin, access.Developer, access.Viewer} {
		as, err := x.signedIn(ctx, role)
		if err != nil {
			return verdict{}, err
		}
		everybody["the role "+string(role)] = as
	}
	operator, err := x.colleague(ctx)
	if err != nil {
		return verdict{}, err
	}
	everybody["an operator"] = cookied(operator)
	for name, as := range everybody {
		if status, _, err := x.asks(ctx, as, path); err != nil || status == http.StatusOK {
			return bad("%s is shown SMTP conversations: %d", name, status), err
		}
	}
	return verdict{}, nil
}

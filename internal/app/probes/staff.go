package probes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
)

// moment is how long what a probe attests or is granted lasts at the least: long
// enough for the calls that must succeed. Then its end is waited for.
const moment = 1500 * time.Millisecond

// colleague brings one of the operator's people into the scene.
func (x *scene) colleague(ctx context.Context) (Colleague, error) {
	c, undo, err := x.Staff(ctx)
	if err == nil {
		x.undo = append(x.undo, undo)
	}
	return c, fault.Wrap(err, "make a colleague")
}

// as speaks to the API as one of the operator's people, as the console does.
func (x *scene) as(ctx context.Context, c Colleague, method, path string, in any) (status int, answer string, err error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return 0, "", fault.Wrap(err, "write a request")
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, x.base+path, body)
	if err != nil {
		return 0, "", fault.Wrap(err, "make a request")
	}
	r.Header.Set("Cookie", c.Cookie)
	r.Header.Set("Content-Type", "application/json")
	return x.answered(r)
}

// answered sends a request and reads the answer.
func (x *scene) answered(r *http.Request) (status int, answer string, err error) {
	a, err := x.web.Do(r)
	if err != nil {
		return 0, "", fault.Because(fault.Unavailable, err, "The API does not answer.")
	}
	defer a.Body.Close()
	b, err := io.ReadAll(io.LimitReader(a.Body, 4<<20))
	return a.StatusCode, string(b), fault.Wrap(err, "read the API's answer")
}

// attest enters both attestations that the policy can ask for.
func (x *scene) attest(ctx context.Context, c Colleague, until time.Time) error {
	for _, kind := range []string{"training", "screening"} {
		in := map[string]any{"kind": kind, "note": "a probe of this server", "until": until}
		status, answer, err := x.as(ctx, c, http.MethodPost, "/v1/attestations", in)
		if err == nil && status != http.StatusCreated {
			err = fault.New(fault.Unavailable, fmt.Sprintf("an attestation of %s was answered %d: %.200s", kind, status, answer))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// training lets a colleague without an attestation, with one, and with one that
// has run out, ask for the canary's messages.
func (s *Server) training(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		if err := x.under(ctx, "training: required"); err != nil {
			return verdict{}, err
		}
		c, err := x.colleague(ctx)
		if err != nil {
			return verdict{}, err
		}
		if status, _, err := x.as(ctx, c, http.MethodGet, "/v1/messages", nil); err != nil || status != http.StatusForbidden {
			return bad("one of the operator's people whom nobody attested anything asks for messages and is answered %d", status), err
		}
		if err := x.attest(ctx, c, x.Clock.Now().Add(moment)); err != nil {
			return verdict{}, err
		}
		if status, answer, err := x.as(ctx, c, http.MethodGet, "/v1/messages", nil); err != nil || status != http.StatusOK {
			return bad("with valid attestations the answer is %d %.200s, so that a refusal would show nothing", status, answer), err
		}
		if v, err := x.shutAfter(ctx, c, "an attestation"); err != nil || v.status != "" {
			return v, err
		}
		return x.whoIsTrained(ctx)
	})
	return v.end(err)
}

// shutAfter waits until messages are shut to a colleague.
func (x *scene) shutAfter(ctx context.Context, c Colleague, what string) (verdict, error) {
	shut := false
	err := x.until(ctx, what+" to run out", func() (bool, error) {
		status, _, err := x.as(ctx, c, http.MethodGet, "/v1/messages", nil)
		shut = status == http.StatusForbidden
		return shut, err
	})
	if !shut {
		return bad("%s has run out and messages are still open: %v", what, err), nil
	}
	return verdict{}, err
}

// whoIsTrained looks at those who are not made by a probe.
func (x *scene) whoIsTrained(ctx context.Context) (verdict, error) {
	all, without, shut, err := x.Untrained(ctx)
	const shown = "one of the operator's people was refused the canary's messages before an attestation of training and screening and after its end, and not in between"
	switch {
	case err != nil:
		return verdict{}, err
	case without > 0 && !shut && !x.Throwaway:
		return bad("%d of %d of the operator's people have no valid attestation, and the policy in force lets them in: enter it (mailvow attestation add training --user ADDRESS, and screening), or say training: required in the policy", without, all), nil
	case without > 0 && shut:
		return good("%s; %d of %d have no valid one and open nothing personal", shown, without, all), nil
	case without > 0:
		return good("%s; in dev mode the policy only advises it", shown), nil
	}
	return good("%s; all %d of the operator's people have valid ones", shown, all), nil
}

// personalPaths are what a colleague asks for; each shows customers' people.
var personalPaths = []string{"/v1/messages", "/v1/queue", "/v1/suppressions", "/v1/routes"}

// needToKnow lets a colleague ask for personal data without a grant, with a bad
// one, with a live one and after its end.
func (s *Server) needToKnow(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		if err := x.under(ctx, "staff: grant"); err != nil {
			return verdict{}, err
		}
		c, err := x.colleague(ctx)
		if err == nil {
			err = x.attest(ctx, c, x.Clock.Now().Add(time.Hour)) // whatever the policy asks of training
		}
		if err != nil {
			return verdict{}, err
		}
		if v, err := x.ungranted(ctx, c); err != nil || v.status != "" {
			return v, err
		}
		return x.granted(ctx, c)
	})
	return v.end(err)
}

// ungranted asks for everything personal without a grant, and for grants that
// nobody may have.
func (x *scene) ungranted(ctx context.Context, c Colleague) (verdict, error) {
	for _, path := range personalPaths {
		if status, _, err := x.as(ctx, c, http.MethodGet, path, nil); err != nil || status != http.StatusForbidden {
			return bad("without a grant %s answers one of the operator's people %d", path, status), err
		}
	}
	find := map[string]string{"address": x.inbound().Text()}
	if status, _, err := x.as(ctx, c, http.MethodPost, "/v1/subjects/find", find); err != nil || status != http.StatusForbidden {
		return bad("without a grant a person can be looked up: %d", status), err
	}
	now := x.Clock.Now()
	for what, in := range map[string]map[string]any{
		"without a reason":     {"customer": x.Tenant.String(), "reason": " ", "until": now.Add(time.Hour)},
		"that is over":         {"customer": x.Tenant.String(), "reason": "a probe", "until": now.Add(-time.Second)},
		"of more than one day": {"customer": x.Tenant.String(), "reason": "a probe", "until": now.Add(48 * time.Hour)},
	} {
		if status, _, err := x.as(ctx, c, http.MethodPost, "/v1/grants", in); err != nil || status < 400 {
			return bad("a grant %s was answered %d", what, status), err
		}
	}
	return verdict{}, nil
}

// granted takes a grant for the canary and waits for its end.
func (x *scene) granted(ctx context.Context, c Colleague) (verdict, error) {
	id, err := x.arrive(ctx)
	if err != nil {
		return verdict{}, err
	}
	in := map[string]any{"customer": x.Tenant.String(), "reason": "a probe of this server", "until": x.Clock.Now().Add(moment)}
	if status, answer, err := x.as(ctx, c, http.MethodPost, "/v1/grants", in); err != nil || status != http.StatusCreated {
		return bad("a grant with a reason and an end was answered %d %.200s", status, answer), err
	}
	status, answer, err := x.as(ctx, c, http.MethodGet, "/v1/messages", nil)
	if err != nil || status != http.StatusOK || !strings.Contains(answer, id.String()) {
		return bad("under a live grant the canary's messages answer %d without its message, so that a refusal would show nothing", status), err
	}
	if v, err := x.onlyTheCanarys(answer); err != nil || v.status != "" {
		return v, err
	}
	if v, err := x.shutAfter(ctx, c, "a grant"); err != nil || v.status != "" {
		return v, err
	}
	return good("under a policy of grants one of the operator's people was refused messages, queue, suppressions, routes and a person's data without a grant; a grant without a reason, one that is over and one of two days were refused; a live one for the canary showed the canary's messages alone, and nothing after its end"), nil
}

// onlyTheCanarys holds that a grant for one customer shows no other.
func (x *scene) onlyTheCanarys(answer string) (verdict, error) {
	var page struct {
		Items []struct {
			Customer string `json:"customer"`
		} `json:"items"`
	}
	if err := json.Unmarshal([]byte(answer), &page); err != nil {
		return verdict{}, fault.Wrap(err, "read a list of messages")
	}
	for _, m := range page.Items {
		if m.Customer != "" && m.Customer != x.Tenant.String() {
			return bad("a grant for the canary shows another customer's messages"), nil
		}
	}
	return verdict{}, nil
}

// authority enters a request of an authority about the canary.
func (x *scene) authority(ctx context.Context, c Colleague) (number, id string, err error) {
	number = "CANARY " + x.word
	in := map[string]any{"customer": x.Tenant.String(), "kind": "data", "country": "AQ", "authority": "A probe of this server", "case": number, "law": "none: a probe"}
	status, answer, err := x.as(ctx, c, http.MethodPost, "/v1/lawful-requests", in)
	if err != nil {
		return "", "", err
	}
	var made struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(answer), &made); err != nil || status != http.StatusCreated {
		return "", "", fault.New(fault.Unavailable, fmt.Sprintf("an authority's request was answered %d", status))
	}
	return number, made.ID, nil
}

// report is what GET /v1/transparency says.
type report struct {
	Platform, Yours struct {
		None  string
		Total int
	}
}

// lawful reads the transparency report before and after an authority asks, and
// compares it with the register.
func (s *Server) lawful(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		c, err := x.permitted(ctx)
		if err != nil {
			return verdict{}, err
		}
		var before, after report
		if err := x.must(ctx, http.MethodGet, "/v1/transparency", nil, &before); err != nil {
			return verdict{}, err
		}
		if before.Yours.None == "" || before.Yours.Total != 0 {
			return bad("nobody asked for the canary's data and the report does not say so: it counts %d", before.Yours.Total), nil
		}
		if _, _, err := x.authority(ctx, c); err != nil {
			return verdict{}, err
		}
		if err := x.must(ctx, http.MethodGet, "/v1/transparency", nil, &after); err != nil {
			return verdict{}, err
		}
		if after.Yours.None != "" || after.Yours.Total != 1 {
			return bad("after the first entry the report still says %q and counts %d", after.Yours.None, after.Yours.Total), nil
		}
		listed, err := x.registered(ctx, c)
		if err != nil {
			return verdict{}, err
		}
		if listed != after.Platform.Total || (after.Platform.Total == 0) == (after.Platform.None == "") {
			return bad("the register has %d requests and the report counts %d and says %q", listed, after.Platform.Total, after.Platform.None), nil
		}
		return good("the report counts the %d requests of the register; of the canary it said that nobody asked, until the first entry", listed), nil
	})
	return v.end(err)
}

// registered counts the register's requests but the canary's.
func (x *scene) registered(ctx context.Context, c Colleague) (int, error) {
	n, cursor := 0, ""
	for {
		status, answer, err := x.as(ctx, c, http.MethodGet, "/v1/lawful-requests?limit=200&cursor="+cursor, nil)
		if err == nil && status != http.StatusOK {
			err = fault.New(fault.Unavailable, fmt.Sprintf("the register answered %d", status))
		}
		if err != nil {
			return 0, err
		}
		var page struct {
			Items []struct {
				Customer string `json:"customer"`
			} `json:"items"`
			Next *string `json:"next"`
		}
		if err := json.Unmarshal([]byte(answer), &page); err != nil {
			return 0, fault.Wrap(err, "read the register")
		}
		for _, r := range page.Items {
			if r.Customer != x.Tenant.String() {
				n++
			}
		}
		if page.Next == nil {
			return n, nil
		}
		cursor = *page.Next
	}
}

// permitted brings a colleague who may see the canary's data, whatever the policy
// in force asks.
func (x *scene) permitted(ctx context.Context) (Colleague, error) {
	c, err := x.colleague(ctx)
	if err != nil {
		return c, err
	}
	end := x.Clock.Now().Add(time.Hour)
	if err := x.attest(ctx, c, end); err != nil {
		return c, err
	}
	in := map[string]any{"customer": x.Tenant.String(), "reason": "a probe of this server", "until": end}
	status, answer, err := x.as(ctx, c, http.MethodPost, "/v1/grants", in)
	if err == nil && status != http.StatusCreated {
		err = fault.New(fault.Unavailable, fmt.Sprintf("a grant was answered %d %.200s", status, answer))
	}
	return c, err
}

// authorities tries to take a person's data out without a case number, with one
// that nobody entered, with a good one, and after the decision.
func (s *Server) authorities(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		c, err := x.permitted(ctx)
		if err != nil {
			return verdict{}, err
		}
		var message ids.Message
		if message, err = x.arrivedWhole(ctx); err != nil {
			return verdict{}, err
		}
		number, id, err := x.authority(ctx, c)
		if err != nil {
			return verdict{}, err
		}
		take := func(number string) (int, string, error) {
			in := map[string]any{"case": number, "customer": x.Tenant.String(), "address": x.inbound().Text()}
			return x.as(ctx, c, http.MethodPost, "/v1/lawful-exports", in)
		}
		for what, wrong := range map[string]string{"without a case number": "", "under a number that is not in the register": "CANARY none " + x.word} {
			if status, _, err := take(wrong); err != nil || status < 400 {
				return bad("an export for an authority %s was answered %d", what, status), err
			}
		}
		if status, lines, err := take(number); err != nil || status != http.StatusOK || !strings.Contains(lines, message.String()) && !strings.Contains(lines, x.word) {
			return bad("under a case number the export is answered %d without the canary's record, so that a refusal would show nothing", status), err
		}
		in := map[string]any{"state": "complied", "persons": 1}
		if status, _, err := x.as(ctx, c, http.MethodPost, "/v1/lawful-requests/"+id+"/decision", in); err != nil || status != http.StatusOK {
			return bad("a decision on an authority's request was answered %d", status), err
		}
		if status, _, err := take(number); err != nil || status < 400 {
			return bad("a decided case still opens data: %d", status), err
		}
		return good("data of the canary's person left for an authority under the number of an open case, and neither without one, nor under an unknown one, nor after the decision"), nil
	})
	return v.end(err)
}

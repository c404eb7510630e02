package probes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
)

// purpose is what the API says of one.
type purpose struct {
	Name       string   `json:"name"`
	Ground     string   `json:"ground"`
	Law        string   `json:"law"`
	Runs       bool     `json:"runs"`
	Categories []string `json:"categories"`
}

func (x *scene) purposes(ctx context.Context) ([]purpose, error) {
	var list struct {
		Items []purpose `json:"items"`
	}
	err := x.must(ctx, http.MethodGet, "/v1/purposes", nil, &list)
	return list.Items, err
}

// instruct switches a purpose of the canary's, as its owner does.
func (x *scene) instruct(ctx context.Context, name string, on bool) error {
	return x.must(ctx, http.MethodPut, "/v1/purposes/"+name, map[string]any{"instructed": on}, nil)
}

// names reports whether a refusal says which purpose is not instructed, and where
// it would be.
func names(text, purpose string) bool {
	return strings.Contains(text, purpose) && strings.Contains(text, "not instructed") && strings.Contains(text, "/v1/purposes/"+purpose)
}

// unlessNamed is what is wrong with the API's answer to what needs a purpose that is
// off, or "".
func (x *scene) unlessNamed(ctx context.Context, purpose, method, path string, in any) (string, error) {
	status, b, err := x.exchange(ctx, method, path, in)
	switch {
	case err != nil:
		return "", err
	case status < 300:
		return fmt.Sprintf("the purpose %s is not instructed, and %s is answered %d", purpose, path, status), nil
	case !names(string(b), purpose):
		return fmt.Sprintf("the refusal of %s (%d) does not name the purpose %s and where it is instructed", path, status, purpose), nil
	}
	return "", nil
}

// instructions switches every purpose of the canary's off and on again, and looks
// whether what it is for stops and goes on.
func (s *Server) instructions(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		list, err := x.purposes(ctx)
		if err != nil {
			return verdict{}, err
		}
		// A policy of the canary's own, which goes with the scene; what follows are
		// versions of it.
		if err := x.under(ctx, "purposes: ["+strings.Join(instructable(list), ", ")+"]"); err != nil {
			return verdict{}, err
		}
		if why, err := x.grounds(ctx, list); err != nil || why != "" {
			return bad("%s", why), err
		}
		stops := map[string]func(context.Context) (string, error){
			"deliver": x.sendingStops, "endpoints": x.handingOverStops, "record": x.recordStops, "search": x.searchStops, "suppress": x.listStops, "count": x.countStops,
		}
		for _, name := range instructable(list) {
			stop := stops[name]
			if stop == nil {
				return bad("the purpose %s is in the list and no probe knows what it runs", name), nil
			}
			if why, err := stop(ctx); err != nil || why != "" {
				return bad("%s", why), fault.Wrap(err, name)
			}
		}
		if len(stops) != len(instructable(list)) {
			return bad("the list has the purposes %v, and %v run", instructable(list), slices.Sorted(maps.Keys(stops))), nil
		}
		return good("each of the %d purposes that the policy instructs (%s) was switched off for the canary and on again: sending, handing over, naming people in records, searching, listing and counting stopped, refusals named the purpose and where it is instructed, and all went on; %d purposes that a law names could not be switched off, and there is no other purpose",
			len(stops), strings.Join(instructable(list), ", "), len(slices.DeleteFunc(list, func(p purpose) bool { return p.Ground != "law" }))), nil
	})
	return v.end(err)
}

// instructable are those that the policy switches.
func instructable(list []purpose) []string {
	var out []string
	for _, p := range list {
		if p.Ground == "instructed" {
			out = append(out, p.Name)
		}
	}
	return out
}

// grounds compares the list of purposes with what is stored, and tries to switch
// what is not the policy's.
func (x *scene) grounds(ctx context.Context, list []purpose) (string, error) {
	served := map[string]int{}
	for _, p := range list {
		if p.Ground == "law" && p.Law == "" {
			return p.Name + " is said to run by a law, and none is named", nil
		}
		for _, c := range p.Categories {
			served[c]++
		}
		if p.Ground == "instructed" && len(p.Categories) == 0 {
			return "nothing is stored for " + p.Name + ", so that ending it would show nothing", nil
		}
	}
	for _, e := range x.Inventory.Entries() {
		if served[e.Name] != 1 {
			return fmt.Sprintf("the category %s serves %d purposes of the list", e.Name, served[e.Name]), nil
		}
	}
	for name, want := range map[string]int{"rights": http.StatusConflict, "security": http.StatusConflict, "marketing": http.StatusNotFound} {
		status, err := x.call(ctx, http.MethodPut, "/v1/purposes/"+name, map[string]any{"instructed": name == "marketing"}, nil)
		if err != nil || status != want {
			return fmt.Sprintf("switching the purpose %s is answered %d", name, status), err
		}
	}
	return "", nil
}

// sendingStops looks at new mail at both doors and at mail that waits.
func (x *scene) sendingStops(ctx context.Context) (string, error) {
	x.sink.refuseMail("451 4.3.2 not now")
	waiting, err := x.post(ctx)
	if err == nil {
		_, err = x.waitState(ctx, waiting, "deferred")
	}
	if err == nil {
		err = x.instruct(ctx, "deliver", false)
	}
	if err != nil {
		return "", err
	}
	x.sink.refuseMail("")
	in := map[string]any{"from": x.sender().Text(), "to": []string{x.outward().Text()}, "subject": "canary " + x.word, "text": x.body()}
	if why, err := x.unlessNamed(ctx, "deliver", http.MethodPost, "/v1/messages", in); err != nil || why != "" {
		return why, err
	}
	var no *textproto.Error
	if _, err := x.submit(ctx, "submission", x.sender(), x.outward()); !errors.As(err, &no) || no.Code != 550 || !names(no.Msg, "deliver") {
		return fmt.Sprintf("the purpose deliver is not instructed, and submission answers %v", err), nil
	}
	if why, err := x.waits(ctx, waiting); err != nil || why != "" {
		return why, err
	}
	if err := x.instruct(ctx, "deliver", true); err != nil {
		return "", err
	}
	if err := x.must(ctx, http.MethodPost, "/v1/queue/retry", map[string]string{"message": waiting.String()}, nil); err != nil {
		return "", err
	}
	if _, err := x.waitState(ctx, waiting, "delivered"); err != nil {
		return fmt.Sprintf("instructed again, the mail that waited does not go: %v", err), nil
	}
	return "", nil
}

// waits tries a message again and looks whether it stays, with the reason.
func (x *scene) waits(ctx context.Context, id ids.Message) (string, error) {
	if err := x.must(ctx, http.MethodPost, "/v1/queue/retry", map[string]string{"message": id.String()}, nil); err != nil {
		return "", err
	}
	var m shown
	err := x.until(ctx, "the second attempt", func() (bool, error) {
		var err error
		m, _, err = x.message(ctx, id)
		return m.State == "delivered" || slices.ContainsFunc(m.Timeline, func(e happened) bool { return names(e.Reply, "deliver") }), err
	})
	if got, _ := x.sink.messages(); len(got) > 0 || m.State == "delivered" {
		return "the purpose deliver is not instructed, and mail that was queued before went to the next host", nil
	}
	return "", err
}

// handingOverStops knocks at mx for the canary's route.
func (x *scene) handingOverStops(ctx context.Context) (string, error) {
	if err := x.instruct(ctx, "endpoints", false); err != nil {
		return "", err
	}
	var no *textproto.Error
	if _, err := x.arrive(ctx); !errors.As(err, &no) || no.Code != 550 {
		return fmt.Sprintf("the purpose endpoints is not instructed, and mx answers %v", err), nil
	}
	if n := len(x.endpoint.arrived()); n > 0 {
		return fmt.Sprintf("the purpose endpoints is not instructed, and the endpoint was called %d times", n), nil
	}
	if err := x.instruct(ctx, "endpoints", true); err != nil {
		return "", err
	}
	if _, err := x.arrivedWhole(ctx); err != nil {
		return fmt.Sprintf("instructed again, mail does not arrive: %v", err), nil
	}
	return "", nil
}

// recordStops lets mail arrive and reads its record.
func (x *scene) recordStops(ctx context.Context) (string, error) {
	if err := x.instruct(ctx, "record", false); err != nil {
		return "", err
	}
	id, err := x.arrivedWhole(ctx)
	if err != nil {
		return "", err
	}
	if text, err := x.opened(ctx, id); err != nil || strings.Contains(text, x.word) || strings.Contains(text, "friend@stranger.invalid") {
		return "the purpose record is not instructed, and the record names people", err
	}
	if err := x.instruct(ctx, "record", true); err != nil {
		return "", err
	}
	if id, err = x.arrivedWhole(ctx); err != nil {
		return "", err
	}
	if text, err := x.opened(ctx, id); err != nil || !strings.Contains(text, "friend@stranger.invalid") {
		return "instructed again, the record names nobody", err
	}
	return "", nil
}

// searchStops looks for people and words.
func (x *scene) searchStops(ctx context.Context) (string, error) {
	if err := x.instruct(ctx, "search", false); err != nil {
		return "", err
	}
	for _, f := range []url.Values{{"recipient": {x.inbound().Text()}}, {"domain": {x.Domain}}, {"subject": {x.word}}} {
		if why, err := x.unlessNamed(ctx, "search", http.MethodGet, "/v1/messages?"+f.Encode(), nil); err != nil || why != "" {
			return why, err
		}
	}
	if err := x.must(ctx, http.MethodGet, "/v1/messages", nil, nil); err != nil { // the list itself is no search
		return "", err
	}
	if err := x.instruct(ctx, "search", true); err != nil {
		return "", err
	}
	var page struct {
		Items []any `json:"items"`
	}
	if err := x.must(ctx, http.MethodGet, "/v1/messages?"+url.Values{"recipient": {x.inbound().Text()}}.Encode(), nil, &page); err != nil {
		return "", err
	}
	if len(page.Items) == 0 {
		return "instructed again, the search finds nothing", nil
	}
	return "", nil
}

// listStops lists an address, before, while and after.
func (x *scene) listStops(ctx context.Context) (string, error) {
	listed := map[string]string{"address": x.outward().Text()}
	var made struct {
		ID string `json:"id"`
	}
	if err := x.must(ctx, http.MethodPost, "/v1/suppressions", listed, &made); err != nil {
		return "", err
	}
	if err := x.instruct(ctx, "suppress", false); err != nil {
		return "", err
	}
	if why, err := x.unlessNamed(ctx, "suppress", http.MethodPost, "/v1/suppressions", map[string]string{"address": x.sender().Text()}); err != nil || why != "" {
		return why, err
	}
	id, err := x.post(ctx)
	if err != nil {
		return "", err
	}
	if _, err := x.waitState(ctx, id, "delivered"); err != nil {
		return fmt.Sprintf("the purpose suppress is not instructed, and the list was asked: %v", err), nil
	}
	if err := x.instruct(ctx, "suppress", true); err != nil {
		return "", err
	}
	if id, err = x.post(ctx); err != nil {
		return "", err
	}
	err = x.until(ctx, "the list to be asked", func() (bool, error) {
		m, _, err := x.message(ctx, id)
		return slices.ContainsFunc(m.Timeline, func(e happened) bool { return e.Kind == "suppressed" }), err
	})
	if err != nil {
		return fmt.Sprintf("instructed again, the list is not asked: %v", err), nil
	}
	return "", x.must(ctx, http.MethodDelete, "/v1/suppressions/"+made.ID, nil, nil)
}

// countStops lets mail arrive and reads the chart.
func (x *scene) countStops(ctx context.Context) (string, error) {
	since := x.Clock.Now().Truncate(time.Minute)
	before, err := x.counted(ctx, since)
	if err == nil {
		err = x.instruct(ctx, "count", false)
	}
	if err != nil {
		return "", err
	}
	for _, on := range []bool{false, true} {
		if on {
			if err := x.instruct(ctx, "count", true); err != nil {
				return "", err
			}
		}
		if _, err := x.arrivedWhole(ctx); err != nil {
			return "", err
		}
		now, err := x.counted(ctx, since)
		switch {
		case err != nil:
			return "", err
		case !on && now != before:
			return fmt.Sprintf("the purpose count is not instructed, and the chart has %d where it had %d", now, before), nil
		case on && now <= before:
			return "instructed again, nothing is counted", nil
		}
	}
	return "", nil
}

// counted is how many accepted messages the chart shows since a minute.
func (x *scene) counted(ctx context.Context, since time.Time) (n int64, err error) {
	if err := x.Counted(ctx); err != nil {
		return 0, err
	}
	var out struct {
		Series []struct {
			At       time.Time `json:"at"`
			Accepted int64     `json:"accepted"`
		} `json:"series"`
	}
	err = x.must(ctx, http.MethodGet, "/v1/overview", nil, &out)
	for _, p := range out.Series {
		if !p.At.Before(since) {
			n += p.Accepted
		}
	}
	return n, err
}

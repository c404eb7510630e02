package probes

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/retain"
)

// under puts a policy of the canary's own in force, until the scene closes.
func (x *scene) under(ctx context.Context, text string) error {
	undo, err := x.Policy(ctx, x.Canary, text)
	if err == nil {
		x.undo = append(x.undo, undo)
	}
	return fault.Wrap(err, "put the canary's policy in force")
}

// opened is all that the API tells of a message, as text.
func (x *scene) opened(ctx context.Context, id ids.Message) (string, error) {
	var all map[string]any
	if err := x.must(ctx, http.MethodGet, "/v1/messages/"+id.String(), nil, &all); err != nil {
		return "", err
	}
	text, err := json.Marshal(all)
	return string(text), fault.Wrap(err, "read the record")
}

// redact lets one message arrive before and one after the canary's policy
// withholds four fields, and looks for them in record, search and export.
func (s *Server) redact(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		before, err := x.arrivedWhole(ctx)
		if err != nil {
			return verdict{}, err
		}
		if text, err := x.opened(ctx, before); err != nil || !strings.Contains(text, x.word) {
			return bad("the record does not show the canary before the switch, so that its absence would show nothing"), err
		}
		if err := x.under(ctx, "record: {inbound: {subject: drop, recipient: drop, message_id: hash, sender_ip: truncate}}"); err != nil {
			return verdict{}, err
		}
		after, err := x.arrivedWhole(ctx)
		if err != nil {
			return verdict{}, err
		}
		if text, err := x.opened(ctx, after); err != nil || strings.Contains(text, x.word) {
			return bad("a record written after the switch still shows a withheld field"), err
		}
		clean := false
		late := x.until(ctx, "the older record to be rewritten", func() (bool, error) {
			text, err := x.opened(ctx, before)
			clean = !strings.Contains(text, x.word)
			return clean, err
		})
		if !clean {
			return bad("a record kept from before the switch still shows a withheld field"), nil
		}
		if late != nil {
			return verdict{}, late
		}
		return x.untraced(ctx)
	})
	return v.end(err)
}

// arrivedWhole lets a message arrive and be taken by the endpoint.
func (x *scene) arrivedWhole(ctx context.Context) (ids.Message, error) {
	id, err := x.arrive(ctx)
	if err == nil {
		_, err = x.waitState(ctx, id, "delivered")
	}
	return id, err
}

// untraced searches by what was withheld and hands the person's records out.
func (x *scene) untraced(ctx context.Context) (verdict, error) {
	for name, value := range map[string]string{"recipient": x.inbound().Text(), "subject": x.word, "message_id": "<" + x.word + "@" + x.Domain + ">"} {
		var page struct {
			Items []any `json:"items"`
		}
		var raw json.RawMessage
		if err := x.must(ctx, http.MethodGet, "/v1/messages?"+url.Values{name: {value}}.Encode(), nil, &raw); err != nil {
			return verdict{}, err
		}
		if err := json.Unmarshal(raw, &page); err != nil || len(page.Items) > 0 || strings.Contains(string(raw), "msg_") {
			return bad("a search by %s finds a message whose record withholds it", name), nil //nolint:nilerr // an answer of another shape is looked at as text
		}
	}
	records := 0
	err := x.Export(ctx, x.Canary, x.inbound(), func(pledge.Record) error { records++; return nil })
	if err != nil {
		return verdict{}, err
	}
	if records > 0 {
		return bad("an export by the withheld recipient still finds %d records", records), nil
	}
	return good("the canary's policy withheld subject, recipient, Message-ID and address of origin: a record written after the switch and one rewritten after it show none of them, and neither search nor export finds them"), nil
}

// outboundPolicy gives the canary one policy for each direction and compares.
func (s *Server) outboundPolicy(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		if err := x.under(ctx, "record: {inbound: {subject: drop}, outbound: {recipient: truncate}}"); err != nil {
			return verdict{}, err
		}
		in, err := x.arrivedWhole(ctx)
		if err != nil {
			return verdict{}, err
		}
		out, err := x.submit(ctx, "submission", x.sender(), x.outward())
		if err == nil {
			_, err = x.waitState(ctx, out, "delivered")
		}
		if err != nil {
			return verdict{}, err
		}
		arrived, err := x.opened(ctx, in)
		if err != nil {
			return verdict{}, err
		}
		sent, err := x.opened(ctx, out)
		if err != nil {
			return verdict{}, err
		}
		subject, to := "canary "+x.word, x.outward().Text()
		switch {
		case strings.Contains(arrived, subject):
			return bad("the inbound record shows the subject, which its policy drops"), nil
		case !strings.Contains(arrived, x.inbound().Text()):
			return bad("the inbound record lacks the recipient, which its policy keeps"), nil
		case !strings.Contains(sent, subject):
			return bad("the outbound record lacks the subject, which its policy keeps"), nil
		case strings.Contains(sent, to):
			return bad("the outbound record shows the recipient, which its policy cuts short"), nil
		}
		return good("of one customer the inbound record drops the subject and keeps the recipient, and the outbound record keeps the subject and shows the recipient's domain alone, as its policy says for each direction"), nil
	})
	return v.end(err)
}

// retention makes a pass and looks whether every category is within its period.
func (s *Server) retention(ctx context.Context) (pledge.Status, string, error) {
	failed := s.Purge(ctx)
	states, err := s.Periods(ctx)
	if err != nil {
		return pledge.Failing, "", err
	}
	periods, held := map[time.Duration]bool{}, 0
	for _, k := range states {
		if k.Status != retain.Kept {
			return failing(fmt.Sprintf("%s: %s; %s", k.Category, k.Status, k.Problem))
		}
		if !k.Oldest.IsZero() {
			held++
			if k.Oldest.Before(k.Before) {
				return failing(fmt.Sprintf("the oldest of %s is from %s, and everything before %s should be gone", k.Category, k.Oldest.Format(time.RFC3339), k.Before.Format(time.RFC3339)))
			}
		}
		periods[k.Period.Round(time.Hour)] = true
	}
	if failed != nil {
		return failing("a purge failed: " + fault.KindOf(failed).String())
	}
	if len(periods) < 3 {
		return failing("the categories do not differ in their periods")
	}
	list := slices.Sorted(maps.Keys(periods))
	return kept(fmt.Sprintf("%d categories and classes of keys were purged now, under %d different periods from %v to %v; in the %d that can tell, the oldest record is within its period",
		len(states), len(periods), list[0], list[len(list)-1], held))
}

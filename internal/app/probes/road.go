package probes

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/standard/webhook"
)

// inboundHTTP lets mail arrive and reads it at the endpoint.
func (s *Server) inboundHTTP(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		id, err := x.arrive(ctx)
		if err != nil {
			return verdict{}, err
		}
		m, err := x.waitState(ctx, id, "delivered")
		if err != nil {
			return verdict{}, err
		}
		got := x.endpoint.arrived()
		if len(got) != 1 || !strings.Contains(rawOf(got[0].body), x.body()) {
			return bad("the endpoint was called %d times, or without the message", len(got)), nil
		}
		secret, err := webhook.ParseSecret(x.secret)
		if err != nil {
			return verdict{}, err
		}
		if err := webhook.Verify(got[0].header, got[0].body, got[0].at, secret); err != nil {
			return bad("the request's signature does not hold: %v", err), nil
		}
		for _, e := range m.Timeline {
			if e.Kind == "delivered" && strings.Contains(e.Reply, "200") {
				return good("mail that arrived at mx was posted to the endpoint with a valid signature; its answer is on record: %s", e.Reply), nil
			}
		}
		return bad("the endpoint's answer is not on record"), nil
	})
	return v.end(err)
}

// rawOf takes the message out of a request of ours.
func rawOf(body []byte) string {
	var e struct {
		Data struct {
			Raw []byte `json:"raw"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &e) != nil {
		return ""
	}
	return string(e.Data.Raw)
}

// eight are the fields of the inbound record.
var eight = []string{"date_received", "envelope_recipient", "envelope_sender", "message_id", "processing_ms", "sender_ip", "server_response", "subject"}

// inboundRecord compares what is kept of an inbound message with the eight.
func (s *Server) inboundRecord(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		id, err := x.arrive(ctx)
		if err != nil {
			return verdict{}, err
		}
		m, err := x.waitState(ctx, id, "delivered")
		if err != nil {
			return verdict{}, err
		}
		have := slices.Sorted(maps.Keys(m.Inbound))
		if !slices.Equal(have, eight) {
			return bad("the record has the fields %s", strings.Join(have, ", ")), nil
		}
		for _, name := range eight {
			if v := fmt.Sprint(m.Inbound[name]); v == "" || v == "<nil>" {
				return bad("the field %s of the record is empty", name), nil
			}
		}
		// Nothing else of the message is kept: no header, no text, no size.
		var all map[string]any
		if err := x.must(ctx, http.MethodGet, "/v1/messages/"+id.String(), nil, &all); err != nil {
			return verdict{}, err
		}
		text, err := json.Marshal(all)
		if err != nil {
			return verdict{}, fault.Wrap(err, "read the record")
		}
		size, _ := all["size"].(float64)
		if strings.Contains(string(text), x.body()) || size != 0 {
			return bad("more than the eight fields is kept: size %v", all["size"]), nil
		}
		return good("the record of a delivered inbound message has exactly: %s", strings.Join(have, ", ")), nil
	})
	return v.end(err)
}

// recordDeleted deletes a record and looks for it.
func (s *Server) recordDeleted(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		id, err := x.arrive(ctx)
		if err != nil {
			return verdict{}, err
		}
		if _, err := x.waitState(ctx, id, "delivered"); err != nil {
			return verdict{}, err
		}
		status, err := x.call(ctx, http.MethodDelete, "/v1/messages/"+id.String(), nil, nil)
		if err != nil {
			return verdict{}, err
		}
		by := "through the API"
		if status >= 300 {
			by = "by the command line's operation"
			if err := x.DeleteRecord(ctx, x.Canary, id); err != nil {
				return verdict{}, err
			}
		}
		_, status, err = x.message(ctx, id)
		if err != nil || status != http.StatusNotFound {
			return bad("after the deletion the record answers %d %v", status, err), nil
		}
		var list struct {
			Items []struct {
				ID string `json:"id"`
			} `json:"items"`
		}
		status, err = x.call(ctx, http.MethodGet, "/v1/messages?recipient="+x.inbound().Text(), nil, &list)
		if err != nil {
			return verdict{}, err
		}
		if status < 300 && len(list.Items) > 0 {
			return bad("after the deletion the search still finds %d", len(list.Items)), nil
		}
		return good("a record was deleted %s; neither its id nor a search by its recipient finds it", by), nil
	})
	return v.end(err)
}

// relay sends through submission and by HTTP and reads at the next host.
func (s *Server) relay(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		sent := []ids.Message{}
		for _, send := range []func() (ids.Message, error){
			func() (ids.Message, error) { return x.submit(ctx, "submission", x.sender(), x.outward()) },
			func() (ids.Message, error) { return x.post(ctx) },
		} {
			id, err := send()
			if err != nil {
				return verdict{}, err
			}
			sent = append(sent, id)
		}
		for _, id := range sent {
			if _, err := x.waitState(ctx, id, "delivered"); err != nil {
				return verdict{}, err
			}
		}
		got, _ := x.sink.messages()
		if len(got) != 2 {
			return bad("the next host took %d of 2 messages", len(got)), nil
		}
		for _, g := range got {
			if g.to != x.outward().Text() || !strings.Contains(g.data, x.body()) {
				return bad("a message came to the next host changed"), nil
			}
		}
		return good("a message by authenticated SMTP and one by HTTP were relayed to the next host, each once"), nil
	})
	return v.end(err)
}

// retry lets the next host be away, and come back.
func (s *Server) retry(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		x.sink.refuse("451 4.3.2 away")
		began := s.Clock.Now()
		id, err := x.submit(ctx, "submission", x.sender(), x.outward())
		if err != nil {
			return verdict{}, err
		}
		m, err := x.waitState(ctx, id, "deferred")
		if err != nil {
			return verdict{}, err
		}
		if len(m.Recipients) != 1 || m.Recipients[0].Attempts != 1 || m.Recipients[0].Next == nil {
			return bad("after the first refusal there is no second attempt on the schedule: %+v", m.Recipients), nil
		}
		wait := m.Recipients[0].Next.Sub(began)
		if wait < time.Minute || wait > 4*time.Hour {
			return bad("the second attempt comes after %v", wait.Round(time.Second)), nil
		}
		expires, err := x.expiry(ctx, id)
		if err != nil {
			return verdict{}, err
		}
		x.sink.refuse("")
		if err := x.must(ctx, http.MethodPost, "/v1/queue/retry", map[string]string{"message": id.String()}, nil); err != nil {
			return verdict{}, err
		}
		if m, err = x.waitState(ctx, id, "delivered"); err != nil {
			return verdict{}, err
		}
		got, refused := x.sink.messages()
		if len(got) != 1 || refused != 1 || m.Recipients[0].Attempts != 2 {
			return bad("the host refused %d times and took %d messages in %d attempts", refused, len(got), m.Recipients[0].Attempts), nil
		}
		return good("an outage deferred the message; the second attempt was set for %v later, the last for %v after acceptance; when the host was back it was delivered once",
			wait.Round(time.Second), expires.Sub(began).Round(time.Hour)), nil
	})
	return v.end(err)
}

// expiry is when a waiting message is given up.
func (x *scene) expiry(ctx context.Context, id ids.Message) (time.Time, error) {
	var list struct {
		Items []struct {
			Message string     `json:"message"`
			Expires *time.Time `json:"expires_at"`
		} `json:"items"`
	}
	if err := x.must(ctx, http.MethodGet, "/v1/queue", nil, &list); err != nil {
		return time.Time{}, err
	}
	for _, i := range list.Items {
		if i.Message == id.String() && i.Expires != nil {
			return *i.Expires, nil
		}
	}
	return time.Time{}, fault.New(fault.Unavailable, "the queue does not show when the message is given up")
}

// notice lets the next host refuse for good and reads what the sender is told.
func (s *Server) notice(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		x.sink.refuse("554 5.7.1 the canary is not let in")
		// The notice goes to the sender, whose mail the endpoint takes.
		id, err := x.submit(ctx, "submission", x.inbound(), x.outward())
		if err != nil {
			return verdict{}, err
		}
		if _, err := x.waitState(ctx, id, "failed"); err != nil {
			return verdict{}, err
		}
		var text string
		err = x.until(ctx, "the notice", func() (bool, error) {
			for _, r := range x.endpoint.arrived() {
				text = rawOf(r.body)
			}
			return text != "", nil
		})
		if err != nil {
			return bad("the sender was not told: %v", err), nil
		}
		for _, want := range []string{"multipart/report", "report-type=delivery-status", "message/delivery-status", "Final-Recipient: rfc822;", "Action: failed", "Status: 5.7.1", "text/rfc822-headers", "Subject: canary " + x.word} {
			if !strings.Contains(unfold(text), want) {
				return bad("the notice lacks %q", strings.ReplaceAll(want, x.word, "…")), nil
			}
		}
		if strings.Contains(text, x.body()) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(x.body()))) {
			return bad("the notice holds the body, not the headers alone"), nil
		}
		return good("the sender of a refused message got a report of RFC 3464 with status, recipient and the original's headers, without its body"), nil
	})
	return v.end(err)
}

func unfold(text string) string { return strings.ReplaceAll(text, "\r\n\t", " ") }

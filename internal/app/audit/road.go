package audit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
)

// road is the auditor's customer with an endpoint of the auditor's own: what it is
// told, in which words the canary is known, and whom to forget.
type road struct {
	*auditor
	ear    *ear
	domain string
	word   string // in the canary's body alone
	topic  string // in its subject
	in     string // an address whose mail comes to the endpoint
	secret string
	person string // a stranger who writes to it
	routes []string
	leave  []string // messages to delete
}

// listens acts as a customer whose mail comes to the auditor's endpoint: mail out
// and in arrives there, signed and unchanged; what it refused is reported to the
// sender without its content; and what waited for it when the person was erased
// never comes.
func (a *auditor) listens(ctx context.Context, visit *evidence.Visit) {
	_, domain, _ := strings.Cut(a.From, "@")
	e, err := listen(ctx, a.Listen, a.ListenURL, a.Clock.Now)
	if err != nil {
		a.saw("webhook.out", Unseen, words(err))
		return
	}
	defer e.close()
	id := strings.ToLower(rand.Text())
	r := &road{auditor: a, ear: e, domain: strings.TrimSuffix(domain, ">"), word: "sings" + id, topic: "canary" + strings.ToLower(rand.Text())}
	r.in, r.person = "audit-in-"+id+"@"+r.domain, "audit-person-"+id+"@auditor.invalid"
	defer r.tidy(ctx)
	var ok bool
	if r.secret, ok = r.route(ctx, "webhook.route", r.in, 0); !ok {
		return
	}
	r.out(ctx)
	if door := a.mailDoor(); door == "" {
		a.saw("webhook.in", Unseen, "no mail door is known; name it with --door mx=HOST:PORT")
	} else {
		r.inwards(ctx, door)
		r.erasedUnderWay(ctx, door, visit)
	}
	r.refused(ctx)
}

// mailDoor is where mail from outside goes in.
func (a *auditor) mailDoor() string {
	if door := a.Config.Doors["mx"]; door != "" || a.base.Scheme != "https" {
		return door
	}
	return net.JoinHostPort(a.base.Hostname(), "25")
}

// route leads an address's mail to the endpoint, which answers with a status.
func (r *road) route(ctx context.Context, id, recipient string, status int) (secret string, ok bool) {
	var made struct {
		ID      string `json:"id"`
		Webhook struct {
			Secret string `json:"secret"`
		} `json:"webhook"`
	}
	in := map[string]any{"recipient": recipient, "webhook": map[string]string{"url": r.ear.url + r.ear.path(status)}}
	got, err := r.call(ctx, http.MethodPost, "/v1/routes", in, &made)
	if err != nil || got != http.StatusCreated {
		r.saw(id, Broken, refusal("a route to the auditor's endpoint was not made; the token needs routes:manage", got, err))
		return "", false
	}
	r.routes = append(r.routes, made.ID)
	return made.Webhook.Secret, true
}

// link stands in the canary that goes out; tracking would rewrite it.
const link = "https://auditor.invalid/canary?a=1"

// out sends a canary by the API to the endpoint's address.
func (r *road) out(ctx context.Context) {
	topic := "out" + r.topic
	status, err := r.call(ctx, http.MethodPost, "/v1/messages", map[string]any{
		"from": r.From, "to": []string{r.in}, "subject": topic, "text": "out" + r.word + "\n", "html": `<p>out` + r.word + ` <a href="` + link + `">x</a></p>`,
	}, nil)
	if err != nil || status != http.StatusAccepted {
		r.saw("webhook.out", Broken, refusal("a canary to the endpoint was not accepted", status, err))
		return
	}
	h, ok := r.await(ctx, r.ear, func(h *heard) bool { return h.holds(topic) })
	if !ok {
		r.saw("webhook.out", Broken, "a canary that was sent did not come to the endpoint within "+r.Patience.String())
		return
	}
	err = h.signed(r.secret)
	r.good("webhook.out", err == nil, "a canary that was sent came to the auditor's endpoint, signed", "what came to the endpoint is not signed with the route's secret: "+words(err))
	e, raw := h.event()
	r.leave = append(r.leave, e.Data.ID)
	if doc := r.said; doc != nil && doc.Tracking.Opens != policy.TrackingAllowed && doc.Tracking.Clicks != policy.TrackingAllowed {
		plain := strings.NewReplacer("=\r\n", "", "=3D", "=").Replace(string(raw))
		r.good("policy.tracking", strings.Contains(plain, link) && !strings.Contains(strings.ToLower(plain), "<img"),
			"mail to a recipient who consented to nothing arrived with its link as it was and without a pixel", "mail to a recipient who consented to nothing arrived with a rewritten link or a pixel")
	}
}

// inwards brings a canary to the mail door, as a stranger.
func (r *road) inwards(ctx context.Context, door string) {
	if err := r.bring(ctx, door, r.in, r.topic, r.word); err != nil {
		r.saw("webhook.in", Broken, "a canary from outside was not taken: "+err.Error())
		return
	}
	h, ok := r.await(ctx, r.ear, func(h *heard) bool { return h.holds(r.word) && !h.holds("out"+r.word) })
	if !ok {
		r.saw("webhook.in", Broken, "a canary from outside did not come to the endpoint within "+r.Patience.String())
		return
	}
	err := h.signed(r.secret)
	r.good("webhook.in", err == nil, "a canary from outside came to the auditor's endpoint, signed", "what came to the endpoint is not signed with the route's secret: "+words(err))
	e, _ := h.event()
	r.leave = append(r.leave, e.Data.ID)
	r.afterwards(ctx, e.Data.ID)
}

// afterwards looks at what stays of a delivered message.
func (r *road) afterwards(ctx context.Context, id string) {
	var shown json.RawMessage
	var has struct {
		State   string `json:"state"`
		Content bool   `json:"has_content"`
	}
	end := r.Clock.Now().Add(r.Patience)
	for {
		status, err := r.call(ctx, http.MethodGet, "/v1/messages/"+id, nil, &shown)
		if err != nil || status != http.StatusOK || json.Unmarshal(shown, &has) != nil {
			r.saw("webhook.content_gone", Unseen, refusal("its record cannot be read", status, err))
			return
		}
		if !has.Content && has.State != "queued" || !r.Clock.Now().Before(end) || clock.Sleep(ctx, r.Clock, 100*time.Millisecond) != nil {
			break
		}
	}
	r.good("webhook.content_gone", !has.Content, "the content is gone once it was delivered", "the content is still there "+r.Patience.String()+" after it was delivered")
	if r.said != nil {
		r.asSaid(r.said.Record.Inbound, string(shown), map[string]string{"subject": r.topic, "sender": r.person, "recipient": r.in})
	}
}

// asSaid holds a record against what the policy lets it show.
func (r *road) asSaid(said map[string]policy.Redaction, shown string, words map[string]string) {
	var hidden, open []string
	for _, field := range []string{"recipient", "sender", "subject"} {
		how := said[field]
		switch {
		case how == "" || how == policy.Keep || how == policy.Truncate && field == "subject":
		case strings.Contains(shown, words[field]):
			open = append(open, field)
		default:
			hidden = append(hidden, field)
		}
	}
	switch {
	case len(open) > 0:
		r.saw("policy.record", Broken, "the record shows what the published policy leaves out: "+strings.Join(open, ", "))
	case len(hidden) > 0:
		r.saw("policy.record", Holds, "the record shows nothing of what the published policy leaves out: "+strings.Join(hidden, ", "))
	default:
		r.saw("policy.record", Unseen, "the published policy lets the record show sender, recipient and subject")
	}
}

// erasedUnderWay erases a person while mail of theirs waits for the endpoint.
func (r *road) erasedUnderWay(ctx context.Context, door string, visit *evidence.Visit) {
	const id = "webhook.erased"
	late := strings.Replace(r.in, "audit-in-", "audit-late-", 1)
	secret, ok := r.route(ctx, id, late, http.StatusServiceUnavailable)
	if !ok {
		return
	}
	word := "late" + r.word
	if err := r.bring(ctx, door, late, "late"+r.topic, word); err != nil {
		r.saw(id, Broken, "a canary from outside was not taken: "+err.Error())
		return
	}
	if _, ok := r.await(ctx, r.ear, func(h *heard) bool { return h.holds(word) }); !ok {
		r.saw(id, Broken, "a canary from outside did not come to the endpoint within "+r.Patience.String())
		return
	}
	before := len(r.ear.heard())
	var certificate json.RawMessage
	status, err := r.call(ctx, http.MethodPost, "/v1/subjects/erase", map[string]string{"address": r.person, "reason": "audit"}, &certificate)
	if err != nil || status != http.StatusOK {
		r.saw(id, Broken, refusal("the stranger was not erased; the token needs subjects:manage", status, err))
		return
	}
	after := r.Clock.Now()
	r.certified(ctx, "webhook.certified", visit, certificate, r.person)
	told, ok := r.await(ctx, r.ear, func(h *heard) bool {
		e, _ := h.event()
		return e.Type == "subject.erased" && e.Data.Address == r.person && (h.signed(secret) == nil || h.signed(r.secret) == nil)
	})
	if ok {
		r.saw("webhook.told", Holds, "the endpoint was told, signed, that the person was erased, "+max(0, told.at.Sub(after)).Round(time.Second).String()+" after that was answered")
	} else {
		r.saw("webhook.told", Broken, "the endpoint that got the person's mail was not told of the erasure within "+r.Patience.String())
	}
	for r.Clock.Now().Sub(after) < r.Watch && clock.Sleep(ctx, r.Clock, 100*time.Millisecond) == nil {
	}
	for _, h := range r.ear.heard()[before:] {
		// Under way already when the erasure began is not after it.
		if h.at.After(after) && (h.holds(r.word) || h.holds(r.topic)) || h.holds(word) && h.at.After(after) {
			r.saw(id, Broken, "mail of the erased person came to the endpoint after the erasure was answered")
			return
		}
	}
	r.saw(id, Holds, "mail of the person that waited for the endpoint did not come again within "+r.Watch.String()+" of the erasure; later was not waited for")
}

// certified verifies a certificate by itself, with the address, and against the log.
func (a *auditor) certified(ctx context.Context, id string, visit *evidence.Visit, certificate []byte, person string) {
	who, err := address.Parse(person)
	if err != nil || visit == nil {
		a.saw(id, Unseen, "there is no log to hold it against")
		return
	}
	if visit, err = a.visit(ctx, visit.Seen, nil); err == nil {
		if err = a.folder.remember(visit.Seen, a.Clock.Now()); err == nil {
			_, err = visit.Certificate(ctx, certificate)
		}
	}
	if err == nil {
		_, err = evidence.VerifyCertificate(certificate, evidence.CertificateCheck{Trusted: visit.Seen.Keys, Address: &who})
	}
	a.contradiction(err)
	a.good(id, err == nil, "the certificate is about that address, and its entry stands in the log", words(err))
}

// refused sends mail that the endpoint refuses, and reads the notice.
func (r *road) refused(ctx context.Context) {
	const id = "dsn.headers_only"
	nobody := strings.Replace(r.in, "audit-in-", "audit-no-", 1)
	if _, ok := r.route(ctx, id, nobody, http.StatusNotFound); !ok {
		return
	}
	word := "no" + r.word
	status, err := r.call(ctx, http.MethodPost, "/v1/messages", map[string]any{
		"from": r.in, "to": []string{nobody}, "subject": "no" + r.topic, "text": word + "\n",
	}, nil)
	if err != nil || status != http.StatusAccepted {
		r.saw(id, Broken, refusal("a canary that was to fail was not accepted", status, err))
		return
	}
	h, ok := r.await(ctx, r.ear, func(h *heard) bool {
		_, raw := h.event()
		return bytes.Contains(raw, []byte("message/delivery-status")) && h.holds(nobody)
	})
	if !ok {
		r.saw(id, Broken, "the sender was not told within "+r.Patience.String()+" that its mail was refused")
		return
	}
	e, raw := h.event()
	r.leave = append(r.leave, e.Data.ID)
	r.good(id, !bytes.Contains(raw, []byte(word)), "the notice of failure names the mail by its headers and holds nothing of its body", "the notice of failure holds the body of the mail that failed")
}

// tidy removes what the road left, as far as it can.
func (r *road) tidy(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	for _, id := range r.leave {
		if id != "" {
			_, _ = r.call(ctx, http.MethodDelete, "/v1/messages/"+id, nil, nil) // an erased one is gone already
		}
	}
	left := 0
	for _, id := range r.routes {
		if status, err := r.call(ctx, http.MethodDelete, "/v1/routes/"+id, nil, nil); err != nil || status >= 300 {
			left++
		}
	}
	if left > 0 {
		r.saw("webhook.tidied", Unseen, fmt.Sprintf("%d routes of the audit could not be removed; remove them by hand", left))
	}
}

// bring gives a message to a mail door, over TLS where it is offered.
func (r *road) bring(ctx context.Context, door, to, subject, word string) error {
	s, err := r.smtp(ctx, func(ctx context.Context) (net.Conn, error) { return r.dial(ctx, "tcp", door) })
	if err != nil {
		return err
	}
	defer s.Close()
	if s.offersAny("STARTTLS") {
		if _, err := s.say(220, "STARTTLS"); err != nil {
			return err
		}
		// Who vouches for the door is another look's.
		s.Conn = tls.Client(s.Conn, &tls.Config{ServerName: r.base.Hostname(), InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // see above
		s.text = textproto.NewReader(bufio.NewReader(s.Conn))
		if _, err := s.say(250, "EHLO auditor.invalid"); err != nil {
			return err
		}
	}
	for _, step := range []struct {
		want int
		line string
	}{
		{250, "MAIL FROM:<" + r.person + ">"}, {250, "RCPT TO:<" + to + ">"}, {354, "DATA"},
		{250, strings.Join([]string{
			"From: <" + r.person + ">", "To: <" + to + ">", "Subject: " + subject, "Date: " + r.Clock.Now().UTC().Format(time.RFC1123Z),
			"Message-ID: <" + word + "@auditor.invalid>", "", word, ".",
		}, "\r\n")},
	} {
		if _, err := s.say(step.want, step.line); err != nil {
			return err
		}
	}
	_, _ = s.say(221, "QUIT") // it was taken, whatever follows
	return nil
}

package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"mailvow/internal/base/ids"
	"mailvow/internal/base/message"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
)

// content reads what the queue holds of a message.
func (b *bench) content(t testing.TB, id string) string {
	t.Helper()
	m, err := ids.Parse[ids.Message](id)
	must(t, err)
	c, err := b.parts.Queue.Content(t.Context(), scope.Everyone, m)
	must(t, err)
	defer c.Close()
	all, err := io.ReadAll(io.NewSectionReader(c, 0, c.Size()))
	must(t, err)
	return string(all)
}

func quote(v any) string {
	out, _ := json.Marshal(v)
	return string(out)
}

// TestSend: every part of the request arrives in the message or its envelope.
func TestSend(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.domain(t, b.acme, "news.example")
	token := b.token(t, b.acme, access.ScopeMessagesSend, access.ScopeMessagesContent)
	var made Accepted
	r := b.call("POST", "/v1/messages", quote(map[string]any{
		"from": "Ann Müller <ann@news.example>", "to": []string{"Bob <bob@example.net>", "BOB@example.net"}, "cc": []string{"carl@example.net"},
		"bcc": []string{"secret@example.net"}, "reply_to": []string{"desk@news.example"}, "subject": "Grüße", "text": "Hello", "html": "<p>Hello<script>x()</script></p>",
		"headers":     map[string]string{"X-Campaign": "one"},
		"attachments": []map[string]string{{"filename": "a.txt", "content_type": "text/plain", "content": base64.StdEncoding.EncodeToString([]byte("attached"))}},
		"tags":        []string{"welcome"}, "metadata": map[string]string{"order": "order-42"},
	}), token)
	r.into(t, &made)
	if r.Code != 202 || len(made.Recipients) != 3 {
		t.Fatalf("%d %+v", r.Code, made)
	}
	raw := b.content(t, made.ID)
	m, err := message.Parse(strings.NewReader(raw), int64(len(raw)), message.Options{})
	must(t, err)
	v, err := m.View(1 << 20)
	must(t, err)
	if v.Subject != "Grüße" || v.From[0].Name != "Ann Müller" || strings.TrimSpace(v.Text) != "Hello" || len(v.Attachments) != 1 || v.Date == nil || v.MessageID == "" || len(v.ReplyTo) != 1 {
		t.Errorf("%+v", v)
	}
	if strings.Contains(raw, "secret@") || strings.Contains(raw, "order-42") {
		t.Error("bcc or metadata travels in the message")
	}
	if !strings.Contains(raw, "X-Campaign: one") || strings.Count(raw, "DKIM-Signature:") != 2 || len(v.Defects) != 0 {
		t.Errorf("%v\n%s", v.Defects, raw)
	}
	var d MessageDetail
	b.call("GET", "/v1/messages/"+made.ID, "", token).into(t, &d)
	if d.Subject != "Grüße" || d.State != "queued" || len(d.To) != 3 || d.Tags[0] != "welcome" || d.Metadata["order"] != "order-42" || len(d.Headers) == 0 || !d.ContentIsFor || len(d.Timeline) != 1 {
		t.Errorf("%+v", d)
	}
	var p Parsed
	b.call("GET", "/v1/messages/"+made.ID+"/parsed", "", token).into(t, &p)
	if strings.Contains(p.HTML, "script") || !strings.Contains(p.HTML, "Hello") || len(p.Attachments) != 1 || p.Attachments[0].Filename != "a.txt" {
		t.Errorf("%+v", p)
	}
	saved := b.call("GET", "/v1/messages/"+made.ID+"/content", "", token)
	if saved.Body.String() != raw || saved.Header().Get("Content-Type") != "message/rfc822" || !strings.HasPrefix(saved.Header().Get("Content-Disposition"), "attachment") || !strings.Contains(saved.Header().Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("%v", saved.Header())
	}
	if r := b.call("GET", "/v1/messages/"+made.ID+"/content", "", b.as(t, b.acme, access.Operator)); r.Code != 404 {
		t.Errorf("the operator reads a customer's mail: %d", r.Code)
	}
	_, _, err = b.parts.Policy.Publish(t.Context(), policy.Draft{Tenant: b.acme, Text: "preview: \"off\"", Role: evidence.ByOwner})
	must(t, err)
	for _, part := range []string{"parsed", "content"} {
		if r := b.call("GET", "/v1/messages/"+made.ID+"/"+part, "", token); r.Code != 403 {
			t.Errorf("under preview: off %s is answered %d", part, r.Code)
		}
	}
	b.call("GET", "/v1/messages/"+made.ID, "", token).into(t, &d)
	if d.ContentIsFor || d.Subject != "Grüße" {
		t.Errorf("under preview: off %+v", d)
	}
}

func TestSendRaw(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.domain(t, b.acme, "news.example")
	token := b.token(t, b.acme, access.ScopeMessagesSend)
	raw := "From: ann@news.example\nTo: bob@example.net\nCc: carl@example.net\nSubject: Raw\n\nGrüße\nend"
	var made Accepted
	b.call("POST", "/v1/messages", quote(map[string]any{"raw": base64.StdEncoding.EncodeToString([]byte(raw))}), token).into(t, &made)
	got := b.content(t, made.ID)
	if len(made.Recipients) != 2 || !strings.HasSuffix(got, strings.ReplaceAll(raw, "\n", "\r\n")+"\r\n") {
		t.Errorf("%+v\n%q", made, got)
	}
	b.call("POST", "/v1/messages", quote(map[string]any{"raw": base64.StdEncoding.EncodeToString([]byte(raw)), "to": []string{"only@example.net"}}), token).into(t, &made)
	if len(made.Recipients) != 1 || made.Recipients[0].Address != "only@example.net" {
		t.Errorf("%+v", made)
	}
}

// TestSendRefusals: what cannot be sent is refused with the field to blame, and
// leaves nothing in the queue.
func TestSendRefusals(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config, _ *Parts) { c.MaxMessage = 1 << 20 })
	b.domain(t, b.acme, "news.example")
	b.domain(t, b.other, "theirs.example")
	token := b.token(t, b.acme, access.ScopeMessagesSend)
	enc := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	ok := map[string]any{"from": "ann@news.example", "to": []string{"bob@example.net"}, "subject": "x", "text": "x"}
	with := func(key string, value any) map[string]any {
		m := map[string]any{}
		for k, v := range ok {
			m[k] = v
		}
		m[key] = value
		return m
	}
	for name, c := range map[string]struct {
		body     map[string]any
		status   int
		location string
	}{
		"unverified sender":     {with("from", "ann@unknown.example"), 403, ""},
		"another's domain":      {with("from", "ann@theirs.example"), 403, ""},
		"no sender":             {with("from", ""), 422, "body.from"},
		"two senders":           {with("from", "a@news.example, b@news.example"), 422, "body.from"},
		"no recipient":          {with("to", []string{}), 422, "body.to"},
		"wrong recipient":       {with("to", []string{"bob@example.net", "nobody"}), 422, "body.to[1]"},
		"line in a subject":     {with("subject", "x\r\nBcc: eve@example.org"), 0, ""},
		"line in a header":      {with("headers", map[string]string{"X-A": "b\r\nBcc: eve@example.org"}), 0, ""},
		"a header of ours":      {with("headers", map[string]string{"From": "eve@example.org"}), 422, ""},
		"broken header name":    {with("headers", map[string]string{"X A": "b"}), 422, ""},
		"wrong base64":          {with("attachments", []map[string]string{{"content": "%%%"}}), 422, "body.attachments[0].content"},
		"unknown class":         {with("class", "urgent"), 422, "body.class"},
		"tag of ours":           {with("tags", []string{"meta:x=y"}), 422, "body.tags"},
		"too large":             {with("text", strings.Repeat("text ", 300_000)), 422, "body.attachments"},
		"raw and parts":         {with("raw", enc("From: ann@news.example\r\n\r\n")), 422, "body.raw"},
		"raw no base64":         {map[string]any{"raw": "%%%"}, 422, "body.raw"},
		"raw bare CR":           {map[string]any{"raw": enc("From: ann@news.example\r\nTo: b@c.example\r\n\r\na\rb")}, 422, "body.raw"},
		"raw no From":           {map[string]any{"raw": enc("To: bob@example.net\r\n\r\nx")}, 422, "body.raw"},
		"raw two From":          {map[string]any{"raw": enc("From: ann@news.example\r\nFrom: eve@x.example\r\nTo: b@c.example\r\n\r\nx")}, 422, "body.raw"},
		"raw from another":      {map[string]any{"raw": enc("From: eve@theirs.example\r\nTo: b@c.example\r\n\r\nx")}, 403, ""},
		"raw other From":        {map[string]any{"raw": enc("From: eve@theirs.example\r\nTo: b@c.example\r\n\r\nx"), "from": "ann@news.example"}, 422, "body.from"},
		"raw with Bcc":          {map[string]any{"raw": enc("From: ann@news.example\r\nTo: b@c.example\r\nBcc: d@e.example\r\n\r\nx")}, 422, "body.raw"},
		"raw without recipient": {map[string]any{"raw": enc("From: ann@news.example\r\n\r\nx")}, 422, "body.to"},
	} {
		r := b.call("POST", "/v1/messages", quote(c.body), token)
		if c.status == 0 { // either way, nothing is smuggled in
			if r.Code == 202 {
				var made Accepted
				r.into(t, &made)
				if len(made.Recipients) != 1 || strings.Contains(b.content(t, made.ID), "\nBcc:") {
					t.Errorf("%s: a field was smuggled in", name)
				}
			}
			continue
		}
		if p := r.problem(t); r.Code != c.status || c.location != "" && !located(p, c.location) {
			t.Errorf("%s: %d %+v", name, r.Code, p)
		}
	}
}

func TestQueueRoom(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.domain(t, b.acme, "news.example")
	owner := b.as(t, b.acme, access.Owner)
	send := func(to string) Accepted {
		var made Accepted
		b.call("POST", "/v1/messages", quote(map[string]any{"from": "ann@news.example", "to": []string{to}, "text": "x"}), owner).into(t, &made)
		return made
	}
	b.call("POST", "/v1/queue/pause", `{"domain":"slow.example","reason":"their request"}`, b.as(t, 0, access.Operator)).into(t, &Pause{})
	var made []Accepted
	for range 3 {
		made = append(made, send("bob@slow.example"))
	}
	var page Page[QueueItem]
	b.call("GET", "/v1/queue?domain=mx.test&limit=2", "", owner).into(t, &page)
	b.call("GET", "/v1/queue?limit=2", "", owner).into(t, &page)
	if len(page.Items) != 2 || page.Next == nil || page.Items[0].Recipient != "bob@slow.example" || page.Items[0].Message != made[0].ID {
		t.Fatalf("%+v", page)
	}
	b.call("GET", "/v1/queue?limit=2&cursor="+*page.Next, "", owner).into(t, &page)
	if len(page.Items) != 1 || page.Next != nil {
		t.Errorf("%+v", page)
	}
	if r := b.call("GET", "/v1/queue?customer="+b.other.String(), "", owner); r.Code != 404 {
		t.Errorf("another customer's queue: %d", r.Code)
	}
	if r := b.call("GET", "/v1/queue?customer="+b.acme.String(), "", b.as(t, 0, access.Operator)); r.Code != 200 || !strings.Contains(r.Body.String(), made[0].ID) {
		t.Errorf("the operator sees one customer's queue: %d %s", r.Code, r.Body)
	}
	if r := b.call("POST", "/v1/queue/retry", `{}`, owner); r.Code != 422 {
		t.Errorf("an act on nothing: %d", r.Code)
	}
	if r := b.call("POST", "/v1/queue/resume", `{}`, b.as(t, 0, access.Operator)); r.Code != 422 {
		t.Errorf("ending every customer's pause: %d %s", r.Code, r.Body)
	}
	if r := b.call("POST", "/v1/queue/pause", `{"reason":"everything"}`, b.as(t, 0, access.Operator)); r.Code != 422 {
		t.Errorf("pausing everything by accident: %d", r.Code)
	}
	stranger := b.call("POST", "/v1/queue/fail", quote(map[string]any{"ids": []string{made[0].Recipients[0].ID}}), b.as(t, b.other, access.Owner))
	var res QueueResult
	stranger.into(t, &res)
	if res.Count != 0 {
		t.Errorf("another customer fails a message: %+v", res)
	}
}

// TestSearchAndOverview: what was sent is found, counted and shown live.
func TestSearchAndOverview(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.domain(t, b.acme, "news.example")
	owner := b.as(t, b.acme, access.Owner)
	for _, subject := range []string{"one", "two", "three"} {
		b.call("POST", "/v1/messages", quote(map[string]any{"from": "ann@news.example", "to": []string{"bob@example.net"}, "subject": subject, "text": "x"}), owner).into(t, &Accepted{})
	}
	must(t, b.parts.Tally.Flush(t.Context()))
	var page Page[Message]
	b.call("GET", "/v1/messages?limit=2", "", owner).into(t, &page)
	if len(page.Items) != 2 || page.Items[0].Subject != "three" || page.Items[0].Recipient != "bob@example.net" || page.Next == nil {
		t.Fatalf("%+v", page)
	}
	if r := b.call("GET", "/v1/messages?direction=inbound&cursor="+*page.Next, "", owner); r.Code != 422 {
		t.Errorf("a cursor under another filter: %d", r.Code)
	}
	b.call("GET", "/v1/messages?limit=2&cursor="+*page.Next, "", owner).into(t, &page)
	if len(page.Items) != 1 || page.Items[0].Subject != "one" {
		t.Errorf("%+v", page)
	}
	b.call("GET", "/v1/messages?subject=TW", "", owner).into(t, &page)
	if len(page.Items) != 1 || page.Items[0].Subject != "two" || page.Next != nil {
		t.Errorf("%+v", page)
	}
	b.call("GET", "/v1/messages?subject=two", "", b.as(t, b.other, access.Owner)).into(t, &page)
	if len(page.Items) != 0 {
		t.Errorf("another customer finds %+v", page)
	}
	if r := b.call("GET", "/v1/messages?subject=%20%09", "", owner); r.Code != 422 || !located(r.problem(t), "query.subject") {
		t.Errorf("%d %s", r.Code, r.Body)
	}
	b.call("GET", "/v1/messages", "", b.as(t, b.other, access.Owner)).into(t, &page)
	if len(page.Items) != 0 {
		t.Errorf("another customer finds %+v", page)
	}
	if r := b.call("GET", "/v1/messages?recipient=nobody", "", owner); r.Code != 422 || !located(r.problem(t), "query.recipient") {
		t.Errorf("%d %s", r.Code, r.Body)
	}
	var o Overview
	b.call("GET", "/v1/overview", "", owner).into(t, &o)
	if o.AcceptedToday != 3 || o.QueuedNow != 3 || len(o.Series) != 60 || o.Series[59].Accepted != 3 {
		t.Errorf("%+v", o)
	}
	b.call("GET", "/v1/overview?range=day", "", owner).into(t, &o)
	if len(o.Series) != 96 {
		t.Errorf("%d quarters of an hour", len(o.Series))
	}
	live := b.call("GET", "/v1/events/live", "", owner)
	if live.Code != 200 || live.Header().Get("Content-Type") != "text/event-stream" || !strings.Contains(live.Body.String(), `"accepted_today":3`) {
		t.Errorf("%d %s", live.Code, live.Body)
	}
}

func TestCaughtInbox(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	owner := b.as(t, b.acme, access.Owner)
	id := things["/v1/caught/{id}"](t, b, b.acme)
	var c Caught
	b.call("GET", "/v1/caught/"+id, "", owner).into(t, &c)
	if c.Subject != "Caught" || strings.TrimSpace(c.Text) != "Hello" || len(c.Attachments) != 1 || c.ID != id {
		t.Errorf("%+v", c)
	}
	file := b.call("GET", "/v1/caught/"+id+"/attachments/0", "", owner)
	if file.Body.String() != "attached" || file.Header().Get("Content-Disposition") != "attachment; filename=a.txt" || file.Header().Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%q %v", file.Body, file.Header())
	}
	if r := b.call("GET", "/v1/caught/"+id+"/attachments/1", "", owner); r.Code != 404 {
		t.Errorf("an attachment that is not there: %d", r.Code)
	}
	if r := b.call("DELETE", "/v1/caught", "", owner); r.Code != 204 {
		t.Error(r.Code, r.Body)
	}
	if r := b.call("GET", "/v1/caught/"+id, "", owner); r.Code != 404 {
		t.Error("emptied, and still there:", r.Code)
	}
}

func FuzzRaw(f *testing.F) {
	f.Add([]byte("From: a@b.example\r\nTo: c@d.example\r\n\r\nx"))
	f.Add([]byte("\r\n\n\r"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := rawLetter(&NewMessage{Raw: base64.StdEncoding.EncodeToString(raw)})
		if err != nil || len(raw) == 0 {
			return
		}
		var out strings.Builder
		must(t, l.write(&out))
		if s := out.String(); strings.Contains(strings.ReplaceAll(s, "\r\n", ""), "\r") || strings.Contains(strings.ReplaceAll(s, "\r\n", ""), "\n") {
			t.Errorf("a bare CR or LF goes out: %q", s)
		}
	})
}

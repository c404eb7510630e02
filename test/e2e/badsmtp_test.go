package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// badSMTP is one thing that a client does wrong, and the answer in its exact
// words; every refusal ends with a reference that the server's log knows.
type badSMTP struct {
	name   string
	door   string // mx or submission
	do     func(c *smtpConn) string
	want   string
	reason string // of the metric
}

const (
	me   = "you@demo.example"
	them = "hello@demo.example"
)

func raw(lines ...string) []byte {
	return []byte("From: you@demo.example\r\nSubject: x\r\n\r\n" + strings.Join(lines, ""))
}

var badMail = []badSMTP{
	{"bare CR", "mx", func(c *smtpConn) string { return c.send(me, raw("a\rb\r\n"), them) },
		"550 5.6.0 The message has a bare carriage return; every line ends in CR LF.", "bare_cr"},
	{"bare LF", "mx", func(c *smtpConn) string { return c.send(me, raw("a\nb\r\n"), them) },
		"550 5.6.0 The message has a bare line feed; every line ends in CR LF.", "bare_lf"},
	{"NUL", "mx", func(c *smtpConn) string { return c.send(me, raw("a\x00b\r\n"), them) },
		"550 5.6.0 The message has a NUL octet; encode binary content in base64.", "nul"},
	{"NUL in a command", "mx", func(c *smtpConn) string { return c.say("MAIL FROM:<a\x00@b.example>") },
		"521 5.5.2 The command has a NUL octet; is this TLS? Use STARTTLS or the port for TLS. The connection is closed, because the end of your commands is not certain.", "line"},
	{"oversize by SIZE", "mx", func(c *smtpConn) string { return c.say("MAIL FROM:<you@demo.example> SIZE=99999999999") },
		"552 5.3.4 The message is too large; the limit is 1048576 octets.", "size"},
	{"oversize in truth", "mx", func(c *smtpConn) string {
		return c.send(me, raw(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 20000)), them)
	}, "552 5.3.4 The message is too large; the limit is 1048576 octets.", "size"},
	{"unknown recipient", "mx", func(c *smtpConn) string { return c.send(me, raw(), "nobody@other.example") },
		"550 5.1.1 No such recipient here; check the address.", "recipient"},
	{"recipient without domain", "mx", func(c *smtpConn) string { return c.send(me, raw(), "nobody") },
		"501 5.1.3 An address has the form local@domain.", "syntax"},
	{"8-bit sender without SMTPUTF8", "mx", func(c *smtpConn) string { return c.say("MAIL FROM:<gr\xc3\xbc\xc3\x9fe@b.example>") },
		"553 5.6.7 The address has characters beyond ASCII; the command MAIL must then ask for SMTPUTF8.", "syntax"},
	{"DATA without recipient", "mx", func(c *smtpConn) string { c.say("MAIL FROM:<>"); return c.say("DATA") },
		"554 5.5.1 No recipient was accepted.", "sequence"},
	{"a hundred Received fields", "mx", func(c *smtpConn) string {
		return c.send(me, []byte(strings.Repeat("Received: by a.example\r\n", 101)+string(raw())), them)
	}, "554 5.6.0 The message has passed 100 hosts; it seems to go round in a circle.", "content"},
	{"AUTH at the MX", "mx", func(c *smtpConn) string { return c.say("AUTH PLAIN " + plain("a", "b")) },
		"502 5.5.1 AUTH is not offered here; customers send to the submission port.", "disabled_command"},
	{"unverified sender in the envelope", "submission", func(c *smtpConn) string { return c.send("a@elsewhere.example", raw(), "a@b.example") },
		"550 5.7.1 You may not send as elsewhere.example: add the domain and publish its records first.", "sender"},
	{"unverified sender in From", "submission", func(c *smtpConn) string {
		return c.send(me, []byte("From: a@elsewhere.example\r\n\r\n"), "a@b.example")
	}, "550 5.7.1 You may not send as elsewhere.example: add the domain and publish its records first.", "content"},
	{"two addresses in From", "submission", func(c *smtpConn) string {
		return c.send(me, []byte("From: you@demo.example, me@demo.example\r\n\r\n"), "a@b.example")
	}, "554 5.6.0 The message must have one From field with one address.", "content"},
	{"no From and nobody in the envelope", "submission", func(c *smtpConn) string { return c.send("", []byte("Subject: x\r\n\r\n"), "a@b.example") },
		"554 5.6.0 The message must have one From field with one address.", "content"},
	{"nobody in From", "submission", func(c *smtpConn) string { return c.send(me, []byte("From: \r\n\r\n"), "a@b.example") },
		"554 5.6.0 The message must have one From field with one address.", "content"},
}

var badAuth = []badSMTP{
	{"MAIL without AUTH", "submission", func(c *smtpConn) string { return c.say("MAIL FROM:<you@demo.example>") },
		"530 5.7.0 Say AUTH first; mail is taken here from known senders only.", "auth"},
	{"wrong password", "submission", func(c *smtpConn) string { return c.say("AUTH PLAIN " + plain("smtp-aaaaaaaaaaaaaaaa", "wrong")) },
		"535 5.7.8 The username or the password is wrong.", "auth"},
	{"unknown mechanism", "submission", func(c *smtpConn) string { return c.say("AUTH GSSAPI") },
		"504 5.5.4 The mechanism is not offered; EHLO lists those that are.", "syntax"},
	{"AUTH that is no base64", "submission", func(c *smtpConn) string { return c.say("AUTH PLAIN ???") },
		"501 5.5.2 The answer is not in base64.", "syntax"},
	{"AUTH before TLS", "submission-clear", func(c *smtpConn) string { return c.say("AUTH PLAIN " + plain("a", "b")) },
		"538 5.7.11 Say STARTTLS first; a password must not cross the network readable.", "tls"},
}

var quoted = regexp.MustCompile(`ref_[0-9a-z]+`)

// TestBadMail: each is refused by name, counted under its reason, and found in
// the log by the reference in the reply.
func TestBadMail(t *testing.T) {
	t.Parallel()
	s := newSite(t, world{smtp: "  max_size: 1MiB", data: "  inline: 256KiB"}).serve(t)
	hook(t).route(t, s)
	check := func(x badSMTP, c *smtpConn) {
		listener := fmt.Sprintf("listener=%q", strings.TrimSuffix(x.door, "-clear"))
		before := s.metric(t, "mailvow_smtp_refusals_total", listener, fmt.Sprintf("reason=%q", x.reason))
		got := x.do(c)
		if text := reference.ReplaceAllString(got, ""); text != x.want {
			t.Errorf("%s: %q, want %q", x.name, text, x.want)
		}
		if after := s.metric(t, "mailvow_smtp_refusals_total", listener, fmt.Sprintf("reason=%q", x.reason)); after != before+1 {
			t.Errorf("%s: reason %s counts %v, and %v before", x.name, x.reason, after, before)
		}
		if ref := quoted.FindString(got); ref == "" || !s.log.await("reference="+ref) {
			t.Errorf("%s: the reply %q has no reference that the log knows", x.name, got)
		}
	}
	for _, x := range badMail {
		if x.door == "mx" {
			check(x, dial(t, s.MX))
		} else {
			check(x, submit(t, s.demo))
		}
	}
	for _, x := range badAuth {
		c := dial(t, s.Submission)
		if x.door == "submission" {
			c.startTLS()
		}
		check(x, c)
	}
	c := dial(t, s.MX)
	c.want("250 2.0.0", c.send(me, raw("still here\r\n"), them))
}

// TestStrangeMailIsTaken: what is malformed but harmless is taken as it is and
// described, because refusing it would lose it.
func TestStrangeMailIsTaken(t *testing.T) {
	t.Parallel()
	s := dev(t, "")
	e := hook(t)
	e.route(t, s)
	deep := strings.Builder{}
	for i := range 1000 {
		fmt.Fprintf(&deep, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	for name, body := range map[string]string{
		"malformed":  "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=\"x\r\n\r\n--x\r\nContent-Type: image/\r\n\r\n--y--\r\n",
		"headerless": "this is no header\r\n\r\nnor this\r\n",
		"eightbit":   "From: \xff\xfe <a@b.example>\r\nSubject: Gr\xfc\xdfe\r\nX-\xc3\xa4: \x80\r\n\r\nhi\r\n",
		"base64":     "From: a@b.example\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!! not base64 ====\r\nabc\r\n",
		"deep":       "From: a@b.example\r\n" + deep.String() + "\r\nhello\r\n",
		"fields":     "From: a@b.example\r\n" + strings.Repeat("X-Header: and its value\r\n", 100_000) + "\r\nhello\r\n",
		"longline":   "From: a@b.example\r\nSubject: " + strings.Repeat("long ", 100_000) + "\r\n\r\nhello\r\n",
	} {
		to := name + "@demo.example"
		c := dial(t, s.MX)
		c.want("250 2.0.0 Accepted as msg_", c.send("a@b.example", []byte(body), to))
		eventually(t, name+" came", func() bool { return len(e.take(to)) == 1 })
		got := e.take(to)[0].Data
		if _, same := added(got.Raw, []byte(body)); !same {
			t.Errorf("%s arrived with other bytes", name)
		}
		if name != "longline" && name != "eightbit" && len(got.Message.Defects) == 0 {
			t.Errorf("%s: the view lists no defect", name)
		}
	}
	if _, most := s.rss(t); most > 400 {
		t.Errorf("the server took %d MiB for it", most)
	}
}

// TestEndlessInput: a line of 1 GB, in a message and as a command, is refused, and
// the server does not hold it.
func TestEndlessInput(t *testing.T) {
	t.Parallel()
	size := int64(1 << 30)
	if testing.Short() {
		size = 64 << 20
	}
	s := dev(t, "")
	hook(t).route(t, s)
	before, _ := s.rss(t)
	c := dial(t, s.MX)
	c.say("MAIL FROM:<a@b.example>")
	c.say("RCPT TO:<hello@demo.example>")
	c.want("354 ", c.say("DATA"))
	must(t, c.stream([]byte("x"), size))
	must(t, c.write([]byte("\r\n.\r\n")))
	if got := reference.ReplaceAllString(c.reply(), ""); got != "550 5.6.0 The message has a line that is far too long; break lines after 998 octets at most." {
		t.Errorf("a line of %d octets got %q", size, got)
	}
	c.want("250 ", c.say("NOOP"))
	c = dial(t, s.MX)
	err := c.stream([]byte("x"), size)
	if got := c.last(); err == nil && !strings.HasPrefix(got, "500 5.5.") && !strings.HasPrefix(got, "421 ") {
		t.Errorf("a command of %d octets got %q", size, got)
	}
	if n := s.metric(t, "mailvow_smtp_refusals_total", `listener="mx"`, `reason="long_line"`); n != 1 {
		t.Errorf("%v long lines counted", n)
	}
	if n := s.metric(t, "mailvow_smtp_refusals_total", `listener="mx"`, `reason="line"`); n < 1 {
		t.Errorf("%v command lines counted", n)
	}
	if _, most := s.rss(t); most > before+64 {
		t.Errorf("the server grew from %d to %d MiB", before, most)
	}
}

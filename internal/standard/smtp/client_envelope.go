package smtp

import (
	"strconv"

	"mailvow/internal/base/reply"
)

// Verbs of a transaction, in their order.
type verb uint8

const (
	verbRSET verb = iota
	verbMAIL
	verbRCPT
	verbDATA
)

// line is one command of a transaction within Client.out.
type line struct {
	verb       verb
	recipient  int
	start, end int
}

// admit answers for recipients to whom this peer cannot take the message.
func (t *transaction) admit(size int64) {
	ext, env := &t.c.ext, t.env
	utf8 := env.SMTPUTF8 || env.Sender.NeedsUTF8()
	switch {
	case ext.Size > 0 && size > ext.Size:
		t.all(Unfit, reply.New(552, "5.3.4", "The message is larger than the next host takes."))
	case env.EightBit && !ext.EightBit:
		t.all(Unfit, reply.New(554, "5.6.3", "The message has 8-bit content and the next host does not offer 8BITMIME."))
	case utf8 && !ext.SMTPUTF8:
		t.all(Unfit, reply.New(550, "5.6.7", "The message needs SMTPUTF8 and the next host does not offer it."))
	case env.RequireTLS && (t.c.tls == "" || !ext.RequireTLS):
		t.all(Unfit, reply.New(550, "5.7.30", "The message requires TLS on its whole way and the next host does not offer REQUIRETLS."))
	}
	for i, r := range env.Recipients {
		if t.answers[i].Fate == Lost && r.Address.NeedsUTF8() && !ext.SMTPUTF8 {
			t.answer(i, Unfit, reply.New(553, "5.6.7", "The address needs SMTPUTF8 and the next host does not offer it."))
		}
	}
}

// write builds the commands of the envelope in c.out.
func (t *transaction) write() []line {
	c := t.c
	lines := t.lines[:0]
	out := c.out[:0]
	put := func(v verb, recipient, start int) {
		lines = append(lines, line{v, recipient, start, len(out)})
		out = append(out, "\r\n"...)
	}
	if c.reset {
		out = append(out, "RSET"...)
		put(verbRSET, everyone, 0)
		c.reset = false
	}
	start := len(out)
	out = t.mail(out)
	put(verbMAIL, everyone, start)
	for i := range t.env.Recipients {
		if t.answers[i].Fate == Lost {
			start = len(out)
			out = t.rcpt(out, &t.env.Recipients[i])
			put(verbRCPT, i, start)
		}
	}
	start = len(out)
	out = append(out, "DATA"...)
	put(verbDATA, everyone, start)
	c.out = out
	return lines
}

func (t *transaction) mail(out []byte) []byte {
	ext, env := &t.c.ext, t.env
	out = append(append(append(out, "MAIL FROM:<"...), env.Sender.Text()...), '>')
	if ext.HasSize {
		out = strconv.AppendInt(append(out, " SIZE="...), t.body.content.Size(), 10)
	}
	if env.EightBit {
		out = append(out, " BODY=8BITMIME"...)
	}
	if ext.SMTPUTF8 && (env.SMTPUTF8 || env.Sender.NeedsUTF8() || t.anyUTF8()) {
		out = append(out, " SMTPUTF8"...)
	}
	if env.RequireTLS {
		out = append(out, " REQUIRETLS"...)
	}
	if ext.DSN && (env.Return == "FULL" || env.Return == "HDRS") {
		out = append(append(out, " RET="...), env.Return...)
	}
	if ext.DSN && env.EnvelopeID != "" {
		out = append(append(out, " ENVID="...), EncodeXtext(env.EnvelopeID)...)
	}
	return out
}

func (t *transaction) anyUTF8() bool {
	for i := range t.env.Recipients {
		if t.env.Recipients[i].Address.NeedsUTF8() {
			return true
		}
	}
	return false
}

func (t *transaction) rcpt(out []byte, r *EnvelopeRecipient) []byte {
	out = append(append(append(out, "RCPT TO:<"...), r.Address.Text()...), '>')
	if !t.c.ext.DSN {
		return out
	}
	if r.Notify != "" && clean(r.Notify) {
		out = append(append(out, " NOTIFY="...), r.Notify...)
	}
	return appendORcpt(out, r.ORcpt, t.c.ext.SMTPUTF8)
}

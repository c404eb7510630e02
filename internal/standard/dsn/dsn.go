// Package dsn writes delivery status notifications: multipart/report (RFC 6522)
// with a part for people, a message/delivery-status part (RFC 3464) and the
// headers of the original, never its body: what the sender needs to recognise
// their mail, and nothing that would spread its content. To whom a notification
// goes, and when, is left to the caller.
package dsn

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"mailvow/internal/base/reply"
)

// Action is what happened to a recipient (RFC 3464 2.3.3).
type Action string

// The actions that this server reports.
const (
	Failed  Action = "failed"
	Delayed Action = "delayed"
	Relayed Action = "relayed" // went on to a host that sends no notifications
)

// Report is one notification.
type Report struct {
	Hostname   string // this server: Reporting-MTA
	To         string // the original sender
	Boundary   string // unique; letters and digits
	MessageID  string // of the notification, with its angle brackets
	EnvelopeID string // RFC 3461 4.4, or ""
	Received   time.Time
	Now        time.Time
	UTF8       bool // the original needed SMTPUTF8: RFC 6533 types are used
	Recipients []Recipient
	Headers    []byte // of the original, CRLF line ends
}

// Recipient is one recipient's part of the report.
type Recipient struct {
	Address   string
	ORcpt     string // "rfc822;a@b.example", or ""
	Action    Action
	Reply     reply.Reply
	RemoteMTA string // the host that answered, or "" for our own decision
	At        time.Time
}

// maxHeaders bounds the copy of the original's headers.
const maxHeaders = 64 << 10

// Write writes the whole message with CRLF line ends.
func (r *Report) Write(w io.Writer) error {
	var b bytes.Buffer
	r.head(&b)
	r.forPeople(&b)
	r.forPrograms(&b)
	r.original(&b)
	fmt.Fprintf(&b, "--%s--\r\n", r.Boundary)
	_, err := w.Write(b.Bytes())
	return err
}

func (r *Report) head(b *bytes.Buffer) {
	line := func(name, value string) { fmt.Fprintf(b, "%s: %s\r\n", name, oneLine(value)) }
	line("Date", r.Now.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	line("From", "Mail Delivery System <postmaster@"+r.Hostname+">")
	line("To", "<"+r.To+">")
	line("Subject", r.subject())
	line("Message-ID", r.MessageID)
	line("Auto-Submitted", "auto-replied") // RFC 3834 5
	line("MIME-Version", "1.0")
	line("Content-Transfer-Encoding", "8bit") // as its parts have (RFC 2045 6.4)
	fmt.Fprintf(b, "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n\r\n", r.Boundary)
}

// subject is fixed per action: the original's own subject is repeated only in
// the returned headers.
func (r *Report) subject() string {
	switch r.action() {
	case Delayed:
		return "Your message is delayed"
	case Relayed:
		return "Your message was passed on"
	case Failed:
	}
	return "Your message could not be delivered"
}

// action is the worst of all recipients'.
func (r *Report) action() Action {
	worst := Relayed
	for _, x := range r.Recipients {
		if x.Action == Failed {
			return Failed
		}
		if x.Action == Delayed {
			worst = Delayed
		}
	}
	return worst
}

func (r *Report) forPeople(b *bytes.Buffer) {
	fmt.Fprintf(b, "--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nContent-Language: en\r\n\r\n", r.Boundary)
	fmt.Fprintf(b, "This is the mail system at %s.\r\n\r\n", oneLine(r.Hostname))
	switch r.action() {
	case Failed:
		b.WriteString("Your message could not be delivered to the recipients below. It will not be\r\ntried again. What the receiving system said tells why; if that does not help,\r\nask the recipient by another way or send this notice to your administrator.\r\n")
	case Delayed:
		b.WriteString("Your message has not been delivered to the recipients below yet. You need not\r\ndo anything: it is tried again, and you are told if it cannot be delivered.\r\n")
	case Relayed:
		b.WriteString("Your message was passed on to the system that takes mail for the recipients\r\nbelow. That system sends no notice of its own when it arrives.\r\n")
	}
	for _, x := range r.Recipients {
		fmt.Fprintf(b, "\r\n  <%s>: %s\r\n", oneLine(x.Address), x.Action)
		if x.RemoteMTA != "" {
			fmt.Fprintf(b, "  %s said:\r\n", oneLine(x.RemoteMTA))
		}
		for _, l := range wrap(x.Reply.String(), 70) {
			fmt.Fprintf(b, "    %s\r\n", l)
		}
	}
	b.WriteString("\r\n")
}

func (r *Report) forPrograms(b *bytes.Buffer) {
	kind, addressType := "message/delivery-status", "rfc822"
	if r.UTF8 {
		kind, addressType = "message/global-delivery-status", "utf-8"
	}
	fmt.Fprintf(b, "--%s\r\nContent-Type: %s\r\n", r.Boundary, kind)
	if r.UTF8 {
		b.WriteString("Content-Transfer-Encoding: 8bit\r\n")
	}
	fmt.Fprintf(b, "\r\nReporting-MTA: dns; %s\r\n", oneLine(r.Hostname))
	if r.EnvelopeID != "" {
		fmt.Fprintf(b, "Original-Envelope-Id: %s\r\n", oneLine(r.EnvelopeID))
	}
	fmt.Fprintf(b, "Arrival-Date: %s\r\n", r.Received.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	for _, x := range r.Recipients {
		b.WriteString("\r\n")
		if x.ORcpt != "" {
			fmt.Fprintf(b, "Original-Recipient: %s\r\n", oneLine(x.ORcpt))
		}
		fmt.Fprintf(b, "Final-Recipient: %s; %s\r\nAction: %s\r\nStatus: %s\r\n", addressType, oneLine(x.Address), x.Action, status(x))
		if x.RemoteMTA != "" {
			fmt.Fprintf(b, "Remote-MTA: dns; %s\r\nDiagnostic-Code: smtp; %s\r\n", oneLine(x.RemoteMTA), r.diagnostic(x.Reply.String()))
		}
		fmt.Fprintf(b, "Last-Attempt-Date: %s\r\n", x.At.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	}
	b.WriteString("\r\n")
}

// maxLine keeps a folded line below the 998 octets of RFC 5322 2.1.1.
const maxLine = 900

// diagnostic is what a peer said, folded; peers say a lot. Only the types of RFC
// 6533 may hold more than ASCII.
func (r *Report) diagnostic(said string) string {
	if !r.UTF8 {
		said = strings.Map(func(c rune) rune {
			if c > '~' {
				return '?'
			}
			return c
		}, said)
	}
	return strings.Join(wrap(said, maxLine), "\r\n\t")
}

// status is the peer's enhanced code if its class fits the action, else the
// action's own (RFC 3464 2.3.4). An expired message's last 4.x.x becomes 5.x.x
// of the same subject only through 5.4.7, delivery time expired.
func status(x Recipient) string {
	want, other := uint16(5), "5.0.0"
	switch x.Action {
	case Delayed:
		want, other = 4, "4.0.0"
	case Relayed:
		want, other = 2, "2.0.0"
	case Failed:
		if x.Reply.Temporary() {
			other = "5.4.7"
		}
	}
	if x.Reply.Enhanced[0] == want {
		return x.Reply.Enhanced.String()
	}
	return other
}

func (r *Report) original(b *bytes.Buffer) {
	kind := "text/rfc822-headers"
	if r.UTF8 {
		kind = "message/global-headers"
	}
	fmt.Fprintf(b, "--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", r.Boundary, kind)
	h := r.Headers
	if len(h) > maxHeaders {
		h = h[:bytes.LastIndex(h[:maxHeaders], []byte("\r\n"))+2]
	}
	// A header line that looks like the boundary would end the part early.
	b.Write(bytes.ReplaceAll(h, []byte("--"+r.Boundary), []byte("- "+r.Boundary)))
	if !bytes.HasSuffix(h, []byte("\r\n")) {
		b.WriteString("\r\n")
	}
	b.WriteString("\r\n")
}

func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, s)
}

// wrap breaks text at spaces so that no line is longer than n, and words that are
// longer than a line of mail may be.
func wrap(s string, n int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(oneLine(s)) {
		for ; len(word) > maxLine; word = word[maxLine:] {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			lines = append(lines, strings.ToValidUTF8(word[:maxLine], ""))
		}
		if line != "" && len(line)+1+len(word) > n {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

package app

import (
	"context"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/message"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/protect/request"
)

// boxes are the addresses at this server's own name that open a case (RFC 2142).
func boxes(local string) (request.Kind, bool) {
	switch strings.ToLower(local) {
	case "privacy", "dpo":
		return request.Privacy, true
	case "child", "children":
		return request.Child, true
	case "security":
		return request.Report, true
	case "abuse", "postmaster":
		return request.Abuse, true
	}
	return "", false
}

// opensCase says whether mail to an address opens a case of the operator's.
func (h *House) opensCase(a address.Address) bool {
	_, is := boxes(a.Local())
	return is && strings.EqualFold(a.Domain(), h.Config.Hostname)
}

// caseCourier delivers mail to the operator as cases.
type caseCourier struct {
	cases *request.Desk
	log   *slog.Logger
	clock clock.Clock
	// pace is how much such mail is taken, whoever sends it: each is answered with a
	// mail, and a sender's address may be forged.
	pace *rate.Limiter
}

// A minute's burst and then one a second, as the public page takes them.
const lettersAtOnce = 60

func newCaseCourier(d *request.Desk, log *slog.Logger, c clock.Clock) *caseCourier {
	return &caseCourier{d, log, c, rate.NewLimiter(rate.Every(time.Second), lettersAtOnce)}
}

// Deliver implements deliver.Courier.
func (c *caseCourier) Deliver(ctx context.Context, p *deliver.Parcel) []outcome.Outcome {
	list := make([]outcome.Outcome, len(p.Recipients))
	for i, r := range p.Recipients {
		list[i] = c.one(ctx, p, r.Address)
	}
	return list
}

func (c *caseCourier) one(ctx context.Context, p *deliver.Parcel, to address.Address) outcome.Outcome {
	kind, is := boxes(to.Local())
	if !is {
		return outcome.ByUs(outcome.Failed, 550, "5.1.1", "No such recipient here.")
	}
	from, text, automatic, err := letterOf(p)
	switch {
	case err != nil:
		return outcome.ByUs(outcome.Failed, 554, "5.6.0", "The message cannot be read.")
	case automatic: // an answer to it would be an answer to a machine (RFC 3834 2)
		return outcome.ByUs(outcome.Delivered, 250, "2.0.0", "Taken; automatic mail opens no case.")
	case !c.pace.AllowN(c.clock.Now(), 1):
		return outcome.ByUs(outcome.Deferred, 451, "4.3.2", "Very many messages came; this one is seen to later.")
	}
	if kind == request.Privacy && aboutChild(text) {
		kind = request.Child
	}
	opened, err := c.cases.Mailed(ctx, kind, from, text, p.Message.Time())
	switch {
	case err == nil:
		return outcome.ByUs(outcome.Delivered, 250, "2.0.0", "Opened "+opened.ID.String()+".")
	case fault.Is(err, fault.Invalid):
		return outcome.ByUs(outcome.Failed, 554, "5.6.0", "The message names no sender or has no text.")
	}
	c.log.WarnContext(ctx, "mail to the operator opened no case yet; it is tried again", "message", p.Message.String(), "error", err)
	return outcome.ByUs(outcome.Deferred, 451, "4.3.0", "No case could be opened; it will be tried again.")
}

// aChild finds the words by which people say that a mail is about a child, in the
// languages of the union's largest countries. One too many is looked at sooner than it
// need be; one too few waits for its month.
var aChild = regexp.MustCompile(`(?i)\b(child|children|minor|underage|under (the age of )?1[36]|(mein|unser|ein) kind|kinder|minderjährig\w*|enfants?|mineure?s?|niñ[oa]s?|menor(es)?|bambin[oiae]|minori|minorenn[ei])\b`)

// aboutChild reports whether the subject of a letter, which is its first line, says
// that it is about a child, or its text says so in English.
func aboutChild(text string) bool {
	subject, rest, _ := strings.Cut(text, "\n")
	return aChild.MatchString(subject) || underAge.MatchString(rest)
}

var underAge = regexp.MustCompile(`(?i)\b(under (the age of )?1[36]|(a|my|our) (child|minor)|underage)\b`)

// maxLetter bounds what is read of a letter in bytes.
const maxLetter = 64 << 10

// letterOf reads who wrote and what. Mail without a return path and mail that says
// that a machine wrote it is automatic.
func letterOf(p *deliver.Parcel) (from, text string, automatic bool, err error) {
	m, err := message.Parse(p.Content, p.Content.Size(), message.Options{})
	if err != nil {
		return "", "", false, err
	}
	head := m.Header()
	submitted := strings.ToLower(strings.TrimSpace(head.Value("Auto-Submitted")))
	if p.Sender.IsNull() || submitted != "" && !strings.HasPrefix(submitted, "no") {
		return "", "", true, nil
	}
	from = p.Sender.Text()
	if boxes := head.Mailboxes("From"); len(boxes) > 0 {
		from = boxes[0].Address
	}
	body := ""
	m.Walk(func(part *message.Part) bool {
		if body == "" && len(part.Children) == 0 && part.Type.Value == "text/plain" {
			b, _ := io.ReadAll(io.LimitReader(part.Text(), maxLetter)) // what can be read of it
			body = string(b)
		}
		return true
	})
	return from, strings.TrimSpace(head.Text("Subject") + "\n\n" + body), false, nil
}

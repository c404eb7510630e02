package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
	"mailvow/internal/protect/request"
)

type requestCommands struct {
	List   requestList   `cmd:"" help:"List requests, newest first, and open reports of a child ahead of them; exit 1 if one is overdue."`
	Show   requestShow   `cmd:"" help:"Show one request and who decides on it."`
	Decide requestDecide `cmd:"" help:"Accept and carry out, refuse, or extend. The person is told by mail."`
}

type requestList struct {
	reader
	where
	Customer ids.Tenant `help:"Only what this customer decides on." placeholder:"ID"`
	Limit    int        `help:"How many at most." default:"100"`
}

// Run lists.
func (c *requestList) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.RequestList, admin.RequestsOf{Customer: c.Customer, Limit: c.Limit})
	if err != nil {
		return err
	}
	late := false
	var rows [][]string
	for _, x := range list {
		var due []string
		for _, s := range x.Shares {
			late = late || s.Standing == request.Overdue
			if s.Standing != request.Done {
				due = append(due, s.Due.UTC().Format(time.DateOnly)+" "+strings.ReplaceAll(string(s.Standing), "_", " "))
			}
		}
		rows = append(rows, []string{x.ID.String(), string(x.Kind), string(x.State), x.Address, x.Received.UTC().Format(time.DateOnly), strings.Join(due, ", ")})
	}
	switch {
	case c.JSON:
		err = t.answer(list)
	case len(list) > 0:
		err = t.table("ID|KIND|STATE|ADDRESS|RECEIVED|DUE", rows)
	default:
		err = t.say("There are no requests.")
	}
	if err == nil && late {
		return errNo
	}
	return err
}

type requestRef struct {
	reader
	where
	ID       ids.Case   `arg:"" help:"The request."`
	Customer ids.Tenant `help:"The customer who decides; needed where several hold something." placeholder:"ID"`
}

func (r *requestRef) ref() admin.RequestRef { return admin.RequestRef{Customer: r.Customer, ID: r.ID} }

func (r *requestRef) print(t *Terminal, x admin.PersonsRequest) error {
	if r.JSON {
		return t.answer(x)
	}
	lines := [][]string{
		{"request", x.ID.String()}, {"asks for", string(x.Kind) + " under " + strings.ToUpper(x.Law)}, {"person", x.Address},
		{"state", string(x.State)}, {"received", x.Received.UTC().Format(time.RFC3339)},
	}
	if x.Note != "" {
		lines = append(lines, []string{"says", x.Note})
	}
	for _, i := range x.Identifiers {
		lines = append(lines, []string{"also known by", i.Value + " (" + strings.ReplaceAll(string(i.Is), "_", " ") + ", not proved)"})
	}
	for _, s := range x.Shares {
		text := fmt.Sprintf("%s, due %s", s.State, s.Due.UTC().Format(time.DateOnly))
		if s.Reason != "" {
			text += ": " + s.Reason
		}
		lines = append(lines, []string{s.Customer.String(), text})
	}
	return t.table("WHAT|VALUE", lines)
}

type requestShow struct{ requestRef }

// Run shows.
func (c *requestShow) Run(ctx context.Context, t *Terminal) error {
	x, err := call(ctx, t, &c.where, admin.RequestShow, c.ref())
	if err != nil {
		return err
	}
	return c.print(t, x)
}

type requestDecide struct {
	requestRef
	Verdict  string `arg:"" enum:"accept,refuse,extend" help:"accept, refuse or extend."`
	Reason   string `help:"Why, needed to refuse or to extend; or the answer to a message. Told to the person." placeholder:"TEXT"`
	Field    string `help:"Of a rectification: the field, as the export names it." placeholder:"NAME"`
	Value    string `help:"Of a rectification: what is right. Of a report of a child: the child's address; everything about it is erased." placeholder:"TEXT"`
	KeepAway bool   `help:"Of an erasure: leave a keyed hash, so that the person is not written to again."`

	Identified bool `help:"The identifiers that the person gave are theirs: search by them, too."`
}

// Run decides.
func (c *requestDecide) Run(ctx context.Context, t *Terminal) error {
	x, err := call(ctx, t, &c.where, admin.RequestDecide, admin.RequestsDecision{
		RequestRef: c.ref(), Verdict: request.Verdict(c.Verdict), Reason: c.Reason, Field: c.Field, Value: c.Value, KeepAway: c.KeepAway, Theirs: c.Identified,
	})
	if err != nil {
		return err
	}
	return c.print(t, x)
}

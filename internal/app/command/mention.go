package command

import (
	"context"
	"strconv"

	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
	"mailvow/internal/flow/mention"
)

type mentionCommands struct {
	Search mentionSearch `cmd:"" help:"Look for a person in the texts of one customer's mail between others: what waits, and subjects of records."`
	List   mentionList   `cmd:"" help:"List searches, newest first."`
	Show   mentionShow   `cmd:"" help:"Show how a search stands and what it found; exit 1 if a place is not reviewed yet."`
	Decide mentionDecide `cmd:"" help:"Say what the person gets of one place."`
}

type mentionSearch struct {
	reader
	person
}

// Run orders a search.
func (c *mentionSearch) Run(ctx context.Context, t *Terminal) error {
	x, err := call(ctx, t, &c.where, admin.MentionOrder, c.ref())
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(x)
	}
	return t.say("%s is under way; see mailvow mention show %s.", x.ID, x.ID)
}

type mentionList struct {
	reader
	where
	Customer ids.Tenant `help:"Only in this customer's mail." placeholder:"ID"`
}

// Run lists.
func (c *mentionList) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.MentionList, admin.RequestsOf{Customer: c.Customer})
	if err != nil || c.JSON {
		return firstFault(err, func() error { return t.answer(list) })
	}
	var rows [][]string
	for _, x := range list {
		ended := x.Ended
		if ended == "" {
			ended = "under way"
		}
		rows = append(rows, []string{x.ID.String(), x.Address, strconv.Itoa(x.Looked), strconv.Itoa(x.Found), strconv.Itoa(x.Open), ended})
	}
	if len(rows) == 0 {
		return t.say("Texts were searched for nobody.")
	}
	return t.table("ID|PERSON|TEXTS|PLACES|TO REVIEW|ENDED", rows)
}

// firstFault goes on where nothing went wrong.
func firstFault(err error, next func() error) error {
	if err != nil {
		return err
	}
	return next()
}

type mentionRef struct {
	reader
	where
	ID ids.Job `arg:"" help:"The search."`
}

func (r *mentionRef) print(t *Terminal, x admin.Mentioned) error {
	if r.JSON {
		return t.answer(x)
	}
	if x.Ended == "" {
		return t.say("%d texts were looked at and %d places found; the search goes on. %s", x.Looked, x.Found, x.Problem)
	}
	bound := ""
	if !x.Whole {
		bound = " It stopped at its bound; there may be more."
	}
	if err := t.say("%d texts were looked at, %d places found, %d are to be reviewed.%s", x.Looked, x.Found, x.Open, bound); err != nil || len(x.Places) == 0 {
		return err
	}
	var rows [][]string
	for _, p := range x.Places {
		words := p.Words
		if p.Verdict == mention.Mask {
			words = p.Left
		}
		rows = append(rows, []string{strconv.Itoa(p.N), string(p.Verdict), p.Where, p.Message.String(), words})
	}
	return t.table("N|VERDICT|IN|MESSAGE|WORDS", rows)
}

type mentionShow struct{ mentionRef }

// Run shows.
func (c *mentionShow) Run(ctx context.Context, t *Terminal) error {
	x, err := call(ctx, t, &c.where, admin.MentionShow, admin.MentionRef{ID: c.ID})
	if err == nil {
		err = c.print(t, x)
	}
	if err == nil && x.Open > 0 {
		return errNo
	}
	return err
}

type mentionDecide struct {
	mentionRef
	N       int    `arg:"" help:"The number of the place."`
	Verdict string `arg:"" enum:"keep,mask,leave_out" help:"keep, mask or leave_out."`
	Left    string `help:"Of a masked place: what is left of the words. Without it the person's own name alone." placeholder:"TEXT"`
}

// Run decides.
func (c *mentionDecide) Run(ctx context.Context, t *Terminal) error {
	x, err := call(ctx, t, &c.where, admin.MentionDecide, admin.MentionDecision{MentionRef: admin.MentionRef{ID: c.ID}, N: c.N, Verdict: mention.Verdict(c.Verdict), Left: c.Left})
	if err != nil {
		return err
	}
	return c.print(t, x)
}

package command

import (
	"context"

	"mailvow/internal/door/admin"
)

type reviewCommands struct {
	Show reviewShow `cmd:"" help:"List every user, token, credential and grant of the operator's, and the reviews; exit 1 if one is overdue."`
	Sign reviewSign `cmd:"" help:"Sign this quarter's review: what is named by --revoke goes at once, everything else is kept."`
}

type reviewShow struct {
	reader
	where
}

// Run lists.
func (c *reviewShow) Run(ctx context.Context, t *Terminal) error {
	r, err := call(ctx, t, &c.where, admin.ReviewShow, struct{}{})
	if err != nil {
		return err
	}
	if c.JSON {
		err = t.answer(r)
	} else {
		err = c.print(t, r)
	}
	if err == nil && r.Overdue {
		return errNo
	}
	return err
}

func (c *reviewShow) print(t *Terminal, r admin.Review) error {
	var rows [][]string
	for _, x := range r.Items {
		used := "never"
		if !x.Used.IsZero() {
			used = x.Used.UTC().Format("2006-01-02")
		}
		rows = append(rows, []string{x.What, x.ID, plain(x.Detail), plain(x.Label), x.Since.UTC().Format("2006-01-02"), used})
	}
	if err := t.table("WHAT|ID|DETAIL|NAME|SINCE|USED", rows); err != nil {
		return err
	}
	for _, p := range r.Past {
		if err := t.say("%s was signed on %s: %d kept, %d revoked.", p.Quarter, p.Signed, p.Kept, p.Revoked); err != nil {
			return err
		}
	}
	switch {
	case r.Signed:
		return t.say("This quarter's review, %s, is signed.", r.Quarter)
	case r.Overdue:
		return t.say("The review is overdue: the quarter before %s had none.", r.Quarter)
	}
	return t.say("The review of %s is to be signed by %s.", r.Quarter, r.Due)
}

type reviewSign struct {
	reader
	where
	Revoke []string `help:"An access that goes, by its identifier; again for each." placeholder:"ID"`
}

// Run signs.
func (c *reviewSign) Run(ctx context.Context, t *Terminal) error {
	r, err := call(ctx, t, &c.where, admin.ReviewSign, admin.ReviewSigned{Revoke: c.Revoke})
	switch {
	case err != nil:
		return err
	case c.JSON:
		return t.answer(r)
	}
	return t.say("The review of %s is signed: %d kept, %d revoked.", r.Quarter, r.Kept, r.Revoked)
}

package command

import (
	"context"
	"time"

	"mailvow/internal/door/admin"
)

type purposeCommands struct {
	List purposeList `cmd:"" help:"List every purpose, on whose word it runs, and whether it does."`
	On   purposeOn   `cmd:"" help:"Instruct a purpose: a version of the policy that names it."`
	Off  purposeOff  `cmd:"" help:"End a purpose: a version of the policy that leaves it out."`
}

type purposeList struct {
	reader
	where
	ofCustomer
}

// Run lists them.
func (c *purposeList) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.PurposeList, admin.PolicyOf{Customer: c.Customer, At: time.Now()})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(list)
	}
	rows := make([][]string, len(list))
	for i, p := range list {
		state, ground := "runs", p.Ground
		if !p.Runs {
			state = "off: " + p.Stops
		}
		if p.Law != "" {
			ground = p.Law
		}
		rows[i] = []string{p.Name, p.What, ground, state}
	}
	return t.table("PURPOSE|WHAT IT IS|ON WHOSE WORD|STATE", rows)
}

// switched is a purpose that is to be instructed or not.
type switched struct {
	reader
	where
	ofCustomer
	Name string `arg:"" help:"The purpose, as mailvow purpose list names it."`
	Note string `help:"What the change is for. Public." placeholder:"TEXT"`
}

func (c *switched) put(ctx context.Context, t *Terminal, on bool) error {
	v, err := call(ctx, t, &c.where, admin.PurposeInstruct, admin.PurposeOrder{Customer: c.Customer, Name: c.Name, Instructed: on, Note: c.Note})
	if err != nil || c.JSON {
		return t.answerUnless(err, v)
	}
	for _, line := range v.Changes {
		if err := t.say("%s", line); err != nil {
			return err
		}
	}
	return t.say("\nPublished as version %d; in force from %s.", v.Number, moment(v.Effective))
}

type purposeOn struct{ switched }

// Run instructs it.
func (c *purposeOn) Run(ctx context.Context, t *Terminal) error { return c.put(ctx, t, true) }

type purposeOff struct{ switched }

// Run ends it.
func (c *purposeOff) Run(ctx context.Context, t *Terminal) error { return c.put(ctx, t, false) }

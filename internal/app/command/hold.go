package command

import (
	"context"
	"strconv"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
	"mailvow/internal/protect/hold"
)

type holdCommands struct {
	Add     holdAdd     `cmd:"" help:"Keep the records of a person, a message or a customer until the hold is released."`
	List    holdList    `cmd:"" help:"List holds; exit 1 if one was not reviewed by its date."`
	Read    holdRead    `cmd:"" help:"Write what a hold keeps, as lines of JSON. The look is in the evidence log first."`
	Review  holdReview  `cmd:"" help:"Say that a hold is still needed."`
	Release holdRelease `cmd:"" help:"End a hold: what it kept cannot be opened any more and goes."`
}

type holdAdd struct {
	reader
	where
	Customer ids.Tenant  `help:"Whose data." required:"" placeholder:"ID"`
	Person   string      `help:"All records that name this address." xor:"what" placeholder:"ADDRESS"`
	Message  ids.Message `help:"The records of this message. Without a person or a message, all records of the customer." xor:"what" placeholder:"ID"`
	Ground   string      `help:"Why: ${enum}." enum:"claim,dispute,legal_duty,authority" required:"" placeholder:"WORD"`
	Review   time.Time   `help:"By when somebody must look at it again." required:"" format:"2006-01-02" placeholder:"YYYY-MM-DD"`
	Case     string      `help:"A name that joins several holds." placeholder:"TEXT"`
	Note     string      `help:"What else is to be known." placeholder:"TEXT"`
	Owner    ids.User    `help:"The user who answers for it; without one, the operator." placeholder:"ID"`
}

// Run makes a hold.
func (c *holdAdd) Run(ctx context.Context, t *Terminal) error {
	h, err := call(ctx, t, &c.where, admin.HoldAdd, admin.NewHold{
		Customer: c.Customer, Address: c.Person, Message: c.Message, Case: c.Case, Ground: hold.Ground(c.Ground), Note: c.Note, Owner: c.Owner, Review: c.Review,
	})
	return t.held(c.JSON, h, err, "holds; it keeps %d records by now")
}

// held prints what became of a hold.
func (t *Terminal) held(json bool, h admin.Hold, err error, done string, args ...any) error {
	if err != nil {
		return err
	}
	if json {
		return t.answer(h)
	}
	if args == nil {
		args = []any{h.Records}
	}
	return t.say("%s "+done+".", append([]any{h.ID}, args...)...)
}

type holdList struct {
	reader
	where
	Customer ids.Tenant `help:"Only this customer's." placeholder:"ID"`
}

// Run lists.
func (c *holdList) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.HoldList, admin.HoldRef{Customer: c.Customer})
	if err != nil {
		return err
	}
	late := false
	var rows [][]string
	for _, h := range list {
		state := "holds"
		switch {
		case !h.Released.IsZero():
			state = "released"
		case h.Overdue:
			state, late = "not reviewed", true
		}
		rows = append(rows, []string{h.ID.String(), state, string(h.Kind), h.Of, h.Case, string(h.Ground), moment(h.Review), strconv.Itoa(h.Records), h.Customer.String()})
	}
	switch {
	case c.JSON:
		err = t.answer(list)
	case len(list) > 0:
		err = t.table("HOLD|STATE|KIND|OF|CASE|GROUND|REVIEW BY|RECORDS|CUSTOMER", rows)
	default:
		err = t.say("Nothing is held.")
	}
	if err == nil && late {
		return errNo
	}
	return err
}

type oneHold struct {
	where
	ID ids.Hold `arg:"" help:"The hold."`
}

type holdRead struct {
	oneHold
	Out string `help:"The file to write; without it standard output." placeholder:"FILE"`
}

// Run writes what a hold keeps.
func (c *holdRead) Run(ctx context.Context, t *Terminal) error {
	return save(ctx, t, &c.where, admin.HoldRead, admin.HoldRef{ID: c.ID}, c.Out)
}

type holdReview struct {
	reader
	oneHold
	Next time.Time `help:"The next date." required:"" format:"2006-01-02" placeholder:"YYYY-MM-DD"`
}

// Run reviews.
func (c *holdReview) Run(ctx context.Context, t *Terminal) error {
	h, err := call(ctx, t, &c.where, admin.HoldReview, admin.HoldRef{ID: c.ID, Review: c.Next})
	return t.held(c.JSON, h, err, "holds on; it is to be reviewed by %s", moment(h.Review))
}

type holdRelease struct {
	reader
	oneHold
}

// Run releases.
func (c *holdRelease) Run(ctx context.Context, t *Terminal) error {
	h, err := call(ctx, t, &c.where, admin.HoldRelease, admin.HoldRef{ID: c.ID})
	return t.held(c.JSON, h, err, "is released at %s; what it kept goes at the next pass", moment(h.Released))
}

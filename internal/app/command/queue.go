package command

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
)

type queueCommands struct {
	List    queueList    `cmd:"" help:"List recipients that are not delivered yet, oldest first."`
	Retry   queueRetry   `cmd:"" help:"Try now."`
	Fail    queueFail    `cmd:"" help:"Give up: the sender is told."`
	Hold    queueHold    `cmd:"" help:"Set aside until somebody releases."`
	Release queueRelease `cmd:"" help:"Let go what was held."`
	Pause   queuePause   `cmd:"" help:"Stop deliveries of a customer or to a domain."`
	Resume  queueResume  `cmd:"" help:"End a pause."`
	Pauses  queuePauses  `cmd:"" help:"List the pauses."`
}

type queueList struct {
	reader
	where
	Customer ids.Tenant    `help:"Of this customer." placeholder:"ID"`
	State    string        `help:"In this state: ready, leased, held or paused." enum:"ready,leased,held,paused," default:"" placeholder:"STATE"`
	Domain   string        `help:"To this domain." placeholder:"DOMAIN"`
	After    ids.Recipient `help:"From behind this one on." placeholder:"ID"`
	Limit    int           `help:"At most so many." default:"100"`
}

// Run lists one page.
func (c *queueList) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.QueueList, admin.QueueFilter{Customer: c.Customer, State: c.State, Domain: c.Domain, After: c.After, Limit: c.Limit})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(list)
	}
	return t.items(list)
}

func (t *Terminal) items(list []admin.Item) error {
	if len(list) == 0 {
		return t.say("Nothing is waiting.")
	}
	var rows [][]string
	for _, x := range list {
		why := x.Why
		if why == "" {
			why = x.LastReply
		}
		rows = append(rows, []string{x.ID.String(), x.Message.String(), x.Recipient, x.State, strconv.Itoa(x.Attempts), moment(x.Due), why})
	}
	return t.table("RECIPIENT|MESSAGE|TO|STATE|TRIES|NEXT|WHY", rows)
}

func moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format("2006-01-02 15:04:05")
}

// chosen names what an operation acts on.
type chosen struct {
	reader
	where
	IDs      []ids.Recipient `arg:"" optional:"" name:"id" help:"Recipients by id, as the list shows them."`
	Message  ids.Message     `help:"All recipients of this message." placeholder:"ID"`
	Domain   string          `help:"All recipients of this domain." placeholder:"DOMAIN"`
	Customer ids.Tenant      `help:"Only of this customer." placeholder:"ID"`
	All      bool            `help:"Everything that is waiting."`
	Reason   string          `help:"Why, for those who look at the message later." placeholder:"TEXT"`
}

func (c *chosen) run(ctx context.Context, t *Terminal, op admin.Op[admin.Selection, admin.Count], done string) error {
	if len(c.IDs) == 0 && c.Message == 0 && c.Domain == "" && !c.All {
		return usage(fault.New(fault.Invalid, "Say which: ids, --message, --domain or --all."))
	}
	n, err := call(ctx, t, &c.where, op, admin.Selection{Customer: c.Customer, IDs: c.IDs, Message: c.Message, Domain: c.Domain, Everything: c.All, Reason: c.Reason})
	if err != nil {
		return err
	}
	if c.JSON {
		err = t.answer(n)
	} else {
		err = t.say("%d %s.", n.Count, done)
	}
	if err == nil && n.Count == 0 {
		return errNo // nothing was there to act on
	}
	return err
}

type (
	queueRetry   struct{ chosen }
	queueFail    struct{ chosen }
	queueHold    struct{ chosen }
	queueRelease struct{ chosen }
)

// Run tries now.
func (c *queueRetry) Run(ctx context.Context, t *Terminal) error {
	return c.run(ctx, t, admin.QueueRetry, "will be tried now")
}

// Run gives up.
func (c *queueFail) Run(ctx context.Context, t *Terminal) error {
	return c.run(ctx, t, admin.QueueFail, "failed; their senders are told")
}

// Run sets aside.
func (c *queueHold) Run(ctx context.Context, t *Terminal) error {
	return c.run(ctx, t, admin.QueueHold, "held")
}

// Run lets go.
func (c *queueRelease) Run(ctx context.Context, t *Terminal) error {
	return c.run(ctx, t, admin.QueueRelease, "released")
}

type queuePause struct {
	reader
	where
	Customer ids.Tenant `help:"Of this customer." placeholder:"ID"`
	Domain   string     `help:"To this domain." placeholder:"DOMAIN"`
	Reason   string     `help:"Why, for those who look at the queue." required:"" placeholder:"TEXT"`
}

// Run begins a pause.
func (c *queuePause) Run(ctx context.Context, t *Terminal) error {
	if c.Customer == 0 && c.Domain == "" {
		return usage(fault.New(fault.Invalid, "Say what to pause: --customer, --domain or both."))
	}
	p, err := call(ctx, t, &c.where, admin.QueuePause, admin.Pause{Customer: c.Customer, Domain: c.Domain, Reason: c.Reason})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(p)
	}
	return t.say("Paused as %s.", p.ID)
}

type queueResume struct {
	reader
	where
	ID     ids.Job `arg:"" optional:"" help:"The pause's id."`
	Domain string  `help:"Every pause of this domain." placeholder:"DOMAIN"`
}

// Run ends pauses.
func (c *queueResume) Run(ctx context.Context, t *Terminal) error {
	if c.ID == 0 && c.Domain == "" {
		return usage(fault.New(fault.Invalid, "Say which pause: its id or --domain."))
	}
	n, err := call(ctx, t, &c.where, admin.QueueResume, admin.Pause{ID: c.ID, Domain: c.Domain})
	if fault.Is(err, fault.NotFound) {
		fmt.Fprintln(t.Err, "No such pause is there.")
		return errNo
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(n)
	}
	return t.say("%d resumed.", n.Count)
}

type queuePauses struct {
	reader
	where
}

// Run lists pauses.
func (c *queuePauses) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.QueuePauses, admin.MessageRef{})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(list)
	}
	if len(list) == 0 {
		return t.say("Nothing is paused.")
	}
	var rows [][]string
	for _, p := range list {
		customer, domain := "every", "every"
		if p.Customer != 0 {
			customer = p.Customer.String()
		}
		if p.Domain != "" {
			domain = p.Domain
		}
		rows = append(rows, []string{p.ID.String(), customer, domain, moment(p.At), p.Reason})
	}
	return t.table("PAUSE|CUSTOMER|DOMAIN|SINCE|REASON", rows)
}

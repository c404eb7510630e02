package command

import (
	"context"
	"fmt"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
)

type messageCommands struct {
	List   messageList   `cmd:"" help:"List messages, newest first."`
	Show   messageShow   `cmd:"" help:"Show what happened to a message."`
	Delete messageDelete `cmd:"" help:"Delete a message's record, and its recipients that are not delivered yet."`
}

type messageList struct {
	reader
	where
	Customer  ids.Tenant  `help:"Of this customer." placeholder:"ID"`
	Recipient string      `help:"To this address." placeholder:"ADDRESS"`
	Sender    string      `help:"From this address." placeholder:"ADDRESS"`
	Subject   string      `help:"With these words in the subject, as they stand in it, in any case." placeholder:"WORDS"`
	Before    ids.Message `help:"Older than this one." placeholder:"ID"`
	Limit     int         `help:"At most so many, 200 at most." default:"50"`
}

// Run lists one page.
func (c *messageList) Run(ctx context.Context, t *Terminal) error {
	page, err := call(ctx, t, &c.where, admin.MessageList, admin.MessageFilter{
		Customer: c.Customer, Recipient: c.Recipient, Sender: c.Sender, Subject: c.Subject, Before: c.Before, Limit: c.Limit,
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(page.Items)
	}
	if len(page.Items) == 0 {
		return t.say("No message matches.")
	}
	var rows [][]string
	for _, m := range page.Items {
		to := ""
		if len(m.Recipients) > 0 {
			to = m.Recipients[0]
		}
		if n := len(m.Recipients); n > 1 {
			to += fmt.Sprintf(" +%d", n-1)
		}
		rows = append(rows, []string{moment(m.At), m.ID.String(), m.State, m.Sender, to, m.Subject})
	}
	if err := t.table("TIME|MESSAGE|STATE|FROM|TO|SUBJECT", rows); err != nil || page.Next == 0 {
		return err
	}
	return t.say("There may be more: --before %s", page.Next)
}

type oneMessage struct {
	reader
	where
	Message ids.Message `arg:"" help:"The message's id."`
}

type messageShow struct{ oneMessage }

// Run prints the timeline.
func (c *messageShow) Run(ctx context.Context, t *Terminal) error {
	m, err := call(ctx, t, &c.where, admin.MessageShow, admin.MessageRef{Message: c.Message})
	if err != nil {
		return t.gone(err)
	}
	if c.JSON {
		return t.answer(m)
	}
	var rows [][]string
	for _, e := range m.Events {
		rows = append(rows, []string{moment(e.At), e.Kind, e.Recipient, e.Reply, hand(e)})
	}
	if err := t.table("TIME|WHAT|RECIPIENT|REPLY|BY HAND", rows); err != nil || len(m.Queued) == 0 {
		return err
	}
	if err := t.say(""); err != nil {
		return err
	}
	return t.items(m.Queued)
}

// hand says who acted and why, or why it is held.
func hand(e admin.Event) string {
	if e.Actor != "" && e.Reason != "" {
		return e.Actor + ": " + e.Reason
	}
	return e.Actor + e.Reason
}

// gone makes "not there" the answer no.
func (t *Terminal) gone(err error) error {
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	text, _ := fault.Public(err)
	fmt.Fprintln(t.Err, text)
	return errNo
}

type messageDelete struct{ oneMessage }

// Run deletes.
func (c *messageDelete) Run(ctx context.Context, t *Terminal) error {
	d, err := call(ctx, t, &c.where, admin.MessageErase, admin.MessageRef{Message: c.Message})
	if err != nil {
		return t.gone(err)
	}
	if c.JSON {
		return t.answer(d)
	}
	return t.say("Deleted %d events; %d recipients will not be tried any more.", d.Events, d.Cancelled)
}

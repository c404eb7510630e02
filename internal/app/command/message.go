package command

import (
	"context"
	"fmt"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
)

type messageCommands struct {
	Show   messageShow   `cmd:"" help:"Show what happened to a message."`
	Delete messageDelete `cmd:"" help:"Delete a message's record, and its recipients that are not delivered yet."`
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

package command

import (
	"context"
	"strconv"

	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
)

type alertCommands struct {
	List        alertList        `cmd:"" help:"What must be looked at now, newest first; exit 1 if nobody has seen one of them."`
	Acknowledge alertAcknowledge `cmd:"" help:"Say that an alert has been seen."`
}

type alertList struct {
	reader
	where
}

// Run lists.
func (c *alertList) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.AlertList, struct{}{})
	if err != nil {
		return err
	}
	unseen := false
	var rows [][]string
	for _, a := range list {
		unseen = unseen || a.Acknowledged.IsZero()
		rows = append(rows, []string{a.ID.String(), string(a.Kind), moment(a.First), strconv.Itoa(a.Times), moment(a.Acknowledged), a.Text})
	}
	switch {
	case c.JSON:
		err = t.answer(list)
	case len(list) > 0:
		err = t.table("ID|KIND|SINCE|TIMES|SEEN|TEXT", rows)
	default:
		err = t.say("Nothing must be looked at.")
	}
	if err == nil && unseen {
		return errNo
	}
	return err
}

type alertAcknowledge struct {
	reader
	where
	ID ids.Alert `arg:"" help:"The alert."`
}

// Run acknowledges.
func (c *alertAcknowledge) Run(ctx context.Context, t *Terminal) error {
	a, err := call(ctx, t, &c.where, admin.AlertAcknowledge, admin.AlertRef{ID: c.ID})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(a)
	}
	return t.say("%s is seen. What to do: %s", a.ID, a.Runbook)
}

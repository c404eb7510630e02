package command

import (
	"context"
	"strconv"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
)

type onwardCommands struct {
	List   noticeList   `cmd:"" help:"List them, newest first; exit 1 if one was not acknowledged in time."`
	Retry  noticeRetry  `cmd:"" help:"Tell an endpoint again now."`
	Settle noticeSettle `cmd:"" help:"Say that an endpoint was told by other means."`
}

type noticeList struct {
	reader
	where
	Customer ids.Tenant `help:"Only this customer's." placeholder:"ID"`
	Open     bool       `help:"Only those that are not acknowledged yet."`
}

// Run lists.
func (c *noticeList) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.OnwardList, admin.OnwardOf{Customer: c.Customer, Open: c.Open})
	if err != nil {
		return err
	}
	late := false
	var rows [][]string
	for _, n := range list {
		late = late || n.Late
		state := string(n.State)
		if n.Late {
			state = "late"
		}
		rows = append(rows, []string{n.ID.String(), n.Event, state, n.Host, n.Due.UTC().Format(time.DateOnly), strconv.Itoa(n.Attempts), strconv.Itoa(n.Status), n.Customer.String()})
	}
	switch {
	case c.JSON:
		err = t.answer(list)
	case len(list) > 0:
		err = t.table("NOTICE|EVENT|STATE|HOST|DUE|ATTEMPTS|LAST ANSWER|CUSTOMER", rows)
	default:
		err = t.say("There are none.")
	}
	if err == nil && late {
		return errNo
	}
	return err
}

type oneNotice struct {
	reader
	where
	ID ids.Onward `arg:"" help:"The notice."`
}

func (t *Terminal) notice(json bool, n admin.OnwardNotice, err error) error {
	if err != nil {
		return err
	}
	if json {
		return t.answer(n)
	}
	return t.say("%s is %s.", n.ID, n.State)
}

type noticeRetry struct{ oneNotice }

// Run makes it due.
func (c *noticeRetry) Run(ctx context.Context, t *Terminal) error {
	n, err := call(ctx, t, &c.where, admin.OnwardRetry, admin.OnwardRef{ID: c.ID})
	return t.notice(c.JSON, n, err)
}

type noticeSettle struct{ oneNotice }

// Run ends it.
func (c *noticeSettle) Run(ctx context.Context, t *Terminal) error {
	n, err := call(ctx, t, &c.where, admin.OnwardSettle, admin.OnwardRef{ID: c.ID})
	return t.notice(c.JSON, n, err)
}

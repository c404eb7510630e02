package command

import (
	"context"
	"strconv"

	"mailvow/internal/door/admin"
	"mailvow/internal/protect/retain"
)

type retentionCommand struct {
	reader
	where
}

// Run shows what was purged and what is due; a period that is not kept is the
// answer no.
func (c *retentionCommand) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.RetentionList, struct{}{})
	if err != nil {
		return err
	}
	bad := false
	var rows [][]string
	for _, k := range list {
		bad = bad || k.Status == retain.Failing || k.Status == retain.Overdue
		gone := ""
		if !k.Gone.IsZero() {
			gone = strconv.Itoa(k.Purged) + " at " + moment(k.Gone)
		}
		rows = append(rows, []string{k.Category, string(k.Status), k.Period, moment(k.Oldest), moment(k.Due), moment(k.Ran), gone, strconv.Itoa(k.Total), k.Problem})
	}
	if c.JSON {
		err = t.answer(list)
	} else {
		err = t.table("CATEGORY|STATUS|PERIOD|OLDEST|DUE|LAST RUN|LAST PURGED|TOTAL|PROBLEM", rows)
	}
	if err == nil && bad {
		return errNo
	}
	return err
}

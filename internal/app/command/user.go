package command

import (
	"context"

	"mailvow/internal/door/admin"
)

type userCommands struct {
	Link userLink `cmd:"" help:"Make a link that signs a user in once, at the running server; the making is in the evidence log."`
}

type userLink struct {
	reader
	where
	Address string `arg:"" help:"The user's address."`
}

// Run prints a new link.
func (c *userLink) Run(ctx context.Context, t *Terminal) error {
	link, err := call(ctx, t, &c.where, admin.UserLink, admin.UserRef{Address: c.Address})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(link)
	}
	return t.say("Signs in once, until %s UTC:\n  %s", moment(link.Until), link.URL)
}

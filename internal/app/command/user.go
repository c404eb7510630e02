package command

import (
	"context"

	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
	"mailvow/internal/protect/access"
)

type userCommands struct {
	Add  userAdd  `cmd:"" help:"Add a user, and make a link that signs them in once. A custodian, who alone opens what a law wants kept of SMTP conversations, is appointed only here."`
	Link userLink `cmd:"" help:"Make a link that signs a user in once, at the running server; the making is in the evidence log."`
}

type userAdd struct {
	reader
	where
	Address  string      `arg:"" help:"The user's address."`
	Name     string      `required:"" help:"What they are called." placeholder:"NAME"`
	Role     access.Role `required:"" help:"operator or custodian of the operator's people; owner, admin, developer or viewer of a customer's." placeholder:"ROLE"`
	Customer ids.Tenant  `help:"Whose user; without it one of the operator's people." placeholder:"ID"`
}

// Run adds and prints a link.
func (c *userAdd) Run(ctx context.Context, t *Terminal) error {
	link, err := call(ctx, t, &c.where, admin.UserAdd, admin.NewUser{Address: c.Address, Name: c.Name, Role: c.Role, Customer: c.Customer})
	if err != nil {
		return err
	}
	return c.print(t, link)
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
	return c.print(t, link)
}

func (c *reader) print(t *Terminal, link admin.SignInLink) error {
	if c.JSON {
		return t.answer(link)
	}
	return t.say("Signs in once, until %s UTC:\n  %s", moment(link.Until), link.URL)
}

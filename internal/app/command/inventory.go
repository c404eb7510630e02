package command

import (
	"errors"
	"io/fs"
	"os"

	"mailvow/internal/app/config"
	"mailvow/internal/app/stored"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/policy"
)

// usualConfig is where the flag --config points unless it is given.
const usualConfig = "/etc/mailvow/mailvow.yaml"

type inventoryCommand struct {
	reader
	where
	Markdown bool   `help:"Print Markdown."`
	Server   string `help:"Whose record it is." default:"this server" placeholder:"NAME"`
	Region   string `help:"Where it stands." default:"local" placeholder:"LABEL"`
}

// Run prints the record of processing.
func (c *inventoryCommand) Run(t *Terminal) error {
	i, err := c.inForce(t)
	if err != nil {
		return err
	}
	format := inventory.Table
	switch {
	case c.JSON:
		format = inventory.JSON
	case c.Markdown:
		format = inventory.Markdown
	}
	return i.Record(t.Out, format, inventory.Holder{Server: c.Server, Region: c.Region})
}

// inForce reads the server's configuration for its periods. Without a file they
// are those of a server that sets none; a file that was named must be there.
func (c *inventoryCommand) inForce(t *Terminal) (*inventory.Inventory, error) {
	set, err := config.Load(c.Config, t.Environ)
	if _, missing := os.Stat(c.Config); c.Dir != "" || (c.Config == usualConfig && errors.Is(missing, fs.ErrNotExist)) {
		set, err = config.Default(), nil
	}
	if err != nil {
		return nil, err
	}
	begun, err := policy.FindProfile(set.Policy.Profile)
	if err != nil {
		return nil, err
	}
	return stored.InForce(set, begun)
}

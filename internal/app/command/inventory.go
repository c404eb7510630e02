package command

import (
	"mailvow/internal/app/stored"
	"mailvow/internal/protect/inventory"
)

type inventoryCommand struct {
	reader
	Markdown bool   `help:"Print Markdown."`
	Server   string `help:"Whose record it is." default:"this server" placeholder:"NAME"`
	Region   string `help:"Where it stands." default:"local" placeholder:"LABEL"`
}

// Run prints the record of processing.
func (c *inventoryCommand) Run(t *Terminal) error {
	i, err := stored.Inventory()
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

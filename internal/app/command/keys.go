package command

import (
	"context"
	"path/filepath"

	"mailvow/internal/door/admin"
)

type keysCommands struct {
	Rotate keysRotate `cmd:"" help:"Give every customer a new key, or wrap all keys under another key-encryption key, while the server runs."`
}

type keysRotate struct {
	reader
	where
	KEK string `name:"kek" help:"The file of the new key-encryption key; it is made if it is not there." placeholder:"NEWFILE"`
}

// Run rotates.
func (c *keysRotate) Run(ctx context.Context, t *Terminal) error {
	file := c.KEK
	if file != "" {
		var err error
		if file, err = filepath.Abs(file); err != nil {
			return usage(err)
		}
	}
	n, err := call(ctx, t, &c.where, admin.KeysRotate, admin.Rotation{KEK: file})
	if err != nil {
		return err
	}
	switch {
	case c.JSON:
		return t.answer(n)
	case file != "":
		return t.say("Every key is wrapped under %s.\nBefore the next start, set data.kek to it; put the old file under data.kek_former only to open older backups of the key store.", file)
	}
	return t.say("%d keys were rotated; the old ones are destroyed in five minutes.", n.Count)
}

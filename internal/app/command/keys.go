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
	KEK   string `name:"kek" help:"The file of the new key-encryption key; it is made if it is not there." placeholder:"NEWFILE"`
	Learn bool   `help:"Only let this server open what another node wraps under the new key: run this on every node before the first one rotates."`
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
	n, err := call(ctx, t, &c.where, admin.KeysRotate, admin.Rotation{KEK: file, Learn: c.Learn})
	if err != nil {
		return err
	}
	switch {
	case c.JSON:
		return t.answer(n)
	case c.Learn:
		return t.say("This server opens what is wrapped under %s.\nName the file in data.kek_former until every node has rotated, so that a restart does not forget it.", file)
	case file != "":
		return t.say("Every key is wrapped under %s.\nBefore the next start, set data.kek to it; put the old file under data.kek_former only to open older backups of the key store.", file)
	}
	return t.say("%d keys were rotated; the old ones are destroyed in five minutes.", n.Count)
}

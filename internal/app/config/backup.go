package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"
)

func (c *Config) checkBackup() error {
	b := &c.Backup
	if !b.Configured() {
		if len(b.Recipients) > 0 || b.Newest.Configured() {
			return fmt.Errorf("backup: say where backups go, by dir or s3")
		}
		return nil
	}
	if len(b.Recipients) == 0 {
		return fmt.Errorf("backup.recipients names nobody who could open a backup; give the public key that age-keygen prints")
	}
	for _, r := range b.Recipients {
		if list, err := age.ParseRecipients(strings.NewReader(r)); err != nil || len(list) != 1 {
			return fmt.Errorf("backup.recipients: an entry is no public key of age; write one such as age1…, and never the AGE-SECRET-KEY")
		}
	}
	if err := c.checkBucket("backup.s3", (*S3)(b.S3)); err != nil {
		return err
	}
	if err := c.checkBucket("backup.newest.s3", (*S3)(b.Newest.S3)); err != nil {
		return err
	}
	return c.checkApart()
}

// checkApart: whoever has a backup has no key, and nothing holds itself.
func (c *Config) checkApart() error {
	b := &c.Backup
	folders := slices.DeleteFunc([][2]string{{"data.dir", c.Data.Dir}, {"backup.dir", b.Dir}, {"backup.newest.dir", b.Newest.Dir}}, func(f [2]string) bool { return f[1] == "" })
	for i, z := range folders {
		for _, a := range folders[:i] {
			if inside(a[1], z[1]) || inside(z[1], a[1]) {
				return fmt.Errorf("%s and %s lie in one another; give each a folder of its own", a[0], z[0])
			}
		}
	}
	if n := b.Newest.S3; n != nil {
		for name, other := range map[string]*S3{"data.s3": c.Data.S3, "backup.s3": (*S3)(b.S3)} {
			if other != nil && n.Endpoint == other.Endpoint && n.Bucket == other.Bucket {
				return fmt.Errorf("backup.newest.s3 and %s are the same bucket; keep keys apart, so that a copy of the data opens nothing", name)
			}
		}
	}
	return nil
}

func inside(a, b string) bool {
	below, err := filepath.Rel(b, a)
	return err == nil && below != ".." && !strings.HasPrefix(below, "../")
}

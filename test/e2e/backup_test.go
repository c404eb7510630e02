package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	agefile "filippo.io/age"
)

// backed is a site with backups and the file of the operator's identity.
func backed(t *testing.T, w world) (x *site, identity string) {
	t.Helper()
	mine, err := agefile.GenerateX25519Identity()
	must(t, err)
	w.backup = mine.Recipient().String()
	x = newSite(t, w)
	x.write(t, "identity", []byte("# the operator's\n"+mine.String()+"\n"))
	return x, filepath.Join(x.dir, "identity")
}

// backUp makes a backup; the schedule's own may be under way.
func (x *site) backUp(t *testing.T) (id string) {
	t.Helper()
	eventually(t, "a backup is made", func() bool {
		out, said, err := x.run(t, []string{"backup", "now", "--json"})
		if err != nil && !strings.Contains(said, "under way") {
			t.Fatal(said)
		}
		var made struct {
			ID string `json:"id"`
		}
		return err == nil && json.Unmarshal([]byte(out), &made) == nil && strings.HasPrefix(made.ID, "bak_") && set(&id, made.ID)
	})
	return id
}

func set(to *string, v string) bool { *to = v; return true }

// found is how many records are held about a person.
func (x *site) found(t *testing.T, who string) (n int) {
	t.Helper()
	out, said, err := x.run(t, []string{"subject", "find", "--json", who})
	if err != nil && said != "" { // nothing found is the answer no
		t.Fatal(said)
	}
	d := json.NewDecoder(strings.NewReader(out))
	for d.More() {
		var one struct {
			Count int `json:"count"`
		}
		must(t, d.Decode(&one))
		n += one.Count
	}
	return n
}

// lose destroys the machine but for configuration, key-encryption key and where
// the backups lie.
func (x *site) lose(t *testing.T) {
	t.Helper()
	must(t, os.RemoveAll(filepath.Join(x.dir, "data")))
	must(t, os.RemoveAll(filepath.Join(x.dir, "keys")))
}

// untouched reports that nothing of the data was brought back.
func (x *site) untouched(t *testing.T, after string) {
	t.Helper()
	for _, dir := range []string{"data/db", "data/blobs", "data/db.unfinished", "keys"} {
		if list, err := os.ReadDir(filepath.Join(x.dir, dir)); err == nil && len(list) > 0 {
			t.Errorf("after %s, %s holds %d files", after, dir, len(list))
		}
	}
}

// TestRestoreOnAnEmptyMachine backs up, erases a person, loses the machine and
// brings back the backup from before the erasure: the person stays erased, the
// other one's waiting mail is there.
func TestRestoreOnAnEmptyMachine(t *testing.T) {
	t.Parallel()
	x, identity := backed(t, smarthost("127.0.0.1:1")) // nobody answers: mail waits
	s := x.serve(t)
	c := submit(t, x.demo)
	c.want("250 2.0.0", c.send("you@demo.example", []byte(letter("ada@example.net", "one")), "ada@example.net"))
	c.want("250 2.0.0", c.send("you@demo.example", []byte(letter("bob@example.net", "two")+strings.Repeat("a line that fills the blob store\r\n", 20_000)), "bob@example.net"))
	eventually(t, "both are found", func() bool { return x.found(t, "ada@example.net") > 0 && x.found(t, "bob@example.net") > 0 })
	id := x.backUp(t)
	if out := x.command(t, "backup", "verify", id); !strings.Contains(out, "holds") {
		t.Errorf("verify said %q", out)
	}
	x.command(t, "subject", "erase", "ada@example.net")
	if n := x.found(t, "ada@example.net"); n != 0 {
		t.Fatalf("%d records of the erased person are left", n)
	}
	bob := x.found(t, "bob@example.net")
	s.stop(t)
	x.lose(t)

	other, err := agefile.GenerateX25519Identity()
	must(t, err)
	x.write(t, "other", []byte(other.String()+"\n"))
	if said := x.refused(t, "backup", "restore", "--identity", filepath.Join(x.dir, "other")); !strings.Contains(said, "The identity does not open this backup") || !strings.Contains(said, "hint:") {
		t.Errorf("another identity: %s", said)
	}
	x.untouched(t, "another identity")
	x.damage(t, identity, id)

	out := x.command(t, "backup", "restore", "--json", "--identity", identity, id)
	var done struct {
		Backup  string   `json:"backup"`
		Bodies  int      `json:"bodies"`
		Streams []string `json:"streams"`
	}
	if err := json.Unmarshal([]byte(out), &done); err != nil || done.Backup != id || done.Bodies != 1 || len(done.Streams) != 3 {
		t.Errorf("%+v %v", done, err)
	}
	if said := x.refused(t, "backup", "restore", "--identity", identity); !strings.Contains(said, "a restore replaces nothing") {
		t.Errorf("over what is there: %s", said)
	}
	s = x.serve(t)
	if n := x.found(t, "ada@example.net"); n != 0 {
		t.Errorf("%d records of the erased person came back", n)
	}
	if n := x.found(t, "bob@example.net"); n != bob {
		t.Errorf("%d records of the other one, there were %d", n, bob)
	}
	if list := queue(t, s); len(list) != 1 || list[0].Recipient != "bob@example.net" {
		t.Errorf("the queue holds %+v", list)
	}
	log := x.command(t, "evidence", "export")
	for _, act := range []string{`backup.made`, `"kind":"restore"`} {
		if !strings.Contains(log, act) {
			t.Errorf("the evidence log has no %s", act)
		}
	}
	s.stop(t)
}

// damage takes a chunk away, then changes it: neither is brought back.
func (x *site) damage(t *testing.T, identity, id string) {
	t.Helper()
	chunks, err := filepath.Glob(filepath.Join(x.dir, "backups", "chunks", "*", "*"))
	must(t, err)
	if len(chunks) < 5 {
		t.Fatalf("there are %d chunks", len(chunks))
	}
	for _, name := range chunks {
		good, err := os.ReadFile(name)
		must(t, err)
		must(t, os.Remove(name))
		_, said, err := x.run(t, []string{"backup", "restore", "--identity", identity, id})
		if err == nil { // only another backup uses this one
			x.lose(t)
			must(t, os.WriteFile(name, good, 0o600))
			continue
		}
		if !strings.Contains(said, "is missing") {
			t.Errorf("a missing chunk: %s", said)
		}
		good[len(good)-1] ^= 1
		must(t, os.WriteFile(name, good, 0o600))
		if said := x.refused(t, "backup", "restore", "--identity", identity, id); !strings.Contains(said, "a file of it was changed") {
			t.Errorf("a changed chunk: %s", said)
		}
		good[len(good)-1] ^= 1
		must(t, os.WriteFile(name, good, 0o600))
		x.untouched(t, "damage")
		return
	}
	t.Error("no chunk is missed")
}

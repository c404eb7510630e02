package e2e

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

// ends starts a server that must not start, and gives what it says.
func (x *site) ends(t *testing.T) string {
	t.Helper()
	s, _ := start(t, nil, "serve", "--config", x.config)
	<-s.done
	if s.cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("it ended with %v", s.cmd.ProcessState)
	}
	s.err = nil
	return strings.ReplaceAll(s.log.String(), x.dir, "DIR")
}

// TestBadStarts: a server that cannot work does not start, and says what to do.
func TestBadStarts(t *testing.T) {
	t.Parallel()
	for _, b := range []struct {
		name  string
		spoil func(t *testing.T, x *site)
		want  string
	}{
		{"a setting that does not exist", func(t *testing.T, x *site) {
			b, err := os.ReadFile(x.config)
			must(t, err)
			x.write(t, "mailvow.yaml", append(b, "\nlogging: true\n"...))
		}, `unknown field "logging"`},
		{"no configuration", func(t *testing.T, x *site) { must(t, os.Remove(x.config)) }, "mailvow.yaml"},
		{"a key file with another key", func(t *testing.T, x *site) {
			other := newSite(t, world{})
			d := dev(t, filepath.Join(other.dir, "new"))
			d.stop(t)
			b, err := os.ReadFile(filepath.Join(other.dir, "new", "kek"))
			must(t, err)
			x.write(t, "kek", b)
		}, "A key in the key store was wrapped by another key-encryption key."},
		{"a key file that is none", func(t *testing.T, x *site) { x.write(t, "kek", []byte("hello\n")) },
			"The file is no key file of mailvow"},
		{"no key file", func(t *testing.T, x *site) { must(t, os.Remove(filepath.Join(x.dir, "kek"))) },
			"The key file does not exist."},
		{"a key file that others can read", func(t *testing.T, x *site) { must(t, os.Chmod(filepath.Join(x.dir, "kek"), 0o644)) },
			"The key file has mode 0644: others can reach it.\n  hint: chmod 600 DIR/kek"},
		{"a database of a newer version", newer, "The database was written by a newer version of Mailvow.\n  hint: Start the newer version again, or restore a backup that this version wrote."},
		{"a second process on the folder", func(t *testing.T, x *site) {
			x.serve(t)
			b, err := os.ReadFile(x.config)
			must(t, err)
			x.write(t, "second.yaml", []byte(strings.NewReplacer(x.demo.MX, port(t, "127.0.0.1"), x.demo.Submission, port(t, "127.0.0.1"),
				x.demo.Submissions, port(t, "127.0.0.1"), x.demo.HTTP, port(t, "127.0.0.1")).Replace(string(b))))
			x.config = filepath.Join(x.dir, "second.yaml")
		}, "Another Mailvow is running on this data folder."},
		{"a port that is taken", func(t *testing.T, x *site) {
			other := newSite(t, world{})
			other.serve(t)
			b, err := os.ReadFile(x.config)
			must(t, err)
			x.write(t, "mailvow.yaml", []byte(strings.ReplaceAll(string(b), x.demo.MX, other.demo.MX)))
		}, "another program may listen there; change listen.mx or stop the other program"},
	} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			x := newSite(t, world{})
			b.spoil(t, x)
			if got := x.ends(t); !strings.Contains(got, b.want) {
				t.Errorf("it said %q, want %q", got, b.want)
			}
		})
	}
}

// newer makes the database look as if a later version had migrated it.
func newer(t *testing.T, x *site) {
	files, err := filepath.Glob(filepath.Join(x.dir, "data", "db", "*.db"))
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("the database is not one file: %v", files)
	}
	d, err := sql.Open("sqlite", files[0])
	must(t, err)
	defer d.Close()
	_, err = d.Exec("insert into keep_migration select package, number + 1, 'x', at from keep_migration where package = 'flow/queue' order by number desc limit 1")
	must(t, err)
}

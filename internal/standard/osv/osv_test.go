package osv_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mailvow/internal/base/fault"
	"mailvow/internal/standard/osv"
)

func read(t testing.TB, text string) ([]*osv.Record, error) {
	t.Helper()
	var list []*osv.Record
	err := osv.Read(strings.NewReader(text), int64(len(text)), func(r *osv.Record) error { list = append(list, r); return nil })
	return list, err
}

func one(t testing.TB, affected string) *osv.Record {
	t.Helper()
	list, err := read(t, `{"id":"X-1","modified":"2026-11-01T00:00:00Z","affected":[`+affected+`]}`)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	return list[0]
}

const ofNet = `{"package":{"ecosystem":"Go","name":"golang.org/x/net"},"ranges":[{"type":"SEMVER","events":[%s]}]}`

// TestAffects: the version is named or not, as the format's evaluation says.
func TestAffects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		events  string
		version string
		want    bool
	}{
		{`{"introduced":"0"},{"fixed":"0.38.0"}`, "0.37.9", true},
		{`{"introduced":"0"},{"fixed":"0.38.0"}`, "0.38.0", false},
		{`{"introduced":"0"},{"fixed":"0.38.0"}`, "0.100.0", false}, // numbers, not text
		{`{"introduced":"0"},{"fixed":"0.38.0"}`, "0.38.0-rc.1", true},
		{`{"introduced":"0"},{"fixed":"0.38.0"}`, "0.0.0-20201021035429-f5854403a974", true},
		{`{"introduced":"0"}`, "99.0.0", true},
		{`{"introduced":"1.2.0"},{"last_affected":"1.2.9"}`, "1.2.9", true},
		{`{"introduced":"1.2.0"},{"last_affected":"1.2.9"}`, "1.2.10", false},
		{`{"introduced":"1.2.0"},{"last_affected":"1.2.9"}`, "1.1.99", false},
		{`{"fixed":"1.9.0"},{"introduced":"1.8.0"},{"fixed":"1.5.0"},{"introduced":"1.4.0"}`, "1.4.3", true}, // in any order
		{`{"fixed":"1.9.0"},{"introduced":"1.8.0"},{"fixed":"1.5.0"},{"introduced":"1.4.0"}`, "1.6.0", false},
		{`{"fixed":"1.9.0"},{"introduced":"1.8.0"},{"fixed":"1.5.0"},{"introduced":"1.4.0"}`, "1.8.0", true},
		{`{"introduced":"1.0.0"},{"limit":"2.0.0"}`, "2.0.0", false},
		{`{"introduced":"0"},{"fixed":"1.0.0+incompatible"}`, "1.0.0", false}, // build metadata orders nothing
		{`{"introduced":"0"},{"fixed":"nonsense"}`, "1.0.0", true},            // what cannot be judged counts
		{`{"introduced":"0"},{"fixed":"2.0.0"}`, "devel", true},
		{`{"introduced":"3.0.0"}`, "2.0.0", false},
	} {
		r := one(t, fmt.Sprintf(ofNet, c.events))
		p := osv.Package{Ecosystem: osv.Go, Name: "golang.org/x/net", Version: c.version}
		if r.Affects(p) != c.want {
			t.Errorf("%s at %s: %v", c.events, c.version, !c.want)
		}
		p.Name = "golang.org/x/text"
		if r.Affects(p) || r.Names(p) {
			t.Errorf("%s names another package", c.events)
		}
		if p = (osv.Package{Ecosystem: osv.NPM, Name: "golang.org/x/net", Version: c.version}); r.Affects(p) {
			t.Errorf("%s names another ecosystem", c.events)
		}
	}
}

// TestVersions: a list of versions names those, and an entry that says nothing of
// versions names all; a withdrawn record and one of commits name none.
func TestVersions(t *testing.T) {
	t.Parallel()
	p := osv.Package{Ecosystem: osv.NPM, Name: "left-pad", Version: "1.3.0"}
	of := `{"package":{"ecosystem":"npm","name":"left-pad"}%s}`
	for text, want := range map[string]bool{
		``:                        true,
		`,"versions":["1.3.0"]`:   true,
		`,"versions":["v1.3.0"]`:  true,
		`,"versions":["1.3.0.1"]`: false,
		`,"versions":["1.2.0"],"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}]`:                          false,
		`,"versions":["1.2.0"],"ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0"},{"fixed":"1.3.1"}]}]`: true,
	} {
		if got := one(t, fmt.Sprintf(of, text)).Affects(p); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	list, err := read(t, `{"id":"X","modified":"2026-11-01T00:00:00Z","withdrawn":"2026-11-02T00:00:00Z","affected":[`+fmt.Sprintf(of, "")+`]}`)
	if err != nil || list[0].Affects(p) {
		t.Error("a withdrawn record names a version", err)
	}
}

// TestOneInterval: a version between two others of a range is named exactly when
// it lies between them.
func TestOneInterval(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(name string) [3]int {
			var v [3]int
			for i := range v {
				v[i] = rapid.IntRange(0, 12).Draw(rt, name)
			}
			return v
		}
		less := func(a, b [3]int) bool {
			for i := range a {
				if a[i] != b[i] {
					return a[i] < b[i]
				}
			}
			return false
		}
		text := func(v [3]int) string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }
		from, to, v := draw("from"), draw("to"), draw("version")
		if less(to, from) {
			from, to = to, from
		}
		if from == to {
			return
		}
		r := one(t, fmt.Sprintf(ofNet, `{"introduced":"`+text(from)+`"},{"fixed":"`+text(to)+`"}`))
		want := !less(v, from) && less(v, to)
		if got := r.Affects(osv.Package{Ecosystem: osv.Go, Name: "golang.org/x/net", Version: text(v)}); got != want {
			rt.Fatalf("%s in [%s, %s): %v", text(v), text(from), text(to), got)
		}
	})
}

// TestForms: one record, a list, lines and a zip are read alike.
func TestForms(t *testing.T) {
	t.Parallel()
	const a, b = `{"id":"A","modified":"2026-11-01T00:00:00Z"}`, `{"id":"B","database_specific":{"severity":"LOW"}}`
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	for name, text := range map[string]string{"A.json": a, "B.json": b, "README": "no record"} {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"lines": a + "\n" + b + "\n", "list": " [" + a + ", " + b + "]", "zip": zipped.String()} {
		if list, err := read(t, text); err != nil || len(list) != 2 {
			t.Errorf("%s: %d records, %v", name, len(list), err)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "spaces": " \n ", "empty list": "[]", "text": "hello", "no id": "{}", "cut short": a[:20], "list cut short": "[" + a + ",", "a number": "7",
		"a zip cut short": zipped.String()[:60], "huge": `{"id":"` + strings.Repeat("x", 2<<20) + `"}`,
	} {
		if list, err := read(t, text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %d records, %v", name, len(list), err)
		}
	}
}

// FuzzRead: any bytes are read within bounds, and whatever is read can be asked.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"id":"A","affected":[` + fmt.Sprintf(ofNet, `{"introduced":"0"},{"fixed":"1.0.0"}`) + `]}`))
	f.Add([]byte(`[{"id":"A"},{"id":"B","database_specific":[1]}]`))
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte(`{"id":"A","affected":[{"ranges":[{"events":[{},{"limit":"*"}]}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := osv.Read(bytes.NewReader(b), int64(len(b)), func(r *osv.Record) error {
			for _, a := range r.Affected {
				p := osv.Package{Ecosystem: osv.Ecosystem(a.Package.Ecosystem), Name: a.Package.Name, Version: "1.2.3"}
				if r.Affects(p) && !r.Names(p) {
					t.Errorf("%+v names a version and not the package", r)
				}
			}
			return nil
		})
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Error(err)
		}
	})
}

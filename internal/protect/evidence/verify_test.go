package evidence

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailvow/internal/base/fault"
)

// exported is a log of 260 leaves, four checkpoints and one rotation, as lines.
func exported(t *testing.T) (*bench, []string) {
	t.Helper()
	b := newBench(t)
	for _, n := range []int{1, 2, 256} {
		for range n {
			b.act()
		}
		b.integrate()
	}
	body, err := b.ring.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	b.put(body)
	b.integrate()
	text, _ := b.export()
	return b, slices.Collect(strings.Lines(text))
}

// TestTamperedExport changes an export in each way that would hide something.
func TestTamperedExport(t *testing.T) {
	t.Parallel()
	_, good := exported(t)
	last := len(good) - 1
	for name, change := range map[string]func(l []string) []string{
		"a leaf is missing":        func(l []string) []string { return slices.Delete(l, 4, 5) },
		"a leaf is doubled":        func(l []string) []string { return slices.Insert(l, 4, l[4]) },
		"two leaves change places": func(l []string) []string { l[8], l[9] = l[9], l[8]; return l },
		"a leaf is another":        func(l []string) []string { l[8] = strings.Replace(l[8], "operator", "owner", 1); return l },
		"a checkpoint comes early": func(l []string) []string { l[last], l[last-1] = l[last-1], l[last]; return l },
		"a checkpoint twice":       func(l []string) []string { return append(l, l[last]) },
		"leaves after the last":    func(l []string) []string { return append(l, l[4]) },
		"no head":                  func(l []string) []string { return l[1:] },
		"two heads":                func(l []string) []string { return slices.Insert(l, 1, l[0]) },
		"no checkpoint":            func(l []string) []string { return l[:1] },
		"nothing":                  func([]string) []string { return nil },
		"an empty line":            func(l []string) []string { return append(l, "\n") },
		"an empty object":          func(l []string) []string { return append(l, "{}\n") },
		"a field nobody knows":     func(l []string) []string { l[2] = strings.Replace(l[2], `{"`, `{"x":1,"`, 1); return l },
		"a signature is another":   func(l []string) []string { l[last] = strings.Replace(l[last], "— mail", "— nail", 2); return l },
		"the root is another":      func(l []string) []string { l[1] = strings.Replace(l[1], "47DEQ", "47DER", 1); return l },
		"a format of another time": func(l []string) []string { l[0] = strings.Replace(l[0], "v1", "v2", 1); return l },
		"the first key is no key":  func(l []string) []string { l[0] = strings.Replace(l[0], "+", "-", 1); return l },
		"a line over every bound":  func(l []string) []string { l[2] = strings.Repeat("x", 1<<20); return l },
		"the rotation is nobody's": func(l []string) []string {
			l[last-1] = strings.Replace(l[last-1], "\"old\":\"mail", "\"old\":\"nail", 1)
			return l
		},
		"the end is cut, as before": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check := LogCheck{}
			lines := slices.Clone(good)
			if change == nil { // a shorter log holds, unless somebody kept a checkpoint
				_, text, _ := strings.Cut(good[last], `{"checkpoint":"`)
				text, _, _ = strings.Cut(text, `"}`)
				check.Held = []string{strings.ReplaceAll(text, `\n`, "\n")}
				lines = lines[:last-1]
				if _, err := VerifyExport(strings.NewReader(strings.Join(lines, "")), LogCheck{}); err != nil {
					t.Fatal(err)
				}
			} else {
				lines = change(lines)
			}
			_, err := VerifyExport(strings.NewReader(strings.Join(lines, "")), check)
			if k := fault.KindOf(err); err == nil || (k != fault.Denied && k != fault.Invalid) {
				t.Fatalf("it verifies: %v", err)
			}
		})
	}
	if _, err := VerifyExport(strings.NewReader(strings.Join(good, "")), LogCheck{}); err != nil {
		t.Fatal(err)
	}
}

// TestForkIsSeen rewrites history with the real key: whoever kept a checkpoint,
// or holds a certificate with one, sees it.
func TestForkIsSeen(t *testing.T) {
	t.Parallel()
	b, _ := exported(t)
	kept, err := b.log.Reader().Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	forged := newBench(t) // the same first key, another past
	for range int(kept.Size) {
		forged.put(&Act{Act: "user.add"})
	}
	forged.integrate()
	text, _ := forged.export()
	if _, err := VerifyExport(strings.NewReader(text), LogCheck{Held: []string{kept.Text}}); !fault.Is(err, fault.Denied) {
		t.Fatal("the fork was not seen", err)
	}
	other, err := forged.log.Reader().Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyExport(strings.NewReader(text), LogCheck{Held: []string{kept.Text, other.Text}}); !fault.Is(err, fault.Denied) {
		t.Fatal("two checkpoints that contradict each other were not seen", err)
	}
}

func TestVerifyFile(t *testing.T) {
	t.Parallel()
	_, lines := exported(t)
	path := filepath.Join(t.TempDir(), "evidence.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := VerifyFile(t.Context(), path, LogCheck{})
	if err != nil || report.Size != 260 || report.Checkpoints != 5 || report.Kinds[KindAct] != 259 || len(report.Keys) != 2 || report.KeyTrusted {
		t.Fatalf("%+v %v", report, err)
	}
	if _, err := VerifyFile(t.Context(), path+".not", LogCheck{}); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
}

func FuzzVerifyExport(f *testing.F) {
	b := newBench(f)
	b.act()
	b.integrate()
	text, _ := b.export()
	f.Add(text)
	f.Fuzz(func(t *testing.T, text string) {
		report, err := VerifyExport(strings.NewReader(text), LogCheck{Trusted: b.ring.Keys()})
		if err == nil && report.Size > 1 {
			t.Fatalf("another log verifies: %q", text)
		}
	})
}

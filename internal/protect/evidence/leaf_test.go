package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/lab"
)

// oneOfEach gives a leaf of every kind, the same in every run.
func oneOfEach(t testing.TB) []Leaf {
	t.Helper()
	clock := lab.NewClock(lab.Epoch)
	source := ids.NewSource(clock, 1, 0)
	salt, err := NewSalt(&stream{seed: "salt"})
	if err != nil {
		t.Fatal(err)
	}
	target := ids.New[ids.Domain](source).String()
	bodies := []Body{
		&Act{Act: "domain.add", Target: target},
		&Access{Category: "message content", Purpose: "support", Records: 1, Target: ids.New[ids.Message](source).String()},
		&Purge{Before: On(lab.Epoch.Add(-30 * 24 * time.Hour)), Category: "history", Count: 65536, Keys: 2, Policy: "2026-11"},
		&Erasure{
			Certificate: ids.New[ids.Certificate](source),
			Categories:  []Counted{{Category: "queue content", Erased: 3}, {Category: "invoices", Kept: 2, Why: `"§ 147 AO" wants them for ten years`}},
			Follows:     []Follow{{By: On(lab.Epoch.Add(48 * time.Hour)), What: "copies in backups cannot be opened"}},
			Policy:      "2026-11", Reached: []string{"rows & keys of the database"}, Reason: "art17",
			Subject: HashSubject(salt, mustAddress(t, "Ada.Lovelace@Example.COM")),
		},
		&PolicyChange{Digest: DigestOf([]byte("policy")), Previous: "2026-10", Version: "2026-11"},
		&ProbeResult{Evidence: DigestOf([]byte("nothing found")), Promise: "cm-encryption", Status: pledge.Kept},
		&KeyRotation{New: "tenant-key-2", Old: "tenant-key-1", Purpose: "tenant"},
		&KeyDestruction{Count: 1, Key: ids.New[ids.Key](source), Purpose: "epoch", Reason: "period"},
		&Restore{Erased: 4, Ledger: 2, Taken: On(lab.Epoch.Add(-time.Hour))},
	}
	leaves := make([]Leaf, len(bodies))
	for i, b := range bodies {
		leaves[i] = Leaf{ID: ids.New[ids.Leaf](source), At: On(clock.Now()), By: Actor{Role: BySystem}, Body: b}
		clock.Wind(time.Second)
	}
	leaves[0].By = Actor{Role: ByAdmin, Pseudonym: PseudonymOf([]byte("a key of 2026"), "usr_1")}
	leaves[0].Tenant = ids.New[ids.Tenant](source)
	return leaves
}

// TestCanonical reads every leaf back, and shows that its bytes are sorted and
// without spaces by encoding them through maps, whose keys Go sorts.
func TestCanonical(t *testing.T) {
	t.Parallel()
	kinds := map[Kind]bool{}
	for _, l := range oneOfEach(t) {
		data, err := l.Encode()
		if err != nil {
			t.Fatal(err)
		}
		kinds[l.Body.Kind()] = true
		back, err := ParseLeaf(data)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if d := cmp.Diff(l, back); d != "" {
			t.Error(d)
		}
		var any map[string]any
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		if err := d.Decode(&any); err != nil {
			t.Fatal(err)
		}
		sorted, err := canonical(any)
		if err != nil || !bytes.Equal(sorted, data) {
			t.Errorf("not sorted:\n%s\n%s", data, sorted)
		}
		for _, other := range []string{strings.Replace(string(data), `,"by"`, `, "by"`, 1), string(data) + " ", strings.Replace(string(data), `"v":1`, `"v":1,"v":1`, 1), strings.Replace(string(data), `"v":1`, `"V":1`, 1), strings.Replace(string(data), `"v":1`, `"v":1.0`, 1), strings.Replace(string(data), `"v":1`, `"v":1,"x":1`, 1), strings.Replace(string(data), "Z", "+00:00", 1)} {
			if _, err := ParseLeaf([]byte(other)); !fault.Is(err, fault.Invalid) {
				t.Errorf("accepted %s (%v)", other, err)
			}
		}
	}
	if len(kinds) != 9 {
		t.Errorf("%d kinds are tested, the list has 9", len(kinds))
	}
}

// TestNoAddress sets every text of every leaf to an address: none may pass.
func TestNoAddress(t *testing.T) {
	t.Parallel()
	count := 0
	for _, l := range oneOfEach(t) {
		eachString(reflect.ValueOf(l.Body).Elem(), func(v reflect.Value) {
			was := v.String()
			for _, bad := range []string{"ada@example.com", "ada＠example.com", "", "a\x00b", strings.Repeat("x", 300)} {
				if bad == "" && was == "" {
					continue
				}
				v.SetString(bad)
				_, err := l.Encode()
				var f *fault.Error
				optional := bad == "" && err == nil
				if !optional && (!errors.As(err, &f) || f.Field == "") {
					t.Errorf("%s accepts %q", l.Body.Kind(), bad)
				}
			}
			v.SetString(was)
			count++
		})
	}
	if count < 20 {
		t.Errorf("only %d texts were reached", count)
	}
}

func eachString(v reflect.Value, f func(reflect.Value)) {
	switch v.Kind() {
	case reflect.String:
		f(v)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Time]() {
			return
		}
		for i := range v.NumField() {
			eachString(v.Field(i), f)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachString(v.Index(i), f)
		}
	}
}

func TestRefusesLeaf(t *testing.T) {
	t.Parallel()
	good := oneOfEach(t)[0]
	for name, change := range map[string]func(*Leaf){
		"body":    func(l *Leaf) { l.Body = nil },
		"id":      func(l *Leaf) { l.ID = 0 },
		"at":      func(l *Leaf) { l.At = Time{} },
		"by.role": func(l *Leaf) { l.By.Role = "Ada" },
		"tenant":  func(l *Leaf) { l.Tenant = -1 },
	} {
		l := good
		change(&l)
		_, err := l.Encode()
		if _, field := fault.Public(err); field != name || !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v names %q", name, err, field)
		}
	}
	big := &Erasure{Certificate: 1, Categories: []Counted{}, Follows: []Follow{}, Policy: "1", Reason: "art17", Subject: SubjectHash{Hash: Digest{1}}}
	for range 200 {
		big.Reached = append(big.Reached, strings.Repeat("x", 240))
	}
	good.Body = big
	if _, err := good.Encode(); !fault.Is(err, fault.Invalid) {
		t.Errorf("a leaf over the bound: %v", err)
	}
	good.Body = (*Act)(nil)
	if _, err := good.Encode(); !fault.Is(err, fault.Invalid) {
		t.Errorf("a nil body: %v", err)
	}
}

func FuzzParseLeaf(f *testing.F) {
	for _, l := range oneOfEach(f) {
		data, err := l.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseLeaf(data)
		if err != nil {
			return
		}
		again, err := l.Encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%q is not the one form: %q %v", data, again, err)
		}
	})
}

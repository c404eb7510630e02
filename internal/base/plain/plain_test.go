package plain

import (
	"strings"
	"testing"
)

func TestOnlyPlainYAML(t *testing.T) {
	t.Parallel()
	type shape struct {
		A int            `yaml:"a"`
		M map[string]int `yaml:"m"`
	}
	for _, c := range []struct{ text, says string }{
		{"", ""},
		{"# nothing but a comment\n", ""},
		{"a: 1\nm: {x: 2}", ""},
		{"a: &x 1", "anchors, aliases and tags"},
		{"a: !!int 1", "anchors, aliases and tags"},
		{"m: {<<: {x: 1}}", "anchors, aliases and tags"},
		{"b: 1", `unknown field "b"`},
		{"a: 1\n---\na: 2", "several documents"},
		{"a: [", "[1:4]"},
		{"a: x", "[1:4]"},
	} {
		var into shape
		err := Decode([]byte(c.text), &into)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%q: %v, want %q", c.text, err, c.says)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"a: 1", "a: &x [*x]", "a:\n  - {b: c}\n- d", "visible:\n  x: !0000\n0"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		var into struct {
			A []string          `yaml:"a"`
			M map[string][]int  `yaml:"m"`
			N map[string]string `yaml:"n"`
		}
		_ = Decode(b, &into) // no panic is all that is asked
	})
}

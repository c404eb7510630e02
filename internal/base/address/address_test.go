package address_test

import (
	"fmt"
	"strings"
	"testing"

	"mailvow/internal/base/address"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, text, canonical string }{
		{"Ann@Example.COM", "Ann@example.com", "ann@example.com"},
		{"ann.lee+x@example.com.", "ann.lee+x@example.com", "ann.lee+x@example.com"},
		{`"a b"@example.com`, `"a b"@example.com`, "a b@example.com"},
		{`"ann"@example.com`, "ann@example.com", "ann@example.com"},
		{"jörg@bücher.example", "jörg@xn--bcher-kva.example", "jörg@xn--bcher-kva.example"},
		{"jo\u0308rg@example.com", "jörg@example.com", "jörg@example.com"},
		{"a@[192.0.2.1]", "a@[192.0.2.1]", "a@[192.0.2.1]"},
		{"a@[ipv6:2001:DB8::1]", "a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"},
	} {
		a, err := address.Parse(c.in)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		if a.Text() != c.text || a.Canonical() != c.canonical {
			t.Errorf("%q: text %q canonical %q", c.in, a.Text(), a.Canonical())
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "ann", "@example.com", "ann@", "a@b@example.com", "a..b@example.com", ".a@example.com", "a.@example.com",
		"a b@example.com", "a@exa mple.com", "a@-x.com", "a@x..com", "a\r\n@example.com", "\"a\r\n\"@example.com", "a@example.com\r\nRCPT TO:<x@y>",
		"a@[300.1.1.1]", "a@[2001:db8::1]", "\"a@example.com", "\xff@example.com", strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("a.", 130) + "com", "<a@example.com>", "a@exa_mple!.com",
	} {
		if a, err := address.Parse(in); err == nil {
			t.Errorf("%q was taken as %q", in, a.Text())
		}
	}
}

func TestPrintsRedacted(t *testing.T) {
	t.Parallel()
	a, err := address.Parse("secret.name@private.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprint(a), fmt.Sprintf("%v %s %+v", a, a, &a), a.LogValue().String()} {
		if strings.Contains(s, "ecret") || strings.Contains(s, "private") {
			t.Errorf("printed in the clear: %q", s)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a@b.c", `"a\"b"@x.y`, "a@[IPv6:::1]", "ö@ü.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := address.Parse(s)
		if err != nil {
			return
		}
		text := a.Text()
		if strings.ContainsAny(text, "\r\n\x00") {
			t.Fatalf("%q gives %q, which breaks a line", s, text)
		}
		b, err := address.Parse(text)
		if err != nil || b.Canonical() != a.Canonical() {
			t.Fatalf("%q -> %q -> %q, %v", s, text, b.Text(), err)
		}
	})
}

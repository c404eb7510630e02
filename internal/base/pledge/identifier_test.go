package pledge

import (
	"strings"
	"testing"

	"mailvow/internal/base/fault"
)

func TestIdentifiersAreComparedAlike(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		is         Sort
		text, want string
	}{
		{FullName, "  Ann  LE\u0301GER ", "ann l\u00e9ger"},
		{CustomerNumber, "K-0042 ", "k-0042"},
		{Phone, "+49 (170) 123-45", "+4917012345"},
		{Phone, "0049 170 12345", "+4917012345"},
		{Phone, "0170/12345", "017012345"},
	} {
		if got := (Identifier{x.is, x.text}).Canonical(); got != x.want {
			t.Errorf("%s %q is %q, want %q", x.is, x.text, got, x.want)
		}
	}
}

func TestIdentifiersAreWhole(t *testing.T) {
	t.Parallel()
	if list, err := CheckIdentifiers([]Identifier{{Phone, " 0170 12345 "}}); err != nil || len(list) != 1 || list[0].Value != "0170 12345" {
		t.Errorf("%+v, %v", list, err)
	}
	for _, bad := range [][]Identifier{
		{{"shoe", "4222"}}, {{Phone, "--++"}}, {{FullName, "A"}}, {{CustomerNumber, "K-*"}}, {{CustomerNumber, "a\nb c"}}, {{FullName, strings.Repeat("a", 201)}}, make([]Identifier, 9),
	} {
		if _, err := CheckIdentifiers(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

package history

import (
	"testing"

	"mailvow/internal/base/address"
)

// TestWithoutLeavesNoSpelling: what is around a value, and in which case it
// stands, does not protect it. A host may answer in any language and charset.
func TestWithoutLeavesNoSpelling(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"550 no mailbox Bob@Dst.Test here":         "550 no mailbox [redacted] here",
		"550 \u0130leti reddedildi: bob@dst.test":  "550 \u0130leti reddedildi: [redacted]",
		"550 Empf\xe4nger unbekannt: bob@dst.test": "550 Empf\xe4nger unbekannt: [redacted]",
		"\u023a\u0130 bob@dst.test, BOB@DST.TEST":  "\u023a\u0130 [redacted], [redacted]",
		"550 JÜRGEN@dst.test":                      "550 [redacted]",
		"nobody is named":                          "nobody is named",
	} {
		if got := Without(text, []string{"bob@dst.test", "jürgen@dst.test"}); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// TestStrippingACopyLeavesTheEvent: whether a row must be written again is seen by
// comparing it with its stripped copy.
func TestStrippingACopyLeavesTheEvent(t *testing.T) {
	t.Parallel()
	bob, err := address.Parse("bob@dst.test")
	if err != nil {
		t.Fatal(err)
	}
	e := Event{Kind: Accepted, Detail: Detail{Recipients: []string{"bob@dst.test"}, Tags: []string{"for bob@dst.test"}}}
	trailOf([]Event{e}, bob).inDetail(e.Detail)
	if e.Detail.Tags[0] != "for bob@dst.test" || e.Detail.Recipients[0] != "bob@dst.test" {
		t.Errorf("a look changed the event: %+v", e.Detail)
	}
}

package reply_test

import (
	"strings"
	"testing"

	"mailvow/internal/base/reply"
)

func TestWireFormCannotBeBroken(t *testing.T) {
	t.Parallel()
	r := reply.New(550, "5.1.1", "no such user\r\n250 ok\nsecond line")
	got := string(r.Append(nil))
	want := "550-5.1.1 no such user \r\n550-5.1.1 250 ok\r\n550 5.1.1 second line\r\n"
	if got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"250 2.0.0 queued", "250 2.0.0 queued"},
		{"550-5.7.1 first\n550 5.7.1 second", "550 5.7.1 first second"},
		{"421", "421"},
		{"550 4.2.0 class differs from code", "550 4.2.0 class differs from code"},
		{"250-a\n251 b", "error"},
		{"hello", "error"},
	} {
		r, err := reply.Parse(strings.Split(c.in, "\n"))
		got := r.String()
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("250-a\n250 b")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := reply.Parse(strings.Split(s, "\n"))
		if err != nil {
			return
		}
		wire := string(r.Append(nil))
		back, err := reply.Parse(strings.Split(strings.TrimSuffix(wire, "\r\n"), "\r\n"))
		if err != nil || back.Code != r.Code {
			t.Fatalf("%q was written as %q: %v", s, wire, err)
		}
	})
}

package message_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"mailvow/internal/base/message"
)

// seeds gives the shapes that matter, and the suite's messages where they are.
func seeds(f *testing.F) {
	for _, s := range []string{
		"", "A: b\r\n\r\nc", nested(3), "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQTogYg0KDQpj",
		"Content-Type: multipart/digest; boundary=\"a b\"\n\n--a b\n\nX: y\n\nz\n--a b--", "A: b\r\r\nC:d\r\re", "\r", "From x\n>From y\n:\n \n",
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n= \t\r=\r\n=3", "Content-Type: text/plain; charset=utf-7\r\n\r\n+2D3cAg-",
		"X: y\r\n\r\nbegin 644 a\r\n#0V%T\r\nend\r\n",
	} {
		f.Add([]byte(s))
	}
	if os.Getenv("MAILVOW_SUITES") != "" {
		for _, file := range suiteFiles(f) {
			if b := readFile(f, file); len(b) < 8<<10 {
				f.Add(b)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		exercise(t, parse(t, raw))
		m, err := message.Parse(bytes.NewReader(raw), int64(len(raw)), message.Options{MaxParts: 3, MaxDepth: 2, MaxFields: 2, MaxHeaderBytes: 50, MaxLine: 20, MaxDefects: 5})
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Defects) > 5 {
			t.Errorf("%d defects", len(m.Defects))
		}
		checkTree(t, m)
	})
}

func FuzzParseHeader(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := parse(t, raw)
		sameHeader(t, raw, m)
		h := m.Header()
		_, _ = h.Date()
		for _, box := range h.Mailboxes("From") {
			if strings.ContainsAny(box.Name+box.Address, "\r\n\x00") {
				t.Errorf("mailbox %q", box)
			}
		}
	})
}

func FuzzDecodeText(f *testing.F) {
	for _, s := range []string{"=?utf-8?q?a?=", "=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "=?utf-7?q?+2D3?= =?utf-7?q?cAg-?=", "\xff=?=?x?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := message.DecodeText(s)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00") {
			t.Errorf("%q gives %q", s, got)
		}
	})
}

func FuzzParseParams(f *testing.F) {
	for _, s := range []string{`text/plain; a="b\"c"; d*0*=utf-8''%C3; d*1=x`, "a/b c=d (e", "a/b;=;;x=\"", "=", "a=b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ct, _ := message.ParseParams(s)
		seen := map[string]bool{}
		for _, p := range ct.Params {
			if seen[p.Name] || p.Name == "" {
				t.Errorf("%q: parameter %q", s, p.Name)
			}
			seen[p.Name] = true
		}
	})
}

func FuzzParseMailboxes(f *testing.F) {
	for _, s := range []string{`"a" <b@c>, d: e@f;`, "<@x:a@b> (c", `"`, "a b@c d", "=?utf-8?q?,?= <x@y>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, m := range message.ParseMailboxes(s) {
			if m == (message.Mailbox{}) || !utf8.ValidString(m.Name+m.Address) {
				t.Errorf("%q gives %q %q", s, m.Name, m.Address)
			}
		}
		_, _ = message.ParseDate(s)
		_ = message.ParseMessageIDs(s)
	})
}

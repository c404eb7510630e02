package message_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailvow/internal/base/message"
)

func TestDecodeText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                                   "plain",
		"=?utf-8?q?Gr=C3=BC=C3=9Fe?=":             "Grüße",
		"=?UTF-8?B?R3LDvMOfZQ==?=":                "Grüße",
		"=?utf-8?B?R3LDvMOfZQ?=":                  "Grüße",
		"=?utf-8?q?a?= =?utf-8?q?b?=":             "ab",
		"=?utf-8?q?a?= \t =?utf-8?q?b?= c":        "ab c",
		"=?utf-8?q?=C3?= =?utf-8?q?=BC?=":         "ü", // a character split between words
		"=?utf-8?b?w7w=?==?utf-8?b?w7w=?=":        "üü",
		"x=?iso-8859-1?q?=FC?=y":                  "xüy",
		"\"=?iso-8859-1?q?a_=FC?=\" <x@y>":        "\"a ü\" <x@y>",
		"=?iso-8859-1*de?q?=FC?=":                 "ü",
		"=?us-ascii?q?a b c?=":                    "a b c",
		"=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=":      "日本",
		"=?utf-7?q?+APw-?=":                       "ü",
		"=?nobody-knows?q?a=FC?=":                 "aü",
		"=?utf-8?x?a?=":                           "=?utf-8?x?a?=",
		"=?utf-8?q?broken":                        "=?utf-8?q?broken",
		"=?":                                      "=?",
		"a =? b =?utf-8?q?c?=":                    "a =? b c",
		"=?utf-8?q?a=0D=0ABcc:_x?=":               "a  Bcc: x",
		"caf\xe9":                                 "café",
		"caf\xc3\xa9":                             "café",
		"=?gb2312?B?xOO6ww==?=":                   "你好",
		"=?utf-8?q?=?=":                           "=",
		"=?koi8-r?B?79TXxdTZ?= =?koi8-r?Q?_=31?=": "Ответы 1",
	} {
		if got := message.DecodeText(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

func TestParseParams(t *testing.T) {
	t.Parallel()
	type P = message.Param
	for in, want := range map[string]message.ContentType{
		"":                                         {},
		"Text/Plain":                               {Value: "text/plain"},
		"text/plain; charset=UTF-8":                {"text/plain", []P{{"charset", "UTF-8"}}},
		"text/plain (a comment); a=b (c)":          {"text/plain", []P{{"a", "b"}}},
		"text/plain;; a=b;":                        {"text/plain", []P{{"a", "b"}}},
		"text/plain charset=utf-8":                 {"text/plain", []P{{"charset", "utf-8"}}},
		"text/plain; a=b c=d":                      {"text/plain", []P{{"a", "b"}, {"c", "d"}}},
		"attachment; filename=my file.txt":         {"attachment", []P{{"filename", "my file.txt"}}},
		`a/b; x="q \" \\ y"`:                       {"a/b", []P{{"x", `q " \ y`}}},
		`a/b; x="C:\dir\f"`:                        {"a/b", []P{{"x", `C:\dir\f`}}},
		`a/b; x="open`:                             {"a/b", []P{{"x", "open"}}},
		`a/b; x="1"; X="2"`:                        {"a/b", []P{{"x", "1"}}},
		`a/b; x=;y=1`:                              {"a/b", []P{{"x", ""}, {"y", "1"}}},
		`a/b; novalue; y=1`:                        {"a/b", []P{{"y", "1"}}},
		`a/b; boundary="a;b"`:                      {"a/b", []P{{"boundary", "a;b"}}},
		"a/b; f*=utf-8''na%C3%AFve.txt":            {"a/b", []P{{"f", "naïve.txt"}}},
		"a/b; f*=iso-8859-1'en'%A3":                {"a/b", []P{{"f", "£"}}},
		"a/b; f=x; f*=utf-8''y":                    {"a/b", []P{{"f", "y"}}},
		"a/b; f*1=b; f*0=a":                        {"a/b", []P{{"f", "ab"}}},
		"a/b; f*0*=utf-8''%C3; f*1*=%BC; f*2=.txt": {"a/b", []P{{"f", "ü.txt"}}},
		"a/b; f*=100%":                             {"a/b", []P{{"f", "100%"}}},
	} {
		got, _ := message.ParseParams(in)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q:\n%s", in, diff)
		}
	}
}

func TestParseMailboxes(t *testing.T) {
	t.Parallel()
	type M = message.Mailbox
	for in, want := range map[string][]M{
		"":                                nil,
		"a@b.c":                           {{"", "a@b.c"}},
		"Ann Lee <a@b.c>":                 {{"Ann Lee", "a@b.c"}},
		`"Lee, Ann" <a@b.c>, d@e.f`:       {{"Lee, Ann", "a@b.c"}, {"", "d@e.f"}},
		"a@b.c (Ann)":                     {{"Ann", "a@b.c"}},
		"Friends: a@b.c, B <d@e.f>; g@h":  {{"", "a@b.c"}, {"B", "d@e.f"}, {"", "g@h"}},
		"undisclosed-recipients:;":        nil,
		"a@b.c; d@e.f":                    {{"", "a@b.c"}, {"", "d@e.f"}},
		"<@x,@y:a@b.c>":                   {{"", "a@b.c"}},
		"Ann <a@b.c, d@e.f":               {{"Ann", "a@b.c"}, {"", "d@e.f"}},
		"=?utf-8?q?J=C3=B6rg?= <a@b.c>":   {{"Jörg", "a@b.c"}},
		`"=?utf-8?q?J=C3=B6rg?=" <a@b.c>`: {{"Jörg", "a@b.c"}},
		"=?utf-8?q?a,b?= <a@b.c>":         {{"a,b", "a@b.c"}},
		"J\xf6rg <a@b.c>":                 {{"Jörg", "a@b.c"}},
		"Ann Lee":                         {{"Ann Lee", ""}},
		"localrecipient":                  {{"", "localrecipient"}},
		"Ann a@b.c":                       {{"Ann", "a@b.c"}},
		"john . doe @ example . com":      {{"", "john.doe@example.com"}},
		`"a b"@c.d`:                       {{"", `"a b"@c.d`}},
		`"Ann \"X\"" < a@b.c >`:           {{`Ann "X"`, "a@b.c"}},
		"<>":                              nil,
		",,a@b,,":                         {{"", "a@b"}},
		"a@[IPv6:2001:db8::1]":            {{"", "a@[IPv6:2001:db8::1]"}},
	} {
		if diff := cmp.Diff(want, message.ParseMailboxes(in)); diff != "" {
			t.Errorf("%q:\n%s", in, diff)
		}
	}
}

func TestParseDate(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Fri, 21 Nov 1997 09:55:06 -0600":          "1997-11-21T09:55:06-06:00",
		"21 Nov 97 09:55:06 GMT":                   "1997-11-21T09:55:06Z",
		"21 Nov 97 09:55 EST (comment)":            "1997-11-21T09:55:00-05:00",
		"Mon, 21 Aug 95 13:30:57 -600":             "1995-08-21T13:30:57-06:00",
		"Wed, 11 Feb 98 11:51 CST":                 "1998-02-11T11:51:00-06:00",
		"Thu Feb 13 21:55:02 2020":                 "2020-02-13T21:55:02Z",
		"Tue, 1 Jan 2019 00:00:00":                 "2019-01-01T00:00:00Z",
		"Tue, 1 January 2019 1:02:03 PM +01:00":    "2019-01-01T13:02:03+01:00",
		"01-Jan-2019 00:00:00 +0000":               "2019-01-01T00:00:00Z",
		"Fri, 21 Nov 103 09:55:06 +0000":           "2003-11-21T09:55:06Z",
		"2019-01-01T10:00:00+02:00":                "2019-01-01T10:00:00+02:00",
		"Sat, 31 Dec 2016 23:59:60 +0000":          "2016-12-31T23:59:59Z",
		"Thu, 6 Jun 1996 15:50:39 +0400 (MOW DST)": "1996-06-06T15:50:39+04:00",
		"Mon, 1 Apr 2019 10:00:00 GMT+0200":        "2019-04-01T10:00:00+02:00",
		"":                                         "", "tomorrow": "", "31 Feb 2020 00:00:00 +0000": "", "Wed, 24 Jul 0102 04:01:49 -0400": "",
	} {
		got, ok := message.ParseDate(in)
		if ok != (want != "") || ok && got.Format(time.RFC3339) != want {
			t.Errorf("%q gives %v %v, want %s", in, got.Format(time.RFC3339), ok, want)
		}
	}
}

func TestMessageIDs(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"<a@b>": {"a@b"}, "<a@b> <c@d>": {"a@b", "c@d"}, "<a@b><c@d>": {"a@b", "c@d"}, "a@b c@d": {"a@b", "c@d"}, "nonsense": {"nonsense"},
		"<a @b>": {"a@b"}, "<open@x": {"open@x"}, "": nil, "no id here": nil, "<>": nil, `"a" of <x@y> comment`: {"x@y"},
	} {
		if diff := cmp.Diff(want, message.ParseMessageIDs(in)); diff != "" {
			t.Errorf("%q:\n%s", in, diff)
		}
	}
}

func TestDefectsAreListed(t *testing.T) {
	t.Parallel()
	for kind, raw := range map[message.DefectKind]string{
		message.DefectBareLF:             "A: b\n\nc\r\n",
		message.DefectBareCR:             "A: b\r\rc\r",
		message.DefectNUL:                "A: b\x00\r\n\r\n",
		message.DefectMboxFrom:           "From x@y Sat Jan  1 00:00:00 2000\r\nA: b\r\n\r\n",
		message.DefectNoColon:            "A: b\r\njunk\r\nC: d\r\n\r\n",
		message.DefectFolding:            " x\r\nA: b\r\n\r\n",
		message.DefectHeaderEnd:          "A: b\r\nHello you\r\nthere\r\n",
		message.DefectRaw8Bit:            "A: \xfc\r\n\r\n",
		message.DefectLongLine:           "A: " + strings.Repeat("x", 1000) + "\r\n\r\n",
		message.DefectDuplicateField:     "Subject: a\r\nSubject: b\r\n\r\n",
		message.DefectContentType:        "Content-Type: nonsense\r\n\r\n",
		message.DefectDuplicateParameter: "Content-Type: a/b; x=1; x=2\r\n\r\n",
		message.DefectParameter:          "Content-Type: a/b; x=\"1\r\n\r\n",
		message.DefectEncoding:           "Content-Transfer-Encoding: rot13\r\n\r\n",
		message.DefectCompositeEncoding:  "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\n--b\r\n\r\n--b--",
		message.DefectCharset:            "Content-Type: text/plain; charset=klingon\r\n\r\n",
		message.DefectBase64:             "Content-Transfer-Encoding: base64\r\n\r\nAA!A\r\n",
		message.DefectQuotedPrintable:    "Content-Transfer-Encoding: quoted-printable\r\n\r\na=ZZ\r\n",
		message.DefectNoBoundary:         "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n",
		message.DefectLongBoundary:       "Content-Type: multipart/mixed; boundary=" + strings.Repeat("b", 71) + "\r\n\r\n",
		message.DefectNoParts:            "Content-Type: multipart/mixed; boundary=b\r\n\r\nx\r\n",
		message.DefectNoFinalBoundary:    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n",
		message.DefectBoundaryTail:       "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b tail\r\n\r\nx\r\n--b--",
		message.DefectEmbeddedUnfinished: "A: b\r\n\r\nbegin 644 a.txt\r\n#0V%T\r\n",
		message.DefectSharedBoundary:     "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b--",
		message.DefectDate:               "Date: never\r\n\r\n",
	} {
		m := parse(t, []byte(raw))
		if !m.Has(kind) {
			t.Errorf("%s is not found in %q: %v", kind, raw, m.Defects)
		}
		checkTree(t, m)
	}
	clean := "Subject: a\r\nFrom: a@b\r\nDate: Fri, 21 Nov 1997 09:55:06 -0600\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db =C3=BC=\r\n \r\n"
	if m := parse(t, []byte(clean)); len(m.Defects) != 0 {
		t.Errorf("a clean message has %v", m.Defects)
	}
}

func TestDecodings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ header, body, want string }{
		{"Content-Transfer-Encoding: base64", "SGk\r\nh\r\n", "Hi!"},
		{"Content-Transfer-Encoding: base64", "SGkh\r\n-- \r\nfooter", "Hi!~\x8a\x28\xb6"[:3]},
		{"Content-Transfer-Encoding: base64", "SGk=\r\nfooter text\r\n", "Hi"},
		{"Content-Transfer-Encoding: BASE64 (x)", "SGkhSGkh", "Hi!Hi!"},
		{"Content-Transfer-Encoding: quoted-printable", "a=\r\nb=3d=3D=zz  \r\nc=", "ab===zz\r\nc"},
		{"Content-Transfer-Encoding: quoted-printable", "a= \t\nb\nc", "ab\r\nc"},
		{"Content-Transfer-Encoding: x-uuencode", "begin 644 a\r\n#0V%T\r\n`\r\nend\r\n", "Cat"},
		{"Content-Transfer-Encoding: rot13", "abc", "abc"},
		{"Content-Type: text/plain; charset=iso-2022-jp", "\x1b$BF|K\\\x1b(B", "日本"},
		{"Content-Type: text/plain; charset=utf-7", "Gr+APwA3w-e +AOk-+-", "Grüße é+"},
		{"Content-Type: text/plain; charset=klingon", "caf\xe9 \xc3\xbc", "café ü"},
		{"Content-Type: text/plain; charset=utf-8", "a\xffb", "a\ufffdb"},
		{"Content-Type: text/plain; charset=utf-16le", "a\x00\xfc\x00", "aü"},
		{"Content-Type: text/plain; charset=ibm850", "\x81", "ü"},
	} {
		m := parse(t, []byte(c.header+"\r\n\r\n"+c.body))
		got := string(readAll(t, m.Root.Text()))
		if c.body == "SGkh\r\n-- \r\nfooter" {
			got = got[:3] // what follows unpadded data is anybody's guess
		}
		if got != c.want {
			t.Errorf("%s: %q gives %q, want %q", c.header, c.body, got, c.want)
		}
		// One octet at a time must give the same.
		var slow bytes.Buffer
		one := make([]byte, 1)
		for r := m.Root.Decoded(); ; {
			n, err := r.Read(one)
			slow.Write(one[:n])
			if err != nil {
				break
			}
		}
		if !bytes.Equal(slow.Bytes(), readAll(t, m.Root.Decoded())) {
			t.Errorf("%q: reading slowly gives something else", c.body)
		}
	}
}

func TestViewAndOffsets(t *testing.T) {
	t.Parallel()
	raw := strings.ReplaceAll(`From: "Ann" <ann@example.com>
To: bob@example.net
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
Message-ID: <1@x>
Date: Fri, 21 Nov 1997 09:55:06 -0600
Content-Type: multipart/mixed; boundary=m

--m
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe
begin 644 cat.txt
#0V%T
end
--m
Content-Type: message/rfc822

Subject: inner

inner text
--m
Content-Type: image/png; name="../../evil.png"
Content-Disposition: attachment
Content-Transfer-Encoding: base64

SGkh
--m--
`, "\n", "\r\n")
	m := parse(t, []byte(raw))
	v, err := m.View(6)
	if err != nil {
		t.Fatal(err)
	}
	if v.Subject != "Grüße" || v.MessageID != "1@x" || v.From[0] != (message.Mailbox{Name: "Ann", Address: "ann@example.com"}) || v.Text != "Grü" && v.Text != "Grüß" || !v.Truncated {
		t.Errorf("view %+v", v)
	}
	want := []message.ViewFile{
		{Part: "2", ContentType: "message/rfc822", Size: 28},
		{Part: "3", Filename: "evil.png", ContentType: "image/png", Size: 3},
	}
	if diff := cmp.Diff(want, v.Attachments); diff != "" {
		t.Error(diff)
	}
	inner := m.Root.Children[1].Children[0]
	if got := raw[inner.Body.Start:inner.Body.End]; got != "inner text" || inner.Section() != "2.1" || inner.Lines != 0 {
		t.Errorf("inner body %q, section %s, %d lines", got, inner.Section(), inner.Lines)
	}
	text := m.Root.Children[0]
	if got := raw[text.Header.Start:text.Header.Body]; !strings.HasPrefix(got, "Content-Type: text/plain") || !strings.HasSuffix(got, "\r\n\r\n") || text.Lines != 3 {
		t.Errorf("header %q, %d lines", got, text.Lines)
	}
}

func TestUuencodedFiles(t *testing.T) {
	t.Parallel()
	m := parse(t, []byte("Subject: x\r\n\r\nSee:\r\nbegin 644 cat.txt\r\n#0V%T\r\n`\r\nend\r\nbegin 666 two words\r\n#0V%T\r\nend\r\nbegin 7 no\r\n"))
	v, err := m.View(1000)
	if err != nil {
		t.Fatal(err)
	}
	want := []message.ViewFile{
		{Part: "1#1", Filename: "cat.txt", ContentType: "application/octet-stream", Size: 3},
		{Part: "1#2", Filename: "two words", ContentType: "application/octet-stream", Size: 3},
	}
	if diff := cmp.Diff(want, v.Attachments); diff != "" {
		t.Error(diff)
	}
	if got := string(readAll(t, m.TextPart().OpenEmbedded(0))); got != "Cat" {
		t.Errorf("file %q", got)
	}
}

package smtp

import (
	"bytes"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"mailvow/internal/base/reply"
)

// FuzzReply gives the reader what a peer may send: it ends, it keeps its
// bounds, it does not depend on how the bytes arrive, and its short way agrees
// with reply.Parse.
func FuzzReply(f *testing.F) {
	for _, s := range []string{
		"250 2.1.0 Ok\r\n", "250-a\r\n250-b\r\n250 c\r\n", "250\r\n", "250 \n", "550 5.1.1\r\n", "421", "abc\r\n", "250-a\r\n251 b\r\n",
		"999 x\r\n", "250 4.1.0 x\r\n", "250 2.1.0x\r\n", "354 3.0.0 go on please\r\n", "\r\n\r\n", "250-" + strings.Repeat("x", 5000), strings.Repeat("250-x\r\n", 200),
		"250 2.10.0 Ok fine\r\n", "250 2.1.0  two spaces\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all := readAll(t, bytes.NewReader(data), len(data))
		bytewise := readAll(t, iotest.OneByteReader(bytes.NewReader(data)), len(data))
		if diff := cmp.Diff(all, bytewise); diff != "" {
			t.Errorf("byte by byte it is another answer: %s", diff)
		}
		line, _, ok := bytes.Cut(data, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if ok && len(line) >= 4 && line[3] == ' ' {
			if short, taken := plain(line); taken {
				long, err := reply.Parse([]string{string(line)})
				if diff := cmp.Diff(long, short); err != nil || diff != "" {
					t.Errorf("%q: %v %s", line, err, diff)
				}
			}
		}
	})
}

func readAll(t *testing.T, from interface{ Read([]byte) (int, error) }, size int) []reply.Reply {
	t.Helper()
	var in replyReader
	in.attach(from)
	var out []reply.Reply
	for range size + 1 {
		r, err := in.read()
		if err != nil {
			return out
		}
		if len(r.Text) > maxReplyOctets+maxReplyLines {
			t.Errorf("an answer of %d octets", len(r.Text))
		}
		out = append(out, r)
	}
	t.Error("more answers than octets")
	return out
}

func TestParseExtensions(t *testing.T) {
	t.Parallel()
	got := parseExtensions(reply.New(250, "", "mx.example greets you\npipelining\nSIZE 35882577\n8BITMIME\nSMTPUTF8\nDSN\nSTARTTLS\nREQUIRETLS\nCHUNKING\nENHANCEDSTATUSCODES\nAUTH PLAIN login\nLIMITS MAILMAX=50 RCPTMAX=10 OTHER=x\nX-UNKNOWN"))
	want := Extensions{
		ESMTP: true, Pipelining: true, EightBit: true, SMTPUTF8: true, DSN: true, StartTLS: true, RequireTLS: true, Chunking: true,
		Enhanced: true, HasSize: true, Size: 35882577, Auth: []string{"PLAIN", "LOGIN"}, MailMax: 50, RcptMax: 10,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if e := parseExtensions(reply.New(250, "", "PIPELINING")); e.Pipelining {
		t.Error("the peer's name is taken for an extension")
	}
	if e := parseExtensions(reply.New(250, "", "x\nSIZE 99999999999999999999\nLIMITS RCPTMAX=-1 MAILMAX=x")); e.Size != 0 || e.RcptMax != 0 || e.MailMax != 0 {
		t.Errorf("%+v", e)
	}
}

func TestTranscriptIsBounded(t *testing.T) {
	t.Parallel()
	var tr transcript
	for range 10 * maxSteps {
		tr.add(past, past, "RCPT", reply.New(250, "", strings.Repeat("x", 5000)), 0)
	}
	n := 0
	for s := range tr.steps(0) {
		n++
		if len(s.Got) > maxRecorded {
			t.Fatalf("%d octets of one answer kept", len(s.Got))
		}
	}
	if n > maxSteps {
		t.Errorf("%d steps", n)
	}
}

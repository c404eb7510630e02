package smtp_test

import (
	"strings"
	"testing"

	"mailvow/internal/base/fault"
	"mailvow/internal/standard/smtp"
)

const everything = smtp.OfferPipelining | smtp.OfferSize | smtp.OfferEightBitMIME | smtp.OfferUTF8 | smtp.OfferChunking | smtp.OfferDSN | smtp.OfferAuth | smtp.OfferRequireTLS | smtp.OfferBinaryMIME

func TestCommands(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]smtp.Verb{
		"MAIL FROM:<>": smtp.Mail, "rcpt TO:<a@b>": smtp.Rcpt, "DaTa": smtp.Data, "BDAT 1 LAST": smtp.Bdat, "EHLO x": smtp.Ehlo, "helo x": smtp.Helo,
		"QUIT": smtp.Quit, "RSET ": smtp.Rset, "NOOP": smtp.Noop, "VRFY a": smtp.Vrfy, "EXPN a": smtp.Expn, "HELP": smtp.Help, "STARTTLS": smtp.STARTTLS,
		"AUTH PLAIN": smtp.AUTH, "GET / HTTP/1.1": smtp.Foreign, "Host: a": smtp.Foreign, "": smtp.Unknown, " MAIL": smtp.Unknown, "MAILS": smtp.Unknown,
		"ÄÖÜ": smtp.Unknown, "DATA\tx": smtp.Unknown, "X": smtp.Unknown, "STARTTLSX": smtp.Unknown,
	} {
		if got := smtp.ParseCommand([]byte(line)); got.Verb != want {
			t.Errorf("%q is %d, want %d", line, got.Verb, want)
		}
	}
	if got := smtp.ParseCommand([]byte("MAIL  FROM:<> ")); string(got.Arg) != "FROM:<>" {
		t.Errorf("argument %q", got.Arg)
	}
}

// TestCommandAllocatesNothing cannot run beside others: it counts allocations.
func TestCommandAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { smtp.ParseCommand([]byte("RCPT TO:<a@b.example>")) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestWhatAFaultBlames(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"": smtp.BlameSyntax, "FROM": smtp.BlameSyntax, "FROM:": smtp.BlameSyntax, "FROM:<": smtp.BlameSyntax, "FROM:<a@b.example>x": smtp.BlameSyntax,
		"FROM:<a>": smtp.BlamePath, "FROM:<a@b.example\\>": smtp.BlamePath, "FROM:<@x>": smtp.BlamePath, "FROM:<a@-b.example>": smtp.BlamePath,
		"FROM:<ä@b.example>": smtp.BlameUTF8, "FROM:<a@ä.example>": smtp.BlameUTF8, "FROM:<a@b.example> SIZE=-1": smtp.BlameParameter,
		"FROM:<a@b.example> BODY=9BIT": smtp.BlameParameter, "FROM:<a@b.example> RET": smtp.BlameParameter, "FROM:<a@b.example> ENVID=": smtp.BlameParameter,
		"FROM:<a@b.example> ENVID=" + strings.Repeat("x", 101): smtp.BlameParameter, "FROM:<a@b.example> SIZE=1 size=1": smtp.BlameParameter,
		"FROM:<a@b.example> REQUIRETLS=1": smtp.BlameParameter, "FROM:<a@b.example> MT-PRIORITY=1": smtp.BlameUnknown, "FROM:<a@b.example> AUTH=": smtp.BlameParameter,
		"FROM:<a@b.example> A B C D E F G H I J K L M N": smtp.BlameUnknown, "FROM:<a@b.example> \x01=1": smtp.BlameParameter, "FROM:<a@b.example> SIZE=\x7f": smtp.BlameParameter,
	} {
		_, err := smtp.ParseMail([]byte(arg), everything)
		if text, field := fault.Public(err); !fault.Is(err, fault.Invalid) || field != want || text == "" {
			t.Errorf("%q blames %q: %v", arg, field, err)
		}
	}
	if _, err := smtp.ParseMail([]byte("FROM:<a@b.example> SIZE=1"), 0); err == nil {
		t.Error("a parameter that was not offered passed")
	}
}

func TestMail(t *testing.T) {
	t.Parallel()
	m, err := smtp.ParseMail([]byte(`from: <"a b"@B.example>  size=12 BODY=binarymime SMTPUTF8 RET=full ENVID=a+2Bb REQUIRETLS AUTH=<>`), everything)
	if err != nil || m.Sender.Text() != `"a b"@b.example` || m.Size != 12 || !m.Binary || !m.UTF8 || m.Ret != "FULL" || m.EnvID != "a+b" || !m.RequireTLS {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestOffers(t *testing.T) {
	t.Parallel()
	var words []string
	(everything | smtp.OfferEnhanced | smtp.OfferStartTLS | smtp.OfferLimits).Each(func(o smtp.Offers) {
		words = append(words, o.Keyword())
		if smtp.OfferOf(strings.ToLower(o.Keyword())) != o {
			t.Errorf("%s is not found by its keyword", o.Keyword())
		}
	})
	if len(words) != 12 || smtp.OfferOf("XYZZY") != 0 || (smtp.OfferDSN|smtp.OfferSize).Keyword() != "" {
		t.Errorf("%v", words)
	}
}

func TestXtextGoesRound(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "a+b=c", "a b", "plain"} {
		if got, err := smtp.DecodeXtext(smtp.EncodeXtext(s)); err != nil || got != s {
			t.Errorf("%q came back as %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"+", "+2", "+2b", "a b", "a=b", "+0A", "+00", "\x80", "+C3+A9", "+FF"} {
		if got, err := smtp.DecodeXtext(s); err == nil {
			t.Errorf("%q was read as %q", s, got)
		}
	}
}

func TestBdat(t *testing.T) {
	t.Parallel()
	for arg, ok := range map[string]bool{"0": true, "12 LAST": true, "12 last": true, "": false, "-1": false, "+1": false, "1 2": false, "1 LAST LAST": false, "1LAST": false, "0x10": false, "1_0": false, "99999999999999999999": false, "12 LASTX": false, "LAST": false} {
		if _, _, err := smtp.ParseBdat([]byte(arg)); (err == nil) != ok {
			t.Errorf("BDAT %s: %v", arg, err)
		}
	}
}

func FuzzCommandLine(f *testing.F) {
	for _, s := range []string{`MAIL FROM:<"a>b"@c.example> SIZE=1 BODY=8BITMIME`, "RCPT TO:<@a:b@c.example> NOTIFY=NEVER ORCPT=utf-8;a\\x{E9}@b", "BDAT 12 LAST", "MAIL FROM:<>", "RCPT TO:<Postmaster>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		c := smtp.ParseCommand(line)
		if _, _, err := smtp.ParseBdat(c.Arg); err != nil && !fault.Is(err, fault.Invalid) {
			t.Error(err)
		}
		if m, err := smtp.ParseMail(c.Arg, everything); err == nil {
			holds(t, m.Sender.Text()+m.EnvID+m.Ret)
		} else if text, field := fault.Public(err); text == "" || field == "" {
			t.Errorf("a fault without text or field: %v", err)
		}
		if r, err := smtp.ParseRcpt(c.Arg, everything, true); err == nil {
			holds(t, r.Address.Text()+r.Notify+r.ORcpt)
		}
	})
}

// holds shows that nothing that was read can end a line of ours.
func holds(t *testing.T, s string) {
	t.Helper()
	if strings.ContainsAny(s, "\r\n\x00") {
		t.Errorf("%q holds the end of a line", s)
	}
}

func FuzzXtext(f *testing.F) {
	f.Add("a+2Bb")
	f.Fuzz(func(t *testing.T, s string) {
		decoded, err := smtp.DecodeXtext(s)
		if err != nil {
			return
		}
		holds(t, decoded)
		if again, err := smtp.DecodeXtext(smtp.EncodeXtext(decoded)); err != nil || again != decoded {
			t.Errorf("%q came back as %q, %v", decoded, again, err)
		}
	})
}

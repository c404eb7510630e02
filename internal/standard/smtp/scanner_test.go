package smtp_test

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mailvow/internal/standard/smtp"
)

// feed gives the scanner a stream in pieces of the given sizes, as a buffered
// reader would: what it does not take stays and more comes behind it.
func feed(s *smtp.Scanner, stream []byte, sizes func() int) (body []byte, rest []byte, ended bool) {
	var buf []byte
	for {
		more := len(buf) == 0
		for !more {
			piece, skip, end := s.Dots(buf)
			body = append(body, piece...)
			buf = buf[len(piece)+skip:]
			if end {
				return body, append(buf, stream...), true
			}
			more = len(piece)+skip == 0 || len(buf) == 0
		}
		if len(stream) == 0 {
			return body, buf, false
		}
		n := min(max(1, sizes()), len(stream))
		buf = append(append([]byte(nil), buf...), stream[:n]...)
		stream = stream[n:]
	}
}

// slow is what RFC 5321 says, octet by octet: the message up to CRLF.CRLF, and
// whether it is clean.
func slow(stream []byte) (body []byte, ended, clean bool) {
	clean, start := true, true
	for i := 0; i < len(stream); i++ {
		rest := stream[i:]
		switch {
		case start && bytes.HasPrefix(rest, []byte(".\r\n")):
			return body, true, clean
		case start && rest[0] == '.' && len(rest) > 1:
			start = false
			continue
		case bytes.HasPrefix(rest, []byte("\r\n")):
			body = append(body, "\r\n"...)
			start = true
			i++
			continue
		case rest[0] == '\r', rest[0] == '\n', rest[0] == 0:
			clean = false
		}
		body = append(body, rest[0])
		start = false
	}
	return body, false, clean
}

// TestScannerIsTheSlowOne compares the scanner with the plain reading of the
// standard, on streams made of what is difficult, cut anywhere.
func TestScannerIsTheSlowOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{"a", ".", "..", "\r", "\n", "\r\n", "\r\n.", "\r\n..", "\x00", "text", ".\r\n"}), 0, 12).Draw(t, "parts")
		stream := []byte(strings.Join(parts, "") + "\r\n.\r\n" + "NOOP\r\n")
		var s smtp.Scanner
		s.Reset(0)
		body, rest, ended := feed(&s, stream, func() int { return rapid.IntRange(1, 9).Draw(t, "size") })
		wantBody, wantEnded, clean := slow(stream)
		if !bytes.Equal(body, wantBody) || ended != wantEnded {
			t.Fatalf("%q: body %q, want %q; ended %v", stream, body, wantBody, ended)
		}
		if clean != (s.Defect() == smtp.Clean) {
			t.Fatalf("%q: defect %v", stream, s.Defect())
		}
		if !bytes.HasSuffix(stream, rest) {
			t.Fatalf("%q: rest %q", stream, rest)
		}
	})
}

func TestChunksKeepTheRulesAcrossBorders(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{"a", ".", "\r", "\n", "\r\n", "\x00", "text", ".\r\n"}), 0, 12).Draw(t, "parts")
		stream := []byte(strings.Join(parts, ""))
		crlf := bytes.ReplaceAll(stream, []byte("\r\n"), nil)
		clean := !bytes.ContainsAny(crlf, "\r\n\x00")
		var s smtp.Scanner
		s.Reset(0)
		for left := stream; len(left) > 0; {
			n := rapid.IntRange(1, len(left)).Draw(t, "size")
			s.Chunk(left[:n])
			left = left[n:]
		}
		s.EndChunks()
		// Taking CRLF away may join a CR and an LF that stood alone.
		if clean && s.Defect() != smtp.Clean || s.Defect() == smtp.Clean && !clean {
			t.Fatalf("%q: %v", stream, s.Defect())
		}
	})
}

func TestDefects(t *testing.T) {
	t.Parallel()
	for stream, want := range map[string]smtp.Defect{
		"a\r\nb\r\n.\r\n": smtp.Clean, "a\nb\r\n.\r\n": smtp.BareLF, "a\rb\r\n.\r\n": smtp.BareCR, "a\r\r\n.\r\n": smtp.BareCR,
		"a\x00\r\n.\r\n": smtp.NUL, "0123456789\r\n.\r\n": smtp.Clean, "0123456789a\r\n.\r\n": smtp.LongLine, ".0123456789\r\n.\r\n": smtp.Clean,
	} {
		for size := 1; size < len(stream); size++ {
			var s smtp.Scanner
			s.Reset(10)
			if _, _, ended := feed(&s, []byte(stream), func() int { return size }); !ended || s.Defect() != want {
				t.Errorf("%q in pieces of %d: %v", stream, size, s.Defect())
			}
		}
	}
}

func FuzzScanner(f *testing.F) {
	f.Add([]byte("a\r\n..b\r\n.\r\nNOOP\r\n"), uint8(3))
	f.Add([]byte("\r\n.\n\r\n.\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		var s smtp.Scanner
		s.Reset(0)
		body, _, ended := feed(&s, stream, func() int { return int(size) })
		want, wantEnded, clean := slow(stream)
		if ended != wantEnded {
			t.Fatalf("ended %v, want %v", ended, wantEnded)
		}
		if !ended {
			return // the last octets are held back
		}
		if !bytes.Equal(body, want) || clean != (s.Defect() == smtp.Clean) {
			t.Fatalf("body %q, want %q, defect %v", body, want, s.Defect())
		}
	})
}

package message_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/message"
)

// pattern is a message that need not exist: a head, then one octet over and over.
type pattern struct {
	head string
	fill byte
	size int64
}

func (p pattern) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	for n < len(b) && off+int64(n) < p.size {
		if at := off + int64(n); at < int64(len(p.head)) {
			n += copy(b[n:], p.head[at:])
			continue
		}
		end := int(min(int64(len(b)), p.size-off))
		b[n] = p.fill
		for done := 1; done < end-n; done *= 2 {
			copy(b[n+done:end], b[n:n+done])
		}
		n = end
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// grown runs f and gives the bytes it allocated in all.
func grown(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestLineOfAGigabyte must not run beside others: it counts allocations.
func TestLineOfAGigabyte(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 1 GiB of a pattern four times")
	}
	for name, head := range map[string]string{
		"body":         "Subject: x\r\n\r\n",
		"header":       "Subject: ",
		"base64":       "Content-Transfer-Encoding: base64\r\n\r\n",
		"continuation": "Subject: x\r\n ",
	} {
		src := pattern{head: head, fill: 'A', size: 1 << 30}
		used := grown(func() {
			m, err := message.Parse(src, src.size, message.Options{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			if got := len(m.Root.Header.Fields); got != 1 {
				t.Errorf("%s: %d fields", name, got)
			}
			if n, err := io.CopyN(io.Discard, m.Root.Text(), 1<<20); err != nil && err != io.EOF {
				t.Errorf("%s: text after %d bytes: %v", name, n, err)
			}
		})
		if used > 4<<20 {
			t.Errorf("%s: %d bytes allocated for one line", name, used)
		}
	}
}

func TestHundredThousandHeaders(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, "X-%d: value %d\r\n", i, i)
	}
	b.WriteString("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nbody\r\n--b--\r\n")
	m := parse(t, []byte(b.String()))
	if len(m.Root.Header.Fields) != 2000 || !m.Root.Header.Cut || !m.Has(message.DefectManyFields) {
		t.Errorf("%d fields, cut %v", len(m.Root.Header.Fields), m.Root.Header.Cut)
	}
	if got := string(readAll(t, m.Root.Raw())); got != "--b\r\n\r\nbody\r\n--b--\r\n" {
		t.Errorf("the body starts elsewhere: %q", got)
	}
	checkTree(t, m)
}

func nested(depth int) string {
	var b strings.Builder
	for i := range depth {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	b.WriteString("\r\nthe end\r\n")
	for i := range depth {
		fmt.Fprintf(&b, "--b%d--\r\n", depth-1-i)
	}
	return b.String()
}

func TestThousandDeep(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{nested(1000), strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 1000) + "\r\nx"} {
		m := parse(t, []byte(raw))
		depth := 0
		for p := m.Root; ; p = p.Children[0] {
			depth++
			if len(p.Children) == 0 {
				if !p.Opaque {
					t.Error("the deepest part is not opaque")
				}
				break
			}
		}
		if depth != 100 || !m.Has(message.DefectDeep) {
			t.Errorf("depth %d", depth)
		}
		checkTree(t, m)
	}
}

func TestManyParts(t *testing.T) {
	t.Parallel()
	raw := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 50_000) + "--b--\r\n"
	m := parse(t, []byte(raw))
	if n := len(m.Root.Children); n != 2000 || !m.Root.Children[n-1].Opaque || !m.Has(message.DefectManyParts) {
		t.Errorf("%d parts", n)
	}
	checkTree(t, m)
}

// TestEncodedMatryoshka: each layer of base64 costs a pass over those below.
func TestEncodedMatryoshka(t *testing.T) {
	t.Parallel()
	raw := []byte("Subject: inside\r\n\r\nhello\r\n")
	for range 10 {
		raw = append([]byte("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"), base64Lines(raw)...)
	}
	m := parse(t, raw)
	deepest := 0
	m.Walk(func(p *message.Part) bool {
		deepest = max(deepest, p.Layer)
		return true
	})
	if deepest != 5 || !m.Has(message.DefectDeep) {
		t.Errorf("layers %d", deepest)
	}
	checkTree(t, m)
}

// TestBrokenReader: only the reader's error is an error.
func TestBrokenReader(t *testing.T) {
	t.Parallel()
	for _, cut := range []int{0, 10, 30} {
		if _, err := message.Parse(failing{cut}, 1000, message.Options{}); err == nil {
			t.Error("a broken disk passed for a message")
		}
		if _, err := message.ParseHeader(failing{cut}, 1000, message.Options{}); err == nil {
			t.Error("a broken disk passed for a header")
		}
	}
	// A source that is shorter than it was said to be is no broken one.
	m, err := message.Parse(bytes.NewReader([]byte("A: b\r\n\r\nc")), 1000, message.Options{})
	if err != nil || string(readAll(t, m.Root.Raw())) != "c" {
		t.Errorf("short source: %v", err)
	}
}

type failing struct{ at int }

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	n := min(max(f.at-int(off), 0), len(p))
	return copy(p[:n], strings.Repeat("A: b\r\n", 1+n/6)), io.ErrClosedPipe
}

// TestHostileHeaders: each of these would cost the square of its length to a
// careless reader. The limit is generous; a square takes minutes.
func TestHostileHeaders(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"words without end":   strings.Repeat("=?a?q?x", 140_000),
		"words":               strings.Repeat("=?a?q?=?= ", 100_000),
		"comments":            strings.Repeat("(", 1_000_000),
		"quotes":              strings.Repeat("\"a\" ", 250_000),
		"angles":              strings.Repeat("<", 1_000_000),
		"colons":              strings.Repeat("x ", 250_000) + "a@b" + strings.Repeat(" :", 250_000),
		"parameters":          "a/b; " + strings.Repeat("=x ", 300_000),
		"sections":            "a/b; " + strings.Repeat("x*1=y;", 150_000),
		"brackets and commas": strings.Repeat("<a,", 300_000),
		"ids":                 strings.Repeat("<a>", 300_000),
		"at signs":            strings.Repeat("a@ . ", 200_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := "Content-Type: " + value + "\r\nSubject: x\r\n\r\n"
			m, err := message.Parse(strings.NewReader(raw), int64(len(raw)), message.Options{MaxLine: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			_ = message.DecodeText(value)
			_ = message.ParseMailboxes(value)
			_, _ = message.ParseParams(value)
			_ = message.ParseMessageIDs(value)
			_, _ = message.ParseDate(value)
			_ = m.Root.Filename()
			if ctx.Err() != nil {
				t.Error("took more than 20 s")
			}
		})
	}
}

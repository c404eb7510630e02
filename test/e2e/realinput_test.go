package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailvow/internal/app/stored"
	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/message"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/product/relay"
)

// sample is one message of the suites as it is sent.
type sample struct {
	name string
	raw  []byte // with CRLF line ends, unless the file has bare ones
	tree string // what the suite says of its structure, or ""
	to   string
}

// samples reads every message of the suites; with -short a part of them.
func samples(t testing.TB) []sample {
	t.Helper()
	var list []sample
	add := func(name string, raw []byte, tree string) {
		for _, form := range forms(raw) {
			list = append(list, sample{name: name, raw: form, tree: tree, to: fmt.Sprintf("m%05d@demo.example", len(list))})
			tree = "" // is said of the first form only
		}
	}
	mimeFiles(t, add)
	spamFiles(t, func(name string, raw []byte) { add(name, raw, "") })
	if testing.Short() {
		kept := list[:0]
		for i, s := range list {
			if i%10 == 0 || bytes.IndexByte(bytes.ReplaceAll(s.raw, []byte("\r\n"), nil), '\r') >= 0 {
				kept = append(kept, s)
			}
		}
		list = kept
	}
	return list
}

// forms are the ways in which a file is sent: with CRLF where it has LF. A file
// that has CRLF already goes as it is, too, if it holds bare line feeds besides.
func forms(raw []byte) [][]byte {
	clean := bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	if crlf := bytes.Count(raw, []byte("\r\n")); crlf > 0 && crlf < bytes.Count(raw, []byte("\n")) {
		return [][]byte{clean, raw}
	}
	return [][]byte{clean}
}

func mimeFiles(t testing.TB, add func(name string, raw []byte, tree string)) {
	t.Helper()
	dir := lab.Suite(t, "mime")
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		parent, ext := filepath.Base(filepath.Dir(path)), filepath.Ext(path)
		if ext != ".msg" && ext != ".raw" && ext != ".golden" && parent != "python-test-email" && parent != "test-1" {
			return nil // expected trees and bodies
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		tree := ""
		if xml, err := os.ReadFile(strings.TrimSuffix(path, ".msg") + ".xml"); err == nil && ext == ".msg" {
			tree = xmlShape(string(xml))
		}
		name, err := filepath.Rel(dir, path)
		add("mime/"+name, raw, tree)
		return err
	})
	must(t, err)
}

func spamFiles(t testing.TB, add func(name string, raw []byte)) {
	t.Helper()
	f, err := os.Open(filepath.Join(lab.Suite(t, "spam-spamassassin"), "messages.tar.gz"))
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(t, err)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		must(t, err)
		if h.Typeflag == tar.TypeReg {
			raw, err := io.ReadAll(r)
			must(t, err)
			add("spam-spamassassin/"+h.Name, raw)
		}
	}
}

// xmlShape reads the structure out of mime4j's expected tree, whose tags stand
// on lines of their own.
func xmlShape(xml string) string {
	var b strings.Builder
	for line := range strings.Lines(xml) {
		switch strings.TrimSpace(line) {
		case "<message>":
			b.WriteString("message(")
		case "<multipart>":
			b.WriteString("multipart(")
		case "<body>":
			b.WriteString("body ")
		case "</message>", "</multipart>":
			b.WriteString(")")
		}
	}
	return b.String()
}

// viewShape writes the structure of a parsed view in the same words.
func viewShape(p message.ViewPart) string {
	var b strings.Builder
	switch {
	case len(p.Parts) == 0 && !strings.HasPrefix(p.ContentType, "multipart/"):
		return "body "
	case strings.HasPrefix(p.ContentType, "multipart/"):
		b.WriteString("multipart(")
		for _, c := range p.Parts {
			b.WriteString(viewShape(c))
		}
		b.WriteString(")")
	default:
		b.WriteString("message(" + viewShape(p.Parts[0]) + ")")
	}
	return b.String()
}

// tally is what became of the samples at one door.
type tally struct {
	mu      sync.Mutex
	sent    map[string]int // by suite
	arrived map[string]int
	refused map[string]int // by reply
	trees   int
}

func newTally() *tally {
	return &tally{sent: map[string]int{}, arrived: map[string]int{}, refused: map[string]int{}}
}

var reference = regexp.MustCompile(` ?\[ref_[0-9a-z]+\]`)

// sendAll sends the samples over several connections and gives those that were
// taken.
func (y *tally) sendAll(t testing.TB, list []sample, connect func() *smtpConn) []sample {
	t.Helper()
	var taken []sample
	var wg sync.WaitGroup
	const connections = 8
	for n := range connections {
		c := connect()
		wg.Go(func() {
			for i := n; i < len(list); i += connections {
				s := list[i]
				r := c.send("you@demo.example", s.raw, s.to)
				y.mu.Lock()
				y.sent[suiteOf(s.name)]++
				if strings.HasPrefix(r, "250 ") {
					taken = append(taken, s)
				} else {
					y.refused[reference.ReplaceAllString(r, "")]++
				}
				y.mu.Unlock()
			}
			c.say("QUIT")
		})
	}
	wg.Wait()
	slices.SortFunc(taken, func(a, b sample) int { return strings.Compare(a.to, b.to) })
	return taken
}

func suiteOf(name string) string { suite, _, _ := strings.Cut(name, "/"); return suite }

// added is what stands before the bytes that were sent; ok if they are the same.
// SMTP ends every message with a line end.
func added(got, sent []byte) (prefix string, ok bool) {
	if !bytes.HasSuffix(sent, []byte("\r\n")) {
		sent = append(sent[:len(sent):len(sent)], "\r\n"...)
	}
	return string(bytes.TrimSuffix(got, sent)), bytes.HasSuffix(got, sent)
}

var (
	traceOnly = regexp.MustCompile(`^Received: from [^\r\n]+\r\n(\t[^\r\n]+\r\n)+$`)
	ourFields = regexp.MustCompile(`^((Received|DKIM-Signature|From|Date|Message-ID): ?[^\r\n]+\r\n([\t ][^\r\n]+\r\n)*)+$`)
)

func throughMX(t *testing.T, list []sample) *tally {
	y := newTally()
	s := dev(t, "")
	e := hook(t)
	e.route(t, s)
	taken := y.sendAll(t, list, func() *smtpConn { return dial(t, s.MX) })
	eventually(t, "every message came to the endpoint", func() bool { return e.count() >= len(taken) })
	for _, m := range taken {
		got := e.take(m.to)
		if len(got) != 1 {
			t.Errorf("%s came %d times", m.name, len(got))
			continue
		}
		y.compare(t, m, &got[0])
	}
	return y
}

func (y *tally) compare(t *testing.T, m sample, p *posted) {
	prefix, same := added(p.Data.Raw, m.raw)
	if !same || !traceOnly.MatchString(prefix) {
		t.Errorf("%s arrived with other bytes; before them stands %q", m.name, tail(prefix, 400))
		return
	}
	y.arrived[suiteOf(m.name)]++
	parsed, err := message.Parse(bytes.NewReader(p.Data.Raw), int64(len(p.Data.Raw)), message.Options{})
	must(t, err)
	view, err := parsed.View(1 << 20)
	must(t, err)
	b, err := json.Marshal(view)
	must(t, err)
	var want message.View
	must(t, json.Unmarshal(b, &want))
	if diff := cmp.Diff(want, p.Data.Message); diff != "" {
		t.Errorf("%s: the view in the webhook is another:\n%s", m.name, tail(diff, 600))
	}
	if m.tree == "" {
		return
	}
	if got := "message(" + viewShape(p.Data.Message.Structure) + ")"; got != m.tree {
		t.Errorf("%s: structure %s, the suite expects %s", m.name, got, m.tree)
		return
	}
	y.trees++
}

func throughSubmission(t *testing.T, list []sample) *tally {
	y := newTally()
	sink := lab.RemoteSMTP(t, lab.Remote{Extensions: []string{"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"}})
	x := newSite(t, smarthost(sink.Addr))
	s := x.serve(t)
	var page struct {
		Items []struct{ Customer string } `json:"items"`
	}
	s.must(t, http.MethodGet, "/v1/domains", nil, &page)
	customer, err := ids.Parse[ids.Tenant](page.Items[0].Customer)
	must(t, err)
	s.stop(t)
	vouch(t, filepath.Join(x.dir, "data", "db"), customer, authors(list))
	s = x.serve(t)
	taken := y.sendAll(t, list, func() *smtpConn { return submit(t, s.demo) })
	eventually(t, "every message came to the sink", func() bool { return len(sink.Messages()) >= len(taken) })
	got := map[string][][]byte{}
	for _, m := range sink.Messages() {
		to := strings.TrimSuffix(strings.TrimPrefix(m.Recipients[0], "RCPT TO:<"), ">")
		got[to] = append(got[to], m.Data)
	}
	for _, m := range taken {
		if len(got[m.to]) != 1 {
			t.Errorf("%s came %d times", m.name, len(got[m.to]))
			continue
		}
		if prefix, same := added(got[m.to][0], m.raw); !same || !ourFields.MatchString(prefix) {
			t.Errorf("%s arrived with other bytes; before them stands %q", m.name, tail(prefix, 400))
			continue
		}
		y.arrived[suiteOf(m.name)]++
	}
	return y
}

// authors are the domains that the samples say they are from.
func authors(list []sample) []string {
	seen := map[string]bool{}
	var out []string
	for _, s := range list {
		h, err := message.ParseHeader(bytes.NewReader(s.raw), int64(len(s.raw)), message.Options{})
		if err != nil {
			continue
		}
		for _, m := range append(h.Mailboxes("From"), h.Mailboxes("Sender")...) {
			if a, err := address.Parse(m.Address); err == nil && !seen[a.Domain()] && a.Domain() != "demo.example" {
				seen[a.Domain()] = true
				out = append(out, a.Domain())
			}
		}
	}
	return out
}

// vouch makes domains the customer's while the server is down. They get no keys,
// because making 900 of them takes longer than the rest of the test.
func vouch(t testing.TB, dir string, customer ids.Tenant, domains []string) {
	t.Helper()
	d, err := db.Open(t.Context(), db.Config{Dir: dir}, stored.Schemas()...)
	must(t, err)
	source := ids.NewSource(clock.Wall{}, d.Node(), 0)
	set := d.Set("product/relay")
	var made []ids.Domain
	must(t, d.Change(t.Context(), "add domains", func(tx *db.Tx) error {
		made = made[:0]
		for _, name := range domains {
			id := ids.New[ids.Domain](source)
			made = append(made, id)
			if _, err := tx.Do(t.Context(), set, "add", id, customer, name, "none", tx.Now()); err != nil {
				return err
			}
		}
		return nil
	}))
	store := relay.New(relay.Config{}, relay.Parts{DB: d, IDs: source, Clock: clock.Wall{}})
	for _, id := range made {
		if _, err := store.Vouch(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	must(t, d.Close())
}

func TestRealInput(t *testing.T) {
	t.Parallel()
	list := samples(t)
	var mx, submission *tally
	t.Run("through MX to a webhook", func(t *testing.T) { mx = throughMX(t, list) })
	t.Run("through submission to a sink", func(t *testing.T) { submission = throughSubmission(t, list) })
	if testing.Short() || mx == nil || submission == nil {
		return
	}
	text := report(mx, submission)
	file := filepath.Join(root, "docs", "real-input.md")
	if *update {
		must(t, os.WriteFile(file, []byte(text), 0o644))
	}
	was, err := os.ReadFile(file)
	if err != nil || string(was) != text {
		t.Errorf("docs/real-input.md is not what was seen; look at the difference and run go test ./test/e2e -run RealInput -update\n%s", cmp.Diff(string(was), text))
	}
}

func report(mx, submission *tally) string {
	var b strings.Builder
	b.WriteString(`# Real input

Written by ` + "`go test ./test/e2e -run RealInput -update`" + ` and checked by every full run of the tests.

Every message of the suites mime (james-mime4j, enmime, CPython) and spam-spamassassin is sent with CRLF line ends to a
running server: at the MX, from where it goes to a webhook, and at the submission door, from where it goes to an SMTP
sink. A file that has CRLF line ends and bare line feeds besides is sent twice, with CRLF everywhere and as it is. What is
taken arrives with the bytes that were sent, behind the fields that the server adds. What is refused is refused with
the reply below.
`)
	for _, x := range []struct {
		title string
		y     *tally
	}{{"MX to webhook", mx}, {"Submission to SMTP sink", submission}} {
		fmt.Fprintf(&b, "\n## %s\n\n| suite | sent | arrived with identical bytes |\n|---|---|---|\n", x.title)
		for _, suite := range sorted(x.y.sent) {
			fmt.Fprintf(&b, "| %s | %d | %d |\n", suite, x.y.sent[suite], x.y.arrived[suite])
		}
		b.WriteString("\n| refused | reply |\n|---|---|\n")
		for _, reply := range sorted(x.y.refused) {
			fmt.Fprintf(&b, "| %d | %s |\n", x.y.refused[reply], reply)
		}
	}
	fmt.Fprintf(&b, "\nThe parsed view in the webhook has the structure that the suite expects for all %d messages with an expected tree that were taken.\n", mx.trees)
	return b.String()
}

func sorted(m map[string]int) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

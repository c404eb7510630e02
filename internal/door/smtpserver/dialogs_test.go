package smtpserver_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailvow/internal/base/limit"
	"mailvow/internal/door/smtpserver"
	"mailvow/internal/standard/smtp"
)

// TestDialogs holds every conversation of test/dialogs with a real server; its
// README.md gives the format.
func TestDialogs(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../test/dialogs/*.txt")
	if err != nil || len(files) < 25 {
		t.Fatalf("%d dialogs, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			hold(t, string(b))
		})
	}
}

// dialog is one conversation under way.
type dialog struct {
	*testing.T
	site *site
	conn net.Conn
	in   *bufio.Reader
	last string // the server's last line
}

func hold(t *testing.T, script string) {
	d := &dialog{T: t}
	for number, line := range strings.Split(script, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		word, rest, _ := strings.Cut(line, ":")
		rest = strings.TrimPrefix(rest, " ")
		if word == "server" {
			d.open(rest)
			continue
		}
		if d.site == nil {
			d.open("")
		}
		if problem := d.step(word, rest); problem != "" {
			t.Fatalf("line %d, %q: %s", number+1, line, problem)
		}
	}
}

func (d *dialog) open(options string) {
	d.Helper()
	d.site = open(d.T, func(c *smtpserver.Config, h *house) {
		for _, option := range strings.Fields(options) {
			name, value, _ := strings.Cut(option, "=")
			if !setUp(c, h, name, value) && !bound(&c.Limits, name, value) {
				d.Fatalf("unknown option %q", option)
			}
		}
	})
	d.conn = d.site.dial(d.T)
	d.in = bufio.NewReader(d.conn)
}

func setUp(c *smtpserver.Config, h *house, name, value string) bool {
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	switch name {
	case "role":
		c.Role = map[string]smtpserver.Role{"mx": smtpserver.MX, "submission": smtpserver.Submission, "submissions": smtpserver.Submissions}[value]
	case "plaintext":
		c.PlaintextAuth = true
	case "notls":
		c.TLS = nil
	case "trusted":
		h.trusted = loopback
	case "proxy":
		c.ProxyFrom = []netip.Prefix{loopback}
	case "offers":
		for word := range strings.SplitSeq(value, ",") {
			c.Extensions |= smtp.OfferOf(word)
		}
	default:
		return false
	}
	return true
}

func bound(l *smtpserver.Limits, name, value string) bool {
	n, err := strconv.Atoi(value)
	if err != nil {
		return false
	}
	wait := time.Duration(n) * time.Millisecond
	switch name {
	case "recipients":
		l.Recipients = n
	case "messages":
		l.Messages = n
	case "errors":
		l.Errors = n
	case "size":
		l.MessageSize = limit.Bytes(n)
	case "dataline":
		l.DataLine = limit.Bytes(n)
	case "line":
		l.CommandLine = n
	case "rate":
		l.MessageRate = smtpserver.Rate{Count: n, Per: time.Hour}
	case "authrate":
		l.AuthFailureRate = smtpserver.Rate{Count: n, Per: time.Hour}
	case "command":
		l.Command = wait
	case "data":
		l.Data = wait
	case "session":
		l.Session = wait
	default:
		return false
	}
	return true
}

// step does one line of the script and says what is wrong.
func (d *dialog) step(word, rest string) string {
	word, times := repeats(word)
	switch word {
	case "C":
		return d.send(repeated(rest+"\r\n", times))
	case "R", "B":
		octets, err := strconv.Unquote(rest)
		if err != nil {
			return err.Error()
		}
		if word == "B" {
			octets = base64.StdEncoding.EncodeToString([]byte(octets)) + "\r\n"
		}
		return d.send(repeated(octets, times))
	case "TLS":
		d.conn = tls.Client(d.conn, tlsClient())
		d.in = bufio.NewReader(d.conn)
		return ""
	case "TAKEN":
		if n := len(d.site.house.messages()); strconv.Itoa(n) != rest {
			return "taken: " + strconv.Itoa(n)
		}
		return ""
	}
	return d.look(word, rest)
}

func repeats(word string) (string, int) {
	if base, n, ok := strings.Cut(word, "*"); ok {
		times, _ := strconv.Atoi(n)
		return base, times
	}
	return word, 1
}

func (d *dialog) send(octets string) string {
	if _, err := io.WriteString(d.conn, octets); err != nil {
		return err.Error()
	}
	return ""
}

func (d *dialog) read() error {
	line, err := d.in.ReadString('\n')
	d.last = strings.TrimSuffix(line, "\r\n")
	if err == nil && d.last == line {
		err = errors.New("the line does not end in CRLF")
	}
	return err
}

func (d *dialog) look(word, rest string) string {
	switch word {
	case "S":
		if err := d.read(); err != nil {
			return err.Error()
		}
		if !matches(rest, d.last) {
			return "the server said " + strconv.Quote(d.last)
		}
	case "S?", "S.":
		return d.search(word == "S?", rest)
	case "CLOSED":
		if rest, err := io.ReadAll(d.in); len(rest) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
			return "not closed: " + string(rest)
		}
	case "BODY":
		if got := strconv.Quote(d.message().body); got != rest {
			return "the message is " + got
		}
	case "ENVELOPE":
		if got := envelope(d.message().tx); got != rest {
			return "the envelope is " + got
		}
	default:
		return "unknown word"
	}
	return ""
}

// search reads the reply under way up to a line, or to its end.
func (d *dialog) search(find bool, pattern string) string {
	for {
		if err := d.read(); err != nil {
			return err.Error()
		}
		if find && matches(pattern, d.last) {
			return ""
		}
		if len(d.last) < 4 || d.last[3] != '-' {
			if find {
				return "no such line; the last is " + strconv.Quote(d.last)
			}
			return ""
		}
	}
}

func (d *dialog) message() taken {
	all := d.site.house.messages()
	if len(all) == 0 {
		d.Fatal("no message was taken")
	}
	return all[len(all)-1]
}

func envelope(t *smtpserver.Transaction) string {
	sender := t.Sender.Text()
	if sender == "" {
		sender = "<>"
	}
	var to []string
	for _, r := range t.Recipients {
		to = append(to, strings.Join(strings.Fields(r.Address.Text()+" "+r.Notify+" "+r.ORcpt), " "))
	}
	words := []string{sender, ">", strings.Join(to, ", "), t.RET, t.ENVID}
	if t.Body8Bit {
		words = append(words, "8BIT")
	}
	if t.SMTPUTF8 {
		words = append(words, "UTF8")
	}
	return strings.Join(strings.Fields(strings.Join(append(words, t.Peer.Protocol(t.SMTPUTF8)), " ")), " ")
}

// matches compares with * for any run of characters.
func matches(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}

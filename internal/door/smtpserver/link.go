package smtpserver

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"sync"
	"time"

	"mailvow/internal/base/clock"
)

// What a link gives instead of a line.
var (
	errStopping = errors.New("the server is stopping")
	errBareLF   = errors.New("bare line feed")
	errBareCR   = errors.New("bare carriage return")
	errNUL      = errors.New("NUL")
	errLong     = errors.New("line too long")
)

const (
	inSize   = 16 << 10  // octets read at once
	longSize = 256 << 10 // of a line that is too long, this much is read to its end
)

// buffers is what a session borrows.
type buffers struct {
	in  *bufio.Reader
	out []byte
}

func newBuffers() *buffers {
	return &buffers{in: bufio.NewReaderSize(nil, inSize), out: make([]byte, 0, 1024)}
}

// link is the connection of one session. What is said is kept until the link has
// to wait for more input: one write per pipelined batch.
type link struct {
	conn  net.Conn
	in    *bufio.Reader
	out   []byte
	clock clock.Clock

	end   time.Time     // of the session
	phase time.Time     // of the message being received, or zero
	wait  time.Duration // for the next octets

	mu       sync.Mutex // guards the three below, and the read deadline
	idle     bool       // waiting for a command
	stopping bool
	closed   bool
}

// Read implements io.Reader for the buffered reader above it.
func (l *link) Read(p []byte) (int, error) {
	if err := l.flush(); err != nil {
		return 0, err
	}
	if err := l.arm(); err != nil {
		return 0, err
	}
	return l.conn.Read(p)
}

// arm sets the read deadline, unless the server stops and nothing is under way.
func (l *link) arm() error {
	until := earliest(l.clock.Now().Add(l.wait), l.end, l.phase)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopping && l.idle {
		return errStopping
	}
	return l.conn.SetReadDeadline(until)
}

// armAll sets the deadline of a TLS handshake.
func (l *link) armAll(wait time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopping {
		return errStopping
	}
	return l.conn.SetDeadline(l.clock.Now().Add(wait))
}

func earliest(t time.Time, others ...time.Time) time.Time {
	for _, o := range others {
		if !o.IsZero() && o.Before(t) {
			t = o
		}
	}
	return t
}

// stop wakes a link that waits for a command; others see it when they next do.
func (l *link) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopping = true
	if l.idle {
		// The past: a read under way returns now.
		_ = l.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// stopped reports that the server stops.
func (l *link) stopped() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopping
}

func (l *link) setIdle(idle bool) {
	l.mu.Lock()
	l.idle = idle
	l.mu.Unlock()
}

// replace goes on over TLS.
func (l *link) replace(conn net.Conn) {
	l.mu.Lock()
	l.conn = conn
	l.mu.Unlock()
	l.in.Reset(l)
}

// close ends the connection at once; safe from any goroutine.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		_ = l.conn.Close() // the peer is gone either way
	}
}

const writeWait = 30 * time.Second // for a peer that does not read its replies

// flush writes what was said.
func (l *link) flush() error {
	if len(l.out) == 0 {
		return nil
	}
	if err := l.conn.SetWriteDeadline(l.clock.Now().Add(writeWait)); err != nil {
		return err
	}
	_, err := l.conn.Write(l.out)
	l.out = l.out[:0]
	return err
}

// say keeps a whole reply with its CRLF for the next flush.
func (l *link) say(text string) { l.out = append(l.out, text...) }

// sayAtMost bounds what is kept when a client never stops to read.
const sayAtMost = 16 << 10

// line reads one command line of at most most octets, without its CRLF. The line
// is valid until the next read.
func (l *link) line(most int) ([]byte, error) {
	if len(l.out) > sayAtMost {
		if err := l.flush(); err != nil {
			return nil, err
		}
	}
	for {
		buf, _ := l.in.Peek(l.in.Buffered())
		if i := bytes.IndexByte(buf, '\n'); i >= 0 {
			if i+1 > most {
				_, _ = l.in.Discard(i + 1) // it is all buffered
				return nil, errLong
			}
			_, _ = l.in.Discard(i + 1)
			return checkLine(buf[:i])
		}
		if len(buf) > most {
			return nil, l.skipLine()
		}
		if _, err := l.in.Peek(len(buf) + 1); err != nil {
			return nil, err
		}
	}
}

// checkLine holds a line without its LF to RFC 5321 2.3.8.
func checkLine(line []byte) ([]byte, error) {
	i := bytes.IndexByte(line, '\r')
	switch {
	case bytes.IndexByte(line, 0) >= 0:
		return nil, errNUL
	case i < 0:
		return nil, errBareLF
	case i < len(line)-1:
		return nil, errBareCR
	}
	return line[:i], nil
}

// skipLine reads a line that is too long to its end, if that comes soon.
func (l *link) skipLine() error {
	for skipped := 0; skipped < longSize; {
		buf, err := l.in.Peek(max(1, l.in.Buffered()))
		if err != nil {
			return err
		}
		i := bytes.IndexByte(buf, '\n')
		if i >= 0 {
			_, _ = l.in.Discard(i + 1)
			return errLong
		}
		skipped += len(buf)
		_, _ = l.in.Discard(len(buf))
	}
	return errEndless
}

var errEndless = errors.New("a line without end")

// timedOut reports a deadline.
func timedOut(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

package smtp

import (
	"bytes"
	"io"
	"sync"

	"mailvow/internal/base/fault"
)

// Content is a message's bytes with CRLF line ends.
type Content interface {
	io.ReaderAt
	Size() int64
}

// errLineEnds refuses content that a lax server could read as two messages
// (SMTP smuggling): a CR or LF that stands alone, or a NUL (RFC 5321 2.3.8,
// RFC 6152 3).
var errLineEnds = fault.New(fault.Invalid, "The message has a bare CR, a bare LF or a NUL and is not sent.")

const bodyBlock = 32 << 10

// body streams content for DATA: a block at a time, dots doubled at line starts
// (RFC 5321 4.5.2), never the whole message in memory.
type body struct {
	content   Content
	offset    int64
	lineStart bool
	lastCR    bool
	done      bool // the final dot is in the last block
	src       [bodyBlock]byte
	dst       []byte
}

var bodies = sync.Pool{New: func() any { return &body{dst: make([]byte, 0, bodyBlock+bodyBlock/8)} }}

func newBody(content Content) *body {
	b := bodies.Get().(*body)
	b.content, b.offset, b.lineStart, b.lastCR, b.done = content, 0, true, false, false
	return b
}

func (b *body) release() {
	b.content = nil
	bodies.Put(b)
}

// next gives the next block as it goes over the wire; it stays valid until the
// following call. After the last one done is true.
func (b *body) next() ([]byte, error) {
	b.dst = b.dst[:0]
	size := b.content.Size()
	want := min(size-b.offset, bodyBlock)
	n, err := b.content.ReadAt(b.src[:want], b.offset)
	if int64(n) < want {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fault.Wrap(err, "read a message to send it")
	}
	b.offset += want
	if !b.stuff(b.src[:n]) {
		return nil, errLineEnds
	}
	if b.offset < size {
		return b.dst, nil
	}
	if b.lastCR {
		return nil, errLineEnds
	}
	if !b.lineStart {
		b.dst = append(b.dst, "\r\n"...)
	}
	b.dst = append(b.dst, ".\r\n"...)
	b.done = true
	return b.dst, nil
}

// stuff appends src with its dots doubled; false means forbidden bytes.
func (b *body) stuff(src []byte) bool {
	if len(src) == 0 {
		return true
	}
	if bytes.IndexByte(src, 0) >= 0 {
		return false
	}
	loose := bytes.Count(src, []byte{'\r'}) // CRs that no LF has followed yet
	if b.lastCR {
		loose++
	}
	cr := b.lastCR
	b.lastCR = src[len(src)-1] == '\r'
	for len(src) > 0 {
		if b.lineStart && src[0] == '.' {
			b.dst = append(b.dst, '.')
		}
		i := bytes.IndexByte(src, '\n')
		if i < 0 {
			b.dst = append(b.dst, src...)
			b.lineStart = false
			break
		}
		if i > 0 {
			cr = src[i-1] == '\r'
		}
		if !cr {
			return false
		}
		loose--
		b.dst = append(b.dst, src[:i+1]...)
		src = src[i+1:]
		b.lineStart, cr = true, false
	}
	if b.lastCR {
		loose--
	}
	return loose == 0
}

package smtp

import (
	"bytes"
	"io"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/reply"
)

const (
	replyBuffer    = 4096 // RFC 5321 4.5.3.1.5 allows 512 octets a line; peers send more
	maxReplyLines  = 128
	maxReplyOctets = 16 << 10
)

// replyReader reads answers. It bounds the length of a line and of an answer,
// and takes a bare LF as a line's end, as peers send it.
type replyReader struct {
	from  io.Reader
	buf   [replyBuffer]byte
	r, w  int
	lines []string
}

func (in *replyReader) attach(from io.Reader) { in.from, in.r, in.w = from, 0, 0 }

func (in *replyReader) buffered() int { return in.w - in.r }

// read gives the next answer, all its lines.
func (in *replyReader) read() (reply.Reply, error) {
	in.lines = in.lines[:0]
	total := 0
	for {
		line, err := in.line()
		if err != nil {
			return reply.Reply{}, err
		}
		total += len(line)
		if len(in.lines) == maxReplyLines || total > maxReplyOctets {
			return reply.Reply{}, fault.New(fault.Unavailable, "The host's answer is too long.")
		}
		if len(in.lines) == 0 && len(line) >= 4 && line[3] == ' ' {
			if r, ok := plain(line); ok {
				return r, nil
			}
		}
		in.lines = append(in.lines, string(line))
		if len(line) < 4 || line[3] != '-' {
			break
		}
	}
	r, err := reply.Parse(in.lines)
	if err != nil {
		return reply.Reply{}, fault.Because(fault.Unavailable, err, "The host's answer is no SMTP reply.")
	}
	return r, nil
}

// plain reads the usual answer of one line without splitting it into words:
// 250 2.1.0 Ok. Everything else is left to reply.Parse.
func plain(line []byte) (reply.Reply, bool) {
	digit := func(i int) bool { return line[i] >= '0' && line[i] <= '9' }
	if len(line) < 10 || !digit(0) || !digit(1) || !digit(2) || line[0] < '2' || line[0] > '5' {
		return reply.Reply{}, false
	}
	if line[4] != line[0] || line[5] != '.' || !digit(6) || line[7] != '.' || !digit(8) || line[9] != ' ' || line[4] == '3' {
		return reply.Reply{}, false
	}
	return reply.Reply{
		Code:     int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0'),
		Enhanced: reply.Enhanced{uint16(line[4] - '0'), uint16(line[6] - '0'), uint16(line[8] - '0')},
		Text:     string(line[10:]),
	}, true
}

// line gives the next line without its end. It stays valid until the next call.
func (in *replyReader) line() ([]byte, error) {
	seen := in.r
	for {
		if i := bytes.IndexByte(in.buf[seen:in.w], '\n'); i >= 0 {
			line := in.buf[in.r : seen+i]
			in.r = seen + i + 1
			if n := len(line); n > 0 && line[n-1] == '\r' {
				line = line[:n-1]
			}
			return line, nil
		}
		seen = in.w
		if in.r > 0 {
			copy(in.buf[:], in.buf[in.r:in.w])
			in.w, seen, in.r = in.w-in.r, seen-in.r, 0
		}
		if in.w == len(in.buf) {
			return nil, fault.New(fault.Unavailable, "The host's answer has a line that does not end.")
		}
		n, err := in.from.Read(in.buf[in.w:])
		in.w += n
		if n == 0 && err != nil {
			if err == io.EOF && in.w > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

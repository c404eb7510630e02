package smtp

import "bytes"

// Defect is what is wrong with the bytes of a message on the wire.
type Defect uint8

// The defects. Only CRLF ends a line (RFC 5321 2.3.8); what takes a bare CR or
// LF for one lets one message become two ("SMTP smuggling").
const (
	Clean Defect = iota
	BareLF
	BareCR
	NUL
	LongLine
)

// String is the defect's name as metrics and logs carry it.
func (d Defect) String() string {
	return [...]string{"clean", "bare_lf", "bare_cr", "nul", "long_line"}[min(d, LongLine)]
}

// Scanner reads the bytes of a message in pieces as large as they come. It
// finds the end of data, takes away the stuffed dots, and notes the first
// defect; it goes on to the true end after one. The zero Scanner is not ready:
// call Reset.
type Scanner struct {
	defect  Defect
	inLine  bool // the next byte is not the first of its line
	afterCR bool // chunks only: the last chunk ended in CR
	line    int64
	maxLine int64
}

// Reset starts a new message. maxLine bounds a line's octets without its CRLF;
// 0 does not.
func (s *Scanner) Reset(maxLine int64) { *s = Scanner{maxLine: maxLine} }

// Defect is the first defect seen.
func (s *Scanner) Defect() Defect { return s.defect }

// Dots looks at the bytes that have come. body is the part of the message at
// their beginning; it and skip further octets are used up. ended reports that
// these octets were the end of data. If both are zero, more bytes are needed
// than buf has: at most three are held back so.
func (s *Scanner) Dots(buf []byte) (body []byte, skip int, ended bool) {
	if !s.inLine && buf[0] == '.' {
		switch {
		case len(buf) >= 3 && buf[1] == '\r' && buf[2] == '\n':
			return nil, 3, true
		case len(buf) == 1, len(buf) == 2 && buf[1] == '\r':
			return nil, 0, false
		}
		s.inLine = true // RFC 5321 4.5.2: the first dot of a longer line goes
		return nil, 1, false
	}
	n, lines := 0, 0
	for n < len(buf) {
		i := bytes.IndexByte(buf[n:], '\n')
		if i < 0 {
			n = s.tail(buf, n)
			break
		}
		s.endLine(buf, n, i)
		lines++
		n += i + 1
		if !s.inLine && n < len(buf) && buf[n] == '.' {
			break
		}
	}
	s.check(buf[:n], lines)
	return buf[:n], 0, false
}

// tail takes the unfinished line at the end of buf, without a last CR, whose LF
// may be still to come.
func (s *Scanner) tail(buf []byte, n int) int {
	end := len(buf)
	if buf[end-1] == '\r' {
		end--
	}
	if end > n {
		s.inLine = true
		s.grow(int64(end - n))
	}
	return end
}

// endLine takes a line whose LF is at buf[n+i].
func (s *Scanner) endLine(buf []byte, n, i int) {
	if at := n + i; at == 0 || buf[at-1] != '\r' {
		s.note(BareLF)
		s.inLine = true // what follows a bare LF is no beginning of a line
		s.grow(int64(i + 1))
		return
	}
	s.grow(int64(i - 1))
	s.inLine, s.line = false, 0
}

func (s *Scanner) grow(n int64) {
	s.line += n
	if s.maxLine > 0 && s.line > s.maxLine {
		s.note(LongLine)
	}
}

func (s *Scanner) note(d Defect) {
	if s.defect == Clean {
		s.defect = d
	}
}

// check holds a piece with so many LF to the rules that need no position: as
// many CR as line ends, no NUL.
func (s *Scanner) check(piece []byte, lines int) {
	if s.defect != Clean {
		return
	}
	if bytes.Count(piece, cr) != lines {
		s.note(BareCR)
	}
	if bytes.IndexByte(piece, 0) >= 0 {
		s.note(NUL)
	}
}

var cr = []byte{'\r'}

// Chunk looks at a piece of a BDAT chunk. Nothing is taken away: the whole piece
// is message.
func (s *Scanner) Chunk(piece []byte) {
	if len(piece) == 0 {
		return
	}
	if s.afterCR && piece[0] != '\n' {
		s.note(BareCR)
	}
	n, lines := 0, 0
	for n < len(piece) {
		i := bytes.IndexByte(piece[n:], '\n')
		if i < 0 {
			s.grow(int64(len(piece) - n))
			break
		}
		if at := n + i; at > 0 && piece[at-1] != '\r' || at == 0 && !s.afterCR {
			s.note(BareLF)
		}
		s.grow(int64(max(i-1, 0)))
		s.line = 0
		lines++
		n += i + 1
	}
	if s.afterCR && piece[0] == '\n' {
		lines-- // its CR was counted out with the piece before
	}
	s.afterCR = piece[len(piece)-1] == '\r'
	if s.afterCR {
		s.check(piece[:len(piece)-1], lines)
		return
	}
	s.check(piece, lines)
}

// EndChunks says that the last chunk has come.
func (s *Scanner) EndChunks() {
	if s.afterCR {
		s.note(BareCR)
	}
}

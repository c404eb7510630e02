package message

import (
	"bytes"
	"io"
)

const (
	// window holds any boundary that is taken (maxBoundary) on one line. Parse and
	// ParseHeader use the same, so that they see the same header.
	window      = 16 << 10
	maxBoundary = 8 << 10
)

func windowFor(size int64) int {
	return int(min(max(size, 1), window))
}

// ending is how a line ends.
type ending uint8

const (
	endNone ending = iota // the end of the input, or of a piece of a long line
	endCRLF
	endLF
	endCR
	endCRCRLF // written by broken gateways; one line end
)

// line is one line, or a piece of one that is longer than the window.
type line struct {
	off  int64  // where it starts
	text []byte // without its end; valid until the next call
	end  int64  // where its text ends
	next int64  // where the next one starts
	eol  ending
	cont bool // the line began in an earlier piece
}

// scanner reads lines through a window of fixed size.
type scanner struct {
	r     io.ReaderAt
	size  int64
	buf   []byte
	base  int64 // offset of buf[0]
	pos   int   // next byte in buf
	n     int   // bytes in buf
	lf    int   // position of the next LF at or after pos, n if none; -1 unknown
	lines int   // line ends passed
	cont  bool
}

func newScanner(r io.ReaderAt, size int64, window int) *scanner {
	return &scanner{r: r, size: size, buf: make([]byte, window), lf: -1}
}

func (s *scanner) offset() int64 { return s.base + int64(s.pos) }

// seek goes to an offset that was passed before, with the count of lines that
// stood there.
func (s *scanner) seek(off int64, lines int) {
	s.lines, s.cont, s.lf = lines, false, -1
	if off >= s.base && off <= s.base+int64(s.n) {
		s.pos = int(off - s.base)
		return
	}
	s.base, s.pos, s.n = off, 0, 0
}

// fill reads more behind what is not yet used. It reports whether anything came.
func (s *scanner) fill() (bool, error) {
	if s.pos > 0 {
		copy(s.buf, s.buf[s.pos:s.n])
		s.base += int64(s.pos)
		s.n -= s.pos
		s.pos, s.lf = 0, -1
	}
	at := s.base + int64(s.n)
	want := min(int64(len(s.buf)-s.n), s.size-at)
	if want <= 0 {
		return false, nil
	}
	got, err := s.r.ReadAt(s.buf[s.n:s.n+int(want)], at)
	s.n += got
	s.lf = -1
	if int64(got) < want {
		if err == nil || err == io.EOF {
			// The source is shorter than it was said to be; take what there is.
			s.size = at + int64(got)
			return got > 0, nil
		}
		return false, err
	}
	return true, nil
}

// line gives the next line. ok is false at the end of the input.
func (s *scanner) line() (l line, ok bool, err error) {
	for {
		if n, skip, eol := s.find(); eol != endNone {
			return s.take(n, skip, eol), true, nil
		}
		more, err := s.fill()
		if err != nil {
			return line{}, false, err
		}
		if more {
			continue
		}
		if s.pos == s.n {
			return line{}, false, nil
		}
		return s.piece(), true, nil
	}
}

// find looks for a line end in the window whose kind is certain: n bytes of
// text and skip bytes of ending.
func (s *scanner) find() (n, skip int, eol ending) {
	if s.lf < s.pos {
		s.lf = s.n
		if i := bytes.IndexByte(s.buf[s.pos:s.n], '\n'); i >= 0 {
			s.lf = s.pos + i
		}
	}
	text := s.buf[s.pos:s.lf]
	cr := bytes.IndexByte(text, '\r')
	switch {
	case cr < 0 && s.lf < s.n:
		return len(text), 1, endLF
	case cr < 0:
		return 0, 0, endNone
	case s.lf < s.n && cr == len(text)-1:
		return cr, 2, endCRLF
	case s.lf < s.n && cr == len(text)-2 && text[cr+1] == '\r':
		return cr, 3, endCRCRLF
	case s.lf == s.n && cr >= len(text)-2 && s.base+int64(s.n) < s.size:
		return 0, 0, endNone // what follows the CR is not in the window yet
	}
	return cr, 1, endCR
}

func (s *scanner) take(n, skip int, eol ending) line {
	l := line{off: s.offset(), text: s.buf[s.pos : s.pos+n], eol: eol, cont: s.cont}
	l.end = l.off + int64(n)
	l.next = l.end + int64(skip)
	s.pos += n + skip
	s.lines++
	s.cont = false
	return l
}

// piece gives what the window holds of a line that is longer, or the last line
// of an input that does not end in a line end.
func (s *scanner) piece() line {
	n := s.n - s.pos
	if s.base+int64(s.n) < s.size {
		// Leave CRs at the edge for the next piece: they may belong to a line end.
		for k := 0; k < 2 && n > 1 && s.buf[s.pos+n-1] == '\r'; k++ {
			n--
		}
	}
	l := line{off: s.offset(), text: s.buf[s.pos : s.pos+n], cont: s.cont}
	l.end = l.off + int64(n)
	l.next = l.end
	s.pos += n
	s.cont = l.next < s.size
	return l
}

package message

import (
	"bytes"
	"strings"
)

// Field is one header field as it stands in the message.
type Field struct {
	raw    []byte
	colon  int32 // length of the name with white space before the colon
	Offset int64 // where its name starts
}

// Name is the field's name as written.
func (f Field) Name() string { return string(f.name()) }

func (f Field) name() []byte { return bytes.TrimRight(f.raw[:f.colon], " \t") }

// Raw is the whole field with its folding, without the last line end. The bytes
// belong to the header and must not be changed.
func (f Field) Raw() []byte { return f.raw }

// RawValue is what stands behind the colon, with its folding.
func (f Field) RawValue() []byte { return f.raw[f.colon+1:] }

// Is compares the name without regard to case.
func (f Field) Is(name string) bool {
	n := f.name()
	return len(n) == len(name) && strings.EqualFold(string(n), name)
}

// Value is the unfolded value without white space around it (RFC 5322 2.2.3).
// Encoded words stay as they are; octets may be anything but CR, LF and NUL.
func (f Field) Value() string { return unfold(f.RawValue()) }

// Text is the value for people: encoded words decoded, always UTF-8, without
// control characters.
func (f Field) Text() string { return DecodeText(f.Value()) }

// Header is the fields of one part, in order, with duplicates.
type Header struct {
	Fields  []Field
	Start   int64    // where the first field starts (behind an mbox From_ line)
	End     int64    // where the header ends: the start of its empty line, or of what follows
	Body    int64    // where the body starts
	Lines   int      // line ends from Start to Body
	Cut     bool     // limits were passed; Fields does not hold everything
	Defects []Defect // filled by ParseHeader only
}

// Get returns the first field of this name.
func (h *Header) Get(name string) (Field, bool) {
	for i := range h.Fields {
		if h.Fields[i].Is(name) {
			return h.Fields[i], true
		}
	}
	return Field{}, false
}

// All returns every field of this name in order.
func (h *Header) All(name string) []Field {
	var all []Field
	for i := range h.Fields {
		if h.Fields[i].Is(name) {
			all = append(all, h.Fields[i])
		}
	}
	return all
}

// Value is the unfolded value of the first field of this name, or "".
func (h *Header) Value(name string) string {
	if f, ok := h.Get(name); ok {
		return f.Value()
	}
	return ""
}

// Text is the decoded text of the first field of this name, or "".
func (h *Header) Text(name string) string {
	if f, ok := h.Get(name); ok {
		return f.Text()
	}
	return ""
}

// unfold removes line ends, turns NUL into a space and trims.
func unfold(raw []byte) string {
	raw = bytes.Trim(raw, " \t\r\n")
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 && bytes.IndexByte(raw, 0) < 0 {
		return string(raw)
	}
	var b strings.Builder
	b.Grow(len(raw))
	for i, c := range raw {
		switch c {
		case '\r', '\n':
			// A line end is folding only before white space; elsewhere it would
			// glue words together.
			if i+1 < len(raw) && !isBreak(raw[i+1]) {
				b.WriteByte(' ')
			}
		case 0:
			b.WriteByte(' ')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isBreak(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// headerReader gathers one header block.
type headerReader struct {
	p     *parser
	h     Header
	block []byte
	marks []mark
	skip  bool // the current line belongs to a field that is not kept
	long  bool // the current line was cut
	row   int  // bytes of the current line
	prev  ending
}

type mark struct {
	start, end int // in block
	colon      int32
	off        int64
}

// event says why a run of lines ended.
type event struct {
	level   int   // the multipart whose boundary was met, counted from the outside; -1 is the end of input
	closing bool  // it was the closing boundary
	off     int64 // where the boundary's line starts
	lines   int   // line ends before it
	next    int64 // where the line after it starts
	lineEnd int64 // where the text of the boundary's line ends
	textEnd int64 // where the text of the line before it ends
}

var atEOF = event{level: -1}

// header reads fields up to the empty line. met is not nil if a boundary of an
// enclosing multipart (or the end of input) came before the empty line.
func (p *parser) header(top bool) (Header, *event, error) {
	r := &headerReader{p: p, block: make([]byte, 0, 1024), marks: make([]mark, 0, 16)}
	s := p.scan
	r.h.Start = s.offset()
	first, textEnd := s.lines, s.offset()
	finish := func(end, body int64, met *event) (Header, *event, error) {
		r.h.End, r.h.Body, r.h.Lines = end, body, s.lines-first
		r.finish()
		return r.h, met, nil
	}
	for {
		lines := s.lines
		l, ok, err := s.line()
		if err != nil {
			return Header{}, nil, err
		}
		if !ok {
			ev := atEOF
			ev.off, ev.lines = s.offset(), s.lines
			return finish(ev.off, ev.off, &ev)
		}
		p.sawLine(l)
		if l.cont {
			r.more(l)
			r.prev, textEnd = l.eol, l.end
			continue
		}
		if len(l.text) == 0 && l.eol != endNone {
			return finish(l.off, l.next, nil)
		}
		if ev, met := p.boundary(l, lines); met {
			p.defect(DefectHeaderEnd, l.off)
			h, _, err := finish(l.off, l.off, nil)
			h.Lines = lines - first
			found := ev // a copy, so that not every line's event lands on the heap
			found.textEnd = textEnd
			return h, &found, err
		}
		if top && r.start(l) {
			first = s.lines
			continue
		}
		body, err := r.line(l)
		if err != nil {
			return Header{}, nil, err
		}
		if body {
			p.defect(DefectHeaderEnd, l.off)
			s.seek(l.off, lines)
			return finish(l.off, l.off, nil)
		}
		r.prev, textEnd = l.eol, l.end
	}
}

// start skips an mbox From_ line before the first field (RFC 4155).
func (r *headerReader) start(l line) bool {
	if l.off != r.h.Start || len(r.marks) > 0 || l.eol == endNone {
		return false
	}
	if !bytes.HasPrefix(l.text, []byte("From ")) && !bytes.HasPrefix(l.text, []byte(">From ")) {
		return false
	}
	r.p.defect(DefectMboxFrom, l.off)
	r.h.Start = l.next
	return true
}

// line takes one line. It reports whether the line belongs to the body already.
func (r *headerReader) line(l line) (body bool, err error) {
	r.long, r.row = false, 0
	if c := l.text[0]; c == ' ' || c == '\t' {
		r.continuation(l)
		return false, nil
	}
	colon := bytes.IndexByte(l.text, ':')
	if colon > 0 && isFieldName(bytes.TrimRight(l.text[:colon], " \t")) {
		r.field(l, colon)
		return false, nil
	}
	body, err = r.bodyFollows(l)
	if err != nil || body {
		return body, err
	}
	r.p.defect(DefectNoColon, l.off)
	r.skip = true
	return false, nil
}

// bodyFollows decides what a line without colon is. It is junk inside the
// header if a field comes next; else the empty line is missing and the body has
// begun, so that no text is lost.
func (r *headerReader) bodyFollows(l line) (bool, error) {
	s := r.p.scan
	if l.eol == endNone {
		return true, nil
	}
	lines := s.lines
	next, ok, err := s.line()
	if err != nil {
		return false, err
	}
	header := false
	if ok && len(next.text) > 0 {
		colon := bytes.IndexByte(next.text, ':')
		header = colon > 0 && isFieldName(bytes.TrimRight(next.text[:colon], " \t"))
	}
	s.seek(l.next, lines)
	return !header, nil
}

// isFieldName reports RFC 5322 3.6.8 ftext. RFC 6532 lets UTF-8 into values,
// not into names.
func isFieldName(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

func (r *headerReader) field(l line, colon int) {
	r.skip = false
	switch o := &r.p.opts; {
	case len(r.marks) >= o.MaxFields:
		r.p.once(DefectManyFields, l.off)
		r.skip, r.h.Cut = true, true
		return
	case !r.room(len(l.text)):
		r.skip = true
		return
	}
	start := len(r.block)
	r.block = append(r.block, r.clip(l)...)
	if int(colon) >= len(r.block)-start {
		r.block = r.block[:start]
		r.skip = true
		return
	}
	r.marks = append(r.marks, mark{start: start, end: len(r.block), colon: int32(colon), off: l.off})
}

// continuation appends a folded line to its field, with the line end between.
func (r *headerReader) continuation(l line) {
	if len(r.marks) == 0 || r.skip {
		if len(r.marks) == 0 {
			r.p.defect(DefectFolding, l.off)
		}
		return
	}
	if len(bytes.Trim(l.text, " \t")) == 0 {
		r.p.defect(DefectFolding, l.off)
	}
	if !r.room(len(l.text) + 2) {
		r.skip = true
		return
	}
	m := &r.marks[len(r.marks)-1]
	r.block = append(r.block, r.prev.bytes()...)
	r.block = append(r.block, r.clip(l)...)
	m.end = len(r.block)
}

// more appends a further piece of a line that is longer than the window.
func (r *headerReader) more(l line) {
	if r.skip || len(r.marks) == 0 || r.long || !r.room(len(l.text)) {
		return
	}
	m := &r.marks[len(r.marks)-1]
	r.block = append(r.block, r.clip(l)...)
	m.end = len(r.block)
}

// clip cuts a line at Options.MaxLine.
func (r *headerReader) clip(l line) []byte {
	left := r.p.opts.MaxLine - r.row
	r.row += len(l.text)
	if len(l.text) <= left {
		return l.text
	}
	r.p.once(DefectLongLine, l.off)
	r.long, r.h.Cut = true, true
	return l.text[:max(left, 0)]
}

func (r *headerReader) room(n int) bool {
	if len(r.block)+n <= r.p.opts.MaxHeaderBytes && len(r.block)+n <= r.p.headerBudget {
		return true
	}
	r.p.once(DefectLongHeader, r.p.scan.offset())
	r.h.Cut = true
	return false
}

// finish copies the block to its size and cuts the fields out of it.
func (r *headerReader) finish() {
	block := r.block
	if cap(block) > len(block)+len(block)/4 {
		block = bytes.Clone(block)
	}
	r.p.headerBudget -= len(block)
	r.h.Fields = make([]Field, len(r.marks))
	for i, m := range r.marks {
		r.h.Fields[i] = Field{raw: block[m.start:m.end:m.end], colon: m.colon, Offset: m.off}
	}
}

func (e ending) bytes() string {
	switch e {
	case endLF:
		return "\n"
	case endCR:
		return "\r"
	case endCRCRLF:
		return "\r\r\n"
	case endCRLF, endNone:
		return "\r\n"
	}
	return "\r\n"
}

package message

import (
	"bytes"
	"io"
	"strconv"
	"strings"
)

// Span is a run of bytes of a layer.
type Span struct {
	Start int64 `json:"start"`
	End   int64 `json:"end"`
}

// Len is the number of bytes.
func (s Span) Len() int64 { return s.End - s.Start }

// Part is a node of the tree: a leaf, a multipart with its parts, or a message
// with the root of the enclosed message as its one child.
type Part struct {
	Header   Header
	Parent   *Part
	Children []*Part

	Type     ContentType // lower case, with the default of RFC 2045 5.2 or RFC 2046 5.1.5 if none is given
	Encoding string      // Content-Transfer-Encoding in lower case, "" if none is given

	// Offsets count in the part's layer. Layer 0 is the message's own bytes; an
	// enclosed message that was encoded opens the next layer, the decoded bytes.
	Layer    int
	Body     Span // raw body, without the line end that belongs to a boundary
	Lines    int  // line ends within Body
	Preamble Span // of a multipart
	Epilogue Span // of a multipart
	Opaque   bool // limits were passed: the body was not looked into

	Embedded []Embedded // uuencoded files within a text

	src io.ReaderAt
}

// Size is the number of bytes of the raw body.
func (p *Part) Size() int64 { return p.Body.Len() }

// IsMultipart reports a body made of parts.
func (p *Part) IsMultipart() bool { return p.Type.Major() == "multipart" && !p.Opaque }

// IsMessage reports an enclosed message that was parsed.
func (p *Part) IsMessage() bool {
	return !p.Opaque && len(p.Children) > 0 && isMessageType(p.Type.Value)
}

// IsLeaf reports a part with a body of its own.
func (p *Part) IsLeaf() bool { return !p.IsMultipart() && !p.IsMessage() }

// Section is the part's number as IMAP counts (RFC 9051 6.4.5.1): "" is the
// whole message; the body of a message that is no multipart is "1".
func (p *Part) Section() string {
	if p.Parent == nil && p.IsLeaf() {
		return "1"
	}
	var numbers []string
	for ; p.Parent != nil; p = p.Parent {
		if p.Parent.IsMultipart() {
			for i, c := range p.Parent.Children {
				if c == p {
					numbers = append(numbers, strconv.Itoa(i+1))
				}
			}
		} else if !p.IsMultipart() {
			numbers = append(numbers, "1")
		}
	}
	for i, j := 0, len(numbers)-1; i < j; i, j = i+1, j-1 {
		numbers[i], numbers[j] = numbers[j], numbers[i]
	}
	return strings.Join(numbers, ".")
}

func isMessageType(t string) bool { return t == "message/rfc822" || t == "message/global" }

// parser builds the tree in one pass over the lines.
type parser struct {
	opts         Options
	defects      []Defect
	headerBudget int
	parts        int
	depth        int
	layer        int

	src  io.ReaderAt
	scan *scanner
	open []openBoundary // boundaries of the enclosing multiparts, outermost first
}

type openBoundary struct{ delimiter []byte } // "--" and the boundary

// maxLayers bounds encoded messages within encoded messages; each layer is
// decoded through all the ones below it.
const maxLayers = 5

func (p *parser) message() (*Part, error) {
	part, _, err := p.part(nil, "text/plain", true)
	return part, err
}

// part reads one part: header, then what its type asks for.
func (p *parser) part(parent *Part, defaultType string, top bool) (*Part, event, error) {
	p.parts++
	p.depth++
	defer func() { p.depth-- }()
	h, met, err := p.header(top)
	if err != nil {
		return nil, event{}, err
	}
	part := &Part{Header: h, Parent: parent, Layer: p.layer, src: p.src}
	part.Body = Span{h.Body, h.Body}
	p.describe(part, defaultType, top)
	if met != nil {
		if part.Type.Major() == "multipart" {
			part.Preamble, part.Epilogue = part.Body, part.Body
		}
		return part, *met, nil
	}
	first := p.scan.lines
	ev, err := p.body(part)
	if err != nil {
		return nil, event{}, err
	}
	p.close(part, ev, first)
	if isMessageType(part.Type.Value) && !part.Opaque && len(part.Children) == 0 {
		err = p.decodedMessage(part)
	}
	return part, ev, err
}

// close sets the end of a body. The line end before a boundary belongs to the
// boundary (RFC 2046 5.1.1).
func (p *parser) close(part *Part, ev event, first int) {
	part.Lines = ev.lines - first
	part.Body.End = ev.off
	if ev.level < 0 || part.Lines == 0 {
		part.Body.End = max(part.Body.End, part.Body.Start)
		return
	}
	part.Lines--
	part.Body.End = max(ev.textEnd, part.Body.Start)
}

func (p *parser) body(part *Part) (event, error) {
	major := part.Type.Major()
	switch {
	case major != "multipart" && !isMessageType(part.Type.Value):
		return p.leaf(part)
	case part.Header.Cut:
		part.Opaque = true
	case p.depth >= p.opts.MaxDepth:
		p.once(DefectDeep, part.Body.Start)
		part.Opaque = true
	case p.parts >= p.opts.MaxParts:
		p.once(DefectManyParts, part.Body.Start)
		part.Opaque = true
	case major == "multipart":
		return p.multipart(part)
	default:
		return p.enclosed(part)
	}
	return p.leaf(part)
}

// enclosed parses the message within a message part.
func (p *parser) enclosed(part *Part) (event, error) {
	if decodes(part.Encoding) {
		p.defect(DefectCompositeEncoding, part.Header.Start)
		return p.until(nil, p.scan.offset()) // decodedMessage follows once the body's end is known
	}
	child, ev, err := p.part(part, "text/plain", true)
	if err != nil {
		return ev, err
	}
	part.Children = []*Part{child}
	return ev, nil
}

// bodyEnd is where a body ends that started at start and was ended by ev.
func (ev event) bodyEnd(start int64) int64 {
	if ev.level < 0 {
		return max(ev.off, start)
	}
	return max(ev.textEnd, start)
}

// decodedMessage parses an enclosed message out of its decoded bytes, as a
// layer of its own.
func (p *parser) decodedMessage(part *Part) error {
	if p.layer >= maxLayers {
		p.once(DefectDeep, part.Body.Start)
		part.Opaque = true
		return nil
	}
	src, size, err := newDecodedAt(part)
	if err != nil {
		return err
	}
	below := *p
	inner := &parser{
		opts: p.opts, defects: p.defects, headerBudget: p.headerBudget, parts: p.parts, depth: p.depth,
		layer: p.layer + 1, src: src, scan: newScanner(src, size, windowFor(size)),
	}
	child, _, err := inner.part(part, "text/plain", true)
	if err != nil {
		return err
	}
	*p = below
	p.defects, p.headerBudget, p.parts = inner.defects, inner.headerBudget, inner.parts
	part.Children = []*Part{child}
	return nil
}

// multipart reads preamble, parts and epilogue.
func (p *parser) multipart(part *Part) (event, error) {
	boundary := p.boundaryOf(part)
	if boundary == "" {
		part.Opaque = true
		return p.leaf(part)
	}
	level := len(p.open)
	p.open = append(p.open, openBoundary{[]byte("--" + boundary)})
	defer func() { p.open = p.open[:level] }()

	ev, err := p.until(nil, p.scan.offset())
	if err != nil {
		return ev, err
	}
	part.Preamble = Span{part.Body.Start, ev.bodyEnd(part.Body.Start)}
	if ev.level != level || ev.closing {
		p.defect(DefectNoParts, part.Body.Start)
	}
	part.Epilogue = Span{part.Preamble.End, part.Preamble.End}
	for ev.level == level && !ev.closing {
		if p.parts >= p.opts.MaxParts {
			p.open = p.open[:level]
			return p.rest(part, ev)
		}
		var child *Part
		child, ev, err = p.part(part, part.childType(), false)
		if err != nil {
			return ev, err
		}
		part.Children = append(part.Children, child)
	}
	if ev.level != level {
		p.defect(DefectNoFinalBoundary, ev.off)
		end := ev.bodyEnd(part.Body.Start)
		part.Epilogue = Span{end, end}
		return ev, nil
	}
	return p.epilogue(part, ev, level)
}

// rest makes everything beyond the limit of parts one opaque part.
func (p *parser) rest(parent *Part, ev event) (event, error) {
	p.once(DefectManyParts, ev.off)
	p.parts++
	last := &Part{
		Parent: parent, Layer: p.layer, src: p.src, Opaque: true,
		Header: Header{Start: ev.next, End: ev.next, Body: ev.next},
		Body:   Span{ev.next, ev.next},
		Type:   ContentType{Value: "application/octet-stream"},
	}
	parent.Children = append(parent.Children, last)
	first := p.scan.lines
	ev, err := p.until(nil, p.scan.offset())
	p.close(last, ev, first)
	parent.Epilogue = Span{last.Body.End, last.Body.End}
	return ev, err
}

func (p *parser) epilogue(part *Part, closing event, level int) (event, error) {
	p.open = p.open[:level]
	ev, err := p.until(nil, closing.lineEnd)
	start := min(closing.next, ev.off)
	part.Epilogue = Span{start, ev.bodyEnd(start)}
	return ev, err
}

// childType is the type of a child without Content-Type (RFC 2046 5.1.5).
func (p *Part) childType() string {
	if p.Type.Value == "multipart/digest" {
		return "message/rfc822"
	}
	return "text/plain"
}

// boundaryOf gives a multipart's boundary, or "" if it has none that can be used.
func (p *parser) boundaryOf(part *Part) string {
	b, _ := part.Type.Param("boundary")
	switch {
	case b == "" || len(b) > maxBoundary:
		p.defect(DefectNoBoundary, part.Header.Start)
		return ""
	case len(b) > 70:
		p.defect(DefectLongBoundary, part.Header.Start)
	}
	for i := range p.open {
		if string(p.open[i].delimiter[2:]) == b {
			p.defect(DefectSharedBoundary, part.Header.Start)
		}
	}
	return b
}

// leaf passes over a body.
func (p *parser) leaf(part *Part) (event, error) {
	w := p.watch(part)
	ev, err := p.until(w, part.Body.Start)
	if w != nil {
		w.finish(p, ev)
	}
	return ev, err
}

// until passes over lines to the next boundary of an open multipart, or to the
// end. watch, if not nil, sees every line before it. textEnd is where the text
// before these lines ends.
func (p *parser) until(watch *watcher, textEnd int64) (event, error) {
	s := p.scan
	for {
		lines := s.lines
		l, ok, err := s.line()
		if err != nil {
			return event{}, err
		}
		if !ok {
			return event{level: -1, off: s.offset(), lines: s.lines, next: s.offset(), textEnd: textEnd}, nil
		}
		p.sawLine(l)
		if !l.cont && len(p.open) > 0 {
			if ev, met := p.boundary(l, lines); met {
				ev.textEnd = textEnd
				return ev, nil
			}
		}
		if watch != nil {
			watch.line(p, l)
		}
		textEnd = l.end
	}
}

// boundary tells whether a line is a delimiter of an open multipart. Any prefix
// of a line would do after RFC 2046 5.1.1; but where one boundary begins with
// another, that reading breaks mail that everybody else understands, so only
// white space or the closing hyphens may follow. The outermost match wins, and
// exact matches win over those with something behind.
func (p *parser) boundary(l line, lines int) (event, bool) {
	if len(l.text) < 3 || l.text[0] != '-' || l.text[1] != '-' {
		return event{}, false
	}
	found := event{level: -1}
	for i := range p.open {
		rest, ok := bytes.CutPrefix(l.text, p.open[i].delimiter)
		if !ok {
			continue
		}
		closing := bytes.HasPrefix(rest, []byte("--"))
		tail := rest
		if closing {
			tail = rest[2:]
		}
		exact := len(tail) == 0
		if !exact && tail[0] != ' ' && tail[0] != '\t' {
			continue
		}
		if exact || found.level < 0 {
			found = event{level: i, closing: closing, off: l.off, lines: lines, next: l.next, textEnd: l.off, lineEnd: l.end}
		}
		if exact {
			return found, true
		}
	}
	if found.level >= 0 {
		p.tail(l, found)
	}
	return found, found.level >= 0
}

// tail lists text behind a boundary, and passes over the rest of a line that is
// longer than the window.
func (p *parser) tail(l line, ev event) {
	rest := l.text[len(p.open[ev.level].delimiter):]
	if ev.closing {
		rest = rest[2:]
	}
	if len(bytes.Trim(rest, " \t")) > 0 {
		p.defect(DefectBoundaryTail, l.off)
	}
}

// sawLine lists the defects that any line may have.
func (p *parser) sawLine(l line) {
	switch l.eol {
	case endLF:
		p.once(DefectBareLF, l.end)
	case endCR, endCRCRLF:
		p.once(DefectBareCR, l.end)
	case endCRLF, endNone:
	}
	if len(l.text) > 998 && !l.cont {
		p.once(DefectLongLine, l.off)
	}
}

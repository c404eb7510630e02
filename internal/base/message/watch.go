package message

import (
	"bytes"
	"strings"
)

// Embedded is a uuencoded file within a text part.
type Embedded struct {
	Name string
	Span Span // from the begin line to behind the end line, in the part's layer
}

// maxEmbedded bounds the uuencoded files listed per part.
const maxEmbedded = 100

// watcher looks at the lines of a leaf while the parser passes over them: it
// finds faults of the transfer encoding and uuencoded files.
type watcher struct {
	part   *Part
	coding coding
	bad    bool // the encoding's defect is listed
	chars  int  // base64 characters seen
	padded bool
	inFile bool
	file   Embedded
}

// describe fills a part's type and encoding from its header.
func (p *parser) describe(part *Part, defaultType string, top bool) {
	h := &part.Header
	p.contentType(part, defaultType)
	if f, ok := h.Get("Content-Transfer-Encoding"); ok {
		// Some write "base64;" or a comment behind the name.
		ct, _ := ParseParams(f.Value())
		part.Encoding = ct.Value
		if _, known := codingOf(part.Encoding); !known {
			p.defect(DefectEncoding, f.Offset)
		}
		if part.Type.Major() == "multipart" && decodes(part.Encoding) {
			p.defect(DefectCompositeEncoding, f.Offset)
		}
	}
	if part.Type.Major() == "text" {
		if _, known := transformerFor(part.Charset()); !known {
			p.defect(DefectCharset, h.Start)
		}
	}
	p.fields(h, top)
}

// contentType reads the first Content-Type. A part without one, or with one
// that is no type/subtype, is what RFC 2045 5.2 says.
func (p *parser) contentType(part *Part, defaultType string) {
	part.Type = ContentType{Value: defaultType}
	f, ok := part.Header.Get("Content-Type")
	if !ok {
		return
	}
	ct, defects := ParseParams(f.Value())
	for _, d := range defects {
		p.defect(d, f.Offset)
	}
	if !isMediaType(ct.Value) {
		p.defect(DefectContentType, f.Offset)
		ct.Value = repairType(ct.Value)
	}
	if ct.Value == "" {
		ct.Value = defaultType
	}
	part.Type = ct
}

func isMediaType(s string) bool {
	major, minor, ok := strings.Cut(s, "/")
	return ok && isToken(major) && isToken(minor)
}

// isToken reports RFC 2045 5.1.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// repairType makes a media type of what was written, or gives "".
func repairType(s string) string {
	if fields := strings.Fields(s); len(fields) > 1 {
		s = fields[0] // "text/plain charset" and the like
		if strings.HasSuffix(s, "/") || !strings.Contains(s, "/") {
			s = strings.Join(fields, "") // "text / plain"
		}
	}
	if isMediaType(s) {
		return s
	}
	switch major, minor, ok := strings.Cut(s, "/"); {
	case s == "text", s == "text/":
		return "text/plain"
	case s == "html":
		return "text/html"
	case ok && isToken(major) && minor != "":
		return major + "/octet-stream" // the subtype is broken; the kind still tells
	case s == "":
		return ""
	}
	return "application/octet-stream"
}

// single are the fields that may stand only once and that readers disagree
// about when they stand twice (RFC 5322 3.6, RFC 2045).
var single = [...]string{"from", "sender", "reply-to", "to", "cc", "bcc", "message-id", "in-reply-to", "references", "subject", "date",
	"content-type", "content-transfer-encoding", "content-disposition", "content-id", "mime-version"}

// fields lists the defects of a header's fields.
func (p *parser) fields(h *Header, top bool) {
	var seen uint32
	for i := range h.Fields {
		f := &h.Fields[i]
		for k, name := range single {
			if len(name) == len(f.name()) && f.Is(name) {
				if seen&(1<<k) != 0 {
					p.defect(DefectDuplicateField, f.Offset)
				}
				seen |= 1 << k
			}
		}
		if bytes.IndexByte(f.raw, 0) >= 0 {
			p.once(DefectNUL, f.Offset)
		}
		if !validUTF8(f.raw) {
			p.once(DefectRaw8Bit, f.Offset)
		}
	}
	if f, ok := h.Get("Date"); ok && top {
		if _, ok := ParseDate(f.Value()); !ok {
			p.defect(DefectDate, f.Offset)
		}
	}
}

// watch gives the watcher that a leaf needs, or nil.
func (p *parser) watch(part *Part) *watcher {
	if part.Opaque {
		return nil
	}
	c, _ := codingOf(part.Encoding)
	w := &watcher{part: part, coding: c}
	switch {
	case c == codingBase64 || c == codingQP:
		return w
	case c == codingNone && part.Type.Major() == "text":
		return w
	}
	return nil
}

func (w *watcher) line(p *parser, l line) {
	switch w.coding {
	case codingBase64:
		if !w.bad {
			w.base64(p, l)
		}
	case codingQP:
		if !w.bad {
			w.qp(p, l)
		}
	case codingNone:
		w.uu(p, l)
	case codingUU:
	}
}

func (w *watcher) base64(p *parser, l line) {
	for i, c := range l.text {
		switch {
		case base64Value[c] < 64 && w.padded:
			w.fault(p, DefectBase64, l.off+int64(i))
			return
		case base64Value[c] < 64:
			w.chars++
		case c == '=' && (w.chars%4 >= 2 || w.padded):
			w.padded = true
		case c == ' ' || c == '\t':
		default:
			w.fault(p, DefectBase64, l.off+int64(i))
			return
		}
	}
}

func (w *watcher) fault(p *parser, kind DefectKind, off int64) {
	w.bad = true
	p.defect(kind, off)
}

func (w *watcher) qp(p *parser, l line) {
	for i := 0; i < len(l.text); i++ {
		c := l.text[i]
		if c != '=' {
			continue
		}
		if i+2 >= len(l.text) && l.eol == endNone {
			return // the piece ends here; it may be well
		}
		if _, out, _ := qpEscape(l.text[i:], true); out == '=' && !bytes.HasPrefix(bytes.ToUpper(l.text[i:]), []byte("=3D")) {
			w.fault(p, DefectQuotedPrintable, l.off+int64(i))
			return
		}
	}
}

// uu follows a begin line through its data to its end line.
func (w *watcher) uu(p *parser, l line) {
	if !w.inFile {
		if l.cont || len(l.text) < 12 || l.text[0] != 'b' || len(l.text) > maxUULine || len(w.part.Embedded) >= maxEmbedded {
			return
		}
		if name, ok := uuBegin(l.text); ok {
			w.inFile = true
			w.file = Embedded{Name: DecodeText(name), Span: Span{l.off, l.next}}
		}
		return
	}
	switch text := bytes.TrimRight(l.text, " \t"); {
	case string(text) == "end":
		w.file.Span.End = l.next
		w.part.Embedded = append(w.part.Embedded, w.file)
		w.inFile = false
	case len(l.text) > 0 && (l.cont || !uuData(l.text)):
		p.defect(DefectEmbeddedUnfinished, w.file.Span.Start)
		w.inFile = false
	}
}

// finish is called at the end of the leaf. A torn base64 end shows only here.
func (w *watcher) finish(p *parser, ev event) {
	if w.coding == codingBase64 && !w.bad && w.chars%4 != 0 && !w.padded {
		p.defect(DefectBase64, ev.off)
	}
	if w.inFile {
		p.defect(DefectEmbeddedUnfinished, w.file.Span.Start)
	}
}

// Package message is the one reader and the one writer of internet messages
// (RFC 5322, RFC 6532) and their MIME structure (RFC 2045 to 2049, 2231).
//
// Parse never refuses a message. It reads any bytes through an io.ReaderAt,
// keeps the header fields and a tree of parts with byte offsets, and lists what
// was wrong as defects; its only error is one of the reader. Its memory is
// bounded by Options, however long a line, a header or a nesting is. Everything
// that looks into mail (doors, filters, webhooks, mailboxes) asks this package,
// so that all of them see the same parts.
//
// Compose writes a message exactly and refuses what would break its form.
//
// Left to others: whether addresses exist (base/address, verify), signatures
// over the raw bytes, HTML cleaning, TNEF, and what a defect is worth.
package message

import (
	"io"
	"slices"
)

// Options are the limits of one parse. A zero field takes its default.
type Options struct {
	MaxParts       int // parts in the tree, the root included; default 2,000
	MaxDepth       int // nesting of parts; default 100
	MaxFields      int // header fields kept per part; default 2,000
	MaxHeaderBytes int // bytes of one part's header kept; default 1 MiB; the whole message's headers together keep four times as many
	MaxLine        int // bytes of one header line that are kept; default 256 KiB
	MaxDefects     int // defects listed; default 200
}

func (o Options) withDefaults() Options {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&o.MaxParts, 2000)
	set(&o.MaxDepth, 100)
	set(&o.MaxFields, 2000)
	set(&o.MaxHeaderBytes, 1<<20)
	set(&o.MaxLine, 256<<10)
	set(&o.MaxDefects, 200)
	return o
}

// Message is a parsed message. It reads bodies from the io.ReaderAt that it was
// parsed from, so it lives no longer than that one. It is safe for concurrent
// use if the reader is.
type Message struct {
	Root    *Part
	Defects []Defect // in the order found, at most Options.MaxDefects
	Size    int64    // bytes of the whole message
}

// Parse reads the size bytes of r. The error is never about the message, only
// about r.
func Parse(r io.ReaderAt, size int64, opts Options) (*Message, error) {
	p := &parser{opts: opts.withDefaults()}
	p.headerBudget = 4 * p.opts.MaxHeaderBytes
	p.src = r
	p.scan = newScanner(r, size, windowFor(size))
	root, err := p.message()
	if err != nil {
		return nil, err
	}
	return &Message{Root: root, Defects: p.defects, Size: size}, nil
}

// ParseHeader reads only the top header. It stops at the header's end and
// allocates little; the road of acceptance uses it.
func ParseHeader(r io.ReaderAt, size int64, opts Options) (Header, error) {
	p := &parser{opts: opts.withDefaults()}
	p.headerBudget = 4 * p.opts.MaxHeaderBytes
	p.scan = newScanner(r, size, windowFor(size))
	h, _, err := p.header(true)
	if err != nil {
		return Header{}, err
	}
	h.Defects = p.defects
	return h, nil
}

// Header is the message's own header.
func (m *Message) Header() *Header { return &m.Root.Header }

// Has reports whether a defect of this kind was found.
func (m *Message) Has(kind DefectKind) bool {
	return slices.ContainsFunc(m.Defects, func(d Defect) bool { return d.Kind == kind })
}

// Walk visits every part in the order of the message, the root first. It stops
// when visit returns false.
func (m *Message) Walk(visit func(*Part) bool) { walk(m.Root, visit) }

func walk(p *Part, visit func(*Part) bool) bool {
	if !visit(p) {
		return false
	}
	for _, c := range p.Children {
		if !walk(c, visit) {
			return false
		}
	}
	return true
}

package message

import (
	"io"
	"sort"
	"sync"
)

// bodyReader streams a span of a layer through a decoder.
type bodyReader struct {
	src      io.ReaderAt
	pos, end int64 // what of the source is not yet in buf
	buf      []byte
	r, w     int
	dec      decoder
	spill    [minRoom]byte // decoded bytes that the caller's slice was too short for
	sr, sw   int
}

const readBuffer = 8 << 10

func newBodyReader(src io.ReaderAt, span Span, dec decoder) *bodyReader {
	return &bodyReader{src: src, pos: span.Start, end: span.End, dec: dec, buf: make([]byte, min(readBuffer, max(span.Len(), 1)))}
}

// Read implements io.Reader.
func (b *bodyReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.sr < b.sw {
		n := copy(p, b.spill[b.sr:b.sw])
		b.sr += n
		return n, nil
	}
	if len(p) >= minRoom {
		return b.decode(p)
	}
	n, err := b.decode(b.spill[:])
	if n == 0 {
		return 0, err
	}
	b.sr, b.sw = 0, n
	n = copy(p, b.spill[:n])
	b.sr = n
	return n, nil
}

func (b *bodyReader) decode(p []byte) (int, error) {
	for {
		if b.w > b.r || b.pos >= b.end {
			nd, ns := b.dec.next(p, b.buf[b.r:b.w], b.pos >= b.end)
			if nd == 0 && ns == 0 && b.r == 0 && b.w == len(b.buf) {
				nd, ns = b.dec.next(p, b.buf[b.r:b.w], true) // no more fits: decide on what is here
			}
			b.r += ns
			if nd > 0 {
				return nd, nil
			}
			if ns > 0 {
				continue
			}
			if b.pos >= b.end {
				return 0, io.EOF
			}
		}
		if err := b.fill(); err != nil {
			return 0, err
		}
	}
}

func (b *bodyReader) fill() error {
	b.w = copy(b.buf, b.buf[b.r:b.w])
	b.r = 0
	want := int(min(int64(len(b.buf)-b.w), b.end-b.pos))
	n, err := b.src.ReadAt(b.buf[b.w:b.w+want], b.pos)
	b.w += n
	b.pos += int64(n)
	if n < want {
		if err == nil || err == io.EOF {
			b.end = b.pos // the source is shorter than it was said to be
			return nil
		}
		return err
	}
	return nil
}

// Raw streams the body as it stands in its layer.
func (p *Part) Raw() io.Reader { return newBodyReader(p.src, p.Body, decoder{}) }

// RawHeader streams the header block with its empty line.
func (p *Part) RawHeader() io.Reader {
	return newBodyReader(p.src, Span{p.Header.Start, p.Header.Body}, decoder{})
}

// Decoded streams the body with its transfer encoding undone. An error is one
// of the reader below, never of the encoding.
func (p *Part) Decoded() io.Reader {
	c, _ := codingOf(p.Encoding)
	return newBodyReader(p.src, p.Body, decoder{coding: c})
}

// Text streams the decoded body as UTF-8, after the charset parameter.
func (p *Part) Text() io.Reader { return textReader(p.Decoded(), p.Charset()) }

// Charset is the charset parameter, or "".
func (p *Part) Charset() string {
	name, _ := p.Type.Param("charset")
	return name
}

// DecodedSize counts the bytes of Decoded by reading them.
func (p *Part) DecodedSize() (int64, error) {
	if !decodes(p.Encoding) {
		return p.Size(), nil
	}
	return io.Copy(io.Discard, p.Decoded())
}

// decodedAt is random access to the decoded bytes of a part. It keeps a place
// to start again from every stepping of output instead of the bytes.
type decodedAt struct {
	mu    sync.Mutex
	src   io.ReaderAt
	end   int64
	marks []decodeMark
	cur   *bodyReader
	at    int64 // decoded offset of cur
}

type decodeMark struct {
	out int64
	src int64
	dec decoder
}

// markStep is how many decoded bytes lie between two marks; it grows with the
// part so that marks never take more than a few hundred kilobytes.
func markStep(size int64) int64 { return max(64<<10, size/4096) }

// newDecodedAt decodes the part once to learn the size and the marks.
func newDecodedAt(p *Part) (*decodedAt, int64, error) {
	c, _ := codingOf(p.Encoding)
	d := &decodedAt{src: p.src, end: p.Body.End}
	d.marks = []decodeMark{{src: p.Body.Start, dec: decoder{coding: c}}}
	r := newBodyReader(p.src, p.Body, decoder{coding: c})
	step := markStep(p.Size())
	buf := make([]byte, readBuffer)
	var out int64
	for {
		n, err := r.Read(buf)
		out += int64(n)
		if err == io.EOF {
			return d, out, nil
		}
		if err != nil {
			return nil, 0, err
		}
		if last := d.marks[len(d.marks)-1]; out-last.out >= step {
			d.marks = append(d.marks, decodeMark{out: out, src: r.pos - int64(r.w-r.r), dec: r.dec})
		}
	}
}

// ReadAt implements io.ReaderAt.
func (d *decodedAt) ReadAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cur == nil || off < d.at || off-d.at > markStep(0) {
		i := sort.Search(len(d.marks), func(i int) bool { return d.marks[i].out > off }) - 1
		m := d.marks[max(i, 0)]
		if d.cur == nil || off < d.at || m.out > d.at {
			d.cur, d.at = newBodyReader(d.src, Span{m.src, d.end}, m.dec), m.out
		}
	}
	if off > d.at {
		n, err := io.CopyN(io.Discard, d.cur, off-d.at)
		d.at += n
		if err != nil {
			return 0, err
		}
	}
	n, err := io.ReadFull(d.cur, p)
	d.at += int64(n)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

// Source is the layer that the part's offsets count in.
func (p *Part) Source() io.ReaderAt { return p.src }

// Package pack writes the small records that are sealed into one column:
// strings and numbers in a fixed order, each with its length. A record begins
// with the version its writer gives. What the fields mean is left to the writer;
// a reader of a damaged record gets zero values and Err, never a panic.
package pack

import (
	"encoding/binary"

	"mailvow/internal/base/fault"
)

// Writer appends fields to a record.
type Writer struct{ b []byte }

// To starts a record in dst, which may be a pooled buffer.
func To(dst []byte, version uint64) *Writer {
	w := &Writer{b: dst}
	w.Uint(version)
	return w
}

// Bytes is the record so far.
func (w *Writer) Bytes() []byte { return w.b }

// Uint appends a number.
func (w *Writer) Uint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }

// Int appends a number that may be negative.
func (w *Writer) Int(v int64) { w.b = binary.AppendVarint(w.b, v) }

// Bool appends a truth value.
func (w *Writer) Bool(v bool) {
	if v {
		w.Uint(1)
	} else {
		w.Uint(0)
	}
}

// String appends a string of any bytes.
func (w *Writer) String(s string) {
	w.Uint(uint64(len(s)))
	w.b = append(w.b, s...)
}

// Strings appends a list of strings.
func (w *Writer) Strings(list []string) {
	w.Uint(uint64(len(list)))
	for _, s := range list {
		w.String(s)
	}
}

// Reader takes fields off a record in the order they were written.
type Reader struct {
	b   []byte
	bad bool
}

// From starts reading and returns the record's version.
func From(record []byte) (r *Reader, version uint64) {
	r = &Reader{b: record}
	return r, r.Uint()
}

// Err is an Internal fault if any field was missing or damaged.
func (r *Reader) Err() error {
	if r.bad {
		return fault.New(fault.Internal, "a stored record is damaged")
	}
	return nil
}

func (r *Reader) fail() { r.bad, r.b = true, nil }

// Uint takes a number.
func (r *Reader) Uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Int takes a number that may be negative.
func (r *Reader) Int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Bool takes a truth value.
func (r *Reader) Bool() bool { return r.Uint() == 1 }

// String takes a string.
func (r *Reader) String() string {
	n := r.Uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

// Strings takes a list of strings.
func (r *Reader) Strings() []string {
	n := r.Uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = r.String()
	}
	return list
}

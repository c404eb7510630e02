package column

import (
	"encoding/binary"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/vault"
)

// chunk is the entries of one record side by side: the texts lie behind each
// other, so that one substring search passes over all of them, and ids and
// lengths are read only when it finds something.
type chunk struct {
	count int
	index []byte // ids and lengths, as written
	text  []byte

	ids  []int64 // after unfold
	ends []int   // of each text in text
}

func (c *chunk) at(i int) []byte {
	from := 0
	if i > 0 {
		from = c.ends[i-1]
	}
	return c.text[from:c.ends[i]:c.ends[i]]
}

// encode writes entries, which are sorted by id: count, length of all texts,
// first id, differences of ids, lengths, texts; numbers as unsigned varints, the
// first id as 8 bytes (docs/formats/column.md).
func encode(entries []Entry) ([]byte, error) {
	size := 0
	for _, e := range entries {
		size += len(e.Text)
	}
	if len(entries) > MaxEntries || size > MaxText {
		return nil, fault.New(fault.Internal, "a chunk is too large; split it into parts")
	}
	b := make([]byte, 0, size+len(entries)*4+20)
	b = binary.AppendUvarint(b, uint64(len(entries)))
	b = binary.AppendUvarint(b, uint64(size))
	b = binary.BigEndian.AppendUint64(b, uint64(entries[0].ID))
	for i := 1; i < len(entries); i++ {
		b = binary.AppendUvarint(b, uint64(entries[i].ID)-uint64(entries[i-1].ID))
	}
	for _, e := range entries {
		b = binary.AppendUvarint(b, uint64(len(e.Text)))
	}
	for _, e := range entries {
		b = append(b, e.Text...)
	}
	return b, nil
}

var errMalformed = fault.Wrap(vault.ErrTampered, "a chunk is malformed")

// decode finds the parts of what encode wrote. The bytes were authenticated, so
// that an error is a defect of a writer; their lengths are never trusted for it.
func decode(b []byte) (*chunk, error) {
	count, b, ok := uvarint(b, MaxEntries)
	if !ok || count == 0 {
		return nil, errMalformed
	}
	size, b, ok := uvarint(b, MaxText)
	if !ok || len(b) < size+8 {
		return nil, errMalformed
	}
	cut := len(b) - size
	return &chunk{count: count, index: b[:cut], text: b[cut:]}, nil
}

// unfold reads ids and lengths.
func (c *chunk) unfold() error {
	if c.ids != nil {
		return nil
	}
	ids, ends := make([]int64, c.count), make([]int, c.count)
	ids[0] = int64(binary.BigEndian.Uint64(c.index))
	b := c.index[8:]
	for i := 1; i < len(ids); i++ {
		d, n := binary.Uvarint(b)
		if n <= 0 {
			return errMalformed
		}
		ids[i], b = int64(uint64(ids[i-1])+d), b[n:]
	}
	end := 0
	for i := range ends {
		n, rest, ok := uvarint(b, MaxText)
		if !ok {
			return errMalformed
		}
		end += n
		ends[i], b = end, rest
	}
	if end != len(c.text) || len(b) != 0 {
		return errMalformed
	}
	c.ids, c.ends = ids, ends
	return nil
}

func uvarint(b []byte, max int) (value int, rest []byte, ok bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 || v > uint64(max) {
		return 0, nil, false
	}
	return int(v), b[n:], true
}

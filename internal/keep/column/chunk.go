package column

import (
	"encoding/binary"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/vault"
)

// chunk is the entries of one record side by side: the texts lie behind each
// other, so that one substring search passes over all of them.
type chunk struct {
	ids  []int64
	ends []int // of each text in texts
	text []byte
}

func (c *chunk) at(i int) []byte {
	from := 0
	if i > 0 {
		from = c.ends[i-1]
	}
	return c.text[from:c.ends[i]:c.ends[i]]
}

// encode writes entries, which are sorted by id: count, first id, differences of
// ids, lengths, texts; numbers as unsigned varints, the first id as 8 bytes.
func encode(entries []Entry) ([]byte, error) {
	size := 0
	for _, e := range entries {
		size += len(e.Text)
	}
	if len(entries) > MaxEntries || size > MaxText {
		return nil, fault.New(fault.Internal, "a chunk is too large; split it into parts")
	}
	b := make([]byte, 0, size+len(entries)*4+16)
	b = binary.AppendUvarint(b, uint64(len(entries)))
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

// decode reads what encode wrote. The bytes were authenticated, so that an error
// is a defect of a writer; it is still never trusted with a length.
func decode(b []byte) (*chunk, error) {
	bad := func() (*chunk, error) { return nil, fault.Wrap(vault.ErrTampered, "a chunk is malformed") }
	next := func() (uint64, bool) {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return 0, false
		}
		b = b[n:]
		return v, true
	}
	count, ok := next()
	if !ok || count == 0 || count > MaxEntries || len(b) < 8 {
		return bad()
	}
	c := &chunk{ids: make([]int64, count), ends: make([]int, count)}
	c.ids[0] = int64(binary.BigEndian.Uint64(b))
	b = b[8:]
	for i := 1; i < len(c.ids); i++ {
		d, ok := next()
		if !ok {
			return bad()
		}
		c.ids[i] = int64(uint64(c.ids[i-1]) + d)
	}
	end := 0
	for i := range c.ends {
		n, ok := next()
		if !ok || n > MaxText {
			return bad()
		}
		end += int(n)
		c.ends[i] = end
	}
	if end != len(b) {
		return bad()
	}
	c.text = b
	return c, nil
}

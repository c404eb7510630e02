package backup

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/chunk"
)

// Rows are written one behind the other, each value as a letter and what follows:
// n nothing, i a varint, b and s a length and octets, t and f nothing more.

// rowWriter cuts a table after rows chosen by their content, so that a row which
// came or went changes its own chunk and not all behind it.
type rowWriter struct {
	to     *chunk.Filing
	buffer []byte
}

const (
	shortest  = chunk.Size / 4 // no cut before
	cutOneOf  = 64             // rows
	longValue = 256 << 20
)

func (w *rowWriter) add(ctx context.Context, row []any) error {
	from := len(w.buffer)
	var err error
	if w.buffer, err = appendRow(w.buffer, row); err != nil {
		return err
	}
	cut := crc32.ChecksumIEEE(w.buffer[from:])%cutOneOf == 0
	for len(w.buffer) >= chunk.Size {
		if err := w.to.Chunk(ctx, w.buffer[:chunk.Size]); err != nil {
			return err
		}
		w.buffer = w.buffer[:copy(w.buffer, w.buffer[chunk.Size:])]
	}
	if cut && len(w.buffer) >= shortest {
		return w.flush(ctx)
	}
	return nil
}

func (w *rowWriter) flush(ctx context.Context) error {
	if len(w.buffer) == 0 {
		return nil
	}
	err := w.to.Chunk(ctx, w.buffer)
	w.buffer = w.buffer[:0]
	return err
}

func (w *rowWriter) end(ctx context.Context) error {
	if err := w.flush(ctx); err != nil {
		return err
	}
	w.to.End()
	return nil
}

func appendRow(b []byte, row []any) ([]byte, error) {
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			b = append(b, 'n')
		case int64:
			b = binary.AppendVarint(append(b, 'i'), v)
		case []byte:
			b = append(binary.AppendUvarint(append(b, 'b'), uint64(len(v))), v...)
		case string:
			b = append(binary.AppendUvarint(append(b, 's'), uint64(len(v))), v...)
		case bool:
			b = append(b, map[bool]byte{true: 't', false: 'f'}[v])
		default:
			return b, fault.Because(fault.Internal, fmt.Errorf("a column holds a %T", v), "")
		}
	}
	return b, nil
}

// readRow reads a row into row; io.EOF where there is none.
func readRow(r *bufio.Reader, row []any) error {
	for i := range row {
		v, err := readValue(r)
		if err != nil {
			if i > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		row[i] = v
	}
	return nil
}

func readValue(r *bufio.Reader) (any, error) {
	kind, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	switch kind {
	case 'n':
		return nil, nil
	case 't', 'f':
		return kind == 't', nil
	case 'i':
		n, err := binary.ReadVarint(r)
		return n, whole(err)
	case 'b', 's':
		n, err := binary.ReadUvarint(r)
		if err != nil || n > longValue {
			return nil, errors.Join(errors.New("a value is too long"), whole(err))
		}
		b, err := io.ReadAll(io.LimitReader(r, int64(n))) // grows with what is there, not with what is said
		if err == nil && uint64(len(b)) < n {
			err = io.ErrUnexpectedEOF
		}
		if kind == 's' {
			return string(b), err
		}
		return b, err
	}
	return nil, fmt.Errorf("no value begins with %q", kind)
}

// whole: an end within a value is none.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

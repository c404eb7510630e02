package blob

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"sync"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/vault"
)

// The sealed stream, after the STREAM construction (Hoang, Reyhanitabar,
// Rogaway, Vizár 2015, docs/formats/blob.md): a header, then chunks whose nonce
// holds their number and whether they are the last, so that a chunk opens only
// in its place and a stream only with its end.
const (
	ChunkSize  = 64 << 10 // plain bytes in every chunk but the last
	tagSize    = 16
	sealedSize = ChunkSize + tagSize
	headerSize = 32
	magic      = "MVB1\x10\x00\x00\x00" // 0x10: chunks of 2^16 bytes
	deriveInfo = "mailvow blob v1"
)

// SealedSize is how long the sealed stream of a plain text is.
func SealedSize(plain int64) int64 {
	return headerSize + plain + tagSize*max(1, (plain+ChunkSize-1)/ChunkSize)
}

// streamKey derives the key of one stream from the message's key and the
// stream's header: two streams under one key never share a nonce, and a changed
// header opens nothing.
func streamKey(key vault.Key, header []byte) (vault.Key, error) {
	raw, err := hkdf.Key(sha256.New, key.Secret(), header, deriveInfo, 32)
	if err != nil {
		return vault.Key{}, fault.Because(fault.Internal, err, "derive the key of a stream")
	}
	return vault.KeyFrom([32]byte(raw))
}

func nonce(chunk int64, last bool) (n [12]byte) {
	binary.BigEndian.PutUint32(n[7:], uint32(chunk))
	if last {
		n[11] = 1
	}
	return n
}

// sealer is the writing end of a sealed stream.
type sealer struct {
	to    io.Writer
	key   vault.Key // of the message
	own   vault.Key // of this stream, after the header
	salt  [24]byte
	plain []byte // up to ChunkSize
	out   []byte
	chunk int64
	err   error
}

// Sealed seals what is written to it into w. Close writes the end, without which
// the stream does not open; it does not close w.
func Sealed(w io.Writer, key vault.Key) io.WriteCloser {
	return newSealer(w, key, make([]byte, 0, ChunkSize), make([]byte, 0, sealedSize))
}

func newSealer(w io.Writer, key vault.Key, plain, out []byte) *sealer {
	s := &sealer{to: w, key: key, plain: plain, out: out}
	rand.Read(s.salt[:])
	return s
}

// Write implements io.Writer.
func (s *sealer) Write(p []byte) (int, error) {
	n := 0
	for len(p) > 0 && s.err == nil {
		if len(s.plain) == ChunkSize {
			s.flush(false)
			continue
		}
		take := min(len(p), ChunkSize-len(s.plain))
		s.plain = append(s.plain, p[:take]...)
		p, n = p[take:], n+take
	}
	return n, s.err
}

// flush seals the chunk in hand. Only Close knows that a chunk is the last, so a
// full one waits until more comes.
func (s *sealer) flush(last bool) {
	if s.own.Zero() {
		header := append([]byte(magic), s.salt[:]...)
		if s.own, s.err = streamKey(s.key, header); s.err != nil {
			return
		}
		if _, s.err = s.to.Write(header); s.err != nil {
			return
		}
	}
	if s.chunk > 1<<32-1 {
		s.err = fault.New(fault.Internal, "a sealed stream has too many chunks")
		return
	}
	s.out = s.own.Seal(s.out[:0], nonce(s.chunk, last), s.plain, nil)
	clear(s.plain)
	s.plain = s.plain[:0]
	s.chunk++
	_, s.err = s.to.Write(s.out)
}

var errClosed = fault.New(fault.Internal, "the sealed stream has ended")

// Close implements io.Closer.
func (s *sealer) Close() error {
	if s.err == nil {
		s.flush(true)
	}
	if s.err != nil {
		return s.err
	}
	s.err = errClosed
	return nil
}

// Reader opens a sealed stream at any offset. It is safe for use by many
// goroutines; it holds one open chunk.
type Reader struct {
	from io.ReaderAt
	own  vault.Key
	size int64 // plain
	last int64 // number of the last chunk

	mu     sync.Mutex
	held   int64 // the chunk in plain, -1 for none
	plain  []byte
	sealed []byte
}

func broken(why string) error { return fault.Wrap(vault.ErrTampered, why) }

// OpenSealed opens a sealed stream of size bytes. It reads the header and the
// last chunk, so that a stream which was cut is refused at once; what is wrong
// with another chunk shows when that is read. Such errors are vault.ErrTampered.
func OpenSealed(from io.ReaderAt, size int64, key vault.Key) (*Reader, error) {
	var header [headerSize]byte
	if size < headerSize+tagSize {
		return nil, broken("a sealed stream is cut")
	}
	if _, err := from.ReadAt(header[:], 0); err != nil {
		return nil, fault.Wrap(err, "read a sealed stream")
	}
	if string(header[:len(magic)]) != magic {
		return nil, broken("this is no sealed stream")
	}
	chunks := (size - headerSize + sealedSize - 1) / sealedSize
	tail := size - headerSize - (chunks-1)*sealedSize
	if tail < tagSize || (chunks > 1 && tail == tagSize) || chunks > 1<<32 {
		return nil, broken("a sealed stream is cut")
	}
	own, err := streamKey(key, header[:])
	if err != nil {
		return nil, err
	}
	r := &Reader{from: from, own: own, size: size - headerSize - chunks*tagSize, last: chunks - 1, held: -1}
	return r, r.load(r.last)
}

// Size is the length of the plain text.
func (r *Reader) Size() int64 { return r.size }

// ReadAt implements io.ReaderAt.
func (r *Reader) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 {
		return 0, fault.New(fault.Internal, "a negative offset")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for n < len(p) && at < r.size {
		if err := r.load(at / ChunkSize); err != nil {
			return n, err
		}
		took := copy(p[n:], r.plain[at%ChunkSize:])
		n, at = n+took, at+int64(took)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// load opens a chunk. The caller holds the lock or is the only one.
func (r *Reader) load(chunk int64) error {
	if r.held == chunk {
		return nil
	}
	length := int64(sealedSize)
	if chunk == r.last {
		length = r.size - r.last*ChunkSize + tagSize
	}
	if int64(cap(r.sealed)) < length {
		r.sealed = make([]byte, length)
	}
	r.sealed = r.sealed[:length]
	r.held = -1
	if n, err := r.from.ReadAt(r.sealed, headerSize+chunk*sealedSize); err != nil && int64(n) < length {
		if err == io.EOF {
			return broken("a sealed stream is cut")
		}
		return fault.Wrap(err, "read a sealed stream")
	}
	plain, err := r.own.Open(r.plain[:0], nonce(chunk, chunk == r.last), r.sealed, nil)
	if err != nil {
		return fault.Wrap(err, "open a chunk of a sealed stream")
	}
	r.plain, r.held = plain, chunk
	return nil
}

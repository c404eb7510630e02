package blob

import (
	"bytes"
	"context"
	"io"
	"sync"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
	"mailvow/internal/keep/vault"
)

// Drafts makes drafts over one store. Its buffers are used again.
type Drafts struct {
	store  Store
	inline int
	small  sync.Pool // *[]byte of smallSize
	large  sync.Pool // *[]byte of inline
	chunks sync.Pool // *[]byte of sealedSize
}

// smallSize holds most mail, so that a thousand sessions do not hold a thousand
// large buffers.
const smallSize = 16 << 10

// DefaultInline is up to which size a message stays in memory and goes into its
// row; larger ones go to the store while they arrive.
const DefaultInline = 256 * limit.KiB

// NewDrafts makes drafts that keep up to inline bytes in memory; 0 is
// DefaultInline.
func NewDrafts(store Store, inline limit.Bytes) *Drafts {
	if inline <= 0 {
		inline = DefaultInline
	}
	d := &Drafts{store: store, inline: int(inline)}
	pool := func(size int) func() any {
		return func() any { b := make([]byte, 0, size); return &b }
	}
	d.small.New, d.large.New, d.chunks.New = pool(smallSize), pool(d.inline), pool(sealedSize)
	return d
}

// Stored says where a large message is. The key is not kept anywhere until the
// caller wraps it for each holder (vault.WrapKey) in the row that refers to it.
type Stored struct {
	Name   Name
	Key    vault.Key
	Sealed int64 // bytes in the store
	Region string
}

// Draft is where a message's bytes gather while they arrive. One goroutine
// writes; after Finish many may read. It ends with Keep or Discard.
type Draft struct {
	from   *Drafts
	size   int64
	memory *[]byte
	pool   *sync.Pool // that memory came from
	create func(Name) (Writer, error)
	open   func(Name) (Blob, error)

	stored  *Stored // nil while the message is in memory
	writer  Writer  // nil after Finish
	seal    *sealer
	scratch [2]*[]byte
	blob    Blob
	reader  io.ReaderAt // not nil after Finish
	ended   bool
	err     error
}

// Begin starts a draft, which lives as long as ctx.
func (d *Drafts) Begin(ctx context.Context) *Draft {
	return &Draft{
		from: d, memory: d.small.Get().(*[]byte), pool: &d.small,
		create: func(n Name) (Writer, error) { return d.store.Create(ctx, n) },
		open:   func(n Name) (Blob, error) { return d.store.Open(ctx, n) },
	}
}

// Write implements io.Writer. After an error the draft can only be discarded.
func (m *Draft) Write(p []byte) (int, error) {
	switch {
	case m.err != nil:
		return 0, m.err
	case m.reader != nil:
		return 0, fault.New(fault.Internal, "write after the end of a draft")
	}
	if m.stored == nil {
		if m.size+int64(len(p)) <= int64(m.from.inline) {
			m.hold(p)
			m.size += int64(len(p))
			return len(p), nil
		}
		if m.err = m.spill(); m.err != nil {
			return 0, m.err
		}
	}
	n, err := m.seal.Write(p)
	m.size += int64(n)
	m.err = err
	return n, err
}

// hold adds to memory, in a larger buffer if this one is full.
func (m *Draft) hold(p []byte) {
	if len(*m.memory)+len(p) > cap(*m.memory) {
		larger := m.from.large.Get().(*[]byte)
		*larger = append((*larger)[:0], *m.memory...)
		m.free()
		m.memory, m.pool = larger, &m.from.large
	}
	*m.memory = append(*m.memory, p...)
}

func (m *Draft) free() {
	if m.memory == nil {
		return
	}
	clear(*m.memory)
	*m.memory = (*m.memory)[:0]
	m.pool.Put(m.memory)
	m.memory = nil
}

// spill moves what is in memory to the store, sealed.
func (m *Draft) spill() error {
	key, err := vault.RandomKey()
	if err != nil {
		return err
	}
	name := NewName()
	if m.writer, err = m.create(name); err != nil {
		return err
	}
	m.stored = &Stored{Name: name, Key: key, Region: m.from.store.Region()}
	m.scratch = [2]*[]byte{m.from.chunks.Get().(*[]byte), m.from.chunks.Get().(*[]byte)}
	m.seal = newSealer(m.writer, key, (*m.scratch[0])[:0], (*m.scratch[1])[:0])
	if _, err := m.seal.Write(*m.memory); err != nil {
		return err
	}
	m.free()
	return nil
}

// Finish ends the writing. Of a large message every byte is durable in the
// store when it returns; a small one is in memory until its row is committed.
func (m *Draft) Finish() error {
	switch {
	case m.err != nil:
		return m.err
	case m.reader != nil:
		return nil
	case m.stored == nil:
		m.reader = bytes.NewReader(*m.memory)
		return nil
	}
	m.err = m.finishStored()
	return m.err
}

func (m *Draft) finishStored() error {
	err := m.seal.Close()
	m.freeScratch()
	if err != nil {
		return err
	}
	if err := m.writer.Commit(); err != nil {
		return err
	}
	m.writer = nil
	m.stored.Sealed = SealedSize(m.size)
	if m.blob, err = m.open(m.stored.Name); err != nil {
		return err
	}
	reader, err := OpenSealed(m.blob, m.blob.Size(), m.stored.Key)
	if err != nil {
		return err
	}
	m.reader = reader
	return nil
}

func (m *Draft) freeScratch() {
	for i, b := range m.scratch {
		if b != nil {
			clear((*b)[:cap(*b)])
			m.from.chunks.Put(b)
			m.scratch[i] = nil
		}
	}
}

// Size is how many bytes were written.
func (m *Draft) Size() int64 { return m.size }

// ReaderAt reads the message after Finish, until Keep or Discard; before it
// gives nil.
func (m *Draft) ReaderAt() io.ReaderAt { return m.reader }

// Inline gives the bytes of a small message after Finish, until Keep or
// Discard; of a large one nil.
func (m *Draft) Inline() []byte {
	if m.reader == nil || m.stored != nil {
		return nil
	}
	return (*m.memory)[:len(*m.memory):len(*m.memory)]
}

// Stored says where a large message is after Finish; of a small one nil.
func (m *Draft) Stored() *Stored {
	if m.reader == nil {
		return nil
	}
	return m.stored
}

// Keep ends the draft once a committed row holds its bytes or refers to them.
func (m *Draft) Keep() error {
	m.ended, m.err = true, fault.New(fault.Internal, "the draft has ended")
	m.free()
	m.freeScratch()
	if m.blob == nil {
		return nil
	}
	blob := m.blob
	m.blob = nil
	return blob.Close()
}

// Discard ends the draft and removes what it stored. After Keep or Discard it
// does nothing. What a crash leaves is found by Sweep.
func (m *Draft) Discard(ctx context.Context) error {
	if m.ended {
		return nil
	}
	writer := m.writer
	m.writer = nil
	err := m.Keep()
	if writer != nil {
		if aborted := writer.Abort(); aborted != nil {
			return aborted
		}
	}
	if m.stored != nil {
		if deleted := m.from.store.Delete(ctx, m.stored.Name); deleted != nil {
			return deleted
		}
	}
	return err
}

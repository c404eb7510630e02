package blob

import "io"

// Joined is a head in memory and the content that follows it, read as one.
type Joined struct {
	head []byte
	rest io.ReaderAt
	size int64
}

// Join puts a head before content of size bytes.
func Join(head []byte, rest io.ReaderAt, size int64) *Joined {
	return &Joined{head, rest, int64(len(head)) + size}
}

// Size is the length of both.
func (j *Joined) Size() int64 { return j.size }

// ReadAt implements io.ReaderAt.
func (j *Joined) ReadAt(p []byte, at int64) (n int, err error) {
	if at < int64(len(j.head)) {
		n = copy(p, j.head[at:])
		if p, at = p[n:], int64(len(j.head)); len(p) == 0 {
			return n, nil
		}
	}
	m, err := j.rest.ReadAt(p, at-int64(len(j.head)))
	return n + m, err
}

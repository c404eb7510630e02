package object

import (
	"bytes"
	"context"

	"github.com/minio/minio-go/v7"

	"mailvow/internal/base/fault"
)

// s3Upload gathers parts. An object of one part goes by a plain Put.
type s3Upload struct {
	store *S3
	name  string
	id    string
	parts []minio.CompletePart
	buf   *[]byte
	send  func(part []byte, number int) (minio.ObjectPart, error)
	begin func() (string, error)
	end   func(last []byte) error
	abort func() error
}

// Upload implements Bucket. The upload lives as long as ctx.
func (s *S3) Upload(ctx context.Context, name string) (Upload, error) {
	u := &s3Upload{store: s, name: name, buf: s.parts.Get().(*[]byte)}
	u.begin = func() (string, error) {
		return s.core.NewMultipartUpload(ctx, s.bucket, name, minio.PutObjectOptions{})
	}
	u.send = func(part []byte, number int) (minio.ObjectPart, error) {
		return s.core.PutObjectPart(ctx, s.bucket, name, u.id, number, bytes.NewReader(part), int64(len(part)), minio.PutObjectPartOptions{})
	}
	u.end = func(last []byte) error {
		if u.id == "" {
			return s.Put(ctx, name, last)
		}
		if err := u.flush(); err != nil {
			return err
		}
		_, err := s.core.CompleteMultipartUpload(ctx, s.bucket, name, u.id, u.parts, minio.PutObjectOptions{})
		return err
	}
	u.abort = func() error {
		if u.id == "" {
			return nil
		}
		// The session that gave up may be the reason why its context ended.
		return s.core.AbortMultipartUpload(context.WithoutCancel(ctx), s.bucket, name, u.id)
	}
	return u, nil
}

// Write implements io.Writer.
func (u *s3Upload) Write(p []byte) (int, error) {
	if u.buf == nil {
		return 0, fault.New(fault.Internal, "write after the end of an upload")
	}
	n := 0
	for len(p) > 0 {
		if len(*u.buf) == partSize {
			if err := u.flush(); err != nil {
				return n, err
			}
		}
		take := min(len(p), partSize-len(*u.buf))
		*u.buf = append(*u.buf, p[:take]...)
		p, n = p[take:], n+take
	}
	return n, nil
}

func (u *s3Upload) flush() error {
	if len(*u.buf) == 0 {
		return nil
	}
	if u.id == "" {
		id, err := u.begin()
		if err != nil {
			return classify(err)
		}
		u.id = id
	}
	part, err := u.send(*u.buf, len(u.parts)+1)
	if err != nil {
		return classify(err)
	}
	u.parts = append(u.parts, minio.CompletePart{PartNumber: part.PartNumber, ETag: part.ETag})
	*u.buf = (*u.buf)[:0]
	return nil
}

// Commit implements Upload.
func (u *s3Upload) Commit() error {
	if u.buf == nil {
		return fault.New(fault.Internal, "commit after the end of an upload")
	}
	defer u.release()
	if err := u.end(*u.buf); err != nil {
		if aborted := u.abort(); aborted != nil && !gone(aborted) {
			return classify(aborted)
		}
		return classify(err)
	}
	return nil
}

// Abort implements Upload. After Commit it does nothing.
func (u *s3Upload) Abort() error {
	if u.buf == nil {
		return nil
	}
	defer u.release()
	if err := u.abort(); err != nil && !gone(err) {
		return classify(err)
	}
	return nil
}

func (u *s3Upload) release() {
	*u.buf = (*u.buf)[:0]
	u.store.parts.Put(u.buf)
	u.buf = nil
}

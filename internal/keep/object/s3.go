package object

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"mailvow/internal/base/fault"
)

// Config says where a bucket is and how it is reached.
type Config struct {
	Endpoint string // host:port
	TLS      bool
	Bucket   string
	Region   string
	Access   string
	Secret   string
	// Dial opens the connections: keep/egress in the server.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// PathStyle puts the bucket into the path and not into the host name.
	PathStyle bool
}

// S3 is a Bucket of an S3-compatible store.
type S3 struct {
	core   minio.Core
	bucket string
	region string
	parts  sync.Pool // *[]byte of partSize
}

var _ Bucket = (*S3)(nil)

// partSize is the smallest part that S3 takes, so that an upload in progress
// holds as little memory as can be; 10,000 parts make 48 GiB.
const partSize = 5 << 20

// NewS3 makes a Bucket; nothing is dialled yet.
func NewS3(c Config) (*S3, error) {
	if c.Dial == nil {
		return nil, fault.New(fault.Internal, "an S3 bucket needs a dial function")
	}
	lookup := minio.BucketLookupAuto
	if c.PathStyle {
		lookup = minio.BucketLookupPath
	}
	core, err := minio.NewCore(c.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(c.Access, c.Secret, ""), Secure: c.TLS, Region: c.Region,
		BucketLookup: lookup, MaxRetries: 4,
		Transport: &http.Transport{
			DialContext: c.Dial, MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute,
			ResponseHeaderTimeout: 30 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
			DisableCompression: true,
		},
	})
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "The object store's settings are wrong.")
	}
	s := &S3{core: *core, bucket: c.Bucket, region: c.Region}
	s.parts.New = func() any { b := make([]byte, 0, partSize); return &b }
	return s, nil
}

// Region implements Bucket.
func (s *S3) Region() string { return s.region }

// Put implements Bucket.
func (s *S3) Put(ctx context.Context, name string, content []byte) error {
	return s.put(ctx, name, content, minio.PutObjectOptions{})
}

// PutNew implements Bucket.
func (s *S3) PutNew(ctx context.Context, name string, content []byte) error {
	opts := minio.PutObjectOptions{}
	opts.SetMatchETagExcept("*") // If-None-Match: *, RFC 9110 13.1.2
	return s.put(ctx, name, content, opts)
}

func (s *S3) put(ctx context.Context, name string, content []byte, opts minio.PutObjectOptions) error {
	opts.DisableMultipart = true
	for again := 3; ; again-- {
		_, err := s.core.Client.PutObject(ctx, s.bucket, name, bytes.NewReader(content), int64(len(content)), opts)
		if again == 0 || !met(err) {
			return classify(err)
		}
	}
}

// met reports that the store gave a request up because another one was at the same
// place, a folder that was just going for instance (409, RFC 9110 15.5.10): sent
// again, it may go through.
func met(err error) bool {
	return err != nil && minio.ToErrorResponse(err).StatusCode == http.StatusConflict && !fault.Is(classify(err), fault.Conflict)
}

// Get implements Bucket.
func (s *S3) Get(ctx context.Context, name string, at, n int64) ([]byte, error) {
	if n <= 0 {
		return nil, nil
	}
	opts := minio.GetObjectOptions{}
	if err := opts.SetRange(at, at+n-1); err != nil {
		return nil, classify(err)
	}
	body, _, _, err := s.core.GetObject(ctx, s.bucket, name, opts)
	if err != nil {
		if minio.ToErrorResponse(err).Code == "InvalidRange" {
			return nil, nil
		}
		return nil, classify(err)
	}
	defer body.Close()
	content, err := io.ReadAll(io.LimitReader(body, n))
	return content, classify(err)
}

// Size implements Bucket.
func (s *S3) Size(ctx context.Context, name string) (int64, error) {
	info, err := s.core.StatObject(ctx, s.bucket, name, minio.StatObjectOptions{})
	return info.Size, classify(err)
}

// Delete implements Bucket.
func (s *S3) Delete(ctx context.Context, name string) error {
	err := classify(s.core.RemoveObject(ctx, s.bucket, name, minio.RemoveObjectOptions{}))
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// List implements Bucket.
func (s *S3) List(ctx context.Context, prefix string, yield func(Entry) error) error {
	for o := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return classify(o.Err)
		}
		if err := yield(Entry{Name: o.Key, Size: o.Size, Changed: o.LastModified.UTC()}); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Forget implements Bucket.
func (s *S3) Forget(ctx context.Context, prefix string, before time.Time) (int, error) {
	n := 0
	for u := range s.core.ListIncompleteUploads(ctx, s.bucket, prefix, true) {
		if u.Err != nil {
			return n, classify(u.Err)
		}
		if !u.Initiated.Before(before) {
			continue
		}
		if err := s.core.AbortMultipartUpload(ctx, s.bucket, u.Key, u.UploadID); err != nil && !gone(err) {
			return n, classify(err)
		}
		n++
	}
	return n, ctx.Err()
}

// Versioned implements Bucket. A store that does not know the question keeps no
// versions.
func (s *S3) Versioned(ctx context.Context) (bool, error) {
	v, err := s.core.GetBucketVersioning(ctx, s.bucket)
	if minio.ToErrorResponse(err).Code == "NotImplemented" {
		return false, nil
	}
	return err == nil && v.Status != "", classify(err)
}

func gone(err error) bool { return fault.Is(classify(err), fault.NotFound) }

// classify gives an error of the library its kind, by S3's code.
func classify(err error) error {
	if err == nil {
		return nil
	}
	answer := minio.ToErrorResponse(err)
	switch answer.Code {
	case "NoSuchKey", "NoSuchUpload", "NotFound":
		return fault.Because(fault.NotFound, err, "There is no such object.")
	case "PreconditionFailed", "ConditionalRequestConflict":
		return fault.Because(fault.Conflict, err, "An object of this name exists.")
	case "NoSuchBucket":
		return fault.Because(fault.Unavailable, err, "The object store has no such bucket.").WithHint("Create the bucket, or correct its name in the configuration.")
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch":
		return fault.Because(fault.Unavailable, err, "The object store refuses our credentials.").WithHint("Check the object store's access key, secret and clock.")
	}
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	return fault.Because(fault.Unavailable, err, "The object store does not answer as it should.")
}

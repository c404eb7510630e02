package lab

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3Server is a bucket of a real S3 server that runs as a process of its own.
type S3Server struct {
	Endpoint string // host:port, without TLS
	Access   string
	Secret   string
	Region   string
	Bucket   string
	client   *minio.Client
	program  string
	dir      string
	stop     func() // the running process; nil between Stop and Start
}

// Versions switches the bucket's versioning on.
func (s *S3Server) Versions(ctx context.Context) error {
	return s.client.EnableVersioning(ctx, s.Bucket)
}

// Contents gives every byte that the bucket holds, by object.
func (s *S3Server) Contents(ctx context.Context) (map[string][]byte, error) {
	all := map[string][]byte{}
	for o := range s.client.ListObjectsIter(ctx, s.Bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			return nil, o.Err
		}
		r, err := s.client.GetObject(ctx, s.Bucket, o.Key, minio.GetObjectOptions{})
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		all[o.Key] = content
	}
	return all, nil
}

// S3 starts an S3 server with an empty bucket, which ends with the test. It
// builds the server from tools/s3server once and keeps the program in the user's
// cache; where that cannot be built (no module cache and no network), the test
// is skipped with the reason.
func S3(t testing.TB) *S3Server {
	t.Helper()
	program, err := s3Program()
	if err != nil {
		t.Skipf("no S3 server: %v", err)
	}
	s := &S3Server{
		Endpoint: freeAddress(t), Access: "mailvow-test", Secret: "mailvow-test-secret", Region: "eu-test-1", Bucket: "mailvow",
		program: program, dir: t.TempDir(),
	}
	t.Cleanup(s.Stop)
	s.Start(t)
	s.client, err = minio.New(s.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(s.Access, s.Secret, ""), Region: s.Region, BucketLookup: minio.BucketLookupPath,
		Transport: &http.Transport{DialContext: (&net.Dialer{}).DialContext},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.client.MakeBucket(t.Context(), s.Bucket, minio.MakeBucketOptions{Region: s.Region}); err != nil {
		t.Fatal(err)
	}
	return s
}

// Stop ends the server's process, as an outage does; the bucket stays.
func (s *S3Server) Stop() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// Start runs the server again, with the bucket and the address that it had.
func (s *S3Server) Start(t testing.TB) {
	t.Helper()
	cmd := exec.Command(s.program)
	cmd.Env = append(os.Environ(), "S3_DIR="+s.dir, "S3_ADDRESS="+s.Endpoint, "S3_ACCESS="+s.Access, "S3_SECRET="+s.Secret, "S3_REGION="+s.Region)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.stop = func() {
		in.Close()
		timer := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		_ = cmd.Wait()
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "ready" {
			go io.Copy(io.Discard, out)
			return
		}
	}
	s.Stop()
	t.Fatalf("the S3 server does not start: %s", complaints.String())
}

// freeAddress is an address for a process that we start. Between our looking and
// its listening nobody else may take the port, so it stands on a loopback address
// of this test binary's own (all of 127.0.0.0/8 is loopback, RFC 1122 3.2.1.3).
func freeAddress(t testing.TB) string {
	t.Helper()
	pid := os.Getpid()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+pid>>16&0x7f, pid>>8&0xff, pid&0xff))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// s3Program builds the server once for a process.
var s3Program = sync.OnceValues(func() (string, error) { return tool("s3server") })

// fromRoot finds a path below the module's root.
func fromRoot(part ...string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(append([]string{dir}, part...)...), nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = up
	}
}

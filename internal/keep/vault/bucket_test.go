package vault

import (
	"net"
	"testing"

	"mailvow/internal/keep/object"
	"mailvow/internal/lab"
)

func openBucket(t testing.TB, s *lab.S3Server) object.Bucket {
	t.Helper()
	b, err := object.NewS3(object.Config{
		Endpoint: s.Endpoint, Bucket: s.Bucket, Region: s.Region, Access: s.Access, Secret: s.Secret,
		PathStyle: true, Dial: (&net.Dialer{}).DialContext,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

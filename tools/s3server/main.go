// Command s3server is a real S3 server (versitygw over a folder) for the tests,
// in a module of its own so that its dependencies never move the product's. It
// takes its settings from the environment, prints one line when it listens, and
// ends when its standard input does: a test that dies leaves no server behind.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "s3server:", err)
		os.Exit(1)
	}
}

func run() error {
	dir, address := os.Getenv("S3_DIR"), os.Getenv("S3_ADDRESS")
	data, side := filepath.Join(dir, "data"), filepath.Join(dir, "side")
	versions := filepath.Join(dir, "versions")
	for _, d := range []string{data, side, versions} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	sidecar, err := meta.NewSideCar(side)
	if err != nil {
		return err
	}
	backend, err := posix.New(data, sidecar, posix.PosixOpts{SideCarDir: side, VersioningDir: versions, Concurrency: 100})
	if err != nil {
		return err
	}
	go func() { // the test's end closes our input; nobody needs the data any more
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	go announce(address)
	return embedgw.RunVersityGW(context.Background(), backend, &embedgw.Config{
		RootUserAccess: os.Getenv("S3_ACCESS"), RootUserSecret: os.Getenv("S3_SECRET"), Region: os.Getenv("S3_REGION"),
		Ports: []string{address}, MaxConnections: 1000, MaxRequests: 1000, MultipartMaxParts: 10000,
		Quiet: true, KeepAlive: true,
	})
}

func announce(address string) {
	for {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			c.Close()
			fmt.Println("ready")
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

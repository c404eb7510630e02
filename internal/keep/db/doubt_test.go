package db_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"testing"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
)

// cutting is a connection to PostgreSQL that breaks at the next commit.
type cutting struct {
	net.Conn
	when *atomic.Int32
}

const (
	never int32 = iota
	beforeCommit
	afterCommit
)

func (c cutting) Write(b []byte) (int, error) {
	if !bytes.Contains(b, []byte("commit\x00")) {
		return c.Conn.Write(b)
	}
	switch c.when.Swap(never) {
	case beforeCommit:
		return 0, errors.Join(errors.New("cut before the commit"), c.Close())
	case afterCommit:
		n, err := c.Conn.Write(b)
		if err == nil {
			_, err = c.Read(make([]byte, 1024)) // it is done; nobody learns of it
		}
		return n, errors.Join(err, c.Close())
	}
	return c.Conn.Write(b)
}

// TestLostAnswerIsLearnt: a commit whose answer is lost is told as done if it is,
// once, and as failed if it is not. Who took a refusal for the truth would send
// the mail again, and the rows that are there would wait for this node for ever.
func TestLostAnswerIsLearnt(t *testing.T) {
	t.Parallel()
	var when atomic.Int32
	s := openWith(t, db.Config{Postgres: lab.Postgres(t), Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, addr)
		return cutting{conn, &when}, err
	}})
	var seen []int64
	s.Watch(s.log, func(rows []db.Committed) {
		for _, r := range rows {
			seen = append(seen, r.Seq)
		}
	})
	must(t, s.Commit(t.Context(), s.accept(1, "accepted")))
	when.Store(afterCommit)
	if err := s.Commit(t.Context(), s.accept(2, "accepted")); err != nil {
		t.Errorf("a commit that happened was told as %v", err)
	}
	when.Store(beforeCommit)
	wantKind(t, s.Commit(t.Context(), s.accept(3, "accepted")), fault.Unavailable)
	must(t, s.Commit(t.Context(), s.accept(4, "accepted")))
	if got := s.ids(t); !slices.Equal(got, []int64{1, 2, 4}) {
		t.Errorf("stored are %v", got)
	}
	if !slices.Equal(seen, []int64{1, 2, 3}) {
		t.Errorf("watchers saw the numbers %v", seen)
	}
	s.gapless(t, 3)
}

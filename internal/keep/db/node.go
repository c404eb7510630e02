package db

import "sync/atomic"

// nodeLease is this process's number. On SQLite it is what the configuration
// says; on PostgreSQL it is claimed by a lease.
type nodeLease struct {
	number atomic.Int64
	token  int64
}

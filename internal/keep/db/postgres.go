package db

import (
	"context"

	"mailvow/internal/base/fault"
)

const postgresNow = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint"

func (d *DB) connectPostgres(context.Context) (writer, error) {
	return nil, fault.New(fault.Invalid, "PostgreSQL is not built in yet.")
}

func classifyPostgres(err error) error { return fault.Because(fault.Internal, err, "") }

// again reports whether the database asks for the transaction to be repeated.
func again(error) bool { return false }

package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"mailvow/internal/base/fault"
)

// One reads one row into dest. No row is a NotFound fault. A *time.Time takes a
// number of microseconds.
func (s *Set) One(ctx context.Context, name string, args []any, dest ...any) error {
	found := false
	err := s.Each(ctx, name, args, func(scan func(...any) error) error {
		if found {
			return nil
		}
		found = true
		return scan(dest...)
	})
	if err == nil && !found {
		return fault.New(fault.NotFound, "")
	}
	return err
}

// Each reads rows in order and stops at row's first error, which it returns as
// it is. It may last ReadLimit; a longer list goes on from a cursor.
func (s *Set) Each(ctx context.Context, name string, args []any, row func(scan func(dest ...any) error) error) error {
	ctx, cancel := context.WithTimeout(ctx, ReadLimit)
	defer cancel()
	stmt, args, err := s.statement(ctx, name, args)
	if err != nil {
		return fault.Wrap(err, "read "+s.pkg+" "+name)
	}
	return s.each(ctx, name, stmt, args, row)
}

// each runs a prepared read.
func (s *Set) each(ctx context.Context, name string, stmt *sql.Stmt, args []any, row func(scan func(dest ...any) error) error) error {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return fault.Wrap(s.db.classify(err), "read "+s.pkg+" "+name)
	}
	defer rows.Close()
	scan := func(dest ...any) error {
		if err := rows.Scan(destinations(dest)...); err != nil {
			return fault.Because(fault.Internal, fmt.Errorf("read %s %s: %w", s.pkg, name, err), "")
		}
		return nil
	}
	for rows.Next() {
		if err := row(scan); err != nil {
			return err
		}
	}
	return fault.Wrap(s.db.classify(rows.Err()), "read "+s.pkg+" "+name)
}

func (s *Set) find(name string, args []any) (*query, []any, error) {
	q := s.queries[name]
	if q == nil {
		return nil, nil, fault.Because(fault.Internal, fmt.Errorf("%s has no query %s", s.pkg, name), "")
	}
	args, err := plainAll(args)
	if err != nil {
		return nil, nil, fault.Because(fault.Internal, fmt.Errorf("%s %s: %w", s.pkg, name, err), "")
	}
	return q, args, nil
}

// statement prepares a query on the reader pool, once.
func (s *Set) statement(ctx context.Context, name string, args []any) (*sql.Stmt, []any, error) {
	q, args, err := s.find(name, args)
	if err != nil {
		return nil, nil, err
	}
	if stmt, ok := s.db.prepared.Load(q); ok {
		return stmt.(*sql.Stmt), args, nil
	}
	stmt, err := s.db.readers.PrepareContext(ctx, q.text)
	if err != nil {
		return nil, nil, s.db.classify(err)
	}
	if other, loaded := s.db.prepared.LoadOrStore(q, stmt); loaded {
		stmt.Close()
		stmt = other.(*sql.Stmt)
	}
	return stmt, args, nil
}

// classify turns a driver's error into a fault by its code, never by its text.
func (d *DB) classify(err error) error {
	var f *fault.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.Because(fault.Unavailable, err, "The database took too long to answer; try again.")
	case errors.Is(err, sql.ErrNoRows):
		return fault.Because(fault.NotFound, err, "")
	}
	if d.dialect == Postgres {
		return classifyPostgres(err)
	}
	return classifySQLite(err)
}

package db

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// run sends all steps in one message and reads what came back.
func (w *postgresWriter) run(ctx context.Context, steps []*step) error {
	batch := &pgx.Batch{}
	first := !w.begun
	if first {
		batch.Queue(w.beginText())
		batch.Queue(fence, w.db.node.number.Load(), w.db.node.token)
	}
	for _, s := range steps {
		batch.Queue(s.bulk.head, s.arrays()...)
	}
	mark := w.db.own.queries["set_number"].text
	for _, s := range steps {
		if s.last != 0 {
			batch.Queue(mark, w.db.node.number.Load(), s.bulk.numberName(), s.last)
		}
	}
	w.begun = true
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	results := w.pg.SendBatch(ctx, batch)
	err := w.results(results, steps, first)
	if closed := results.Close(); err == nil {
		err = closed
	}
	return w.lost(err)
}

func (w *postgresWriter) results(results pgx.BatchResults, steps []*step, first bool) error {
	if first {
		if _, err := results.Exec(); err != nil {
			return err
		}
		var one int
		if err := results.QueryRow().Scan(&one); err != nil {
			return err
		}
	}
	for _, s := range steps {
		if err := s.read(results); err != nil {
			return fmt.Errorf("%s %s: %w", s.bulk.set.pkg, s.bulk.name, err)
		}
	}
	return nil
}

// read takes one step's answer; a change's keys tell which rows were found.
func (s *step) read(results pgx.BatchResults) error {
	if !s.change {
		_, err := results.Exec()
		return err
	}
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	found := make(map[any]struct{}, len(s.rows))
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return err
		}
		if b, ok := values[0].([]byte); ok {
			values[0] = string(b)
		}
		found[values[0]] = struct{}{}
	}
	s.compare(found, 0, len(s.rows))
	return rows.Err()
}

// arrays lays a step's rows out as one array a column.
func (s *step) arrays() []any {
	out := make([]any, len(s.bulk.columns))
	for i, c := range s.bulk.columns {
		switch c.kind {
		case "int":
			out[i] = columnOf[int64](s.rows, i)
		case "text":
			out[i] = columnOf[string](s.rows, i)
		case "bool":
			out[i] = columnOf[bool](s.rows, i)
		case "blob":
			blobs := make([][]byte, len(s.rows))
			for j, row := range s.rows {
				blobs[j], _ = row[i].([]byte)
			}
			out[i] = blobs
		}
	}
	return out
}

// columnOf is a plain array unless a value is null.
func columnOf[T any](rows [][]any, column int) any {
	values := make([]T, len(rows))
	nulls := false
	for j, row := range rows {
		v, ok := row[column].(T)
		values[j], nulls = v, nulls || !ok
	}
	if !nulls {
		return values
	}
	pointers := make([]*T, len(rows))
	for j, row := range rows {
		if _, ok := row[column].(T); ok {
			pointers[j] = &values[j]
		}
	}
	return pointers
}

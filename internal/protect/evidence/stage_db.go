package evidence

import (
	"context"
	_ "embed"
	"slices"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/db"
)

//go:embed evidence.sql
var schema string

// Schema is the table of staged leaves, for db.Open.
func Schema() db.Schema { return db.Schema{Package: "evidence", SQL: schema} }

// Stage keeps staged leaves in the database, so that an act and its evidence
// are one commit.
type Stage struct {
	db     *db.DB
	set    *db.Set
	stage  *db.Bulk
	remove *db.Bulk
}

var _ Staged = (*Stage)(nil)

// NewStage stages in a database that was opened with Schema.
func NewStage(d *db.DB) *Stage {
	set := d.Set("evidence")
	return &Stage{db: d, set: set, stage: set.Bulk("stage"), remove: set.Bulk("remove")}
}

// Add gives the row that stages a leaf, for a unit of the hot path. After the
// commit, nudge the Log.
func (s *Stage) Add(l Leaf) (db.Add, error) {
	data, err := l.Encode()
	if err != nil {
		return db.Add{}, fault.Wrap(err, "stage evidence")
	}
	return db.Add{By: s.stage, Row: []any{int64(l.ID), data}}, nil
}

// Stage stages a leaf in the transaction of its act.
func (s *Stage) Stage(ctx context.Context, tx *db.Tx, l Leaf) error {
	add, err := s.Add(l)
	if err != nil {
		return err
	}
	return fault.Wrap(tx.Apply(ctx, &db.Unit{Adds: []db.Add{add}}), "stage evidence")
}

// Staged implements Staged.
func (s *Stage) Staged(ctx context.Context, limit int) ([]Row, error) {
	var rows []Row
	err := s.set.Each(ctx, "staged", []any{limit}, func(scan func(...any) error) error {
		var id int64
		var leaf []byte
		if err := scan(&id, &leaf); err != nil {
			return err
		}
		rows = append(rows, Row{ID: ids.Leaf(id), Leaf: leaf})
		return nil
	})
	return rows, fault.Wrap(err, "read staged evidence")
}

// Remove implements Staged.
func (s *Stage) Remove(ctx context.Context, leaves []ids.Leaf) error {
	unit := &db.Unit{}
	leaves = slices.Clone(leaves)
	slices.Sort(leaves)
	for _, id := range slices.Compact(leaves) { // a unit names a key once
		unit.Changes = append(unit.Changes, db.Change{By: s.remove, Row: []any{int64(id)}, Optional: true})
	}
	if len(unit.Changes) == 0 {
		return nil
	}
	return fault.Wrap(s.db.Commit(ctx, unit), "remove staged evidence")
}

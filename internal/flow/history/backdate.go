package history

import (
	"context"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
)

// Backdate puts an event from the past before the first row of a node, where the
// next purge begins: by it can be shown that a purge takes what is overdue. Readers
// are past that place and never see the event. Where nothing is before the first
// row, or no row is there, it is a Conflict.
func (h *History) Backdate(ctx context.Context, e Event) error {
	first, err := h.firsts(ctx)
	if err != nil {
		return err
	}
	if len(first) == 0 || first[0].Seq == 0 {
		return fault.New(fault.Conflict, "There is no place before the first record.")
	}
	id := int64(ids.New[ids.Reference](h.ids))
	sealed, err := h.vault.Seal(nil, e.Tenant, vault.Trace, vault.AD{Table: historyTable, Row: id}, e.Detail.append(nil))
	if err != nil {
		return fault.Wrap(err, "seal history row")
	}
	err = h.db.Change(ctx, "backdate a record", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, h.set, "backdate", first[0].pos()-1, id, int64(e.Message), int64(e.Tenant), int64(e.Direction), int64(e.Kind), clock.Micros(e.At), sealed)
		return err
	})
	h.purged.forget()
	return fault.Wrap(err, "backdate a record")
}

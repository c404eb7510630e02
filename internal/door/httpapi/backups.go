package httpapi

import (
	"context"
	"time"
)

// BackupState says how backups stand; app fills it.
type BackupState interface {
	Backups(ctx context.Context) (Backups, error)
}

// Backups is how backups stand.
type Backups struct {
	Configured  bool       `json:"configured"`
	NewestState bool       `json:"newest_state" doc:"Key store, erasure ledger and evidence log have a second place."`
	Count       int        `json:"count"`
	Newest      *time.Time `json:"newest" doc:"When the newest backup was taken."`
	Oldest      *time.Time `json:"oldest" doc:"When the oldest backup was taken."`
	Age         *int64     `json:"age" doc:"Of the newest, in seconds."`
	DrillAt     *time.Time `json:"drill_at" doc:"When a restore was last tried, in a scratch folder."`
	DrillHeld   bool       `json:"drill_held"`
	DrillNote   string     `json:"drill_note" doc:"What it found."`
	Late        []string   `json:"late" nullable:"false" doc:"What is overdue, in words; empty when all is well."`
}

func (a *API) getBackups(ctx context.Context, _ Asker, _ *nothing) (*struct{ Body Backups }, error) {
	if a.parts.Backups == nil {
		return nil, absent()
	}
	b, err := a.parts.Backups.Backups(ctx)
	return &struct{ Body Backups }{b}, err
}

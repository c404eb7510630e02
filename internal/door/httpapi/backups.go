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
	Configured  bool         `json:"configured"`
	NewestState bool         `json:"newest_state" doc:"Key store, erasure ledger and evidence log have a second place."`
	Count       int          `json:"count"`
	Newest      *time.Time   `json:"newest" doc:"When the newest backup was taken."`
	Oldest      *time.Time   `json:"oldest" doc:"When the oldest backup was taken."`
	Age         *int64       `json:"age" doc:"Of the newest, in seconds."`
	Drill       *BackupDrill `json:"drill" doc:"The last restore that was tried."`
	Late        []string     `json:"late" nullable:"false" doc:"What is overdue, in words; empty when all is well."`
}

// BackupDrill is a restore that was tried in a scratch folder.
type BackupDrill struct {
	At    time.Time `json:"at"`
	Taken time.Time `json:"taken" doc:"When the backup was taken."`
	Held  bool      `json:"held"`
	Note  string    `json:"note"`
}

func (a *API) getBackups(ctx context.Context, _ Asker, _ *nothing) (*struct{ Body Backups }, error) {
	if a.parts.Backups == nil {
		return nil, absent()
	}
	b, err := a.parts.Backups.Backups(ctx)
	return &struct{ Body Backups }{b}, err
}

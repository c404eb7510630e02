package admin

import (
	"context"
	"net/http"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/protect/backup"
)

// Backups makes and tries backups.
type Backups interface {
	Make(ctx context.Context) (backup.Copy, error)
	List(ctx context.Context) (BackupsOf, error)
	// Verify reads every chunk; as a drill it brings the newest one back into a
	// scratch folder.
	Verify(ctx context.Context, id ids.Backup, drill bool) (Verified, error)
}

// The operations of backups.
const (
	BackupMake   Op[struct{}, backup.Copy]    = "backup/now"
	BackupList   Op[struct{}, BackupsOf]      = "backup/list"
	BackupVerify Op[BackupToVerify, Verified] = "backup/verify"
)

// BackupsOf are the backups and how things stand.
type BackupsOf struct {
	Backups []backup.Copy `json:"backups"`
	State   backup.State  `json:"state"`
	Late    []string      `json:"late"`
}

// BackupToVerify names a backup; zero is the newest.
type BackupToVerify struct {
	Backup ids.Backup `json:"backup,omitzero"`
	Drill  bool       `json:"drill,omitzero"`
}

// Verified is what was found.
type Verified struct {
	Backup ids.Backup `json:"backup"`
	Taken  time.Time  `json:"taken"`
	Good   bool       `json:"good"`
	Note   string     `json:"note"`
}

// Making, trying and reading whole backups write their own evidence.
func (s *Server) backups(mux *http.ServeMux, p Parts) {
	handle(s, mux, BackupMake, func(ctx context.Context, _ struct{}) (backup.Copy, error) {
		if p.Backups == nil {
			return backup.Copy{}, absent("backups")
		}
		return p.Backups.Make(ctx)
	})
	handle(s, mux, BackupList, func(ctx context.Context, _ struct{}) (BackupsOf, error) {
		if p.Backups == nil {
			return BackupsOf{}, absent("backups")
		}
		return p.Backups.List(ctx)
	})
	handle(s, mux, BackupVerify, func(ctx context.Context, in BackupToVerify) (Verified, error) {
		if p.Backups == nil {
			return Verified{}, absent("backups")
		}
		return p.Backups.Verify(ctx, in.Backup, in.Drill)
	})
}

package notice

import (
	"context"
	"strconv"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

// See marks a notice as seen; with accept the version is accepted, if it was not.
// NotFound if the account has no such notice.
func (s *Store) See(ctx context.Context, account, of ids.Tenant, number int, accept bool, by evidence.Role) error {
	err := s.DB.Change(ctx, "see a notice", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, "see", account, of, number, clock.Micros(s.Clock.Now()))
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "There is no such notice.")
		}
		if err != nil || !accept {
			return err
		}
		if n, err = tx.Do(ctx, s.set, "accept", account, of, number, clock.Micros(s.Clock.Now()), ByClick); err != nil || n == 0 {
			return err
		}
		return s.record(ctx, tx, account, by, ByClick, version(of, number))
	})
	s.Nudge()
	return fault.Wrap(err, "see a notice")
}

// version names a version in the log: "platform-3", or "own-2".
func version(of ids.Tenant, number int) string {
	whose := "own"
	if of == tenant.Platform {
		whose = "platform"
	}
	return whose + "-" + strconv.Itoa(number)
}

func (s *Store) record(ctx context.Context, tx *db.Tx, account ids.Tenant, by evidence.Role, how How, version string) error {
	return s.Stage.Stage(ctx, tx, evidence.Leaf{
		ID: ids.New[ids.Leaf](s.IDs), At: evidence.On(s.Clock.Now()), By: evidence.Actor{Role: by}, Tenant: account, Body: &evidence.Act{Act: "policy.accept." + string(how) + "." + version},
	})
}

// Learn reads whose next use accepts something. Each process calls it every few
// seconds.
func (s *Store) Learn(ctx context.Context) error {
	open := map[ids.Tenant]bool{}
	err := s.set.Each(ctx, "open", []any{clock.Micros(s.Clock.Now())}, func(scan func(...any) error) error {
		var t ids.Tenant
		err := scan(&t)
		open[t] = true
		return err
	})
	if err != nil {
		return fault.Wrap(err, "learn who accepts by use")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = open
	return nil
}

// Used says that an account uses the service: what is in force by now and was not
// accepted is. It costs nothing where there is none.
func (s *Store) Used(ctx context.Context, account ids.Tenant) {
	s.mu.RLock()
	open := s.open[account]
	s.mu.RUnlock()
	if !open {
		return
	}
	err := s.DB.Change(ctx, "accept by use", func(tx *db.Tx) error {
		now := clock.Micros(s.Clock.Now())
		var versions []string
		err := tx.Each(ctx, s.set, "to_accept", []any{account, now}, func(scan func(...any) error) error {
			var whose ids.Tenant
			var number int
			err := scan(&whose, &number)
			versions = append(versions, version(whose, number))
			return err
		})
		if err != nil || len(versions) == 0 {
			return err
		}
		if n, err := tx.Do(ctx, s.set, "use", account, now, ByUse); err != nil || n == 0 {
			return err
		}
		for _, v := range versions {
			if err := s.record(ctx, tx, account, evidence.BySystem, ByUse, v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.Observe.For(pkg).Log.WarnContext(ctx, "an acceptance by use could not be written; the next use is tried", "tenant", account.String(), "error", err)
		return
	}
	s.mu.Lock()
	delete(s.open, account)
	s.mu.Unlock()
	s.Nudge()
}

// Drop removes an account's notices, at the contract's end.
func (s *Store) Drop(ctx context.Context, account ids.Tenant) error {
	err := s.DB.Change(ctx, "drop an account's notices", func(tx *db.Tx) error {
		if _, err := tx.Do(ctx, s.set, "drop_tenant", account); err != nil {
			return err
		}
		_, err := tx.Do(ctx, s.set, "drop_announced", account)
		return err
	})
	return fault.Wrap(err, "drop an account's notices")
}

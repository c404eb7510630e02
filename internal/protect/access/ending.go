package access

import (
	"context"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/db"
)

// Drop removes everybody of an ended customer, their sessions with them, and says
// how many.
func (s *Store) Drop(ctx context.Context, of ids.Tenant) (users, sessions int, err error) {
	err = s.DB.Change(ctx, "drop a customer's users", func(tx *db.Tx) error {
		users, sessions = 0, 0
		for _, x := range []struct {
			query string
			sum   *int
		}{{"drop_sessions", &sessions}, {"drop_links", &sessions}, {"drop_users", &users}} {
			n, err := tx.Do(ctx, s.set, x.query, of)
			if err != nil {
				return err
			}
			*x.sum += int(n)
		}
		return nil
	})
	return users, sessions, fault.Wrap(err, "drop a customer's users")
}

// DropCredentials removes an ended customer's tokens and credentials. Other nodes
// forget them within Limits.Cache, and ask whether the customer is active anyway.
func (s *Store) DropCredentials(ctx context.Context, of ids.Tenant) (int, error) {
	count := 0
	err := s.DB.Change(ctx, "drop a customer's credentials", func(tx *db.Tx) error {
		count = 0
		for _, query := range []string{"drop_tokens", "drop_credentials"} {
			n, err := tx.Do(ctx, s.set, query, of)
			if err != nil {
				return err
			}
			count += int(n)
		}
		return nil
	})
	s.credentials.forgetTenant(of)
	s.networks.forget()
	return count, fault.Wrap(err, "drop a customer's credentials")
}

func (k *credentialCache) forgetTenant(of ids.Tenant) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, c := range k.each {
		if c.sender.Tenant == of {
			delete(k.each, name)
		}
	}
}

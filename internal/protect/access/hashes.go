package access

import (
	"context"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// PasswordHashes gives the stored form of every password that a person chose,
// for the probe that looks at it.
func (s *Store) PasswordHashes(ctx context.Context, yield func(phc string) error) error {
	for after, n := ids.User(0), 1000; n == 1000; {
		n = 0
		err := s.set.Each(ctx, "password_hashes", []any{after}, func(scan func(...any) error) error {
			n++
			var phc string
			if err := scan(&after, &phc); err != nil {
				return err
			}
			return yield(phc)
		})
		if err != nil {
			return fault.Wrap(err, "read the password hashes")
		}
	}
	return nil
}

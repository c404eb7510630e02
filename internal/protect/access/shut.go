package access

import (
	"context"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
)

// Shut keeps a user of the scope out at once: suspended, sessions and links ended,
// the tokens that they made removed. It takes the last owner too, since a breach
// does not wait for another one; ChangeUser lets them in again.
func (s *Store) Shut(ctx context.Context, in scope.Scope, id ids.User) (tokens []ids.Token, err error) {
	u, err := s.User(ctx, in, id)
	if err != nil {
		return nil, err
	}
	all, own := in.Args()
	err = s.DB.Change(ctx, "keep a user out", func(tx *db.Tx) error {
		tokens = nil
		err := tx.Each(ctx, s.set, "tokens_by", []any{id}, func(scan func(...any) error) error {
			var t ids.Token
			err := scan(&t)
			tokens = append(tokens, t)
			return err
		})
		if err != nil {
			return err
		}
		if _, err := tx.Do(ctx, s.set, "delete_tokens_by", id); err != nil {
			return err
		}
		n, err := tx.Do(ctx, s.set, "shut_user", all, own, id, UserSuspended, tx.Now())
		if err := mustFind(n, err, "There is no such user."); err != nil {
			return err
		}
		if err := s.note(ctx, tx, Leaves, House(), u); err != nil {
			return err
		}
		return s.endSessions(ctx, tx, id)
	})
	return tokens, fault.Wrap(err, "keep a user out")
}

package ending

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
)

// certify stages the leaf, waits for its checkpoint and ends the end. A crash in
// between makes a second leaf of the same certificate; the later one is handed out.
func (s *Store) certify(ctx context.Context, e *Ending) error {
	salt, err := evidence.NewSalt(rand.Reader)
	if err != nil {
		return err
	}
	now := s.Clock.Now().UTC()
	leaf := evidence.Leaf{
		ID: ids.New[ids.Leaf](s.IDs), At: evidence.On(now), By: evidence.Actor{Role: e.By}, Tenant: e.Tenant,
		Body: &evidence.Erasure{
			Certificate: e.ID, Of: evidence.OfCustomer, Categories: s.counted(e), Follows: s.follows(e, now), Reached: s.reached(e),
			Policy: e.Policy, Reason: e.Reason, Subject: evidence.HashCustomer(salt, e.Tenant),
		},
	}
	err = s.DB.Change(ctx, "stage the evidence of a contract's end", func(tx *db.Tx) error { return s.Stage.Stage(ctx, tx, leaf) })
	if err != nil {
		return err
	}
	s.Log.Nudge()
	doc, err := s.Log.Certify(ctx, leaf.ID, &salt)
	if err != nil {
		return fault.Wrap(err, "certify a contract's end")
	}
	text, err := doc.JSON()
	if err != nil {
		return err
	}
	entry := s.entry(e)
	if entry.Done = now; len(text) <= maxDocument {
		entry.Document = string(text)
	}
	if err := s.Ledger.Put(entry); err != nil {
		return err
	}
	counts, err := json.Marshal(e.Counts)
	if err != nil {
		return fault.Wrap(err, "write a contract's end")
	}
	err = s.DB.Change(ctx, "end a contract", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, "certify", e.ID, clock.Micros(now), string(text), e.step+1, string(counts))
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "Somebody else has just ended this contract.")
		}
		return err
	})
	if err == nil {
		e.State, e.Ended, e.Certificate = Ended, now, text
	}
	return err
}

// maxDocument is how large a certificate the ledger keeps beside its entry.
const maxDocument = 40 << 10

// counted leaves out what had nothing.
func (s *Store) counted(e *Ending) []evidence.Counted {
	list := []evidence.Counted{}
	for _, c := range e.Counts {
		if c.Destroyed > 0 || c.Kept > 0 || c.Read > 0 {
			list = append(list, evidence.Counted{Category: c.Category, Erased: int64(c.Destroyed), Kept: int64(c.Kept), Why: c.Why})
		}
	}
	return list
}

func (s *Store) reached(e *Ending) []string {
	list := []string{
		"nothing was sent or received for the customer from " + e.Closes.UTC().Format(time.RFC3339),
		"the end was written into the erasure ledger before anything was destroyed, so that a restore is followed by it",
		fmt.Sprintf("the customer's keys, %d of them, were destroyed in both copies of the key store: no copy of what they sealed can be opened", e.count(keysCategory).Destroyed),
		"rows and bytes were deleted",
	}
	if s.DB.Dialect() == db.SQLite {
		list = append(list, "the database's free pages and write-ahead log were emptied")
	}
	if !e.Fetched.IsZero() {
		list = append(list, "the customer last fetched the export on "+e.Fetched.UTC().Format(time.RFC3339))
	} else {
		list = append(list, "the customer did not fetch the export")
	}
	return list
}

// afterKeys is by when every process has forgotten destroyed keys (vault.Refresh).
const afterKeys = time.Minute

func (s *Store) follows(e *Ending, now time.Time) []evidence.Follow {
	list := []evidence.Follow{{By: evidence.On(now.Add(afterKeys)), What: "other processes of this server forget the keys"}}
	if s.Mirrored > 0 {
		list = append(list, evidence.Follow{By: evidence.On(now.Add(s.Mirrored)), What: "the second place of the key store follows"})
	}
	if s.DB.Dialect() == db.Postgres {
		list = append(list, evidence.Follow{By: evidence.On(now.Add(24 * time.Hour)), What: "dead rows, which nothing opens, are vacuumed from the database's files"})
	}
	if keep := s.Policies.For(e.Tenant, now).Document.Backups.Keep; keep.Given() {
		list = append(list, evidence.Follow{By: evidence.On(keep.After(now).Add(24 * time.Hour)), What: "backups that hold the rows, which nothing opens, have expired"})
	}
	return append(list, keptFollows(e)...)
}

// handOut mails the certificate to those who were owners, and then forgets them.
func (s *Store) handOut(ctx context.Context, e *Ending) error {
	if len(e.sealed) == 0 {
		return nil
	}
	for _, owner := range e.owners {
		to, err := address.Parse(owner)
		if err == nil {
			err = s.Post(ctx, Letter{To: to, Subject: "The contract has ended: the certificate", Text: certified(e), File: e.Certificate})
		}
		if err != nil {
			return fault.Wrap(err, "mail the certificate of a contract's end")
		}
	}
	err := s.DB.Change(ctx, "forget the owners of an ended contract", func(tx *db.Tx) error {
		if _, err := tx.Do(ctx, s.set, "told", e.ID); err != nil {
			return err
		}
		_, err := tx.Do(ctx, s.set, "forget_keys")
		return err
	})
	if err == nil {
		e.sealed, e.Name, e.owners = nil, "", nil
	}
	return err
}

func certified(e *Ending) string {
	return fmt.Sprintf(`The contract of %s has ended. On %s everything was destroyed, and
the keys with it, so that no copy can be opened.

The certificate is attached. It says what went, what a law keeps and until when,
and it can be verified without this server: with "mailvow certificate verify",
or on the page /certificate of any Mailvow server. Keep it: the value
"subject_salt" in it is yours alone.
`, e.Name, day(e.Ended))
}

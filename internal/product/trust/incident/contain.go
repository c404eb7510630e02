package incident

import (
	"context"
	"errors"
	"slices"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
)

// What containing does, as it stands on record.
const (
	TokenRevoked  = "token revoked"
	UserShut      = "user suspended, sessions ended"
	ExportsFrozen = "exports frozen"
	MailHeld      = "outgoing mail held"
	KeyRotated    = "key rotated"
)

// undoable are the acts that still hold and can be taken back.
func (x *Incident) undoable() []Act {
	return slices.DeleteFunc(slices.Clone(x.Acts), func(a Act) bool { return a.Final || !a.Undone.IsZero() })
}

// Contain is one act: tokens and sessions of the scope end, exports of the
// customers in scope are frozen and their outgoing mail waits, and their keys are
// rotated. The freeze comes first and with the record; what cannot be done then is
// said, and calling it again goes on where it stopped.
func (d *Desk) Contain(ctx context.Context, id ids.Incident, by evidence.Actor) (Incident, error) {
	x, err := d.Get(ctx, id)
	if err != nil {
		return x, err
	}
	var seen Seen
	if x.Selector.Given() {
		found, err := d.Scope(ctx, x.Selector, nil)
		if err != nil {
			return x, err
		}
		seen = found.Seen
	}
	now := d.Clock.Now().UTC()
	x, err = d.change(ctx, id, "incident.contain", by, func(x *Incident) error {
		if len(x.Affected) == 0 && !x.Selector.Given() {
			return fault.Field("scope", "Nothing is in scope: take a scope, or name customers.")
		}
		x.State = Contained
		for _, a := range x.Affected {
			x.did(Act{What: ExportsFrozen, Target: a.Tenant.String(), At: now})
		}
		return nil
	}, func(tx *db.Tx, x *Incident) error {
		for _, a := range x.Affected {
			if _, err := tx.Do(ctx, d.set, "freeze", x.ID, a.Tenant, clock.Micros(now)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return x, err
	}
	acts, wrong := d.reach(ctx, &x, seen)
	x, err = d.change(ctx, id, "incident.contained", by, func(x *Incident) error {
		for _, a := range acts {
			x.did(a)
		}
		return nil
	})
	if err == nil && wrong != nil {
		err = fault.Because(fault.Unavailable, wrong, "Not everything could be contained: see what stands on record, and contain again.")
	}
	return x, err
}

// did puts an act on record, once while it holds.
func (x *Incident) did(a Act) {
	for _, b := range x.Acts {
		if b.What == a.What && b.Target == a.Target && b.Undone.IsZero() && !b.Final {
			return
		}
	}
	x.Acts = append(x.Acts, a)
}

func (x *Incident) holds(what string, t ids.Tenant) bool {
	return slices.ContainsFunc(x.Acts, func(a Act) bool { return a.What == what && a.Target == t.String() && a.Undone.IsZero() })
}

// reach does what lies outside this package.
func (d *Desk) reach(ctx context.Context, x *Incident, seen Seen) (acts []Act, wrong error) {
	now := d.Clock.Now().UTC()
	if x.Selector.Given() {
		acts, wrong = d.Hands.Revoke(ctx, x.Selector, seen)
	}
	for _, a := range x.Affected {
		if !x.holds(MailHeld, a.Tenant) {
			held, err := d.Hands.Hold(ctx, a.Tenant, "Held because of incident "+x.ID.String()+".")
			if wrong = errors.Join(wrong, err); err == nil {
				acts = append(acts, Act{What: MailHeld, Target: a.Tenant.String(), At: now, Undo: held.String()})
			}
		}
		if x.holds(KeyRotated, a.Tenant) {
			continue
		}
		err := d.Hands.Rotate(ctx, a.Tenant)
		if wrong = errors.Join(wrong, err); err == nil {
			acts = append(acts, Act{What: KeyRotated, Target: a.Tenant.String(), At: now, Final: true})
		}
	}
	return acts, wrong
}

// Release undoes what can be undone: exports, held mail, suspended users. Revoked
// tokens, ended sessions and rotated keys stay as they are.
func (d *Desk) Release(ctx context.Context, id ids.Incident, by evidence.Actor) (Incident, error) {
	x, err := d.Get(ctx, id)
	if err != nil {
		return x, err
	}
	if x.State != Contained {
		return x, fault.New(fault.Conflict, "Nothing is contained in this incident.")
	}
	var wrong error
	undone := map[Act]bool{}
	for _, a := range x.undoable() {
		err := d.takeBack(ctx, a)
		if wrong = errors.Join(wrong, err); err == nil {
			undone[a] = true
		}
	}
	now := d.Clock.Now().UTC()
	x, err = d.change(ctx, id, "incident.release", by, func(x *Incident) error {
		for i := range x.Acts {
			if undone[x.Acts[i]] {
				x.Acts[i].Undone = now
			}
		}
		if len(x.undoable()) == 0 {
			x.State = Open
		}
		return nil
	}, func(tx *db.Tx, x *Incident) error {
		_, err := tx.Do(ctx, d.set, "thaw", x.ID)
		return err
	})
	if err == nil && wrong != nil {
		err = fault.Because(fault.Unavailable, wrong, "Not everything could be released; release again.")
	}
	return x, err
}

func (d *Desk) takeBack(ctx context.Context, a Act) error {
	switch a.What {
	case ExportsFrozen:
		return nil // with the record
	case MailHeld:
		if a.Undo == "" {
			return nil // it was held already, for another reason
		}
		held, err := ids.Parse[ids.Job](a.Undo)
		if err == nil {
			err = d.Hands.Release(ctx, held)
		}
		if fault.Is(err, fault.NotFound) { // somebody resumed it by hand
			err = nil
		}
		return err
	case UserShut:
		user, err := ids.Parse[ids.User](a.Target)
		if err == nil {
			err = d.Hands.Restore(ctx, user)
		}
		if fault.Is(err, fault.NotFound) { // the user is gone
			err = nil
		}
		return err
	}
	return fault.New(fault.Internal, "an act that cannot be undone: "+a.What)
}

// Frozen refuses while an incident freezes exports in a scope; the operator's, over
// everybody's data, while it does for anybody.
func (d *Desk) Frozen(ctx context.Context, in scope.Scope) error {
	all, own := in.Args()
	var n int
	if err := d.set.One(ctx, "frozen", []any{all, own}, &n); err != nil {
		return fault.Wrap(err, "look whether exports are frozen")
	}
	if n > 0 {
		return fault.New(fault.Conflict, "Exports are frozen because of an incident, until the operator releases them.").
			WithHint("mailvow incident list shows which; mailvow incident release lets them go")
	}
	return nil
}

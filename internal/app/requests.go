package app

import (
	"context"
	"encoding/json"
	"io"
	"regexp"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/erase"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/subject"
)

// requests joins the API with the parts that answer persons and delete records.
type requests struct{ *House }

var (
	_ httpapi.Subjects = requests{}
	_ httpapi.Records  = requests{}
)

func actor(p access.Principal) evidence.Actor { return evidence.Actor{Role: actingAs(p)} }

// Find implements httpapi.Subjects.
func (r requests) Find(ctx context.Context, s pledge.Subject) ([]pledge.Trace, error) {
	return shownSubjects{r.subjects, r.House}.Find(ctx, s)
}

// Export implements httpapi.Subjects.
func (r requests) Export(ctx context.Context, s pledge.Subject, by access.Principal, w io.Writer) (int, error) {
	return shownSubjects{r.subjects, r.House}.Export(ctx, s, actor(by), subject.Lines, w)
}

// Archive implements httpapi.Subjects.
func (r requests) Archive(ctx context.Context, s pledge.Subject, by access.Principal) (func(io.Writer) error, error) {
	if _, err := (shownSubjects{r.subjects, r.House}).saw(ctx, s); err != nil {
		return nil, err
	}
	a, err := r.subjects.Prepare(ctx, s, actor(by))
	if err != nil {
		return nil, err
	}
	return func(w io.Writer) error { _, err := a.Write(ctx, w); return err }, nil
}

// customerName is what a customer is called, or nothing where it is gone.
func (h *House) customerName(id ids.Tenant) string {
	t, err := h.tenants.Get(context.Background(), scope.Tenant(id), id)
	if err != nil {
		return ""
	}
	return t.Name
}

// Correct implements httpapi.Subjects.
func (r requests) Correct(ctx context.Context, s pledge.Subject, by access.Principal, c pledge.Correction) (int, error) {
	return r.subjects.Correct(ctx, s, actor(by), c)
}

// Restrict implements httpapi.Subjects.
func (r requests) Restrict(ctx context.Context, s pledge.Subject, by access.Principal, on bool) (int, error) {
	return r.subjects.Restrict(ctx, s, actor(by), on)
}

// Declared implements httpapi.Subjects.
func (r requests) Declared(ctx context.Context, tenant ids.Tenant) (map[string]pledge.Sort, error) {
	return r.subjects.Declared(ctx, tenant)
}

// Declare implements httpapi.Subjects.
func (r requests) Declare(ctx context.Context, tenant ids.Tenant, by access.Principal, declared map[string]pledge.Sort) error {
	return r.subjects.Declare(ctx, tenant, actor(by), declared)
}

// A reason in the log is a word, never a sentence that may name somebody.
var reasonWord = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,39}$`)

// Erase implements httpapi.Subjects.
func (r requests) Erase(ctx context.Context, s pledge.Subject, by access.Principal, reason string, keepAway bool) (json.RawMessage, error) {
	if !reasonWord.MatchString(reason) {
		return nil, fault.Field("reason", "The reason goes into a log that cannot be changed: give a word, such as art17 or consent.withdrawn.")
	}
	receipt, err := r.eraser.Erase(ctx, erase.Order{Scope: s.Scope, Address: s.Address, Identifiers: s.Identifiers, By: actingAs(by), Reason: reason, KeepAway: keepAway})
	if err != nil {
		return nil, err
	}
	return receipt.Document.JSON()
}

// DeleteMessage implements httpapi.Records: what is queued is withdrawn, the
// record goes, and the act stands in the evidence log.
func (r requests) DeleteMessage(ctx context.Context, s scope.Scope, m ids.Message, by access.Principal) (json.RawMessage, error) {
	events, err := r.history.Of(ctx, s, m)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return nil, fault.New(fault.NotFound, "There is no such message, or its record is gone.")
	}
	cancelled, err := r.queue.Withdraw(ctx, s, m)
	if err != nil {
		return nil, err
	}
	if err := r.holds.PreserveMessage(ctx, s, m); err != nil {
		return nil, err
	}
	rows, err := r.history.Delete(ctx, s, m)
	if err != nil {
		return nil, err
	}
	leaf := evidence.Leaf{
		ID: ids.New[ids.Leaf](r.ids), At: evidence.On(r.Clock.Now()), Tenant: events[0].Tenant,
		By: actor(by), Body: &evidence.Act{Act: "message.delete", Target: m.String()},
	}
	if err := r.db.Change(ctx, "record a deletion", func(tx *db.Tx) error { return r.stage.Stage(ctx, tx, leaf) }); err != nil {
		return nil, err
	}
	r.evidence.Nudge()
	return json.Marshal(map[string]any{"leaf": leaf.ID, "message": m, "deleted_at": r.Clock.Now().UTC(), "cancelled": cancelled, "rows": rows})
}

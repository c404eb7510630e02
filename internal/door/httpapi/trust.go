package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/retain"
)

// Subjects answers persons who ask about their data; app fills it with
// protect/subject and protect/erase.
type Subjects interface {
	Find(ctx context.Context, s pledge.Subject) ([]pledge.Trace, error)
	// Export writes JSON lines and returns their number.
	Export(ctx context.Context, s pledge.Subject, by access.Principal, w io.Writer) (int, error)
	// Archive looks, and gives what writes one archive of everything.
	Archive(ctx context.Context, s pledge.Subject, by access.Principal) (func(io.Writer) error, error)
	Correct(ctx context.Context, s pledge.Subject, by access.Principal, c pledge.Correction) (int, error)
	Restrict(ctx context.Context, s pledge.Subject, by access.Principal, on bool) (int, error)
	// Erase returns the certificate as JSON.
	Erase(ctx context.Context, s pledge.Subject, by access.Principal, reason string, keepAway bool) (json.RawMessage, error)
	// Declared and Declare are which attributes of a customer's messages identify a person.
	Declared(ctx context.Context, tenant ids.Tenant) (map[string]pledge.Sort, error)
	Declare(ctx context.Context, tenant ids.Tenant, by access.Principal, declared map[string]pledge.Sort) error
}

// Records deletes records of mail; app fills it.
type Records interface {
	// DeleteMessage cancels what is queued, deletes the record and returns the
	// receipt as JSON.
	DeleteMessage(ctx context.Context, s scope.Scope, m ids.Message, by access.Principal) (json.RawMessage, error)
}

// InventoryEntry is one category of what is kept.
type InventoryEntry struct {
	Category string   `json:"category"`
	Holder   string   `json:"holder"`
	What     string   `json:"what"`
	Where    []string `json:"where" nullable:"false"`
	Whose    string   `json:"whose"`
	Purpose  string   `json:"purpose"`
	For      string   `json:"for" doc:"The purpose of the list that this serves; see list-purposes."`
	Basis    string   `json:"basis"`
	Period   string   `json:"period"`
	Found    string   `json:"found"`
	Erasing  string   `json:"erasing"`
}

// Retention says how periods are kept; protect/retain does.
type Retention interface {
	States(ctx context.Context) ([]retain.State, error)
}

// RetentionState is how the period of one category, or of one class of keys, is kept.
type RetentionState struct {
	Category string     `json:"category"`
	Status   string     `json:"status" enum:"kept,failing,overdue,not_yet"`
	Period   string     `json:"period" doc:"What is older goes."`
	OldestAt *time.Time `json:"oldest_at" doc:"The oldest record; null where there is none or the store cannot tell."`
	DueAt    *time.Time `json:"due_at" doc:"When the oldest record's period is over."`
	RanAt    *time.Time `json:"ran_at" doc:"When a purge last went well."`
	Purged   int        `json:"purged" doc:"Records that went with the last purge that found something."`
	PurgedAt *time.Time `json:"purged_at" doc:"When that was."`
	Total    int        `json:"total" doc:"Records purged since the first start."`
	Problem  string     `json:"problem,omitempty"`
}

// PersonIdentifier is a further word by which a customer knows a person.
type PersonIdentifier struct {
	Is    string `json:"is" enum:"name,phone,customer_number,account"`
	Value string `json:"value" maxLength:"200"`
}

type person struct {
	Address     string             `json:"address" maxLength:"320"`
	Identifiers []PersonIdentifier `json:"identifiers,omitempty" maxItems:"8" nullable:"false" doc:"Further words by which you know the person. They find messages whose metadata says so, in the attributes that you declared."`
}

// IdentifyingAttributes are those attributes of your messages that identify a person.
type IdentifyingAttributes struct {
	Attributes []IdentifyingAttribute `json:"attributes" maxItems:"50" nullable:"false"`
}

// IdentifyingAttribute is one.
type IdentifyingAttribute struct {
	Name string `json:"name" minLength:"1" maxLength:"64" doc:"A word of metadata, as you send it."`
	Is   string `json:"is" enum:"name,phone,customer_number,account"`
}

type attributesIn struct{ Body IdentifyingAttributes }

type attributesOut struct{ Body IdentifyingAttributes }

type findIn struct{ Body person }

// Findings is what is held about a person, without content.
type Findings struct {
	Findings []Finding `json:"findings" nullable:"false"`
}

// Finding is one store that holds something.
type Finding struct {
	Category string     `json:"category"`
	Holder   string     `json:"holder"`
	Count    int        `json:"count"`
	First    *time.Time `json:"first"`
	Last     *time.Time `json:"last"`
}

type eraseIn struct {
	Body struct {
		Address     string             `json:"address" maxLength:"320"`
		Identifiers []PersonIdentifier `json:"identifiers,omitempty" maxItems:"8" nullable:"false"`
		Reason      string             `json:"reason" minLength:"1" maxLength:"500"`
		KeepAway    bool               `json:"keep_away,omitempty" doc:"Leave a keyed hash, so that the person is not written to again."`
	}
}

type certificateOut struct{ Body json.RawMessage }

type correctIn struct {
	Body struct {
		Address     string             `json:"address" maxLength:"320"`
		Identifiers []PersonIdentifier `json:"identifiers,omitempty" maxItems:"8" nullable:"false"`
		Field       string             `json:"field" maxLength:"64"`
		Value       string             `json:"value" maxLength:"1000"`
	}
}

type restrictIn struct {
	Body struct {
		Address     string             `json:"address" maxLength:"320"`
		Identifiers []PersonIdentifier `json:"identifiers,omitempty" maxItems:"8" nullable:"false"`
		On          bool               `json:"on" doc:"False lifts the restriction."`
	}
}

func (a *API) trustRoutes() {
	tag, p := "subjects", access.SubjectsManage
	register(a, op{id: "find-subject", method: http.MethodPost, path: "/v1/subjects/find", summary: "What is held about a person", tag: tag, needs: p, quiet: true}, a.findSubject)
	register(a, op{id: "export-subject", method: http.MethodPost, path: "/v1/subjects/export", summary: "A copy of everything held about a person (JSON lines)", tag: tag, needs: p, once: true, quiet: true}, a.exportSubject)
	register(a, op{id: "archive-subject", method: http.MethodPost, path: "/v1/subjects/archive", summary: "One archive (ZIP) of everything held about a person: a page to read, JSON and CSV of each category, waiting mail, a manifest with hashes", tag: tag, needs: p, once: true, quiet: true}, a.archiveSubject)
	register(a, op{id: "correct-subject", method: http.MethodPost, path: "/v1/subjects/correct", summary: "Replace a wrong value", tag: tag, needs: p, quiet: true}, a.correctSubject)
	register(a, op{id: "restrict-subject", method: http.MethodPost, path: "/v1/subjects/restrict", summary: "Stop all processing of a person's data but storage", tag: tag, needs: p, quiet: true}, a.restrictSubject)
	register(a, op{id: "erase-subject", method: http.MethodPost, path: "/v1/subjects/erase", summary: "Erase a person; the answer is the certificate", tag: tag, needs: p, quiet: true}, a.eraseSubject)
	register(a, op{id: "get-identifying-attributes", method: http.MethodGet, path: "/v1/subjects/attributes", summary: "Which attributes of your messages identify a person", tag: tag, needs: p}, a.getAttributes)
	register(a, op{id: "set-identifying-attributes", method: http.MethodPut, path: "/v1/subjects/attributes", summary: "Declare which attributes of your messages identify a person, for earlier messages too", tag: tag, needs: p}, a.setAttributes)
	a.controlRoutes()
	a.bundleRoutes()
	a.reviewRoutes()
	register(a, op{id: "get-inventory", method: http.MethodGet, path: "/v1/inventory", summary: "What is kept, whose, why and for how long", tag: "controls", needs: access.EvidenceRead}, a.getInventory)
	register(a, op{id: "get-backups", method: http.MethodGet, path: "/v1/backups", summary: "How backups stand: the newest, the last restore that was tried, what is overdue", tag: "controls", needs: access.PlatformRead}, a.getBackups)
	register(a, op{id: "list-retention", method: http.MethodGet, path: "/v1/retention", summary: "What was purged, what is due, and what could not be purged", tag: "controls", needs: access.PlatformRead}, a.listRetention)
}

func (a *API) subject(who Asker, text string, known []PersonIdentifier) (pledge.Subject, error) {
	if a.parts.Subjects == nil {
		return pledge.Subject{}, absent()
	}
	to, err := addressAt("address", text)
	if err != nil {
		return pledge.Subject{}, err
	}
	list, err := identifiers(known)
	return pledge.Subject{Scope: who.Scope, Address: to, Identifiers: list}, err
}

func identifiers(known []PersonIdentifier) ([]pledge.Identifier, error) {
	list := make([]pledge.Identifier, len(known))
	for i, k := range known {
		list[i] = pledge.Identifier{Is: pledge.Sort(k.Is), Value: k.Value}
	}
	return pledge.CheckIdentifiers(list)
}

func (a *API) getAttributes(ctx context.Context, who Asker, _ *nothing) (*attributesOut, error) {
	if a.parts.Subjects == nil {
		return nil, absent()
	}
	declared, err := a.parts.Subjects.Declared(ctx, who.Tenant)
	out := &attributesOut{IdentifyingAttributes{[]IdentifyingAttribute{}}}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		out.Body.Attributes = append(out.Body.Attributes, IdentifyingAttribute{name, string(declared[name])})
	}
	return out, err
}

func (a *API) setAttributes(ctx context.Context, who Asker, in *attributesIn) (*attributesOut, error) {
	if a.parts.Subjects == nil {
		return nil, absent()
	}
	declared := map[string]pledge.Sort{}
	for _, x := range in.Body.Attributes {
		declared[x.Name] = pledge.Sort(x.Is)
	}
	if err := a.parts.Subjects.Declare(ctx, who.Tenant, who.Principal, declared); err != nil {
		return nil, err
	}
	return a.getAttributes(ctx, who, nil)
}

func (a *API) findSubject(ctx context.Context, who Asker, in *findIn) (*struct{ Body Findings }, error) {
	s, err := a.subject(who, in.Body.Address, in.Body.Identifiers)
	if err != nil {
		return nil, err
	}
	traces, err := a.parts.Subjects.Find(ctx, s)
	out := &struct{ Body Findings }{Findings{[]Finding{}}}
	for _, t := range traces {
		out.Body.Findings = append(out.Body.Findings, Finding{Category: t.Category, Holder: t.Holder, Count: t.Count, First: when(t.First), Last: when(t.Last)})
	}
	return out, err
}

// maxExport is the largest copy that the API hands out; mailvow subject export
// has no bound.
const maxExport = 64 << 20

func (a *API) exportSubject(ctx context.Context, who Asker, in *findIn) (*stream, error) {
	if err := a.frozen(ctx, who.Scope); err != nil {
		return nil, err
	}
	s, err := a.subject(who, in.Body.Address, in.Body.Identifiers)
	if err != nil {
		return nil, err
	}
	var copied bytes.Buffer
	if _, err := a.parts.Subjects.Export(ctx, s, who.Principal, &bounded{w: &copied, left: maxExport}); err != nil {
		return nil, err
	}
	return download("application/jsonl", "export.jsonl", int64(copied.Len()), &copied, io.NopCloser(nil)), nil
}

// archiveSubject streams. What fails before the first byte is a problem; an
// archive that breaks off has no directory and opens nowhere.
func (a *API) archiveSubject(ctx context.Context, who Asker, in *findIn) (*stream, error) {
	if err := a.frozen(ctx, who.Scope); err != nil {
		return nil, err
	}
	s, err := a.subject(who, in.Body.Address, in.Body.Identifiers)
	if err != nil {
		return nil, err
	}
	write, err := a.parts.Subjects.Archive(ctx, s, who.Principal)
	if err != nil {
		return nil, err
	}
	return a.archive("person.zip", "archive-subject", func(_ context.Context, w io.Writer) error { return write(w) }), nil
}

// archive streams a ZIP. One that cannot be written whole breaks off.
func (a *API) archive(name, operation string, write func(context.Context, io.Writer) error) *stream {
	out := download("application/zip", name, -1, nil, nil)
	out.Body = func(to huma.Context) {
		if err := write(to.Context(), to.BodyWriter()); err != nil {
			report(to.Context(), a.log, operation, err)
			panic(http.ErrAbortHandler)
		}
	}
	return out
}

type bounded struct {
	w    io.Writer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, fault.New(fault.Exhausted, "The copy is larger than 64 MiB. Use mailvow subject export on the server.")
	}
	return b.w.Write(p)
}

func (a *API) correctSubject(ctx context.Context, who Asker, in *correctIn) (*queueResultOut, error) {
	s, err := a.subject(who, in.Body.Address, in.Body.Identifiers)
	if err != nil {
		return nil, err
	}
	n, err := a.parts.Subjects.Correct(ctx, s, who.Principal, pledge.Correction{Field: in.Body.Field, Value: in.Body.Value})
	return &queueResultOut{QueueResult{n}}, err
}

func (a *API) restrictSubject(ctx context.Context, who Asker, in *restrictIn) (*queueResultOut, error) {
	s, err := a.subject(who, in.Body.Address, in.Body.Identifiers)
	if err != nil {
		return nil, err
	}
	n, err := a.parts.Subjects.Restrict(ctx, s, who.Principal, in.Body.On)
	return &queueResultOut{QueueResult{n}}, err
}

func (a *API) eraseSubject(ctx context.Context, who Asker, in *eraseIn) (*certificateOut, error) {
	s, err := a.subject(who, in.Body.Address, in.Body.Identifiers)
	if err != nil {
		return nil, err
	}
	certificate, err := a.parts.Subjects.Erase(ctx, s, who.Principal, strings.TrimSpace(in.Body.Reason), in.Body.KeepAway)
	return &certificateOut{certificate}, err
}

func (a *API) getInventory(_ context.Context, _ Asker, _ *nothing) (*struct{ Body []InventoryEntry }, error) {
	if a.parts.Inventory == nil {
		return nil, absent()
	}
	out := &struct{ Body []InventoryEntry }{[]InventoryEntry{}}
	for _, e := range a.parts.Inventory.Entries() {
		v := InventoryEntry{
			Category: e.Name, Holder: e.Package, What: e.What, Where: []string{}, Whose: string(e.About), Purpose: e.Purpose, For: string(e.For),
			Basis: string(e.Basis), Period: e.InForce(), Found: e.Found, Erasing: string(e.Erasing),
		}
		for _, p := range e.Places {
			v.Where = append(v.Where, string(p.Kind)+" "+p.Name)
		}
		out.Body = append(out.Body, v)
	}
	return out, nil
}

func (a *API) listRetention(ctx context.Context, _ Asker, _ *nothing) (*struct{ Body []RetentionState }, error) {
	if a.parts.Retention == nil {
		return nil, absent()
	}
	states, err := a.parts.Retention.States(ctx)
	out := &struct{ Body []RetentionState }{[]RetentionState{}}
	for _, s := range states {
		out.Body = append(out.Body, RetentionState{
			Category: s.Category, Status: string(s.Status), Period: inventory.Span(s.Period), OldestAt: when(s.Oldest), DueAt: when(s.Due),
			RanAt: when(s.Ran), Purged: s.Purged, PurgedAt: when(s.Gone), Total: s.Total, Problem: s.Problem,
		})
	}
	return out, err
}

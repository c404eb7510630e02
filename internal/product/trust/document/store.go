package document

import (
	"bytes"
	"context"
	_ "embed" // the table
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/link"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"
)

//go:embed document.sql
var sql string

const pkg = "product/trust/document"

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: "published documents", About: pledge.Nobody,
		What:    "every published version of every document with its signature",
		Purpose: "show what was said when", For: pledge.ToAccount, Basis: pledge.NotPersonal,
		Period: pledge.Period{From: "never removed: older versions stay public"}, Found: "not at all", Erasing: pledge.Nothing,
	}},
	Places: pledge.Columns("published documents", false, "trust_document", "kind", "number", "published", "policy", "source", "markdown", "pdf", "note", "despite", "reason"),
}

// Config is what documents stand on.
type Config struct {
	DB    *db.DB
	Stage *evidence.Stage
	Nudge func() // something was staged
	IDs   *ids.Source
	Clock clock.Clock
	Links *link.Store
	// Sign signs as the evidence log.
	Sign func(write func(evidence.Key) string) ([]byte, error)
	// Draw draws a PDF and attaches the paper's JSON to it.
	Draw func(p *Paper, source []byte) ([]byte, error)
	// Facts are what can be said of a customer, or of the platform, now.
	Facts func(ctx context.Context, of ids.Tenant) (Facts, error)
	// Published is called after a version was published; nil: nobody is told.
	Published func(ctx context.Context, v Version)
}

// Store renders documents and keeps what was published.
type Store struct {
	Config
	set    *db.Set
	mu     sync.Mutex
	copies map[string]madeCopy // by the link they were made for
}

// New makes a store over a database that was opened with Schema.
func New(c Config) *Store {
	if c.Nudge == nil {
		c.Nudge = func() {}
	}
	return &Store{Config: c, set: c.DB.Set(pkg), copies: map[string]madeCopy{}}
}

// Draft is a document as it would be published now.
type Draft struct {
	Paper *Paper
	Marks []Mark
}

// Issue is a document with its forms and its signature.
type Issue struct {
	Paper    *Paper
	JSON     []byte
	Markdown []byte
	PDF      []byte
	Note     []byte
}

// Form gives one of the forms: json, markdown, pdf, note or html, with its media
// type; NotFound where there is none of that name.
func (i *Issue) Form(name string) (data []byte, media string, err error) {
	switch name {
	case "json":
		return i.JSON, "application/json", nil
	case "markdown", "md":
		return i.Markdown, "text/markdown; charset=utf-8", nil
	case "pdf":
		return i.PDF, "application/pdf", nil
	case "note":
		return i.Note, "text/plain; charset=utf-8", nil
	case "html":
		return i.Paper.Page(), "text/html; charset=utf-8", nil
	}
	return nil, "", fault.New(fault.NotFound, "A document has the forms html, markdown, pdf, json and note.")
}

// Version is one published version.
type Version struct {
	Kind      Kind
	Number    int
	Published time.Time
	Policy    string
	Despite   []string // marks that were published all the same
	Reason    string   // why
	Note      string   // what changed
	Digest    evidence.Digest
}

// Render makes a document as it stands now, for the platform or under a
// customer's policy. A document that does not fit the policy in force is a
// Conflict; there is a NotFound fault for what is no document.
func (s *Store) Render(ctx context.Context, k Kind, of ids.Tenant) (Draft, error) {
	sort, err := SortOf(k)
	if err != nil {
		return Draft{}, err
	}
	f, err := s.Facts(ctx, of)
	if err != nil {
		return Draft{}, fault.Wrap(err, "gather what a document says")
	}
	if of != tenant.Platform {
		f.For = of.String()
	}
	return draft(sort, &f)
}

func draft(sort Sort, f *Facts) (Draft, error) {
	if sort.Kind == Associate {
		if err := mayAssociate(f.Policy.Document); err != nil {
			return Draft{}, err
		}
	}
	said, err := f.Policy.Document.Says()
	if err != nil {
		return Draft{}, err
	}
	p := &Paper{Kind: sort.Kind, Title: sort.Title, Server: f.Server, By: capital(f.by()), For: f.For, Date: f.Now.UTC().Truncate(time.Second), Policy: f.Policy.Label}
	w := &writer{Facts: f, paper: p, said: map[string]policy.Said{}}
	for _, x := range said {
		w.said[x.Path] = x
	}
	sort.write(w)
	marks := p.weigh(f.Seen, w.missing)
	if marks == nil {
		marks = []Mark{}
	}
	return Draft{p, marks}, nil
}

// mayAssociate holds a BAA to the settings that it describes.
func mayAssociate(d *policy.Document) error {
	if d.Preview == policy.Off && (d.TLS.Outbound == policy.Required || d.TLS.Outbound == policy.Verified) {
		return nil
	}
	return fault.New(fault.Conflict, "A business associate agreement is for a policy that shows no content (preview: off) and sends by TLS or not at all (tls.outbound: required or verified); the policy in force is another.").
		WithHint("the profile encrypted has these settings: mailvow policy profiles encrypted")
}

// Copy makes a signed copy on request, under a customer's policy. What was not
// seen to hold says so in it.
func (s *Store) Copy(ctx context.Context, k Kind, of ids.Tenant) (Issue, error) {
	d, err := s.Render(ctx, k, of)
	if err != nil {
		return Issue{}, err
	}
	return s.issue(d.Paper)
}

// issue draws every form and signs.
func (s *Store) issue(p *Paper) (Issue, error) {
	out := Issue{Paper: p, Markdown: p.Markdown()}
	var err error
	if out.JSON, err = p.JSON(); err != nil {
		return out, err
	}
	if out.PDF, err = s.Draw(p, out.JSON); err != nil {
		return out, fault.Wrap(err, "draw a document")
	}
	out.Note, err = s.Sign(func(k evidence.Key) string {
		return noteText(p, k, map[string][]byte{"json": out.JSON, "markdown": out.Markdown, "pdf": out.PDF})
	})
	return out, fault.Wrap(err, "sign a document")
}

// Order is a publication.
type Order struct {
	Kind Kind
	Note string // what changed, to people
	// LeaveOut drops every sentence that is marked; Anyway publishes them with a
	// remark, and says why. Without either a marked document is refused.
	LeaveOut bool
	Anyway   string
	Role     evidence.Role
}

const maxWords = 500

func (o *Order) check() error {
	for field, text := range map[string]string{"note": o.Note, "anyway": o.Anyway} {
		if utf8.RuneCountInString(text) > maxWords || !utf8.ValidString(text) || strings.Contains(text, "@") {
			return fault.Field(field, "Write at most 500 characters, and no address: it is public for ever.")
		}
	}
	return nil
}

// Publish makes the next version. Marks that are neither left out nor published
// explicitly are a Conflict that names them; so is a version that somebody else
// published meanwhile.
func (s *Store) Publish(ctx context.Context, o Order) (Version, []Mark, error) {
	if err := o.check(); err != nil {
		return Version{}, nil, err
	}
	d, err := s.Render(ctx, o.Kind, tenant.Platform)
	if err != nil {
		return Version{}, nil, err
	}
	marks := d.Marks
	if o.LeaveOut {
		marks = d.Paper.dropShaky(marks)
	}
	if len(marks) > 0 && strings.TrimSpace(o.Anyway) == "" {
		return Version{}, marks, refusal(marks)
	}
	top, err := s.Versions(ctx, o.Kind)
	if err != nil {
		return Version{}, marks, err
	}
	v := Version{Kind: o.Kind, Number: 1, Policy: d.Paper.Policy, Note: strings.TrimSpace(o.Note), Despite: []string{}}
	if len(top) > 0 {
		v.Number = top[0].Number + 1
	}
	for _, m := range marks {
		if !slices.Contains(v.Despite, m.Rests) {
			v.Despite = append(v.Despite, m.Rests)
		}
	}
	if len(v.Despite) > 0 {
		v.Reason = strings.TrimSpace(o.Anyway)
	}
	d.Paper.Number, d.Paper.Notes = v.Number, v.Note
	out, err := s.issue(d.Paper)
	if err != nil {
		return v, marks, err
	}
	v.Published, v.Digest = d.Paper.Date, evidence.DigestOf(out.Note)
	err = s.DB.Change(ctx, "publish a document", func(tx *db.Tx) error { return s.add(ctx, tx, v, &out, o.Role) })
	if err != nil {
		return v, marks, fault.Wrap(err, "publish a document")
	}
	s.Nudge()
	if s.Published != nil {
		s.Published(ctx, v)
	}
	return v, marks, nil
}

// refusal refuses a marked document.
func refusal(marks []Mark) error {
	var list []string
	for _, m := range marks {
		if !slices.Contains(list, m.Rests) {
			list = append(list, m.Rests)
		}
	}
	return fault.New(fault.Conflict, "The document says what was not seen to hold here: "+strings.Join(list, ", ")+". Leave those sentences out, or say why it is published all the same, which is put on record and is said in the document.").
		WithHint("mailvow document render shows each marked sentence; publish takes --leave-out or --anyway REASON")
}

// dropShaky leaves the marked sentences out and gives the marks that stay: what
// the configuration does not say cannot be left out.
func (p *Paper) dropShaky(marks []Mark) []Mark {
	for i, b := range p.Blocks {
		shaky := func(s Sentence) bool { return len(s.Shaky) > 0 }
		p.Blocks[i].Paragraph = slices.DeleteFunc(b.Paragraph, shaky)
		p.Blocks[i].List = slices.DeleteFunc(b.List, shaky)
		if b.Table != nil {
			b.Table.Rows = slices.DeleteFunc(b.Table.Rows, func(r Row) bool { return len(r.Shaky) > 0 })
		}
	}
	p.Blocks = withoutEmpty(slices.DeleteFunc(p.Blocks, func(b Block) bool {
		return b.Heading == "" && len(b.Paragraph) == 0 && len(b.List) == 0 && (b.Table == nil || len(b.Table.Rows) == 0)
	}))
	p.Rests = slices.DeleteFunc(p.Rests, func(r Rest) bool { return !holds(r.Status) })
	return slices.DeleteFunc(slices.Clone(marks), func(m Mark) bool { return m.Status != "" })
}

func (s *Store) add(ctx context.Context, tx *db.Tx, v Version, i *Issue, by evidence.Role) error {
	n, err := tx.Do(ctx, s.set, "add", string(v.Kind), v.Number, clock.Micros(v.Published), v.Policy, i.JSON, i.Markdown, i.PDF, i.Note, strings.Join(v.Despite, " "), v.Reason)
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "Somebody published another version meanwhile.")
	}
	if err != nil {
		return err
	}
	stage := func(body evidence.Body) error {
		return s.Stage.Stage(ctx, tx, evidence.Leaf{ID: ids.New[ids.Leaf](s.IDs), At: evidence.On(s.Clock.Now()), By: evidence.Actor{Role: by}, Body: body})
	}
	name := func(n int) string { return string(v.Kind) + "." + itoa(n) }
	change := &evidence.PolicyChange{Digest: v.Digest, Version: name(v.Number)}
	if v.Number > 1 {
		change.Previous = name(v.Number - 1)
	}
	if err := stage(change); err != nil {
		return err
	}
	for _, id := range v.Despite {
		if err := stage(&evidence.Act{Act: "document.despite." + id}); err != nil {
			return err
		}
	}
	return nil
}

// Versions lists the published versions of a document, newest first, or with ""
// of all documents.
func (s *Store) Versions(ctx context.Context, k Kind) ([]Version, error) {
	var list []Version
	err := s.set.Each(ctx, "list", []any{string(k)}, func(scan func(...any) error) error {
		var v Version
		var published int64
		var despite string
		var source, note []byte
		if err := scan(&v.Kind, &v.Number, &published, &v.Policy, &source, &note, &despite, &v.Reason); err != nil {
			return err
		}
		p, err := parsePaper(source)
		if err != nil {
			return err
		}
		v.Published, v.Note, v.Digest, v.Despite = clock.FromMicros(published).UTC(), p.Notes, evidence.DigestOf(note), strings.Fields(despite)
		list = append(list, v)
		return nil
	})
	return list, fault.Wrap(err, "list published documents")
}

// Get gives a published version with its forms; number zero is the newest.
// NotFound if there is none.
func (s *Store) Get(ctx context.Context, k Kind, number int) (Issue, error) {
	if number == 0 {
		list, err := s.Versions(ctx, k)
		if err != nil {
			return Issue{}, err
		}
		if len(list) == 0 {
			return Issue{}, fault.New(fault.NotFound, "No version of this document was published yet.")
		}
		number = list[0].Number
	}
	var i Issue
	err := s.set.One(ctx, "get", []any{string(k), number}, &i.JSON, &i.Markdown, &i.PDF, &i.Note)
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, "There is no such version of this document.")
	}
	if err == nil {
		i.Paper, err = parsePaper(i.JSON)
	}
	return i, fault.Wrap(err, "get a published document")
}

// Standing is how a document stands.
type Standing struct {
	Sort
	Newest  *Version // nil: never published
	Changed bool     // it would say something else today
	Marks   int
	Refused string // why there is none under the policy in force
}

// Standings tells it of every document.
func (s *Store) Standings(ctx context.Context) ([]Standing, error) {
	f, err := s.Facts(ctx, tenant.Platform)
	if err != nil {
		return nil, fault.Wrap(err, "gather what documents say")
	}
	all, err := s.Versions(ctx, "")
	if err != nil {
		return nil, err
	}
	var list []Standing
	for _, sort := range sorts() {
		st := Standing{Sort: sort}
		if i := slices.IndexFunc(all, func(v Version) bool { return v.Kind == sort.Kind }); i >= 0 {
			st.Newest = &all[i]
		}
		facts := f
		d, err := draft(sort, &facts)
		switch {
		case fault.Is(err, fault.Conflict):
			st.Refused, _ = fault.Public(err)
		case err != nil:
			return nil, err
		default:
			st.Marks = len(d.Marks)
			if st.Newest != nil {
				if st.Changed, err = s.differs(ctx, d.Paper, st.Newest.Number); err != nil {
					return nil, err
				}
			}
		}
		list = append(list, st)
	}
	return list, nil
}

// differs compares a paper with a published one, but for what every version has of
// its own and for when something was last seen.
func (s *Store) differs(ctx context.Context, now *Paper, number int) (bool, error) {
	then, err := s.Get(ctx, now.Kind, number)
	if err != nil {
		return false, err
	}
	bare := func(p Paper) ([]byte, error) {
		p.Number, p.Date, p.Notes = 0, time.Time{}, ""
		p.Rests = nil
		return p.JSON()
	}
	a, err := bare(*now)
	if err != nil {
		return false, err
	}
	b, err := bare(*then.Paper)
	return !bytes.Equal(a, b), err
}

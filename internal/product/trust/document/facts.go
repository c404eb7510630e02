package document

import (
	"context"
	"strings"
	"time"

	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/policy"
)

// Operator is who runs the server and answers for it, as configured.
type Operator struct {
	Name    string // the company; empty: not configured
	Address string // its postal address
	Country string
	Officer string // the data protection officer's name; empty: none was appointed
}

// Contacts are where people reach the operator.
type Contacts struct {
	Privacy, Security, Abuse, Question string // mail addresses that open a case
	Form                               string // the page with the form
}

// Seen is how a promise stands.
type Seen struct {
	Says      string
	Status    pledge.Status
	Evidence  string
	CheckedAt time.Time
}

// SubProcessor is somebody else who is given data.
type SubProcessor struct {
	Name    string
	Purpose string
	Place   string
	// Machines says whose machines it uses in turn.
	Machines string
	Since    time.Time
}

// Register lists sub-processors.
type Register interface {
	SubProcessors(ctx context.Context) ([]SubProcessor, error)
}

// Lawful is the register of authorities' requests, as counts.
type Lawful interface {
	Counts(ctx context.Context) (LawfulCounts, error)
}

// LawfulCounts are requests of authorities since the server's first start.
type LawfulCounts struct {
	Received, Granted, Refused, Customers int
	Since                                 time.Time
}

// Cookie is something that is stored in a browser: a cookie, or an entry of its
// local or session storage.
type Cookie struct {
	Name                 string
	Kind                 string        // "cookie", "local storage", "session storage"
	Where, Purpose, Life string        // in words
	Longest              time.Duration // of a cookie: no browser keeps it longer; zero for storage
	Essential            bool          // the service that was asked for does not work without it
}

// Class says in a word whether somebody has to be asked first.
func (c Cookie) Class() string {
	if c.Essential {
		return "essential"
	}
	return "with consent"
}

// Facts are everything that a document may speak of.
type Facts struct {
	Server    string // its name in the world
	URL       string
	Region    string
	Operator  Operator
	Contacts  Contacts
	Policy    policy.InForce
	Inventory []inventory.Entry
	Seen      map[string]Seen
	Subs      []SubProcessor
	Lawful    *LawfulCounts // nil: there is no register
	Cookies   []Cookie
	Now       time.Time
	For       string // of a copy: the customer's id
}

// by is the operator's name, or words that name no company.
func (f *Facts) by() string {
	if f.Operator.Name != "" {
		return f.Operator.Name
	}
	return "the operator of " + f.Server
}

// writer writes one paper.
type writer struct {
	*Facts
	paper   *Paper
	missing []Mark
	said    map[string]policy.Said
}

func (w *writer) heading(text string)    { w.add(Block{Heading: text, Level: 2}) }
func (w *writer) subheading(text string) { w.add(Block{Heading: text, Level: 3}) }
func (w *writer) add(b Block)            { w.paper.Blocks = append(w.paper.Blocks, b) }

// say is a sentence and the promises it rests on.
func say(text string, rests ...string) Sentence { return Sentence{Text: text, Rests: rests} }

func (w *writer) paragraph(s ...Sentence) { w.add(Block{Paragraph: s}) }
func (w *writer) list(s ...Sentence)      { w.add(Block{List: s}) }

func (w *writer) table(caption string, head []string, rows []Row) {
	if len(rows) > 0 {
		w.add(Block{Table: &Table{Caption: caption, Head: head, Rows: rows}})
	}
}

// words is what the policy says of a setting, or "".
func (w *writer) words(path string) string { return w.said[path].Words }

// lacks marks that the configuration does not say something that the paper needs.
func (w *writer) lacks(setting, why string) {
	under := w.paper.Title
	for _, b := range w.paper.Blocks {
		if b.Heading != "" {
			under = b.Heading
		}
	}
	w.missing = append(w.missing, Mark{Under: under, Text: why, Rests: setting, Why: "It is not set in the configuration."})
}

// shownBy is the promise that shows that a setting is obeyed, by the beginning of
// its path.
var shownBy = []struct{ path, id string }{
	{"retention.", "cj-retention"},
	{"record.", "cm-redact"},
	{"tls.mx", "mb-tls"},
	{"tls.submission", "mb-tls"},
	{"tls.web", "mb-tls"},
	{"tls.", "ca-transit"},
	{"places", "cm-regions"},
	{"purposes", "ca-instructions"},
	{"sub_processors", "cm-subprocessors"},
	{"notice.policy", "mb-policy-changes"},
	{"notice.sub_processor", "ca-subprocessor-notice"},
	{"breach.", "ca-breach"},
	{"rights.", "ca-rights"},
	{"termination.", "ca-termination"},
	{"backups.every", "mb-backups"},
	{"backups.keep", "mb-backup-purge"},
	{"backups.drill", "ca-backup-dr"},
	{"tracking.", "cm-cookies"},
	{"staff", "mb-need-to-know"},
	{"visible.records", "cl-log14"},
	{"visible.back", "cl-log14"},
	{"visible.", "ca-rbac"},
	{"preview", "ca-hipaa"},
	{"findings.", "cm-scans"},
	{"scans", "cm-scans"},
}

// shows gives the promise that shows a setting.
func shows(path string) []string {
	for _, s := range shownBy {
		if strings.HasPrefix(path, s.path) {
			return []string{s.id}
		}
	}
	return nil
}

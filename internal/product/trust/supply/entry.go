package supply

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/plain"
	"mailvow/internal/base/pledge"
)

// Kind says what sort of business a sub-processor is.
type Kind string

// The closed list of kinds. Own is no sub-processor: a machine of the operator's
// that has a public address, which needs no agreement.
const (
	Infrastructure Kind = "infrastructure"
	Delivery       Kind = "delivery"
	Payment        Kind = "payment"
	Support        Kind = "support"
	Security       Kind = "security"
	Observation    Kind = "observation"
	Own            Kind = "own"
)

// Kinds gives the closed list.
func Kinds() []Kind {
	return []Kind{Infrastructure, Delivery, Payment, Support, Security, Observation, Own}
}

// The ways in which a place outside may be allowed: GDPR Art. 45, 46(2)(c), 47, 49.
const (
	Adequacy        = "adequacy"
	StandardClauses = "standard_clauses"
	BindingRules    = "binding_rules"
	Derogation      = "derogation"
)

// Safeguards gives the closed list of their kinds.
func Safeguards() []string { return []string{Adequacy, StandardClauses, BindingRules, Derogation} }

// Date is a day such as 2027-12-31; the day itself is included. Empty is none.
type Date string

// End is the moment after which a date is over, in UTC; zero for none or for what
// is no date.
func (d Date) End() time.Time {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return time.Time{}
	}
	return t.AddDate(0, 0, 1)
}

func (d Date) over(at time.Time) bool { return d != "" && !at.Before(d.End()) }

// Agreement is the contract that binds a sub-processor (GDPR Art. 28(4)).
type Agreement struct {
	Document string `yaml:"document" json:"document,omitempty" doc:"Where the agreement is on file." example:"DPA 2026-01, contracts/example-cloud.pdf"`
	Until    Date   `yaml:"until" json:"until,omitempty" doc:"Its last day; for one without an end, the day by which somebody looks at it again. From then on the endpoints are refused." example:"2027-12-31"`
}

// Safeguard is what a transfer to a place outside rests on (GDPR Art. 44).
type Safeguard struct {
	Kind     string `yaml:"kind" json:"kind,omitempty" doc:"For a place outside: adequacy, standard_clauses, binding_rules or derogation." example:"standard_clauses"`
	Document string `yaml:"document" json:"document,omitempty" doc:"Where it is on file." example:"SCC 2021/914 module 3, contracts/example-cloud-scc.pdf"`
	Until    Date   `yaml:"until" json:"until,omitempty" doc:"Its last day." example:"2027-12-31"`
}

// Entry is what the register says of one sub-processor. The doc tags are the
// configuration's handbook.
type Entry struct {
	Name      string    `yaml:"name" json:"name" doc:"Who it is, as customers are told." example:"Example Cloud GmbH"`
	Kind      Kind      `yaml:"kind" json:"kind" doc:"infrastructure, delivery, payment, support, security, observation, or own for a machine of yours with a public address." example:"infrastructure"`
	Purposes  []string  `yaml:"purposes" json:"purposes" nullable:"false" doc:"What it is used for and nothing else. An endpoint is spoken to for a purpose that stands here: database, object store, key store, backups, newest state, traces, relaying, certificates, name look-ups. What has no endpoint is said in your own words." example:"object store, backups"`
	Own       []string  `yaml:"own_purposes" json:"own_purposes,omitempty" doc:"What it uses the data for on its own account: billing, security or legal duty. Anything else, others' marketing first of all, is refused." example:"billing"`
	Country   string    `yaml:"country" json:"country" doc:"The country in which the data is, as ISO 3166 has it." example:"DE"`
	Region    string    `yaml:"region" json:"region,omitempty" doc:"Where in it. Of an endpoint that the configuration puts into another region than this server's, that region." example:"eu-west"`
	Uses      []string  `yaml:"uses" json:"uses,omitempty" doc:"Whose machines it uses in turn." example:"Example Hosting AG"`
	Data      []string  `yaml:"data" json:"data" nullable:"false" doc:"What it gets." example:"message bodies (sealed)"`
	Endpoints []string  `yaml:"endpoints" json:"endpoints,omitempty" doc:"The host:port that this covers; *.example.net:443 is every host below, a host without a port all its ports." example:"s3.example.net:443"`
	Agreement Agreement `yaml:"agreement" json:"agreement,omitzero" required:"false" doc:"The agreement with it; only kind own needs none."`
	Safeguard Safeguard `yaml:"safeguard" json:"safeguard,omitzero" required:"false" doc:"What a place outside the EEA rests on; outside your country, where that is no part of the EEA."`
}

// Parse reads an entry as it stands in the configuration, alone.
func Parse(text []byte) (Entry, error) {
	var e Entry
	if err := plain.Decode(text, &e); err != nil {
		return e, fault.New(fault.Invalid, "The entry cannot be read: "+err.Error())
	}
	return e, e.Check()
}

const (
	maxName   = 120
	maxList   = 50
	maxPhrase = 200
)

// Check finds what an entry lacks, whatever the date.
func (e *Entry) Check() error {
	switch {
	case !phrase(e.Name, maxName):
		return fault.Field("name", "Give the sub-processor's name, in at most 120 characters.")
	case !slices.Contains(Kinds(), e.Kind):
		return fault.Field("kind", fmt.Sprintf("%.40q is no kind; there are infrastructure, delivery, payment, support, security, observation and own.", string(e.Kind)))
	case !IsCountry(e.Country):
		return fault.Field("country", fmt.Sprintf("%.40q is no country; write its two letters, such as DE.", e.Country))
	case e.Region != "" && !phrase(e.Region, maxPhrase):
		return fault.Field("region", "The region has at most 200 characters.")
	}
	for _, l := range []struct {
		field string
		list  []string
		must  bool
	}{{"purposes", e.Purposes, true}, {"data", e.Data, true}, {"uses", e.Uses, false}, {"endpoints", e.Endpoints, false}} {
		if l.must && len(l.list) == 0 {
			return fault.Field(l.field, "Say what "+map[string]string{"purposes": "it is used for", "data": "it gets; \"none\" is an answer"}[l.field]+".")
		}
		if err := phrases(l.field, l.list); err != nil {
			return err
		}
	}
	for _, p := range e.Endpoints {
		if !pattern(p) {
			return fault.Field("endpoints", fmt.Sprintf("%.80q is no endpoint; write host:port, a host, or *.domain:port.", p))
		}
	}
	for _, p := range e.Purposes {
		if err := pledge.CheckPurpose("purposes", p); err != nil {
			return err
		}
	}
	if err := (pledge.Recipient{Own: e.Own}).Check(""); err != nil {
		return err
	}
	return e.checkPapers()
}

func phrases(field string, list []string) error {
	if len(list) > maxList {
		return fault.Field(field, "That are more than 50.")
	}
	for i, s := range list {
		if !phrase(s, maxPhrase) || slices.Contains(list[:i], s) {
			return fault.Field(field, fmt.Sprintf("%.60q is empty, too long or there twice.", s))
		}
	}
	return nil
}

func (e *Entry) checkPapers() error {
	if e.Kind != Own && (!phrase(e.Agreement.Document, maxPhrase) || e.Agreement.Until == "") {
		return fault.Field("agreement", "Give the agreement's document and its last day; for one without an end, the day by which somebody looks at it again.")
	}
	for field, d := range map[string]Date{"agreement.until": e.Agreement.Until, "safeguard.until": e.Safeguard.Until} {
		if d != "" && d.End().IsZero() {
			return fault.Field(field, fmt.Sprintf("%.40q is no day; write one such as 2027-12-31.", string(d)))
		}
	}
	s := e.Safeguard
	if s == (Safeguard{}) {
		return nil
	}
	if !slices.Contains(Safeguards(), s.Kind) || !phrase(s.Document, maxPhrase) || s.Until == "" {
		return fault.Field("safeguard", "A safeguard has a kind (adequacy, standard_clauses, binding_rules or derogation), a document and a last day.")
	}
	return nil
}

// phrase reports a text of one line that says something. What is public for ever
// names no person.
func phrase(s string, most int) bool {
	return strings.TrimSpace(s) != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && !strings.ContainsAny(s, "\r\n\t@")
}

func pattern(p string) bool {
	host, port := split(p)
	if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > 65535) {
		return false
	}
	host = strings.TrimPrefix(host, "*.")
	return host != "" && !strings.ContainsAny(host, "*/@ ") && len(host) <= 253
}

// split takes a pattern apart; the port may be missing.
func split(p string) (host, port string) {
	if host, port, err := net.SplitHostPort(p); err == nil {
		return strings.ToLower(host), port
	}
	return strings.ToLower(strings.Trim(p, "[]")), ""
}

// covers reports whether an endpoint (host:port) is one of the entry's.
func (e *Entry) covers(endpoint string) bool {
	host, port := split(endpoint)
	return slices.ContainsFunc(e.Endpoints, func(p string) bool {
		h, n := split(p)
		below, every := strings.CutPrefix(h, "*")
		return (n == "" || n == port) && (h == host || every && strings.HasSuffix(host, below) && len(host) > len(below))
	})
}

// place names where the data is.
func (e *Entry) place() string {
	if e.Region == "" {
		return e.Country
	}
	return e.Region + ", " + e.Country
}

// Abroad reports whether the place lies outside home, so that a transfer to it
// needs a safeguard.
func (e *Entry) Abroad(h Home) bool { return !h.has(e.Country) }

// Lacks says what keeps the entry from being used at a time, or "".
func (e *Entry) Lacks(at time.Time, h Home) string {
	s := e.Safeguard
	switch {
	case e.Kind != Own && e.Agreement.Until == "":
		return "no agreement with " + e.Name + " is on file"
	case e.Agreement.Until.over(at):
		return "the agreement with " + e.Name + " ended on " + string(e.Agreement.Until)
	case e.Abroad(h) && s.Kind == "":
		return e.Name + " is in " + e.Country + ", outside " + h.String() + ", and no safeguard is on file"
	case e.Abroad(h) && s.Until.over(at):
		return "the safeguard for " + e.Name + " in " + e.Country + " ended on " + string(s.Until)
	}
	return ""
}

// Ends is when an agreement or a needed safeguard ends next; zero for never.
func (e *Entry) Ends(h Home) time.Time {
	end := e.Agreement.Until.End()
	if s := e.Safeguard.Until.End(); e.Abroad(h) && !s.IsZero() && (end.IsZero() || s.Before(end)) {
		end = s
	}
	return end
}

// Change is what a version changes in one field.
type Change struct {
	Field   string
	Before  string
	After   string
	Loosens bool // customers get a notice period before it
}

// Words says the change to a person.
func (c Change) Words() string {
	switch {
	case c.Before == "":
		return c.Field + ": " + c.After
	case c.After == "":
		return c.Field + ": no longer " + c.Before
	}
	return c.Field + ": " + c.After + " (was " + c.Before + ")"
}

// diff compares two entries; the zero Entry is none. More data, another place or
// another company loosens; less of anything and new papers do not.
func diff(before, after *Entry) []Change {
	var list []Change
	text := func(field, a, b string, loosens bool) {
		if a != b {
			list = append(list, Change{field, a, b, loosens})
		}
	}
	words := func(field string, a, b []string) {
		added := slices.ContainsFunc(b, func(s string) bool { return !slices.Contains(a, s) })
		gone := slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
		if added || gone {
			list = append(list, Change{field, strings.Join(a, ", "), strings.Join(b, ", "), added})
		}
	}
	paper := func(doc string, until Date) string {
		if until == "" {
			return doc
		}
		return doc + " until " + string(until)
	}
	a, b := before, after
	text("name", a.Name, b.Name, b.Name != "")
	text("kind", string(a.Kind), string(b.Kind), b.Kind == Own)
	words("purposes", a.Purposes, b.Purposes)
	words("own purposes", a.Own, b.Own)
	text("country", a.Country, b.Country, b.Country != "")
	text("region", a.Region, b.Region, b.Region != "")
	words("uses", a.Uses, b.Uses)
	words("data", a.Data, b.Data)
	words("endpoints", a.Endpoints, b.Endpoints)
	text("agreement", paper(a.Agreement.Document, a.Agreement.Until), paper(b.Agreement.Document, b.Agreement.Until), false)
	text("safeguard", a.Safeguard.Kind, b.Safeguard.Kind, a.Safeguard.Kind != "")
	text("safeguard on file", paper(a.Safeguard.Document, a.Safeguard.Until), paper(b.Safeguard.Document, b.Safeguard.Until), false)
	return list
}

// Loosens reports whether one of the changes does.
func Loosens(list []Change) bool {
	return slices.ContainsFunc(list, func(c Change) bool { return c.Loosens })
}

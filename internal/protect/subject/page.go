package subject

import (
	_ "embed" // the index of the archive
	"html/template"
	"maps"
	"slices"
	"time"

	"mailvow/internal/base/pledge"
)

//go:embed index.html
var indexText string

var index = template.Must(template.New("index").Funcs(template.FuncMap{
	"day": func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") },
}).Parse(indexText))

// about is what an archive says of itself.
type about struct {
	Made    time.Time `json:"made_at"`
	Address string    `json:"address"`
	HeldBy  string    `json:"held_by,omitempty"` // the customer
	Policy  string    `json:"policy,omitempty"`
	Handed  []string  `json:"handed_to"` // hosts of endpoints that got the person's data
	Masked  string    `json:"masked"`
	Texts   string    `json:"texts"`
}

// What an archive leaves out, in words for the person.
const (
	masked = "Addresses of other persons stand as " + somebody + " where they are not your own correspondence (GDPR Art. 15(4))."
	found  = "You were found by your address, and by what else you are known by, in envelopes and records."
	texts  = found + " The texts of messages between others were not searched for mentions of you."
)

func (a *Archive) about() about {
	x := about{Made: a.made, Address: a.subject.Address.Text(), Handed: a.handed, Masked: masked, Texts: texts}
	if a.searched != "" {
		x.Texts = found + " " + a.searched
	}
	if x.Handed == nil {
		x.Handed = []string{}
	}
	tenant, one := a.subject.Scope.ID()
	if d := a.desk; one && d.Name != nil {
		x.HeldBy = d.Name(tenant)
	}
	if a.desk.Policy != nil {
		x.Policy = a.desk.Policy(tenant)
	}
	return x
}

// shown is one record in the index.
type shown struct {
	ID     string
	At     time.Time
	Fields []field
}

type field struct{ Name, Value string }

func (a *Archive) shown(r *pledge.Record) shown {
	x := shown{ID: r.ID, At: r.At}
	fields := a.mask.fields(r.Fields)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := fields[name]
		if cut := []rune(value); len(cut) > maxShown {
			value = string(cut[:maxShown]) + "…"
		}
		if x.Fields = append(x.Fields, field{name, value}); len(x.Fields) == 40 {
			break
		}
	}
	return x
}

// other is a category that an archive does not have.
type other struct{ Name, What, Period string }

type page struct {
	about
	Total    int
	Sections []*section
	Others   []other
}

// Preview is what the index shows of a category.
func (s *section) Preview() []shown { return s.preview }

// Left is how many records the index does not show.
func (s *section) Left() int { return max(0, s.Records-len(s.preview)) }

func (a *Archive) page() page {
	p := page{about: a.about(), Sections: a.sections}
	here := map[string]bool{}
	for _, s := range a.sections {
		here[s.Category] = true
		p.Total += s.Records
	}
	if a.desk.Inventory == nil {
		return p
	}
	for _, e := range a.desk.Inventory.Entries() {
		if (e.About == pledge.Correspondent || e.About == pledge.Staff) && !here[e.Name] {
			p.Others = append(p.Others, other{e.Name, e.What, e.InForce()})
		}
	}
	return p
}

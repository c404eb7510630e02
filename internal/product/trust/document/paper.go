package document

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
)

// Paper is a document as it is meant: what all of its forms are drawn from.
type Paper struct {
	Kind   Kind      `json:"kind"`
	Title  string    `json:"title"`
	Server string    `json:"server"`
	By     string    `json:"by"`             // the operator
	For    string    `json:"for,omitempty"`  // of a copy: the customer's id
	Number int       `json:"number"`         // of the version; zero is a copy that was made on request
	Date   time.Time `json:"date"`           // when it was made
	Policy string    `json:"policy"`         // the policy in force, as certificates bear it
	Notes  string    `json:"note,omitempty"` // what changed, to people
	Blocks []Block   `json:"blocks"`
	Rests  []Rest    `json:"rests_on"` // the promises that its sentences rest on
}

// Block is one of: a heading, a paragraph, a list, a table.
type Block struct {
	Heading   string     `json:"heading,omitempty"`
	Level     int        `json:"level,omitempty"` // 2 or 3
	Paragraph []Sentence `json:"paragraph,omitempty"`
	List      []Sentence `json:"list,omitempty"`
	Table     *Table     `json:"table,omitempty"`
}

// Sentence is something that is said, and what it rests on.
type Sentence struct {
	Text  string   `json:"text"`
	Rests []string `json:"rests_on,omitempty"`
	Shaky []string `json:"not_shown,omitempty"` // of these, those that were not seen to hold
}

// Table is rows under a head.
type Table struct {
	Caption string   `json:"caption"`
	Head    []string `json:"head"`
	Rows    []Row    `json:"rows"`
}

// Row is one row of a table.
type Row struct {
	Cells []string `json:"cells"`
	Rests []string `json:"rests_on,omitempty"`
	Shaky []string `json:"not_shown,omitempty"`
}

// Rest is a promise that a sentence rests on, as it stood when the paper was made.
type Rest struct {
	ID     string        `json:"id"`
	Says   string        `json:"says"`
	Status pledge.Status `json:"status"`
	Seen   time.Time     `json:"seen,omitzero"`
}

// Mark is what must be looked at before a paper is published.
type Mark struct {
	Under  string        `json:"under"` // the heading
	Text   string        `json:"text"`
	Rests  string        `json:"rests_on"` // the promise, or the setting that is missing
	Status pledge.Status `json:"status,omitempty"`
	Why    string        `json:"why"`
}

// holds says whether a sentence may rest on a promise of a status: what was seen,
// and what people answer for with a date.
func holds(s pledge.Status) bool { return s == pledge.Kept || s == pledge.Attested }

// weigh goes through the paper with what was observed: it leaves out what does not
// apply here, marks in the paper what was not seen to hold, and gives the marks.
func (p *Paper) weigh(seen map[string]Seen, missing []Mark) []Mark {
	marks := slices.Clone(missing)
	under := ""
	rests := map[string]bool{}
	judge := func(text string, ids []string) (shaky []string, applies bool) {
		applies = true
		for _, id := range ids {
			s := seen[id]
			if s.Status == pledge.NotApplicable {
				applies = false
				continue
			}
			rests[id] = true
			if holds(s.Status) {
				continue
			}
			shaky = append(shaky, id)
			marks = append(marks, Mark{under, text, id, s.Status, s.Evidence})
		}
		return shaky, applies
	}
	sentences := func(list []Sentence) []Sentence {
		kept := list[:0]
		for _, s := range list {
			var applies bool
			if s.Shaky, applies = judge(s.Text, s.Rests); applies {
				kept = append(kept, s)
			}
		}
		return kept
	}
	var blocks []Block
	for _, b := range p.Blocks {
		switch {
		case b.Heading != "":
			under = b.Heading
		case b.Table != nil:
			kept := b.Table.Rows[:0]
			for _, r := range b.Table.Rows {
				var applies bool
				if r.Shaky, applies = judge(strings.Join(r.Cells, ": "), r.Rests); applies {
					kept = append(kept, r)
				}
			}
			b.Table.Rows = kept
		case len(b.List) > 0:
			if b.List = sentences(b.List); len(b.List) == 0 {
				continue
			}
		default:
			if b.Paragraph = sentences(b.Paragraph); len(b.Paragraph) == 0 {
				continue
			}
		}
		blocks = append(blocks, b)
	}
	p.Blocks = withoutEmpty(blocks)
	p.Rests = []Rest{}
	for _, id := range slices.Sorted(keysOf(rests)) {
		s := seen[id]
		p.Rests = append(p.Rests, Rest{id, s.Says, s.Status, s.CheckedAt.UTC().Truncate(time.Second)})
	}
	return marks
}

// withoutEmpty leaves out headings under which nothing stands.
func withoutEmpty(blocks []Block) []Block {
	var out []Block
	for i, b := range blocks {
		if b.Heading != "" {
			last := i == len(blocks)-1
			if last || blocks[i+1].Heading != "" && blocks[i+1].Level <= b.Level {
				continue
			}
		}
		out = append(out, b)
	}
	return out
}

func keysOf(m map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// JSON gives the paper as it is kept and signed.
func (p *Paper) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(p, "", " ")
	return append(b, '\n'), fault.Wrap(err, "write a document")
}

// parsePaper reads what JSON wrote.
func parsePaper(b []byte) (*Paper, error) {
	p := &Paper{}
	if err := json.Unmarshal(b, p); err != nil {
		return nil, fault.Because(fault.Internal, err, "")
	}
	return p, nil
}

// Line says which paper this is and of when.
func (p *Paper) Line() string {
	day := p.Date.UTC().Format("2 January 2006")
	if p.Number == 0 {
		return "Copy made on request, " + p.Date.UTC().Format("2 January 2006 15:04 MST")
	}
	return "Version " + itoa(p.Number) + ", " + day
}

// remark is what is said publicly after something that was not seen to hold.
func remark(shaky []string) string {
	if len(shaky) == 0 {
		return ""
	}
	return " [Not seen to hold when this was made: " + strings.Join(shaky, ", ") + ".]"
}

// Said is the sentence with its public remark.
func (s Sentence) Said() string { return s.Text + remark(s.Shaky) }

// Remark is what is said publicly of the row; empty where all was seen.
func (r Row) Remark() string { return strings.TrimSpace(remark(r.Shaky)) }

// statusWords says in words how a promise stands.
func statusWords(s pledge.Status) string {
	switch s {
	case pledge.Kept:
		return "seen to hold"
	case pledge.Failing:
		return "not kept"
	case pledge.Attested:
		return "attested by the operator"
	case pledge.NotApplicable:
		return "does not apply here"
	case pledge.NotYet:
	}
	return "not shown yet"
}

// Words says how the promise stood and when that was seen.
func (r Rest) Words() string {
	if r.Seen.IsZero() {
		return statusWords(r.Status)
	}
	return statusWords(r.Status) + ", " + r.Seen.UTC().Format("2 Jan 2006 15:04 MST")
}

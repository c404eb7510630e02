package inventory

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
)

// Format is a form of the record of processing.
type Format string

// The formats.
const (
	Table    Format = "table"
	Markdown Format = "markdown"
	JSON     Format = "json"
)

// Holder names whose record it is (GDPR Art. 30(1)(a), (2)(a)).
type Holder struct {
	Server string `json:"server"`
	Region string `json:"region"`
}

// line is one processing as the record shows it.
type line struct {
	Category string   `json:"category"`
	About    string   `json:"data_subjects"`
	What     string   `json:"data"`
	Purpose  string   `json:"purpose"`
	For      string   `json:"for"` // the purpose of the list: on whose word it runs
	Basis    string   `json:"legal_basis"`
	Period   string   `json:"erased_after"`
	Found    string   `json:"found_by"`
	Erasing  string   `json:"erasing_means"`
	Security string   `json:"security"`
	Package  string   `json:"declared_by"`
	Places   []string `json:"places"`
}

// Record writes the record of processing (GDPR Art. 30).
func (i *Inventory) Record(w io.Writer, f Format, of Holder) error {
	lines := make([]line, len(i.entries))
	for n, e := range i.entries {
		lines[n] = lineOf(e)
	}
	out := bufio.NewWriter(w)
	var err error
	switch f {
	case JSON:
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(struct {
			Holder
			Processing []line `json:"processing"`
		}{of, lines})
	case Markdown:
		writeMarkdown(out, of, lines)
	case Table:
		err = writeTable(out, lines)
	default:
		return fault.Field("format", "The record is written as table, markdown or json.")
	}
	if err == nil {
		err = out.Flush()
	}
	return fault.Wrap(err, "write the record of processing")
}

func lineOf(e *Entry) line {
	l := line{
		Category: e.Name, About: string(e.About), What: e.What, Purpose: e.Purpose, For: string(e.For), Basis: string(e.Basis),
		Period: e.InForce(), Found: e.Found, Erasing: string(e.Erasing), Security: Security(*e), Package: e.Package, Places: []string{},
	}
	for _, p := range e.Places {
		l.Places = append(l.Places, string(p.Kind)+" "+p.Name)
	}
	return l
}

// Period says a period in words.
func Period(p pledge.Period) string {
	var parts []string
	if p.Ceiling > 0 {
		parts = append(parts, "gone after "+Span(p.Ceiling))
	}
	if p.Floor > 0 {
		parts = append(parts, "kept by law for "+Span(p.Floor))
	}
	switch {
	case len(parts) == 0 && p.From == "":
		return "no period"
	case len(parts) == 0:
		return "until: " + p.From
	case p.From == "":
		return strings.Join(parts, ", ")
	}
	return strings.Join(parts, ", ") + ", from: " + p.From
}

// InForce says an entry's period in words, and whether it is the operator's own.
func (e *Entry) InForce() string {
	text := Period(e.Period)
	if e.Default > 0 {
		text += " (set by the policy; " + Span(e.Default) + " otherwise)"
	}
	return text
}

// Span says a duration in days where it is whole days.
func Span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == day:
		return "1 day"
	case d == time.Hour:
		return "1 hour"
	case d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	case d%time.Hour == 0:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return d.String()
}

// Security says in words how an entry's places are protected.
func Security(e Entry) string {
	sealed, open := 0, 0
	for _, p := range e.Places {
		if p.Sealed {
			sealed++
		} else {
			open++
		}
	}
	switch {
	case sealed == 0 && open == 0:
		return "kept nowhere by this server"
	case sealed == 0:
		return "ids, counts, times and keyed hashes only"
	case open == 0:
		return "sealed with AES-256-GCM above the store"
	}
	return "content sealed with AES-256-GCM above the store; beside it ids, counts, times and keyed hashes"
}

func writeMarkdown(w *bufio.Writer, of Holder, lines []line) {
	cell := func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "|", "\\|"), "\n", " ") }
	fmt.Fprintf(w, "# Record of processing (GDPR Art. 30)\n\nServer: %s. Region: %s.\n\n", of.Server, of.Region)
	fmt.Fprint(w, "| category | data subjects | data | purpose | legal basis | erased after | found by | erasing means | security |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, l := range lines {
		fmt.Fprint(w, "|")
		for _, s := range []string{l.Category, l.About, l.What, l.Purpose, l.Basis, l.Period, l.Found, l.Erasing, l.Security} {
			fmt.Fprintf(w, " %s |", cell(s))
		}
		fmt.Fprintln(w)
	}
}

func writeTable(w *bufio.Writer, lines []line) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "CATEGORY\tABOUT\tLEGAL BASIS\tERASED AFTER\tERASING\tPLACES")
	for _, l := range lines {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\n", l.Category, l.About, l.Basis, l.Period, l.Erasing, len(l.Places))
	}
	return t.Flush()
}

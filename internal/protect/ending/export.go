package ending

import (
	"archive/zip"
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/tenant"
)

// line is one record as it is handed over.
type line struct {
	Category string            `json:"category"`
	ID       string            `json:"id"`
	At       time.Time         `json:"at"`
	Fields   map[string]string `json:"fields"`
	File     string            `json:"file,omitempty"` // in the archive
}

func lineOf(r pledge.Record, file string) line {
	return line{Category: r.Category, ID: r.ID, At: r.At.UTC(), Fields: r.Fields, File: file}
}

// exported is one category in the archive's index.
type exported struct {
	Category string `json:"category"`
	What     string `json:"what"`
	Purpose  string `json:"purpose"`
	Basis    string `json:"legal_basis"`
	Period   string `json:"period"`
	Records  int    `json:"records"`
	JSON     string `json:"json,omitempty"`
	CSV      string `json:"csv,omitempty"`
	Withheld string `json:"withheld,omitempty"` // why it is not here
}

// Export writes everything that is kept of a customer as a ZIP archive: lines of
// JSON and a table for each category, mail as .eml, and an index with purposes
// and periods. It is made as it is written, from what is stored at that moment,
// and can be made again as often as wanted until the destroying begins; then it
// is Gone. The look is in the evidence log. A category of "" is all of them.
func (s *Store) Export(ctx context.Context, of ids.Tenant, by evidence.Actor, category string, w io.Writer) error {
	t, err := s.exportable(ctx, of, category)
	if err != nil {
		return err
	}
	e := Ending{Tenant: of}
	if err := s.note(ctx, &e, by, "everything of the customer", 0); err != nil {
		return err
	}
	x := &exporter{store: s, of: of, zip: zip.NewWriter(w), at: s.Clock.Now().UTC()}
	var list []exported
	for _, p := range s.Parts {
		if category != "" && p.Category != category {
			continue
		}
		out, err := x.part(ctx, p)
		if err != nil {
			return fault.Wrap(err, "export "+p.Category)
		}
		if out.Records > 0 {
			if err := s.note(ctx, &e, by, p.Category, out.Records); err != nil {
				return err
			}
		}
		list = append(list, out)
	}
	if err := x.index(t, list); err != nil {
		return err
	}
	if err := x.zip.Close(); err != nil {
		return fault.Wrap(err, "write an export")
	}
	return s.DB.Change(ctx, "note that the export was fetched", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "fetched", of, clock.Micros(s.Clock.Now()))
		return err
	})
}

// Exportable refuses what Export would: Gone once the destroying has begun.
func (s *Store) Exportable(ctx context.Context, of ids.Tenant, category string) error {
	_, err := s.exportable(ctx, of, category)
	return err
}

// exportable gives the customer, where there is still something to hand over.
func (s *Store) exportable(ctx context.Context, of ids.Tenant, category string) (tenant.Tenant, error) {
	if category != "" && !slices.ContainsFunc(s.Parts, func(p Part) bool { return p.Category == category && p.HandOver != nil }) {
		return tenant.Tenant{}, fault.Field("category", "There is no such category to hand over.")
	}
	e, err := s.Live(ctx, of)
	switch {
	case fault.Is(err, fault.NotFound):
	case err != nil:
		return tenant.Tenant{}, err
	case e.State == Destroying || e.State == Ended:
		return tenant.Tenant{}, fault.New(fault.Gone, "The contract has ended, and the data is destroyed.")
	}
	return s.Tenants.Get(ctx, scope.Tenant(of), of)
}

type exporter struct {
	store *Store
	of    ids.Tenant
	zip   *zip.Writer
	at    time.Time
}

// part writes one category. Its records are read anew for each file, so that none
// of them is kept in memory.
func (x *exporter) part(ctx context.Context, p Part) (exported, error) {
	out := exported{Category: p.Category, Withheld: p.Withheld}
	for _, e := range x.store.Inventory.Entries() {
		if e.Name == p.Category {
			out.What, out.Purpose, out.Basis, out.Period = e.What, e.Purpose, string(e.Basis), inventory.Period(e.Period)
		}
	}
	if p.HandOver == nil {
		return out, nil
	}
	name := strings.ReplaceAll(p.Category, " ", "-")
	out.JSON, out.CSV = name+".jsonl", name+".csv"
	columns, content, err := x.lines(ctx, p, name, &out)
	if err == nil {
		err = x.table(ctx, p, columns, &out)
	}
	if err == nil && content {
		err = x.mail(ctx, p, name)
	}
	return out, err
}

func (x *exporter) create(name string) (io.Writer, error) {
	w, err := x.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: x.at})
	return w, fault.Wrap(err, "write an export")
}

// maxColumns bounds the columns of a table; what is beyond stands in the lines.
const maxColumns = 200

func fileOf(name string, r pledge.Record) string {
	if r.Content == nil {
		return ""
	}
	return name + "/" + strings.ReplaceAll(r.ID, "/", "-") + ".eml"
}

// lines writes a category's records, and says which fields there are and whether
// there is mail among them.
func (x *exporter) lines(ctx context.Context, p Part, name string, out *exported) (columns []string, content bool, err error) {
	w, err := x.create(out.JSON)
	if err != nil {
		return nil, false, err
	}
	fields := map[string]bool{}
	enc := json.NewEncoder(w)
	err = p.HandOver(ctx, x.of, func(r pledge.Record) error {
		out.Records++
		content = content || r.Content != nil
		for f := range r.Fields {
			if len(fields) < maxColumns {
				fields[f] = true
			}
		}
		return fault.Wrap(enc.Encode(lineOf(r, fileOf(name, r))), "write an export")
	})
	return slices.Sorted(maps.Keys(fields)), content, err
}

func (x *exporter) table(ctx context.Context, p Part, columns []string, out *exported) error {
	w, err := x.create(out.CSV)
	if err != nil {
		return err
	}
	table := csv.NewWriter(w)
	if err := table.Write(append([]string{"id", "at"}, columns...)); err != nil {
		return fault.Wrap(err, "write an export")
	}
	row := make([]string, 2+len(columns))
	err = p.HandOver(ctx, x.of, func(r pledge.Record) error {
		row[0], row[1] = r.ID, r.At.UTC().Format(time.RFC3339Nano)
		for i, c := range columns {
			row[2+i] = harmless(r.Fields[c])
		}
		return fault.Wrap(table.Write(row), "write an export")
	})
	table.Flush()
	if err == nil {
		err = fault.Wrap(table.Error(), "write an export")
	}
	return err
}

// harmless keeps a spreadsheet from taking a text for a formula. The lines have
// the text as it is.
func harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func (x *exporter) mail(ctx context.Context, p Part, name string) error {
	return p.HandOver(ctx, x.of, func(r pledge.Record) error {
		if r.Content == nil {
			return nil
		}
		w, err := x.create(fileOf(name, r))
		if err != nil {
			return err
		}
		return r.Content(ctx, func(b []byte) error {
			_, err := w.Write(b)
			return fault.Wrap(err, "write an export")
		})
	})
}

// page is the index for people.
var page = template.Must(template.New("index").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Export of {{.Customer}}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}td,th{text-align:left;vertical-align:top;padding:.4rem .8rem .4rem 0;border-bottom:1px solid #ccc}</style></head>
<body><h1>Export of {{.Customer}}</h1>
<p>Everything that this server keeps of the customer {{.ID}}, as of {{.At}}. Each category is there as lines of JSON, which have every value as it is, and as a table (CSV), in which a value that a spreadsheet could take for a formula begins with an apostrophe. Times are UTC.</p>
<table><thead><tr><th>Category</th><th>Records</th><th>What</th><th>What for</th><th>How long</th></tr></thead><tbody>
{{range .Categories}}<tr><td>{{.Category}}</td><td>{{if .Withheld}}–{{else}}{{.Records}}: <a href="{{.JSON}}">JSON</a>, <a href="{{.CSV}}">CSV</a>{{end}}</td><td>{{.What}}{{if .Withheld}} <strong>Not here: {{.Withheld}}</strong>{{end}}</td><td>{{.Purpose}} ({{.Basis}})</td><td>{{.Period}}</td></tr>
{{end}}</tbody></table></body></html>
`))

func (x *exporter) index(t tenant.Tenant, list []exported) error {
	all := struct {
		Customer   string     `json:"customer"`
		ID         string     `json:"id"`
		Region     string     `json:"region"`
		At         string     `json:"at"`
		Categories []exported `json:"categories"`
	}{t.Name, t.ID.String(), t.Region, x.at.Format(time.RFC3339), list}
	w, err := x.create("index.json")
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(all); err != nil {
		return fault.Wrap(err, "write an export")
	}
	if w, err = x.create("index.html"); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	if err := page.Execute(out, all); err != nil {
		return fault.Wrap(err, "write an export")
	}
	return fault.Wrap(out.Flush(), "write an export")
}

// ExportName is the file name of an export.
func ExportName(of ids.Tenant, at time.Time) string {
	return fmt.Sprintf("export-%s-%s.zip", of, at.UTC().Format(time.DateOnly))
}

package subject

import (
	"archive/zip"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/evidence"
)

// Zip is one archive of everything: for each category JSON and CSV with purpose,
// legal basis, period, recipients and source, waiting mail as .eml, an index to
// read, and a manifest with hashes (GDPR Art. 15(1), 15(3), 20).
const Zip Format = "zip"

// Archive is a copy that was prepared: the look is on record, and what each
// category holds is known. WriteTo makes it.
type Archive struct {
	desk     *Desk
	subject  pledge.Subject
	mask     *mask
	sections []*section
	made     time.Time
	handed   []string
	searched string // of texts
	files    []file
}

// section is one category of the archive.
type section struct {
	Category   string   `json:"category"`
	What       string   `json:"what,omitempty"`
	Purpose    string   `json:"purpose,omitempty"`
	Basis      string   `json:"legal_basis,omitempty"`
	Period     string   `json:"period,omitempty"`
	Source     string   `json:"source,omitempty"`
	Recipients string   `json:"recipients,omitempty"`
	Records    int      `json:"records"`
	JSON       string   `json:"json,omitempty"`
	CSV        string   `json:"csv,omitempty"`
	Mails      []string `json:"-"`

	holders []pledge.Holder
	columns map[string]bool
	preview []shown
	mail    bool
}

// The archive is made in several passes over the holders, so that memory is
// bounded however much there is: these are what is kept between them.
const (
	maxColumns = 200 // past it the rest of a record's fields stand together in one column
	maxPreview = 50
	maxShown   = 400 // letters of a field in the index
)

// Prepare looks at what there is and puts the look on record. It is the place
// where a fault is a fault: once WriteTo has begun an archive can only break off.
func (d *Desk) Prepare(ctx context.Context, s pledge.Subject, by evidence.Actor) (*Archive, error) {
	traces, err := d.Find(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := d.note(ctx, s, by, traces, "subject.export"); err != nil {
		return nil, err
	}
	a := &Archive{desk: d, subject: s, mask: newMask(s.Address), made: d.Clock.Now().UTC()}
	if a.subject.Before.IsZero() {
		a.subject.Before = a.made // all passes see the same
	}
	for _, h := range d.Holders {
		err := h.HandOver(ctx, a.subject, func(r pledge.Record) error { a.survey(h, &r); return nil })
		if err != nil {
			return nil, fault.Wrap(err, "look at "+h.HolderName())
		}
	}
	slices.SortFunc(a.sections, func(x, y *section) int { return strings.Compare(x.Category, y.Category) })
	if d.Handed != nil {
		a.handed, err = d.Handed(ctx, s)
	}
	if err == nil && d.Texts != nil {
		a.searched, err = d.Texts(ctx, s)
	}
	return a, fault.Wrap(err, "say who got a person's data")
}

// survey counts a record in.
func (a *Archive) survey(h pledge.Holder, r *pledge.Record) {
	var of *section
	for _, s := range a.sections {
		if s.Category == r.Category {
			of = s
		}
	}
	if of == nil {
		of = &section{Category: r.Category, columns: map[string]bool{}}
		of.JSON, of.CSV = "data/"+slug(r.Category)+".json", "data/"+slug(r.Category)+".csv"
		a.describe(of)
		a.sections = append(a.sections, of)
	}
	if !slices.Contains(of.holders, h) {
		of.holders = append(of.holders, h)
	}
	of.Records++
	of.mail = of.mail || r.Content != nil
	for name := range r.Fields {
		if len(of.columns) < maxColumns {
			of.columns[name] = true
		}
	}
	if len(of.preview) < maxPreview {
		of.preview = append(of.preview, a.shown(r))
	}
}

// describe says what the inventory knows of a category (GDPR Art. 15(1)(a) to (g)).
func (a *Archive) describe(s *section) {
	if a.desk.Inventory == nil {
		return
	}
	for _, e := range a.desk.Inventory.Entries() {
		if e.Name == s.Category {
			s.What, s.Purpose, s.Basis, s.Period = e.What, e.Purpose, string(e.Basis), e.InForce()
			s.Source, s.Recipients = sourceOf(e.Category), recipientsOf(e.Category)
		}
	}
}

func sourceOf(c pledge.Category) string {
	switch {
	case c.Source == "" && c.About == pledge.Staff:
		return "what you or your employer entered here"
	case c.Source == "" && c.About == pledge.Customer:
		return "what the customer entered here"
	}
	return c.Source
}

func recipientsOf(c pledge.Category) string {
	if c.Recipients == "" {
		return "the customer whose data it is, and who runs this server for it"
	}
	return c.Recipients
}

// slug makes a file's name of a category's.
func slug(text string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, text), "-")
}

// each gives the records of one section, with the person alone in them.
func (a *Archive) each(ctx context.Context, s *section, yield func(*pledge.Record) error) error {
	for _, h := range s.holders {
		err := h.HandOver(ctx, a.subject, func(r pledge.Record) error {
			if r.Category != s.Category {
				return nil
			}
			r.Fields = a.mask.fields(r.Fields)
			return yield(&r)
		})
		if err != nil {
			return fault.Wrap(err, "hand over from "+h.HolderName())
		}
	}
	return nil
}

// file is a line of the manifest.
type file struct {
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// hashed counts and hashes what passes.
type hashed struct {
	w io.Writer
	h hash.Hash
	n int64
}

// Write implements io.Writer.
func (h *hashed) Write(b []byte) (int, error) {
	n, err := h.w.Write(b)
	h.h.Write(b[:n])
	h.n += int64(n)
	return n, err
}

// add writes one file of the archive.
func (a *Archive) add(z *zip.Writer, path string, write func(io.Writer) error) error {
	w, err := z.CreateHeader(&zip.FileHeader{Name: path, Method: zip.Deflate, Modified: a.made})
	if err != nil {
		return fault.Because(fault.Unavailable, err, "The archive could not be written.")
	}
	to := &hashed{w: w, h: sha256.New()}
	if err := write(to); err != nil {
		return err
	}
	a.files = append(a.files, file{path, to.n, hex.EncodeToString(to.h.Sum(nil))})
	return nil
}

// Write makes the archive and says how many records it has.
func (a *Archive) Write(ctx context.Context, w io.Writer) (int, error) {
	out := bufio.NewWriterSize(w, 64<<10)
	z := zip.NewWriter(out)
	total := 0
	for _, s := range a.sections {
		n, err := a.section(ctx, z, s)
		if total += n; err != nil {
			return total, err
		}
	}
	if err := a.add(z, "index.html", func(w io.Writer) error { return index.Execute(w, a.page()) }); err != nil {
		return total, fault.Wrap(err, "write the index of a person's archive")
	}
	if err := a.manifest(z, total); err != nil {
		return total, err
	}
	err := z.Close()
	if err == nil {
		err = out.Flush()
	}
	return total, fault.Wrap(err, "write a person's archive")
}

// section writes the files of a category.
func (a *Archive) section(ctx context.Context, z *zip.Writer, s *section) (int, error) {
	if s.mail {
		if err := a.mails(ctx, z, s); err != nil {
			return 0, err
		}
	}
	n := 0
	err := a.add(z, s.JSON, func(w io.Writer) (err error) { n, err = a.json(ctx, w, s); return err })
	if err == nil {
		s.Records = n
		err = a.add(z, s.CSV, func(w io.Writer) error { return a.csv(ctx, w, s) })
	}
	return n, err
}

// mails writes each message as it is. A notice that only reports on the person
// loses the addresses of the others it reports on (GDPR Art. 15(4)).
func (a *Archive) mails(ctx context.Context, z *zip.Writer, s *section) error {
	return a.each(ctx, s, func(r *pledge.Record) error {
		if r.Content == nil {
			return nil
		}
		path := mailPath(r.ID)
		if len(s.Mails) < maxPreview {
			s.Mails = append(s.Mails, path)
		}
		return a.add(z, path, func(w io.Writer) error {
			if _, own := r.Fields["recipient"]; own || s.Category != "queued mail" {
				return r.Content(ctx, func(b []byte) error { _, err := w.Write(b); return err })
			}
			m := &maskedLines{mask: a.mask, w: w}
			if err := r.Content(ctx, m.write); err != nil {
				return err
			}
			return m.end()
		})
	})
}

func mailPath(id string) string { return "mail/" + slug(id) + ".eml" }

// line is one record of a JSON file.
type line struct {
	ID     string            `json:"id"`
	At     time.Time         `json:"at"`
	Fields map[string]string `json:"fields"`
	Mail   string            `json:"mail,omitempty"`
}

func (a *Archive) json(ctx context.Context, w io.Writer, s *section) (int, error) {
	head := *s
	head.JSON, head.CSV, head.Records = "", "", s.Records
	b, err := json.Marshal(head)
	if err != nil {
		return 0, fault.Wrap(err, "write a person's archive")
	}
	n := 0
	if _, err := fmt.Fprintf(w, "%s,\n\"data\":[", strings.TrimSuffix(string(b), "}")); err != nil {
		return 0, fault.Wrap(err, "write a person's archive")
	}
	err = a.each(ctx, s, func(r *pledge.Record) error {
		x := line{ID: r.ID, At: r.At.UTC(), Fields: r.Fields}
		if r.Content != nil {
			x.Mail = mailPath(r.ID)
		}
		b, err := json.Marshal(x)
		if err != nil {
			return fault.Wrap(err, "write a person's archive")
		}
		comma := ",\n"
		if n == 0 {
			comma = "\n"
		}
		n++
		_, err = fmt.Fprintf(w, "%s%s", comma, b)
		return err
	})
	if err == nil {
		_, err = io.WriteString(w, "\n]}\n")
	}
	return n, err
}

const more = "more_fields" // as JSON, where a category has very many

func (a *Archive) csv(ctx context.Context, w io.Writer, s *section) error {
	out := csv.NewWriter(w)
	columns := slices.Sorted(maps.Keys(s.columns))
	head := slices.Concat([]string{"id", "at"}, columns)
	if s.mail {
		head = append(head, "mail")
	}
	wide := len(columns) == maxColumns
	if wide {
		head = append(head, more)
	}
	if err := out.Write(head); err != nil {
		return fault.Wrap(err, "write a person's archive")
	}
	err := a.each(ctx, s, func(r *pledge.Record) error {
		row := []string{r.ID, r.At.UTC().Format(time.RFC3339Nano)}
		for _, c := range columns {
			row = append(row, harmless(r.Fields[c]))
			delete(r.Fields, c)
		}
		if s.mail {
			path := ""
			if r.Content != nil {
				path = mailPath(r.ID)
			}
			row = append(row, path)
		}
		if wide {
			rest, err := json.Marshal(r.Fields)
			if err != nil {
				return fault.Wrap(err, "write a person's archive")
			}
			row = append(row, string(rest))
		}
		return out.Write(row)
	})
	if out.Flush(); err == nil {
		err = out.Error()
	}
	return err
}

// harmless keeps a spreadsheet from taking a stranger's words for a formula.
func harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

// manifest names every file with its hash, last.
func (a *Archive) manifest(z *zip.Writer, total int) error {
	files := a.files
	itself := a.about()
	return a.add(z, "manifest.json", func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(struct {
			Format string `json:"format"`
			about
			Records    int        `json:"records"`
			Categories []*section `json:"categories"`
			Files      []file     `json:"files"`
		}{"mailvow-person-archive/1", itself, total, a.sections, files})
	})
}

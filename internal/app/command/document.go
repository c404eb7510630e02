package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/door/admin"
	"mailvow/internal/product/trust/document"
)

type documentCommands struct {
	List    documentList    `cmd:"" help:"List the documents and how they stand, or the published versions of one."`
	Render  documentRender  `cmd:"" help:"Write a document as it stands now, signed, or a published version; what was not seen to hold is marked."`
	Publish documentPublish `cmd:"" help:"Publish the next version, numbered, dated and signed, for good."`
	Verify  documentVerify  `cmd:"" help:"Verify a document by its detached note, with no server at hand; exit 1 if it does not hold."`
	Admit   documentAdmit   `cmd:"" help:"Make a link with which somebody gets a document that is not public."`
}

type documentList struct {
	reader
	where
	Document document.Kind `arg:"" optional:"" help:"List the published versions of this one."`
}

// Run lists.
func (c *documentList) Run(ctx context.Context, t *Terminal) error {
	if c.Document != "" {
		return c.versions(ctx, t)
	}
	list, err := call(ctx, t, &c.where, admin.DocumentList, struct{}{})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(list)
	}
	rows := make([][]string, len(list))
	for i, d := range list {
		state := "never published"
		switch {
		case d.Refused != "":
			state = "does not fit the policy in force"
		case d.Number > 0 && d.Changed:
			state = fmt.Sprintf("version %d of %s; it would say something else today", d.Number, moment(d.Published))
		case d.Number > 0:
			state = fmt.Sprintf("version %d of %s", d.Number, moment(d.Published))
		}
		rows[i] = []string{string(d.Document), d.Title, state, strconv.Itoa(d.Marks)}
	}
	return t.table("DOCUMENT|TITLE|STANDS|MARKED", rows)
}

func (c *documentList) versions(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.DocumentVersions, admin.DocumentRef{Document: c.Document})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(list)
	}
	rows := make([][]string, len(list))
	for i, v := range list {
		rows[i] = []string{strconv.Itoa(v.Number), moment(v.Published), v.Policy, v.Note, strings.Join(v.Despite, ", ")}
	}
	return t.table("NUMBER|PUBLISHED|POLICY|NOTE|PUBLISHED DESPITE", rows)
}

// rendering is where a rendered document goes.
type rendering struct {
	reader
	where
	ofCustomer
	Number int    `help:"A published version instead of how the document stands now." placeholder:"NUMBER"`
	Format string `help:"html, markdown, pdf or json." enum:"html,markdown,pdf,json" default:"markdown"`
	Out    string `help:"The file to write; without it standard output." placeholder:"FILE"`
	Note   string `help:"Where to write the detached note with which the file is verified." placeholder:"FILE"`
}

type documentRender struct {
	Document document.Kind `arg:"" help:"The document, as the list names it."`
	rendering
}

// Run renders.
func (c *documentRender) Run(ctx context.Context, t *Terminal) error {
	return c.write(ctx, t, c.Document)
}

type policyRender struct{ rendering }

// Run renders.
func (c *policyRender) Run(ctx context.Context, t *Terminal) error {
	return c.write(ctx, t, document.PrivacyPolicy)
}

func (c *rendering) write(ctx context.Context, t *Terminal, k document.Kind) error {
	d, err := call(ctx, t, &c.where, admin.DocumentRender, admin.DocumentRef{Document: k, Customer: c.Customer, Number: c.Number})
	if err != nil {
		return err
	}
	data := map[string][]byte{"html": d.HTML, "markdown": d.Markdown, "pdf": d.PDF, "json": d.JSON}[c.Format]
	for name, content := range map[string][]byte{c.Out: data, c.Note: d.Note} {
		if name == "" {
			continue
		}
		if err := writeNew(name, content); err != nil {
			return err
		}
	}
	switch {
	case c.JSON:
		return t.answer(map[string]any{"document": k, "line": d.Line, "marks": d.Marks, "file": c.Out, "note": c.Note})
	case c.Out == "":
		if _, err := t.Out.Write(data); err != nil {
			return fault.Wrap(err, "print a document")
		}
	}
	t.marks(d.Marks)
	return nil
}

// marks tells what was not seen to hold.
func (t *Terminal) marks(list []document.Mark) {
	for _, m := range list {
		how := "is not set"
		if m.Status != "" {
			how = "is " + strings.ReplaceAll(string(m.Status), "_", " ")
		}
		fmt.Fprintf(t.Err, "marked: %s %s, under %q: %s\n", m.Rests, how, m.Under, plain(m.Text))
	}
}

type documentPublish struct {
	reader
	where
	Document document.Kind `arg:"" help:"The document, as the list names it."`
	Note     string        `help:"What changed; public." placeholder:"TEXT"`
	LeaveOut bool          `help:"Leave out every sentence that was not seen to hold."`
	Anyway   string        `help:"Publish such sentences with a remark, and say why; it is put on record." placeholder:"REASON"`
}

// Run publishes.
func (c *documentPublish) Run(ctx context.Context, t *Terminal) error {
	v, err := call(ctx, t, &c.where, admin.DocumentPublish, admin.DocumentOrder{Document: c.Document, Note: c.Note, LeaveOut: c.LeaveOut, Anyway: c.Anyway})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(v)
	}
	t.marks(v.Marks)
	return t.say("Published %s as version %d.", v.Document, v.Number)
}

type documentVerify struct {
	reader
	File string   `arg:"" help:"The document: PDF, Markdown or JSON."`
	Note string   `help:"Its detached note." required:"" placeholder:"FILE" type:"existingfile"`
	Key  []string `help:"A public key that must have signed, as the operator publishes it." placeholder:"KEY"`
}

// maxDocument bounds what is read.
const maxDocument = 16 << 20

// Run verifies.
func (c *documentVerify) Run(t *Terminal) error {
	keys, err := parseKeys(c.Key)
	if err != nil {
		return usage(err)
	}
	note, err := t.read(c.Note, maxCertificate)
	if err != nil {
		return err
	}
	file, err := t.read(c.File, maxDocument)
	if err != nil {
		return err
	}
	s, err := document.Verify(note, file, keys)
	switch {
	case fault.Is(err, fault.Invalid), fault.Is(err, fault.Denied):
		return t.refused(c.JSON, c.File, err)
	case err != nil:
		return err
	case c.JSON:
		return t.answer(struct {
			Valid bool `json:"valid"`
			document.Signed
		}{true, s})
	}
	key := "It was signed by the key below. Compare that with the one the operator publishes, or give it by --key."
	if s.KeyTrusted {
		key = "It was signed by a key that you trust."
	}
	number := "a copy made on request"
	if s.Number > 0 {
		number = "version " + strconv.Itoa(s.Number)
	}
	return t.say("The document %s of %s holds. %s\n\n  it is    %s, %s, under policy %s\n  file     %s\n  key      %s", s.Document, s.Server, key, number, moment(s.At), s.Policy, s.Form, s.PublicKey)
}

type documentAdmit struct {
	reader
	where
	Document document.Kind `arg:"" help:"The document, such as security-paper."`
	Days     int           `help:"How long the link lives." default:"30"`
}

// Run makes the link.
func (c *documentAdmit) Run(ctx context.Context, t *Terminal) error {
	o, err := call(ctx, t, &c.where, admin.DocumentAdmit, admin.DocumentAdmission{Document: c.Document, Days: c.Days})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(o)
	}
	return t.say("%s\nIt leads to the document until %s, for whoever has it.", o.URL, moment(o.Until))
}

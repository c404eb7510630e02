package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/door/admin"
	"mailvow/internal/protect/subject"
)

type subjectCommands struct {
	Find     subjectFind     `cmd:"" help:"Say what is held about a person, without content; exit 1 if nothing is."`
	Export   subjectExport   `cmd:"" help:"Write a copy of everything held about a person. The look is in the evidence log first."`
	Correct  subjectCorrect  `cmd:"" help:"Replace a wrong value."`
	Restrict subjectRestrict `cmd:"" help:"Stop all processing of a person's data but storage."`
	Erase    subjectErase    `cmd:"" help:"Erase a person and print the signed certificate."`

	Attributes subjectAttributes `cmd:"" help:"Say or declare which attributes (metadata) of a customer's messages identify a person."`
}

type person struct {
	where
	Address  string     `arg:"" help:"The person's address."`
	Customer ids.Tenant `help:"Only in this customer's data." placeholder:"ID"`
	identifiers
}

func (p *person) ref() admin.SubjectRef {
	return admin.SubjectRef{Customer: p.Customer, Address: p.Address, Identifiers: p.list()}
}

// identifiers are further words by which a customer knows a person.
type identifiers struct {
	Name           []string `help:"A name by which the customer knows the person, too." placeholder:"TEXT" sep:"none"`
	Phone          []string `help:"A phone number of the person's." placeholder:"NUMBER" sep:"none"`
	CustomerNumber []string `help:"A customer number of the person's." placeholder:"TEXT" sep:"none"`
	Account        []string `help:"The name of an account of the person's." placeholder:"TEXT" sep:"none"`
}

func (i *identifiers) list() []pledge.Identifier {
	var list []pledge.Identifier
	for _, x := range []struct {
		is     pledge.Sort
		values []string
	}{{pledge.FullName, i.Name}, {pledge.Phone, i.Phone}, {pledge.CustomerNumber, i.CustomerNumber}, {pledge.AccountName, i.Account}} {
		for _, v := range x.values {
			list = append(list, pledge.Identifier{Is: x.is, Value: v})
		}
	}
	return list
}

type subjectAttributes struct {
	reader
	where
	Customer ids.Tenant             `help:"Whose messages." required:"" placeholder:"ID"`
	Set      map[string]pledge.Sort `help:"Declare these and no others: the attribute and what it is (name, phone, customer_number, account)." placeholder:"ATTRIBUTE=SORT"`
	None     bool                   `help:"Declare that none identifies a person." xor:"set"`
}

// Run says what identifies a person, and before that perhaps declares it.
func (c *subjectAttributes) Run(ctx context.Context, t *Terminal) error {
	declared, err := call(ctx, t, &c.where, admin.SubjectKnown, admin.Identifying{Customer: c.Customer, Set: len(c.Set) > 0 || c.None, As: c.Set})
	if err != nil {
		return err
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		rows = append(rows, []string{name, strings.ReplaceAll(string(declared[name]), "_", " ")})
	}
	switch {
	case c.JSON:
		return t.answer(declared)
	case len(rows) == 0:
		return t.say("No attribute identifies a person.")
	}
	return t.table("ATTRIBUTE|IS", rows)
}

type subjectFind struct {
	reader
	person
}

// Run lists the traces.
func (c *subjectFind) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.SubjectFind, c.ref())
	if err != nil {
		return err
	}
	var rows [][]string
	for _, x := range list {
		rows = append(rows, []string{x.Category, strconv.Itoa(x.Count), x.First, x.Last})
	}
	switch {
	case c.JSON:
		err = t.answer(list)
	case len(list) > 0:
		err = t.table("CATEGORY|RECORDS|FIRST|LAST", rows)
	default:
		err = t.say("Nothing is held about this person.")
	}
	if err == nil && len(list) == 0 {
		return errNo
	}
	return err
}

type subjectExport struct {
	person
	Text bool   `help:"For people to read, instead of lines of JSON." xor:"form"`
	Zip  bool   `help:"One archive: a page to read, JSON and CSV of each category, waiting mail, a manifest with hashes. So is every file whose name ends in .zip." xor:"form"`
	Out  string `help:"The file to write; without it standard output." placeholder:"FILE"`
}

// Run writes the copy.
func (c *subjectExport) Run(ctx context.Context, t *Terminal) error {
	format := subject.Lines
	switch {
	case c.Text:
		format = subject.Text
	case c.Zip, strings.HasSuffix(c.Out, ".zip"):
		format = subject.Zip
	}
	return save(ctx, t, &c.where, admin.SubjectExport, admin.SubjectExportOf{SubjectRef: c.ref(), Format: format}, c.Out)
}

// output has something written to a new file, for its owner alone, or without a
// name, and with the name -, to standard output. A file that could not be written
// whole goes again.
func (t *Terminal) output(name string, write func(io.Writer) error) error {
	if name == "" || name == "-" {
		return write(t.Out)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fault.Because(fault.Invalid, err, fmt.Sprintf("%s cannot be written: %v.", name, errors.Unwrap(err)))
	}
	if err = errors.Join(write(f), f.Close()); err != nil {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// save writes the stream with which the running server answers.
func save[In, Out any](ctx context.Context, t *Terminal, w *where, op admin.Op[In, Out], in In, name string) error {
	server, err := w.server(t)
	if err != nil {
		return err
	}
	return t.output(name, func(out io.Writer) error { return admin.Stream(ctx, server, op, in, out) })
}

type subjectCorrect struct {
	reader
	person
	Field string `help:"The field, as the export names it." required:"" placeholder:"NAME"`
	Value string `help:"What is right." required:"" placeholder:"TEXT"`
}

// Run corrects.
func (c *subjectCorrect) Run(ctx context.Context, t *Terminal) error {
	n, err := call(ctx, t, &c.where, admin.SubjectCorrect, admin.Correction{SubjectRef: c.ref(), Field: c.Field, Value: c.Value})
	return t.counted(c.JSON, n, err, "records were corrected")
}

// counted prints on how many records something was done; on none is the answer no.
func (t *Terminal) counted(json bool, n admin.Count, err error, done string) error {
	if err != nil {
		return err
	}
	if json {
		err = t.answer(n)
	} else {
		err = t.say("%d %s.", n.Count, done)
	}
	if err == nil && n.Count == 0 {
		return errNo
	}
	return err
}

type subjectRestrict struct {
	reader
	person
	Off bool `help:"End the restriction."`
}

// Run restricts.
func (c *subjectRestrict) Run(ctx context.Context, t *Terminal) error {
	n, err := call(ctx, t, &c.where, admin.SubjectRestrict, admin.Restriction{SubjectRef: c.ref(), Off: c.Off})
	done := "records are restricted"
	if c.Off {
		done = "records are free again"
	}
	return t.counted(c.JSON, n, err, done)
}

type subjectErase struct {
	person
	Reason   string `help:"Why, as a word that the evidence log keeps." default:"art17" placeholder:"WORD"`
	KeepAway bool   `help:"Leave a keyed hash, so that the person is not written to again."`
	Out      string `help:"The file to write the certificate to; without it standard output." placeholder:"FILE"`
}

// Run erases and prints the certificate, which is JSON.
func (c *subjectErase) Run(ctx context.Context, t *Terminal) error {
	return t.output(c.Out, func(w io.Writer) error {
		erased, err := call(ctx, t, &c.where, admin.SubjectErase, admin.Erasure{SubjectRef: c.ref(), Reason: c.Reason, KeepAway: c.KeepAway})
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, strings.TrimSuffix(erased.Certificate, "\n")+"\n")
		return fault.Wrap(err, "write the certificate")
	})
}

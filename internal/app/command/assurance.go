package command

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
	"mailvow/internal/product/trust/attest"
	"mailvow/internal/product/trust/finding"
	"mailvow/internal/product/trust/lawful"
)

type attestCommands struct {
	Add      attestationAdd      `cmd:"" help:"Attest something, with its end and on what it rests."`
	List     attestationList     `cmd:"" help:"List attestations, newest first; exit 1 if the newest of something has run out."`
	File     attestationFile     `cmd:"" help:"Write the file on which an attestation rests."`
	Withdraw attestationWithdraw `cmd:"" help:"Say that an attestation counts no more."`
}

type attestationAdd struct {
	reader
	where
	Kind  string    `arg:"" help:"What: ${enum}." enum:"training,screening,secrecy,audit,penetration_test,provider_report,provider_certificate,data_centre,vendor_assessment"`
	User  string    `help:"Of training, screening and secrecy: the address of one of the operator's people." placeholder:"ADDRESS"`
	Of    string    `help:"Of the other kinds: the provider, the site, who audited." placeholder:"NAME"`
	From  time.Time `help:"From when on it counts; without it today." format:"2006-01-02" placeholder:"YYYY-MM-DD"`
	Until time.Time `help:"Its end." required:"" format:"2006-01-02" placeholder:"YYYY-MM-DD"`
	Note  string    `help:"On what it rests, in words." placeholder:"TEXT"`
	File  string    `help:"On what it rests: a file of at most 4 MiB." type:"existingfile" placeholder:"FILE"`
}

// Run attests.
func (c *attestationAdd) Run(ctx context.Context, t *Terminal) error {
	in := admin.NewAttestation{Kind: attest.Kind(c.Kind), User: c.User, Subject: c.Of, Note: c.Note, Issued: c.From, Until: c.Until}
	if c.File != "" {
		if info, err := os.Stat(c.File); err != nil || info.Size() > int64(attest.MaxFile) {
			return usage(errors.Join(err, fault.Field("file", "The file is larger than 4 MiB, or cannot be read.")))
		}
		content, err := os.ReadFile(c.File)
		if err != nil {
			return fault.Because(fault.Invalid, err, "The file "+c.File+" cannot be read.")
		}
		in.Name, in.File = filepath.Base(c.File), content
	}
	a, err := call(ctx, t, &c.where, admin.AttestationAdd, in)
	return t.attested(c.JSON, a, err)
}

func (t *Terminal) attested(json bool, a admin.Attestation, err error) error {
	if err != nil {
		return err
	}
	if json {
		return t.answer(a)
	}
	return t.say("%s: %s is %s, until %s.", a.ID, a.Kind, a.State, a.Until.Format(time.DateOnly))
}

type attestationList struct {
	reader
	where
}

// Run lists.
func (c *attestationList) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.AttestationList, struct{}{})
	if err != nil {
		return err
	}
	// What was renewed is no longer missed.
	counts, over := map[string]bool{}, map[string]bool{}
	var rows [][]string
	for _, a := range list {
		of := a.Subject
		if a.User != 0 {
			of = a.User.String()
		}
		switch key := string(a.Kind) + "\x00" + strings.ToLower(of); a.State {
		case attest.Valid, attest.Ending, attest.Future:
			counts[key] = true
		case attest.Over:
			over[key] = true
		case attest.Withdrawn:
		}
		rows = append(rows, []string{a.ID.String(), string(a.State), string(a.Kind), of, a.Until.Format(time.DateOnly), a.File.Name, a.Note})
	}
	late := false
	for key := range over {
		late = late || !counts[key]
	}
	switch {
	case c.JSON:
		err = t.answer(list)
	case len(list) > 0:
		err = t.table("ID|STATE|KIND|OF|UNTIL|FILE|NOTE", rows)
	default:
		err = t.say("Nothing is attested.")
	}
	if err == nil && late {
		return errNo
	}
	return err
}

type attestationFile struct {
	where
	ID  ids.Attestation `arg:"" help:"The attestation."`
	Out string          `help:"The file to write; without it standard output." placeholder:"FILE"`
}

// Run writes the file.
func (c *attestationFile) Run(ctx context.Context, t *Terminal) error {
	f, err := call(ctx, t, &c.where, admin.AttestationFile, admin.AttestationRef{ID: c.ID})
	if err != nil {
		return err
	}
	return t.output(c.Out, func(w io.Writer) error {
		_, err := w.Write(f.Content)
		return fault.Wrap(err, "write the file")
	})
}

type attestationWithdraw struct {
	reader
	where
	ID ids.Attestation `arg:"" help:"The attestation."`
}

// Run withdraws.
func (c *attestationWithdraw) Run(ctx context.Context, t *Terminal) error {
	a, err := call(ctx, t, &c.where, admin.AttestationWithdraw, admin.AttestationRef{ID: c.ID})
	return t.attested(c.JSON, a, err)
}

type findingCommands struct {
	Add  findingAdd  `cmd:"" help:"Enter a weakness that was found; the policy gives its deadline."`
	List findingList `cmd:"" help:"List findings, newest first; exit 1 if one is past its deadline."`
	Move findingMove `cmd:"" help:"Say what becomes of a finding."`
}

type findingAdd struct {
	reader
	where
	Title    string    `arg:"" help:"What was found."`
	Source   string    `help:"Who found it: ${enum}." enum:"test,audit,report,scan" default:"test"`
	Severity string    `help:"How bad it is: ${enum}." enum:"critical,high,medium,low" required:""`
	Detail   string    `help:"What else is to be known." placeholder:"TEXT"`
	Found    time.Time `help:"When it was found; without it today." format:"2006-01-02" placeholder:"YYYY-MM-DD"`
}

// Run enters it.
func (c *findingAdd) Run(ctx context.Context, t *Terminal) error {
	w, err := call(ctx, t, &c.where, admin.FindingAdd, admin.NewFinding{
		Source: finding.Source(c.Source), Severity: finding.Severity(c.Severity), Title: c.Title, Detail: c.Detail, Found: c.Found,
	})
	return t.found(c.JSON, w, err)
}

func (t *Terminal) found(json bool, w admin.Finding, err error) error {
	if err != nil {
		return err
	}
	if json {
		return t.answer(w)
	}
	return t.say("%s is %s; it is to be mended by %s.", w.ID, w.State, w.Due.Format(time.DateOnly))
}

type findingList struct {
	reader
	where
}

// Run lists.
func (c *findingList) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.FindingList, struct{}{})
	if err != nil {
		return err
	}
	late := false
	var rows [][]string
	for _, w := range list {
		due := w.Due.Format(time.DateOnly)
		if w.Overdue {
			due, late = due+" overdue", true
		}
		rows = append(rows, []string{w.ID.String(), string(w.State), string(w.Severity), string(w.Source), due, w.Title})
	}
	switch {
	case c.JSON:
		err = t.answer(list)
	case len(list) > 0:
		err = t.table("ID|STATE|SEVERITY|SOURCE|DUE|TITLE", rows)
	default:
		err = t.say("Nothing was found.")
	}
	if err == nil && late {
		return errNo
	}
	return err
}

type findingMove struct {
	reader
	where
	ID     ids.Weakness `arg:"" help:"The finding."`
	State  string       `arg:"" help:"What it becomes: ${enum}." enum:"open,mending,mended,dismissed"`
	Owner  string       `help:"Who mends it: the address of one of the operator's people." placeholder:"ADDRESS"`
	Reason string       `help:"How it was mended, or why it is none." placeholder:"TEXT"`
}

// Run moves it.
func (c *findingMove) Run(ctx context.Context, t *Terminal) error {
	w, err := call(ctx, t, &c.where, admin.FindingMove, admin.FindingMoved{ID: c.ID, State: finding.State(c.State), Owner: c.Owner, Reason: c.Reason})
	return t.found(c.JSON, w, err)
}

type lawfulCommands struct {
	Add    lawfulAdd    `cmd:"" help:"Enter what an authority asks for."`
	List   lawfulList   `cmd:"" help:"List what authorities asked for, newest first."`
	Decide lawfulDecide `cmd:"" help:"Refuse, narrow or comply."`
	Export lawfulExport `cmd:"" help:"Write everything on one person, under the number of an open case; on record before the first byte."`
	Report lawfulReport `cmd:"" help:"The transparency report: counts, and nothing that names a case."`
}

type lawfulAdd struct {
	reader
	where
	Case      string     `arg:"" help:"The authority's number."`
	Authority string     `help:"Which authority." required:"" placeholder:"NAME"`
	Country   string     `help:"Its country in two letters." required:"" placeholder:"CC"`
	Law       string     `help:"The law that it names." required:"" placeholder:"TEXT"`
	Kind      string     `help:"What it asks for: ${enum}." enum:"data,content,preservation,other" default:"data"`
	Customer  ids.Tenant `help:"Whose data; without it no customer's in particular." placeholder:"ID"`
	Received  time.Time  `help:"When it came; without it now." format:"2006-01-02" placeholder:"YYYY-MM-DD"`
	Note      string     `help:"What else is to be known. Name nobody whose data is asked for." placeholder:"TEXT"`
}

// Run enters it.
func (c *lawfulAdd) Run(ctx context.Context, t *Terminal) error {
	r, err := call(ctx, t, &c.where, admin.LawfulAdd, admin.LawfulRequest{
		Customer: c.Customer, Kind: lawful.Kind(c.Kind), Country: c.Country, Authority: c.Authority, Case: c.Case, Law: c.Law, Note: c.Note, Received: c.Received,
	})
	return t.asked(c.JSON, r, err)
}

func (t *Terminal) asked(json bool, r admin.LawfulRequest, err error) error {
	if err != nil {
		return err
	}
	if json {
		return t.answer(r)
	}
	return t.say("%s: case %s is %s.", r.ID, r.Case, r.State)
}

type lawfulList struct {
	reader
	where
}

// Run lists.
func (c *lawfulList) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.LawfulList, struct{}{})
	if err != nil {
		return err
	}
	var rows [][]string
	for _, r := range list {
		rows = append(rows, []string{r.ID.String(), string(r.State), string(r.Kind), r.Country, r.Authority, r.Case, moment(r.Received), strconv.FormatInt(r.Persons, 10)})
	}
	switch {
	case c.JSON:
		return t.answer(list)
	case len(list) > 0:
		return t.table("ID|STATE|KIND|COUNTRY|AUTHORITY|CASE|RECEIVED|PERSONS", rows)
	}
	return t.say(lawful.NoneYet)
}

type lawfulDecide struct {
	reader
	where
	ID      ids.Lawful `arg:"" help:"The request."`
	State   string     `arg:"" help:"What is decided: ${enum}." enum:"refused,narrowed,complied"`
	Persons int64      `help:"For how many persons data was given."`
}

// Run decides.
func (c *lawfulDecide) Run(ctx context.Context, t *Terminal) error {
	r, err := call(ctx, t, &c.where, admin.LawfulDecide, admin.LawfulDecision{ID: c.ID, State: lawful.State(c.State), Persons: c.Persons})
	return t.asked(c.JSON, r, err)
}

type lawfulExport struct {
	where
	Address  string     `arg:"" help:"The person."`
	Case     string     `help:"The authority's number, as it stands in the register." placeholder:"NUMBER"`
	Customer ids.Tenant `help:"Of which customer." required:"" placeholder:"ID"`
	Out      string     `help:"The file to write; without it standard output." placeholder:"FILE"`
}

// Run takes data out.
func (c *lawfulExport) Run(ctx context.Context, t *Terminal) error {
	return save(ctx, t, &c.where, admin.LawfulExport, admin.AuthorityExport{Case: c.Case, Customer: c.Customer, Address: c.Address}, c.Out)
}

type lawfulReport struct {
	reader
	where
}

// Run reports.
func (c *lawfulReport) Run(ctx context.Context, t *Terminal) error {
	r, err := call(ctx, t, &c.where, admin.LawfulReport, struct{}{})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(r)
	}
	if r.None != "" {
		return t.say("%s", r.None)
	}
	var rows [][]string
	for _, y := range r.Years {
		n := func(s lawful.State) string { return strconv.FormatInt(y.States[s], 10) }
		rows = append(rows, []string{strconv.Itoa(y.Year), strconv.FormatInt(y.Total, 10), n(lawful.Open), n(lawful.Refused), n(lawful.Narrowed), n(lawful.Complied), strconv.FormatInt(y.Persons, 10)})
	}
	return t.table("YEAR|REQUESTS|OPEN|REFUSED|NARROWED|COMPLIED|PERSONS", rows)
}

type grantCommands struct {
	List grantList `cmd:"" help:"Who of the operator's people opened personal data, and why. A grant is taken in the console or by POST /v1/grants."`
}

type grantList struct {
	reader
	where
}

// Run lists.
func (c *grantList) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.GrantList, struct{}{})
	if err != nil {
		return err
	}
	var rows [][]string
	for _, g := range list {
		state, customer := "over", "all"
		if g.Live {
			state = "live"
		}
		if g.Customer != 0 {
			customer = g.Customer.String()
		}
		rows = append(rows, []string{g.ID.String(), state, g.User.String(), customer, moment(g.Taken), moment(g.Until), g.Reason})
	}
	switch {
	case c.JSON:
		return t.answer(list)
	case len(list) > 0:
		return t.table("ID|STATE|USER|CUSTOMER|TAKEN|UNTIL|REASON", rows)
	}
	return t.say("Nobody took a grant.")
}

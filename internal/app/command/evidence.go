package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"mailvow/internal/app"
	"mailvow/internal/app/paper"
	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
	"mailvow/internal/product/trust/bundle"
	"mailvow/internal/product/trust/sample"
	"mailvow/internal/protect/evidence"
)

type certificateCommand struct {
	Verify verifyCommand    `cmd:"" help:"Verify an erasure certificate, or with --note a document of the trust centre, with no server at hand; exit 1 if it does not hold."`
	Print  certificatePrint `cmd:"" help:"Draw an erasure certificate as PDF, with the certificate attached; one that does not hold is not drawn."`
}

type certificateVerify struct {
	reader
	File    string   `arg:"" help:"The certificate; - reads standard input."`
	Key     []string `help:"A public key that must have signed, as the operator publishes it." placeholder:"KEY"`
	Address string   `help:"The address that must be the erased one." placeholder:"ADDRESS"`
}

// verifyCommand verifies whatever the log's key signed.
type verifyCommand struct {
	certificateVerify
	Note string `help:"The document's detached note, as the trust centre gives it." placeholder:"FILE" type:"existingfile"`
}

// Run verifies.
func (c *verifyCommand) Run(t *Terminal) error {
	if c.Note == "" {
		return c.certificateVerify.Run(t)
	}
	return (&documentVerify{reader: c.reader, File: c.File, Note: c.Note, Key: c.Key}).Run(t)
}

// maxCertificate bounds what is read; a certificate is a few kilobytes.
const maxCertificate = 1 << 20

// Run verifies.
func (c *certificateVerify) Run(t *Terminal) error {
	report, _, err := c.verified(t)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return t.answer(struct {
			Valid bool `json:"valid"`
			evidence.CertificateReport
		}{true, report})
	}
	return t.certificate(report, c.Address != "")
}

// verified reads the certificate and verifies it; one that does not hold is
// refused in words.
func (c *certificateVerify) verified(t *Terminal) (report evidence.CertificateReport, b []byte, err error) {
	check, err := c.check()
	if err != nil {
		return report, nil, usage(err)
	}
	if b, err = t.read(c.File, maxCertificate); err != nil {
		return report, nil, err
	}
	report, err = evidence.VerifyCertificate(b, check)
	if fault.Is(err, fault.Invalid) || fault.Is(err, fault.Denied) {
		err = t.refused(c.JSON, c.File, err)
	}
	return report, b, err
}

type certificatePrint struct {
	certificateVerify
	PDF string `name:"pdf" help:"The PDF to write." required:"" placeholder:"FILE"`
}

// Run verifies and draws.
func (c *certificatePrint) Run(t *Terminal) error {
	report, b, err := c.verified(t)
	if err != nil {
		return err
	}
	pdf, err := paper.Certificate(report, b)
	if err != nil {
		return err
	}
	if err := writeNew(c.PDF, pdf); err != nil {
		return err
	}
	if c.JSON {
		return t.answer(map[string]any{"file": c.PDF, "certificate": report.Certificate})
	}
	return t.say("The certificate %s holds; it is drawn in %s.", report.Certificate, c.PDF)
}

// writeNew writes a file that is not there yet.
func writeNew(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.Write(data)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fault.Because(fault.Invalid, err, fmt.Sprintf("%s cannot be written: %v.", name, err))
	}
	return nil
}

func (c *certificateVerify) check() (check evidence.CertificateCheck, err error) {
	for _, text := range c.Key {
		k, err := evidence.ParseKey(text)
		if err != nil {
			return check, err
		}
		check.Trusted = append(check.Trusted, k)
	}
	if c.Address != "" {
		a, err := address.Parse(c.Address)
		if err != nil {
			return check, err
		}
		check.Address = &a
	}
	return check, nil
}

// read gives a file's bytes, or standard input's for "-".
func (t *Terminal) read(name string, most int64) ([]byte, error) {
	in := t.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fault.Because(fault.NotFound, err, fmt.Sprintf("%s cannot be read: %v.", name, errors.Unwrap(err)))
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, fault.Because(fault.Unavailable, err, name+" cannot be read.")
	}
	if int64(len(b)) > most {
		return nil, fault.New(fault.Invalid, fmt.Sprintf("%s is longer than %d bytes.", name, most))
	}
	return b, nil
}

// refused prints why something does not hold: the answer is no.
func (t *Terminal) refused(json bool, name string, why error) error {
	text, _ := fault.Public(why)
	if text == "" {
		text = why.Error()
	}
	if json {
		if err := t.answer(map[string]any{"file": name, "valid": false, "error": text}); err != nil {
			return err
		}
		return errNo
	}
	fmt.Fprintf(t.Err, "%s does not hold: %s\n", name, text)
	return errNo
}

func (t *Terminal) certificate(r evidence.CertificateReport, asked bool) error {
	key := "It was signed by the key below. Compare that with the one the operator publishes, or give it by --key."
	if r.KeyTrusted {
		key = "It was signed by a key that you trust."
	}
	whose := ""
	if r.Of == evidence.OfCustomer {
		whose = "\nIt is about the customer " + r.Customer.String() + " as a whole, at the end of its contract."
	}
	if asked {
		whose = "\nThe erased person is the one you named."
	}
	if err := t.say("The certificate %s holds. %s%s\n\n  erased      %s (%s, policy %s)\n  in the log  %s, entry %d of %d\n  key         %s",
		r.Certificate, key, whose, r.At.String(), r.Reason, r.Policy, r.Log, r.LeafIndex+1, r.LogSize, r.PublicKey); err != nil {
		return err
	}
	for _, c := range r.Categories {
		kept := ""
		if c.Kept > 0 {
			kept = fmt.Sprintf(", %d kept: %s", c.Kept, c.Why)
		}
		if err := t.say("  %-30s %d erased%s", c.Category, c.Erased, kept); err != nil {
			return err
		}
	}
	for _, f := range r.Follows {
		if err := t.say("  by %s: %s", f.By.String(), f.What); err != nil {
			return err
		}
	}
	return nil
}

type evidenceCommands struct {
	Verify evidenceVerify `cmd:"" help:"Verify an export of the log, its folder, or an auditor's bundle, with no server at hand; exit 1 if it does not hold."`
	Export evidenceExport `cmd:"" help:"Write the whole log with all its checkpoints as lines of JSON."`
	List   evidenceList   `cmd:"" help:"Draw a list of a period to sample from: changes, grants, joiners, leavers, incidents or failed_probes."`
	Bundle evidenceBundle `cmd:"" help:"Write what an auditor takes home, signed, as ZIP: the log, findings, mapping, policies, documents."`
}

type evidenceVerify struct {
	reader
	File string   `arg:"" help:"The export, the log's folder, or a bundle."`
	Key  []string `help:"A public key that must have signed." placeholder:"KEY"`
	Held []string `help:"A file with a checkpoint kept from earlier, which the log must hold." placeholder:"FILE" type:"existingfile"`
}

// Run verifies.
func (c *evidenceVerify) Run(ctx context.Context, t *Terminal) error {
	var check evidence.LogCheck
	for _, text := range c.Key {
		k, err := evidence.ParseKey(text)
		if err != nil {
			return usage(err)
		}
		check.Trusted = append(check.Trusted, k)
	}
	for _, name := range c.Held {
		b, err := t.read(name, maxCertificate)
		if err != nil {
			return err
		}
		check.Held = append(check.Held, string(b))
	}
	if _, err := os.Stat(c.File); err != nil {
		return fault.Because(fault.NotFound, err, c.File+" is not there.")
	}
	if is, err := isBundle(c.File); err != nil || is {
		if err == nil {
			err = c.bundle(t, check)
		}
		return err
	}
	report, err := evidence.VerifyFile(ctx, c.File, check)
	switch {
	case fault.Is(err, fault.Invalid), fault.Is(err, fault.Denied), fault.Is(err, fault.Conflict):
		return t.refused(c.JSON, c.File, err)
	case err != nil:
		return err
	case c.JSON:
		return t.answer(struct {
			Valid bool `json:"valid"`
			evidence.LogReport
		}{true, report})
	}
	trust := "Compare the key with the one the operator publishes, or give it by --key."
	if report.KeyTrusted {
		trust = "It was signed by a key that you trust."
	}
	return t.say("The log %s holds: %d entries under %d checkpoints. %s\n  root  %s\n  key   %s",
		report.Log, report.Size, report.Checkpoints, trust, report.Root, lastOf(report.Keys))
}

func lastOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1]
}

type evidenceExport struct {
	where
	Out string `help:"The file to write; without it standard output." placeholder:"FILE"`
}

// Run reads the log's folder beside the server.
func (c *evidenceExport) Run(ctx context.Context, t *Terminal) error {
	dir, err := c.folder(t)
	if err != nil {
		return err
	}
	r, err := evidence.OpenReader(ctx, app.EvidenceFolder(dir))
	if err != nil {
		return err
	}
	return t.output(c.Out, func(w io.Writer) error { return r.Export(ctx, w) })
}

type evidenceList struct {
	reader
	where
	List     string     `arg:"" enum:"changes,grants,joiners,leavers,incidents,failed_probes" help:"Which: changes, grants, joiners, leavers, incidents or failed_probes."`
	From     time.Time  `required:"" format:"2006-01-02" help:"The first day." placeholder:"DATE"`
	To       time.Time  `required:"" format:"2006-01-02" help:"The last day." placeholder:"DATE"`
	Customer ids.Tenant `help:"Of one customer." placeholder:"ID"`
	CSV      bool       `name:"csv" help:"As CSV."`
}

// Run lists.
func (c *evidenceList) Run(ctx context.Context, t *Terminal) error {
	got, err := call(ctx, t, &c.where, admin.EvidenceList, admin.SampleOf{Customer: c.Customer, List: sample.List(c.List), From: c.From, To: c.To.AddDate(0, 0, 1)})
	switch {
	case err != nil:
		return err
	case c.JSON:
		return t.answer(got)
	case c.CSV:
		return sample.CSV(t.Out, got.Rows)
	}
	var rows [][]string
	for _, r := range got.Rows {
		customer := ""
		if r.Customer != 0 {
			customer = r.Customer.String()
		}
		rows = append(rows, []string{strconv.FormatInt(r.Entry, 10), evidence.On(r.At).String(), customer, r.What, r.Target, string(r.By)})
	}
	if err := t.table("ENTRY|AT|CUSTOMER|WHAT|TARGET|BY", rows); err != nil || !got.More {
		return err
	}
	return t.say("There are more than %d; ask for a shorter period.", sample.Most)
}

type evidenceBundle struct {
	where
	Customer ids.Tenant `help:"The customer whose view it is; without one the operator's." placeholder:"ID"`
	Out      string     `help:"The file to write; - is standard output." required:"" placeholder:"FILE"`
}

// Run asks the server for a bundle.
func (c *evidenceBundle) Run(ctx context.Context, t *Terminal) error {
	return save(ctx, t, &c.where, admin.EvidenceBundle, admin.BundleOf{Customer: c.Customer}, c.Out)
}

// isBundle looks at a file's beginning; a folder is none.
func isBundle(name string) (bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return false, fault.Because(fault.NotFound, err, fmt.Sprintf("%s cannot be read: %v.", name, errors.Unwrap(err)))
	}
	defer f.Close()
	head := make([]byte, 4)
	if _, err := io.ReadFull(f, head); err != nil {
		return false, nil //nolint:nilerr // a folder, or shorter than any bundle: who verifies it says so
	}
	return bundle.Is(head), nil
}

// bundle verifies an auditor's bundle.
func (c *evidenceVerify) bundle(t *Terminal, check evidence.LogCheck) error {
	f, err := os.Open(c.File)
	if err != nil {
		return fault.Because(fault.NotFound, err, c.File+" cannot be read.")
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fault.Because(fault.Unavailable, err, c.File+" cannot be read.")
	}
	report, err := bundle.Verify(f, size, check)
	switch {
	case fault.Is(err, fault.Invalid), fault.Is(err, fault.Denied), fault.Is(err, fault.Conflict):
		return t.refused(c.JSON, c.File, err)
	case err != nil:
		return err
	case c.JSON:
		return t.answer(struct {
			Valid bool `json:"valid"`
			bundle.Report
		}{true, report})
	}
	trust := "Compare the key with the one the operator publishes, or give it by --key."
	if report.Log.KeyTrusted {
		trust = "It was signed by a key that you trust."
	}
	return t.say("The bundle of %s of %s holds: %d files; %d policies and %d findings are those of the log, which has %d entries under %d checkpoints. %s\n  key   %s",
		report.Manifest.Server, report.Manifest.At.UTC().Format("2006-01-02 15:04 MST"), len(report.Manifest.Files), report.Policies, report.Findings, report.Log.Size, report.Log.Checkpoints, trust, report.Key)
}

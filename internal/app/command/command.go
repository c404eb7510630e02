// Package command is the command line: it reads arguments, calls the part of the
// house that does the work, and prints the answer for a person or, with --json,
// for a program (lists as one line each). It promises one set of exit codes: 0
// done, 1 the answer is no, 2 usage, 3 could not. What a command means is left
// to the parts.
package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"mailvow/internal/app"
	"mailvow/internal/app/config"
	"mailvow/internal/base/fault"
	"mailvow/internal/door/admin"
)

// The exit codes.
const (
	Done     = 0
	No       = 1
	Usage    = 2
	CouldNot = 3
)

// errNo ends a command whose answer is no; the answer has been printed.
var errNo = errors.New("the answer is no")

// Terminal is what a command reads and writes.
type Terminal struct {
	In      io.Reader
	Out     io.Writer // answers
	Err     io.Writer // what went wrong, and logs
	Environ []string
}

type root struct {
	Dev             devCommand            `cmd:"" help:"Run everything in one process, to try it: outbound mail is caught, nothing leaves the machine."`
	Serve           serveCommand          `cmd:"" help:"Run the server."`
	Init            initCommand           `cmd:"" help:"Write a commented configuration and keys, and make the first administrator."`
	Config          configCommands        `cmd:"" help:"The configuration file."`
	Domain          domainCommands        `cmd:"" help:"Sending domains, their keys and DNS."`
	Queue           queueCommands         `cmd:"" help:"Mail that is not delivered yet."`
	Message         messageCommands       `cmd:"" help:"One message."`
	Inspect         inspectCommand        `cmd:"" help:"Look into message files: MIME tree, headers, defects."`
	Certificate     certificateCommand    `cmd:"" help:"Erasure certificates and signed documents."`
	Audit           auditCommands         `cmd:"" help:"Look at a server from outside, on the auditor's machine, believing nothing that it says."`
	Evidence        evidenceCommands      `cmd:"" help:"The evidence log."`
	AccessReview    reviewCommands        `cmd:"" help:"The quarter's review of who has access."`
	Inventory       inventoryCommand      `cmd:"" help:"The record of processing: what is stored, about whom, why and for how long."`
	Retention       retentionCommand      `cmd:"" help:"Show what was purged and what is due; exit 1 if a period is not kept."`
	Policy          policyCommands        `cmd:"" help:"The privacy policy that this server obeys, and its versions."`
	Purpose         purposeCommands       `cmd:"" help:"What data is processed for: what a policy instructs, and what a law asks for."`
	Document        documentCommands      `cmd:"" help:"What this server says of itself: render, publish and verify its documents."`
	Subprocessor    supplyCommands        `cmd:"" help:"The register of sub-processors and transfers: who is not in it is not spoken to."`
	Subject         subjectCommands       `cmd:"" help:"Requests of a person about their data: find, export, correct, restrict, erase."`
	Mention         mentionCommands       `cmd:"" help:"Persons named in texts between others: search, list, show, decide."`
	Request         requestCommands       `cmd:"" help:"Requests of persons as cases: list, show, decide."`
	Onward          onwardCommands        `cmd:"" help:"Endpoints that got data of persons and are told what became of it: list, retry, settle."`
	Customer        customerCommands      `cmd:"" help:"Customers, and the ends of their contracts."`
	Hold            holdCommands          `cmd:"" help:"Legal holds: records that outlive their period."`
	Alert           alertCommands         `cmd:"" help:"What must be looked at."`
	Attestation     attestCommands        `cmd:"" help:"What people attest: training, audits, providers."`
	Finding         findingCommands       `cmd:"" help:"Weaknesses that were found, and by when they are mended."`
	SBOM            sbomCommand           `cmd:"" name:"sbom" help:"What this binary is made of (CycloneDX JSON)."`
	Vulnerabilities vulnerabilityCommands `cmd:"" help:"Published vulnerabilities against the parts of this server."`
	Lawful          lawfulCommands        `cmd:"" help:"Requests of authorities, and the transparency report."`
	Grant           grantCommands         `cmd:"" help:"Grants by which the operator's people opened personal data."`
	Incident        incidentCommands      `cmd:"" help:"Breaches: whose data was read, the clocks, the notices, containing it."`
	Controls        controlsCommands      `cmd:"" help:"The promises, and the probes that show them."`
	Backup          backupCommands        `cmd:"" help:"Encrypted backups: make one, list them, verify one, bring one back."`
	Keys            keysCommands          `cmd:"" help:"Keys of the running server."`
	User            userCommands          `cmd:"" help:"People who sign in."`
	Version         versionCommand        `cmd:"" help:"Print the version."`
}

// Run executes one command line and returns the exit code.
func Run(ctx context.Context, args []string, t *Terminal) (code int) {
	var cli root
	exited := false
	parser, err := kong.New(&cli, kong.Name("mailvow"), kong.Description("A self-hosted mail platform whose privacy policy runs."),
		kong.Writers(t.Out, t.Err), kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.Exit(func(int) { exited = true }), kong.Bind(t), kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		return t.failed(fault.Wrap(err, "build the command line"))
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited {
		return Done // --help
	}
	if err != nil {
		fmt.Fprintf(t.Err, "mailvow: %v\nmailvow --help and mailvow COMMAND --help say more.\n", err)
		return Usage
	}
	return t.failed(parsed.Run())
}

// failed prints an error and gives its exit code.
func (t *Terminal) failed(err error) int {
	switch {
	case err == nil:
		return Done
	case errors.Is(err, errNo):
		return No
	}
	text, _ := fault.Public(err)
	if text == "" {
		text = err.Error()
	}
	fmt.Fprintln(t.Err, "mailvow:", text)
	if hint := fault.HintOf(err); hint != "" {
		fmt.Fprintln(t.Err, "  hint:", hint)
	}
	var u usageError
	if errors.As(err, &u) {
		return Usage
	}
	return CouldNot
}

// usageError is a wrong argument that kong cannot know of.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

// usage makes a fault of an argument end with the code for usage.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// reader is what every command that answers has.
type reader struct {
	JSON bool `name:"json" help:"Answer in JSON."`
}

// where finds a running server or its files.
type where struct {
	Dir    string `help:"The data folder of a dev server." env:"MAILVOW_DIR" placeholder:"FOLDER"`
	Config string `help:"The configuration of the server." env:"MAILVOW_CONFIG" default:"/etc/mailvow/mailvow.yaml" placeholder:"FILE"`
}

// folder is the server's data folder.
func (w *where) folder(t *Terminal) (string, error) {
	if w.Dir != "" {
		dir, err := filepath.Abs(w.Dir)
		return dir, usage(err)
	}
	c, err := config.Load(w.Config, t.Environ)
	if err != nil {
		return "", err
	}
	return c.Data.Dir, nil
}

func (w *where) server(t *Terminal) (*admin.Client, error) {
	dir, err := w.folder(t)
	if err != nil {
		return nil, err
	}
	return admin.Dial(app.Socket(dir)), nil
}

// call asks the running server.
func call[In, Out any](ctx context.Context, t *Terminal, w *where, op admin.Op[In, Out], in In) (out Out, err error) {
	server, err := w.server(t)
	if err != nil {
		return out, err
	}
	return admin.Call(ctx, server, op, in)
}

// answer prints v in JSON, a list as one line each.
func (t *Terminal) answer(v any) error {
	e := json.NewEncoder(t.Out)
	e.SetEscapeHTML(false)
	list := reflect.ValueOf(v)
	if list.Kind() != reflect.Slice {
		return fault.Wrap(e.Encode(v), "print the answer")
	}
	for i := range list.Len() {
		if err := e.Encode(list.Index(i).Interface()); err != nil {
			return fault.Wrap(err, "print the answer")
		}
	}
	return nil
}

// say prints a line.
func (t *Terminal) say(format string, args ...any) error {
	_, err := fmt.Fprintf(t.Out, format+"\n", args...)
	return fault.Wrap(err, "print the answer")
}

// table prints rows under a head.
func (t *Terminal) table(head string, rows [][]string) error {
	w := tabwriter.NewWriter(t.Out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(head, "|", "\t"))
	for _, r := range rows {
		for i := range r {
			r[i] = plain(r[i])
		}
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	return fault.Wrap(w.Flush(), "print the answer")
}

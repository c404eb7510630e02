package command

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strconv"
	"time"

	"mailvow/internal/app"
	"mailvow/internal/base/fault"
	"mailvow/internal/door/admin"
)

type sbomCommand struct{}

// Run prints what this binary is made of.
func (c *sbomCommand) Run(t *Terminal) error {
	bill, err := app.Bill()
	if err != nil {
		return err
	}
	e := json.NewEncoder(t.Out)
	e.SetIndent("", "  ")
	return fault.Wrap(e.Encode(bill), "print the bill of materials")
}

type vulnerabilityCommands struct {
	Import vulnerabilityImport `cmd:"" help:"Import records in the OSV format (JSON, JSON lines or a zip of osv.dev); what names a part of this server becomes a finding. Exit 1 if something is named."`
	Show   vulnerabilityShow   `cmd:"" help:"What was imported and what of it names this server; exit 1 if something is, or the data is too old."`
}

type vulnerabilityImport struct {
	reader
	where
	File string `arg:"" help:"The file; the server reads it." type:"path"`
}

// Run imports.
func (c *vulnerabilityImport) Run(ctx context.Context, t *Terminal) error {
	path, err := filepath.Abs(c.File)
	if err != nil {
		return usage(err)
	}
	v, err := call(ctx, t, &c.where, admin.VulnerabilityImport, admin.VulnerabilityFile{Path: path})
	return t.vulnerabilities(c.JSON, v, err)
}

type vulnerabilityShow struct {
	reader
	where
}

// Run shows.
func (c *vulnerabilityShow) Run(ctx context.Context, t *Terminal) error {
	v, err := call(ctx, t, &c.where, admin.VulnerabilityState, struct{}{})
	return t.vulnerabilities(c.JSON, v, err)
}

func (t *Terminal) vulnerabilities(json bool, v admin.Vulnerabilities, err error) error {
	switch {
	case err != nil:
		return err
	case json:
		err = t.answer(v)
	default:
		err = t.listed(v)
	}
	if err == nil && (len(v.Named) > 0 || v.Late != "") {
		return errNo
	}
	return err
}

func (t *Terminal) listed(v admin.Vulnerabilities) error {
	if v.There() {
		if err := t.say("%d records, the newest of %s, against %d parts.", v.Records, v.Published.Format(time.DateOnly), v.Parts); err != nil {
			return err
		}
	}
	if v.Late != "" {
		if err := t.say("%s", v.Late); err != nil {
			return err
		}
	}
	var rows [][]string
	for _, n := range v.Named {
		rows = append(rows, []string{n.ID, n.Severity, n.Part.Name, n.Part.Version, n.Summary})
	}
	if len(rows) == 0 {
		return t.say("%s parts are named.", strconv.Itoa(len(rows)))
	}
	return t.table("ID|SEVERITY|PART|VERSION|SUMMARY", rows)
}

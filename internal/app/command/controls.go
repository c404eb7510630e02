package command

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"mailvow/internal/base/pledge"
	"mailvow/internal/door/admin"
	"mailvow/internal/protect/control"
	"mailvow/internal/protect/evidence"
)

type controlsCommands struct {
	List   controlsList   `cmd:"" help:"List the promises."`
	Check  controlsCheck  `cmd:"" help:"Probe the running server; exit 1 if a promise is not kept."`
	Map    controlsMap    `cmd:"" help:"Say which promises answer what standards ask; exit 1 if one of those promises is not kept."`
	Export controlsExport `cmd:"" help:"Write the newest findings for auditors."`
}

type controlsList struct {
	reader
	where
}

// Run lists.
func (c *controlsList) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.ControlsList, struct{}{})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(list)
	}
	var rows [][]string
	for _, p := range list {
		since := ""
		if !p.Since.IsZero() {
			since = evidence.On(p.Since).String()
		}
		rows = append(rows, []string{p.ID, string(p.Status), since, p.Line, p.Says})
	}
	return t.table("PROMISE|LAST SEEN|FAILING SINCE|LINE|WHAT IT SAYS", rows)
}

type controlsCheck struct {
	reader
	where
	IDs        []string `arg:"" optional:"" name:"id" help:"Promises; without any, all."`
	ByCustomer bool     `help:"Also a line for each customer under whose own policy a promise is judged."`
}

// Run prints each finding as it comes.
func (c *controlsCheck) Run(ctx context.Context, t *Terminal) error {
	server, err := c.server(t)
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() {
		w.CloseWithError(admin.Stream(ctx, server, admin.ControlsCheck, admin.Named{IDs: c.IDs, ByCustomer: c.ByCustomer}, w))
	}()
	failing := false
	for d := json.NewDecoder(r); ; {
		var f pledge.Finding
		err := d.Decode(&f)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		failing = failing || f.Status == pledge.Failing
		if c.JSON {
			err = t.answer(f)
		} else {
			id := f.ID
			if f.Customer != 0 {
				id += " " + f.Customer.String()
			}
			err = t.say("%-16s %-22s %s", f.Status, id, plain(f.Evidence))
		}
		if err != nil {
			return err
		}
	}
	if failing {
		return errNo
	}
	return nil
}

type controlsMap struct {
	reader
	where
	Standard string `help:"One standard: gdpr, iso27001, soc2 or hipaa." enum:",gdpr,iso27001,soc2,hipaa" default:"" placeholder:"NAME"`
}

// Run lists.
func (c *controlsMap) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.ControlsMap, admin.StandardOf{Standard: control.Standard(c.Standard)})
	if err != nil {
		return err
	}
	failing := false
	var rows [][]string
	for _, l := range list {
		failing = failing || l.Status == pledge.Failing
		answers := []string{}
		for _, p := range l.Promises {
			answers = append(answers, p.ID)
		}
		if l.Gap != "" {
			answers = append(answers, "gap: "+l.Gap)
		}
		rows = append(rows, []string{string(l.Standard), l.Ref, string(l.Status), l.About, strings.Join(answers, ", ")})
	}
	if c.JSON {
		err = t.answer(list)
	} else {
		err = t.table("STANDARD|CONTROL|STATUS|WHAT IT ASKS|ANSWERED BY", rows)
	}
	if err == nil && failing {
		return errNo
	}
	return err
}

type controlsExport struct {
	where
	OSCAL string `name:"oscal" help:"The file to write OSCAL assessment results to, as JSON; - is standard output." required:"" placeholder:"FILE"`
}

// Run writes the file.
func (c *controlsExport) Run(ctx context.Context, t *Terminal) error {
	return save(ctx, t, &c.where, admin.ControlsExport, struct{}{}, c.OSCAL)
}

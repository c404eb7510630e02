package command

import (
	"context"
	"fmt"
	"strings"

	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
)

type domainCommands struct {
	Add   domainAdd   `cmd:"" help:"Claim a domain for a customer, make its keys and say what to publish."`
	List  domainList  `cmd:"" help:"List domains."`
	Check domainCheck `cmd:"" help:"Look the domain up in the DNS now; exit 1 if a needed record is missing."`
}

type domainAdd struct {
	reader
	where
	Domain   string     `arg:"" help:"The domain."`
	Customer ids.Tenant `help:"Whose it is; may be left out if there is one customer." placeholder:"ID"`
}

// Run claims it.
func (c *domainAdd) Run(ctx context.Context, t *Terminal) error {
	d, err := call(ctx, t, &c.where, admin.DomainAdd, admin.NewDomain{Customer: c.Customer, Name: c.Domain})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(d)
	}
	if err := t.say("%s is %s as %s. Publish these records, then run mailvow domain check %s:\n", d.Name, d.State, d.ID, d.Name); err != nil {
		return err
	}
	return t.records(d.Records, false)
}

// records prints what to publish, in the form of a zone file; looked says that
// the DNS was asked.
func (t *Terminal) records(list []admin.Record, looked bool) error {
	for _, r := range list {
		need := ""
		if r.Needed {
			need = ", needed"
		}
		state := ""
		switch {
		case looked && r.OK:
			state = ": is there"
		case looked && len(r.Found) > 0:
			state = fmt.Sprintf(": something else is there: %q", r.Found)
		case looked:
			state = ": is missing"
		}
		if err := t.say("; %s%s%s\n%s. IN %s %s", r.Purpose, need, state, r.Name, r.Type, zoneValue(r)); err != nil {
			return err
		}
	}
	return nil
}

// zoneValue quotes a TXT in strings of at most 255 octets (RFC 1035 3.3).
func zoneValue(r admin.Record) string {
	if r.Type != "TXT" {
		return r.Value + "."
	}
	var parts []string
	for v := r.Value; v != ""; {
		n := min(len(v), 255)
		parts = append(parts, `"`+strings.ReplaceAll(v[:n], `"`, `\"`)+`"`)
		v = v[n:]
	}
	return strings.Join(parts, " ")
}

type domainList struct {
	reader
	where
	Customer ids.Tenant `help:"Of this customer." placeholder:"ID"`
}

// Run lists domains.
func (c *domainList) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.DomainList, admin.DomainRef{Customer: c.Customer})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(list)
	}
	if len(list) == 0 {
		return t.say("There is no domain yet; mailvow domain add makes one.")
	}
	var rows [][]string
	for _, d := range list {
		rows = append(rows, []string{d.ID.String(), d.Customer.String(), d.Name, d.State, moment(d.Checked)})
	}
	return t.table("DOMAIN|CUSTOMER|NAME|STATE|LOOKED AT", rows)
}

type domainCheck struct {
	reader
	where
	Domain   string     `arg:"" help:"The domain, or its id."`
	Customer ids.Tenant `help:"Of this customer." placeholder:"ID"`
}

// Run looks it up.
func (c *domainCheck) Run(ctx context.Context, t *Terminal) error {
	d, err := call(ctx, t, &c.where, admin.DomainCheck, admin.DomainRef{Customer: c.Customer, Domain: c.Domain})
	if err != nil {
		return t.gone(err)
	}
	if c.JSON {
		err = t.answer(d)
	} else if err = t.say("%s is %s.", d.Name, d.State); err == nil {
		err = t.records(d.Records, true)
	}
	for _, r := range d.Records {
		if err == nil && r.Needed && !r.OK {
			return errNo
		}
	}
	return err
}

package command

import (
	"context"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
	"mailvow/internal/protect/ending"
)

type customerCommands struct {
	List   customerList   `cmd:"" help:"List customers."`
	Add    customerAdd    `cmd:"" help:"Add a customer, in this server's region."`
	End    customerEnd    `cmd:"" help:"Order the end of a contract: nothing is sent or received any more, the customer may fetch the export for the policy's days, then everything is destroyed."`
	Undo   customerUndo   `cmd:"" help:"Undo the end of a contract, until the destroying begins."`
	State  customerState  `cmd:"" help:"Show the ends of contracts; exit 1 if one is late."`
	Export customerExport `cmd:"" help:"Write everything that is kept of a customer, as a ZIP archive. The look is in the evidence log."`
	Kept   customerKept   `cmd:"" help:"Write what a law keeps of an ended customer, as lines of JSON. The look is in the evidence log first."`
}

type oneCustomer struct {
	where
	ID ids.Tenant `arg:"" help:"The customer."`
}

type customerList struct {
	reader
	where
}

// Run lists.
func (c *customerList) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.CustomerList, admin.CustomerRef{})
	if err != nil {
		return err
	}
	var rows [][]string
	for _, x := range list {
		rows = append(rows, []string{x.ID.String(), x.Name, x.State, x.Region, moment(x.Created), moment(x.Closes)})
	}
	switch {
	case c.JSON:
		return t.answer(list)
	case len(list) > 0:
		return t.table("CUSTOMER|NAME|STATE|REGION|SINCE|CONTRACT ENDS", rows)
	}
	return t.say("There are no customers.")
}

type customerAdd struct {
	reader
	where
	Name   string `arg:"" help:"Its name."`
	Region string `help:"Its region. Another one than this server's is refused, with the address of the server there." placeholder:"LABEL"`
}

// Run adds one.
func (c *customerAdd) Run(ctx context.Context, t *Terminal) error {
	x, err := call(ctx, t, &c.where, admin.CustomerAdd, admin.NewCustomer{Name: c.Name, Region: c.Region})
	if err != nil || c.JSON {
		return t.answerUnless(err, x)
	}
	return t.say("%s is added as %s, in the region %s.", x.Name, x.ID, x.Region)
}

type customerEnd struct {
	reader
	oneCustomer
	Name string    `help:"The customer's name, exactly as it is, so that none is ended by mistake." required:"" placeholder:"NAME"`
	At   time.Time `help:"The contract's end; without it now." placeholder:"RFC3339"`
}

// Run orders an end.
func (c *customerEnd) Run(ctx context.Context, t *Terminal) error {
	e, err := call(ctx, t, &c.where, admin.CustomerEnd, admin.CustomerRef{Customer: c.ID, Confirm: c.Name, At: c.At})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(e)
	}
	return t.say("The contract of %s ends at %s. Until %s the customer may fetch the export, and the end can be undone; everything is destroyed by %s.", c.ID, moment(e.Closes), moment(e.Due), moment(e.Deadline))
}

type customerUndo struct {
	reader
	oneCustomer
}

// Run undoes an end.
func (c *customerUndo) Run(ctx context.Context, t *Terminal) error {
	e, err := call(ctx, t, &c.where, admin.CustomerUndo, admin.CustomerRef{Customer: c.ID})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(e)
	}
	return t.say("The end of the contract of %s is undone.", c.ID)
}

type customerState struct {
	reader
	where
	Customer    ids.Tenant `help:"Only this customer's." placeholder:"ID"`
	Certificate string     `help:"Write the certificate of the customer's ended contract to this file." placeholder:"FILE"`
}

// Run shows the ends of contracts.
func (c *customerState) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.CustomerState, admin.CustomerRef{Customer: c.Customer})
	if err != nil {
		return err
	}
	late := false
	var rows [][]string
	for _, e := range list {
		state := string(e.State)
		if e.Late {
			state, late = "late", true
		}
		if c.Certificate != "" && e.State == ending.Ended {
			if err := writeNew(c.Certificate, e.Certificate); err != nil {
				return err
			}
			c.Certificate = "" // the newest
		}
		rows = append(rows, []string{e.Customer.String(), e.Name, state, string(e.By), moment(e.Closes), moment(e.Due), moment(e.Deadline), moment(e.Ended), e.ID.String()})
	}
	switch {
	case c.JSON:
		err = t.answer(list)
	case len(list) > 0:
		err = t.table("CUSTOMER|NAME|STATE|ORDERED BY|ENDS|DESTROYED FROM|GONE BY|ENDED|CERTIFICATE", rows)
	default:
		err = t.say("No end of a contract is ordered.")
	}
	if err == nil && late {
		return errNo
	}
	return err
}

type customerExport struct {
	oneCustomer
	Category string `help:"One category only." placeholder:"NAME"`
	Out      string `help:"The file to write." required:"" placeholder:"FILE"`
}

// Run writes the archive.
func (c *customerExport) Run(ctx context.Context, t *Terminal) error {
	return save(ctx, t, &c.where, admin.CustomerExport, admin.CustomerRef{Customer: c.ID, Category: c.Category}, c.Out)
}

type customerKept struct {
	oneCustomer
	Out string `help:"The file to write; without it standard output." placeholder:"FILE"`
}

// Run writes what a law keeps.
func (c *customerKept) Run(ctx context.Context, t *Terminal) error {
	return save(ctx, t, &c.where, admin.CustomerKept, admin.CustomerRef{Customer: c.ID}, c.Out)
}

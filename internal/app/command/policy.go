package command

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
	"mailvow/internal/protect/policy"
)

type policyCommands struct {
	Show     policyShow     `cmd:"" help:"Show what is in force, setting by setting."`
	Versions policyVersions `cmd:"" help:"List the versions."`
	Check    policyCheck    `cmd:"" help:"Say what a policy would change, and when it could take effect; nothing is changed."`
	Publish  policyPublish  `cmd:"" help:"Put a policy in force, now or from a date."`
	Withdraw policyWithdraw `cmd:"" help:"Take back a version that has not taken effect."`
	Render   policyRender   `cmd:"" help:"Write the policy in force as a document for people, signed; what was not seen to hold is marked."`
	Profiles policyProfiles `cmd:"" help:"List the policies that are ready, or print one."`
}

// ofCustomer narrows a command to a customer's own policy.
type ofCustomer struct {
	Customer ids.Tenant `help:"This customer's, which is narrower than the platform's." placeholder:"ID"`
}

type policyShow struct {
	reader
	where
	ofCustomer
	YAML bool      `help:"Print it as a file that mailvow policy publish takes."`
	At   time.Time `help:"What was or will be in force at this time (RFC 3339)." placeholder:"TIME"`
}

// Run shows it.
func (c *policyShow) Run(ctx context.Context, t *Terminal) error {
	at := c.At
	if at.IsZero() {
		at = time.Now()
	}
	in, err := call(ctx, t, &c.where, admin.PolicyShow, admin.PolicyOf{Customer: c.Customer, At: at})
	switch {
	case err != nil:
		return err
	case c.JSON:
		return t.answer(in)
	case c.YAML:
		return t.say("%s", in.Text)
	}
	rows := make([][]string, len(in.Settings))
	for i, s := range in.Settings {
		obeyed := "obeyed"
		if !s.Obeyed {
			obeyed = "on record only"
		}
		rows[i] = []string{s.Path, s.Words, obeyed}
	}
	if err := t.say("Version %s is in force.\n", in.Label); err != nil {
		return err
	}
	return t.table("SETTING|WHAT IT SAYS|BY THIS SERVER", rows)
}

type policyVersions struct {
	reader
	where
	ofCustomer
}

// Run lists them.
func (c *policyVersions) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.PolicyVersions, admin.PolicyOf{Customer: c.Customer})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(list)
	}
	rows := make([][]string, len(list))
	for i, v := range list {
		state := "since " + moment(v.Effective)
		switch {
		case !v.Withdrawn.IsZero():
			state = "withdrawn " + moment(v.Withdrawn)
		case v.Effective.After(time.Now()):
			state = "from " + moment(v.Effective)
		}
		rows[i] = []string{strconv.Itoa(v.Number), state, moment(v.Published), v.Note}
	}
	return t.table("NUMBER|IN FORCE|PUBLISHED|NOTE", rows)
}

// drafted is a policy from a file.
type drafted struct {
	reader
	where
	ofCustomer
	File      string    `arg:"" help:"The policy as YAML; - reads standard input."`
	Effective time.Time `help:"From when (RFC 3339); as soon as it may be if left out." placeholder:"TIME"`
	Note      string    `help:"What the change is for. Public." placeholder:"TEXT"`
}

// maxPolicy bounds what is read.
const maxPolicy = 64 << 10

func (c *drafted) put(ctx context.Context, t *Terminal, op admin.Op[admin.PolicyDraft, admin.PolicyVerdict]) (admin.PolicyVerdict, error) {
	text, err := t.read(c.File, maxPolicy)
	if err != nil {
		return admin.PolicyVerdict{}, err
	}
	v, err := call(ctx, t, &c.where, op, admin.PolicyDraft{Customer: c.Customer, Text: string(text), Effective: c.Effective, Note: c.Note})
	if err != nil || c.JSON {
		return v, err
	}
	for _, line := range v.Changes {
		if err := t.say("%s", line); err != nil {
			return v, err
		}
	}
	return v, nil
}

type policyCheck struct{ drafted }

// Run says what would change.
func (c *policyCheck) Run(ctx context.Context, t *Terminal) error {
	v, err := c.put(ctx, t, admin.PolicyCheck)
	if err != nil || c.JSON {
		return t.answerUnless(err, v)
	}
	return t.say("\nIt could take effect on %s.", moment(v.Effective))
}

type policyPublish struct{ drafted }

// Run publishes.
func (c *policyPublish) Run(ctx context.Context, t *Terminal) error {
	v, err := c.put(ctx, t, admin.PolicyPublish)
	if err != nil || c.JSON {
		return t.answerUnless(err, v)
	}
	return t.say("\nPublished as version %d; in force from %s.", v.Number, moment(v.Effective))
}

// answerUnless prints an answer in JSON, or gives the error.
func (t *Terminal) answerUnless(err error, answer any) error {
	if err != nil {
		return err
	}
	return t.answer(answer)
}

type policyWithdraw struct {
	where
	ofCustomer
	Number int `arg:"" help:"The version's number."`
}

// Run withdraws.
func (c *policyWithdraw) Run(ctx context.Context, t *Terminal) error {
	if _, err := call(ctx, t, &c.where, admin.PolicyWithdraw, admin.PolicyVersionRef{Customer: c.Customer, Number: c.Number}); err != nil {
		return err
	}
	return t.say("Version %d is withdrawn; it stays on record.", c.Number)
}

type policyProfiles struct {
	Name string `arg:"" optional:"" help:"Print this one."`
}

// Run lists the profiles or prints one, with no server at hand.
func (c *policyProfiles) Run(t *Terminal) error {
	list, err := policy.Profiles()
	if err != nil {
		return err
	}
	if c.Name == "" {
		rows := make([][]string, len(list))
		for i, p := range list {
			rows[i] = []string{p.Name, p.About}
		}
		return t.table("PROFILE|WHAT IT IS FOR", rows)
	}
	for _, p := range list {
		if p.Name == c.Name {
			return t.say("%s", p.Text)
		}
	}
	return usage(fault.New(fault.NotFound, fmt.Sprintf("There is no profile %q; mailvow policy profiles lists them.", c.Name)))
}

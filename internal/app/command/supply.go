package command

import (
	"context"
	"strconv"
	"strings"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
	"mailvow/internal/product/trust/supply"
)

type supplyCommands struct {
	List       supplyShowAll    `cmd:"" help:"List them with what is coming; exit 1 if one is refused."`
	Show       supplyShow       `cmd:"" help:"Show one with all its versions."`
	Add        supplyAdd        `cmd:"" help:"Announce a new one; customers are told, and it takes effect after their notice period."`
	Change     supplyChange     `cmd:"" help:"Announce a change of one."`
	Remove     supplyRemove     `cmd:"" help:"End one: its endpoints are refused at once."`
	Withdraw   supplyWithdraw   `cmd:"" help:"Take back what is announced and has not taken effect."`
	Objections supplyObjections `cmd:"" help:"List what customers have against changes; exit 1 if one waits for an answer."`
	Answer     supplyAnswer     `cmd:"" help:"Answer an objection; the change waits for that."`
	Endpoints  supplyEndpoints  `cmd:"" help:"List every place that this server is configured to speak to, and who covers it; exit 1 if one is refused."`
}

type supplyShowAll struct {
	reader
	where
}

// Run lists.
func (c *supplyShowAll) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.SupplyList, admin.SupplyRef{})
	if err != nil {
		return err
	}
	refused := false
	var rows [][]string
	for _, p := range list {
		refused = refused || p.State == "refused"
		ends := "-"
		if !p.Ends.IsZero() {
			ends = moment(p.Ends)
		}
		next := ""
		switch {
		case p.Coming != nil && p.Objections > 0:
			next = "waits for answers to " + strconv.Itoa(p.Objections) + " objections"
		case p.Coming != nil && p.Coming.Removed:
			next = "ends " + moment(p.Coming.Effective)
		case p.Coming != nil:
			next = "changes " + moment(p.Coming.Effective)
		}
		rows = append(rows, []string{p.ID.String(), p.State, p.Entry.Name, string(p.Entry.Kind), p.Entry.Country, strings.Join(p.Entry.Purposes, ", "), ends, next})
	}
	switch {
	case c.JSON:
		err = t.answer(list)
	case len(list) > 0:
		err = t.table("ID|STATE|NAME|KIND|COUNTRY|PURPOSES|PAPERS END|COMING", rows)
	default:
		err = t.say("Nobody else gets data from this server.")
	}
	if err == nil && refused {
		return errNo
	}
	return err
}

type oneSupply struct {
	where
	Of string `arg:"" help:"Its id or its name." name:"sub-processor"`
}

type supplyShow struct {
	reader
	oneSupply
}

// Run shows one.
func (c *supplyShow) Run(ctx context.Context, t *Terminal) error {
	p, err := call(ctx, t, &c.where, admin.SupplyShow, admin.SupplyRef{Of: c.Of})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(p)
	}
	e := p.Entry
	rows := [][]string{
		{"id", p.ID.String()}, {"state", p.State}, {"problem", p.Problem}, {"name", e.Name}, {"kind", string(e.Kind)}, {"purposes", strings.Join(e.Purposes, ", ")},
		{"country", e.Country}, {"region", e.Region}, {"uses", strings.Join(e.Uses, ", ")}, {"data", strings.Join(e.Data, ", ")}, {"endpoints", strings.Join(e.Endpoints, ", ")},
		{"agreement", onFile(e.Agreement.Document, e.Agreement.Until)}, {"safeguard", strings.TrimSpace(e.Safeguard.Kind + " " + onFile(e.Safeguard.Document, e.Safeguard.Until))},
	}
	for _, v := range p.Versions {
		state := "since " + moment(v.Effective)
		switch {
		case !v.Withdrawn.IsZero():
			state = "withdrawn " + moment(v.Withdrawn)
		case v.Removed:
			state = "ended " + moment(v.Effective)
		case v.Effective.After(time.Now()):
			state = "from " + moment(v.Effective)
		}
		rows = append(rows, []string{"version " + strconv.Itoa(v.Number), state + ", announced " + moment(v.Announced) + " " + v.Note})
	}
	return t.table("WHAT|SAYS", rows)
}

func onFile(document string, until supply.Date) string {
	if until == "" {
		return document
	}
	return document + " until " + string(until)
}

// announced is what every announcement has.
type announced struct {
	reader
	where
	Effective time.Time `help:"From when (RFC 3339); as soon as it may be if left out." placeholder:"TIME"`
	Note      string    `help:"What the change is for; customers read it." placeholder:"TEXT"`
	Check     bool      `help:"Say what would change and when; announce nothing."`
}

func (c *announced) put(ctx context.Context, t *Terminal, d admin.SupplyDraft) error {
	d.Effective, d.Note, d.Check = c.Effective, c.Note, c.Check
	v, err := call(ctx, t, &c.where, admin.SupplyAnnounce, d)
	if err != nil || c.JSON {
		return t.answerUnless(err, v)
	}
	for _, line := range v.Changes {
		if err := t.say("%s", line); err != nil {
			return err
		}
	}
	if c.Check {
		return t.say("\nIt could take effect on %s.", moment(v.Effective))
	}
	return t.say("\n%s: version %d takes effect on %s.", v.ID, v.Number, moment(v.Effective))
}

// maxEntry bounds a file with an entry.
const maxEntry = 64 << 10

// entryFile is an entry as YAML, like one of sub_processors in mailvow.yaml.
type entryFile struct {
	File string `arg:"" help:"The entry as YAML, with the fields of one under sub_processors; - reads standard input."`
}

func (f *entryFile) entry(t *Terminal) (supply.Entry, error) {
	text, err := t.read(f.File, maxEntry)
	if err != nil {
		return supply.Entry{}, err
	}
	e, err := supply.Parse(text)
	return e, usage(err)
}

type supplyAdd struct {
	announced
	entryFile
}

// Run announces a new one.
func (c *supplyAdd) Run(ctx context.Context, t *Terminal) error {
	e, err := c.entry(t)
	if err != nil {
		return err
	}
	return c.put(ctx, t, admin.SupplyDraft{Entry: e})
}

type supplyChange struct {
	announced
	Of string `arg:"" help:"Its id or its name." name:"sub-processor"`
	entryFile
}

// Run announces a change.
func (c *supplyChange) Run(ctx context.Context, t *Terminal) error {
	e, err := c.entry(t)
	if err != nil {
		return err
	}
	return c.put(ctx, t, admin.SupplyDraft{Of: c.Of, Entry: e})
}

type supplyRemove struct {
	announced
	Of string `arg:"" help:"Its id or its name." name:"sub-processor"`
}

// Run ends one.
func (c *supplyRemove) Run(ctx context.Context, t *Terminal) error {
	return c.put(ctx, t, admin.SupplyDraft{Of: c.Of, Remove: true})
}

type supplyWithdraw struct {
	reader
	oneSupply
}

// Run takes back.
func (c *supplyWithdraw) Run(ctx context.Context, t *Terminal) error {
	v, err := call(ctx, t, &c.where, admin.SupplyWithdraw, admin.SupplyRef{Of: c.Of})
	if err != nil || c.JSON {
		return t.answerUnless(err, v)
	}
	return t.say("%s: version %d is withdrawn; it stays on record.", v.ID, v.Number)
}

type supplyObjections struct {
	reader
	where
	Of string `arg:"" optional:"" help:"Only to this one's changes: its id or its name." name:"sub-processor"`
}

// Run lists objections.
func (c *supplyObjections) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.SupplyObjections, admin.SupplyRef{Of: c.Of})
	if err != nil {
		return err
	}
	waits := false
	var rows [][]string
	for _, o := range list {
		state := "answered: " + o.Answer
		if o.Answered.IsZero() {
			state, waits = "waits", true
		}
		rows = append(rows, []string{o.ID.String(), o.Of.String() + "/" + strconv.Itoa(o.Number), o.Customer.String(), moment(o.Made), o.Reason, state})
	}
	switch {
	case c.JSON:
		err = t.answer(list)
	case len(list) > 0:
		err = t.table("OBJECTION|TO|CUSTOMER|MADE|REASON|ANSWER", rows)
	default:
		err = t.say("Nobody has objected.")
	}
	if err == nil && waits {
		return errNo
	}
	return err
}

type supplyAnswer struct {
	reader
	where
	Objection ids.Objection `arg:"" help:"The objection."`
	Answer    string        `arg:"" help:"What the customer is told."`
}

// Run answers.
func (c *supplyAnswer) Run(ctx context.Context, t *Terminal) error {
	o, err := call(ctx, t, &c.where, admin.SupplyAnswer, admin.SupplyReply{Objection: c.Objection, Answer: c.Answer})
	if err != nil || c.JSON {
		return t.answerUnless(err, o)
	}
	return t.say("%s is answered.", o.ID)
}

type supplyEndpoints struct {
	reader
	where
}

// Run lists what the server is configured to speak to.
func (c *supplyEndpoints) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.EndpointList, admin.SupplyRef{})
	if err != nil {
		return err
	}
	refused := false
	rows := make([][]string, len(list))
	for i, e := range list {
		by := e.Entry
		switch {
		case e.Problem != "":
			by, refused = "refused: "+e.Problem, true
		case e.Own:
			by = "own machines"
		}
		rows[i] = []string{e.Destination, e.Purpose, e.Host, e.Region, by}
	}
	if c.JSON {
		err = t.answer(list)
	} else {
		err = t.table("SETTING|PURPOSE|ENDPOINT|OTHER REGION|COVERED BY", rows)
	}
	if err == nil && refused {
		return errNo
	}
	return err
}

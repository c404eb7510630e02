package app

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/inbox"
	"mailvow/internal/flow/mention"
	"mailvow/internal/flow/queue"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/backup"
	"mailvow/internal/protect/ending"
	"mailvow/internal/protect/hold"
	"mailvow/internal/protect/onward"
	"mailvow/internal/protect/reads"
	"mailvow/internal/protect/request"
	"mailvow/internal/protect/review"
	"mailvow/internal/protect/subject"
)

// Why categories are not handed over, or not destroyed one by one.
const (
	secrets     = "secrets of this server only; they are made anew elsewhere"
	operation   = "how the server works; nothing of a customer's"
	shared      = "no customer's alone: numbers without a name; what they mean goes with the customer's rows"
	platformOwn = "the platform's own; no customer has any"
	byKeys      = "goes with the rows that refer to it, and its keys"
)

// estate is everything that is kept, and what becomes of it at the end of a
// customer's contract, in the order in which it is destroyed: what finds comes
// after what is found. A test holds it against the inventory.
func (h *House) estate() []ending.Part {
	p := belongings{h}
	none := func(category, why string) ending.Part {
		return ending.Part{Category: category, Withheld: why, Stays: why}
	}
	gone := func(category, why string, destroy func(context.Context, ids.Tenant) (int, error)) ending.Part {
		return ending.Part{Category: category, Withheld: why, Destroy: destroy}
	}
	return []ending.Part{
		{Category: "holds", HandOver: p.holds, Destroy: h.holds.Drop},
		{Category: "held records", HandOver: p.held, Stays: "stays under the hold's own key until it is released"},
		{Category: "queued mail", HandOver: p.queued, Destroy: h.queue.Drop},
		{Category: "pauses", Withheld: "settings of deliveries under way", Stays: "go with the queued mail"},
		{Category: "caught mail", HandOver: p.caught, Destroy: h.inbox.Drop},
		{Category: "conversations", HandOver: p.records("conversations"), Destroy: p.conversations},
		{Category: "message records", HandOver: p.records("message records"), Destroy: p.history},
		gone("searched subjects", "the subjects stand in the message records", p.words),
		gone("history operation", operation, p.by("flow/history", "drop_redactions")),
		{Category: "suppressions", HandOver: p.suppressions, Destroy: p.suppressed},
		{Category: "notices to recipients", HandOver: p.notices, Destroy: p.by("protect/onward", "drop")},
		gone(mention.Category, "what was found of persons who asked; the archives have what was theirs", h.mentions.Drop),
		gone(subject.Attributes, "settings of its requests of persons", p.by("protect/subject", "drop_tenant")),
		{Category: "requests of persons", HandOver: p.requests, Destroy: h.cases.Drop},
		{Category: reads.Category, HandOver: p.looks, Destroy: p.looked},
		{Category: "counts", HandOver: p.counts, Destroy: p.tally},
		gone("stored answers", "what the server answered lately; gone within a day", p.by("door/httpapi", "drop_tenant")),
		gone("job", "long work under way or over; its results are handed over", p.by("keep/job", "drop_tenant")),
		{Category: "objections to sub-processors", HandOver: p.objections, Destroy: p.by("product/trust/supply", "drop_objections")},
		gone("sub-processors", "the list of sub-processors shows them", p.processors),
		gone("findings", "what was seen of promises; the list of controls has it", p.by("protect/control", "drop_tenant")),
		{Category: "routes", HandOver: p.routes, Destroy: p.by("product/inbound", "drop_tenant")},
		gone("signing keys", secrets, p.by("product/relay", "drop_tenant_keys")),
		{Category: "sending domains", HandOver: p.domains, Destroy: p.by("product/relay", "drop_tenant")},
		{Category: "machine credentials", HandOver: p.credentials, Destroy: h.access.DropCredentials},
		{Category: "notices of changes", HandOver: p.told, Destroy: p.by("product/trust/notice", "drop_tenant")},
		{Category: review.Category, HandOver: p.reviewed, Destroy: p.by("protect/review", "drop_tenant")},
		{Category: "policies", HandOver: p.policies, Destroy: p.policy},
		{Category: "sessions", Withheld: secrets, Stays: "go with the users"},
		{Category: "users", HandOver: p.users, Destroy: p.everybody},
		{Category: "customers", HandOver: p.customer, Destroy: h.tenants.Drop},

		{Category: "keys", Withheld: secrets, Stays: "destroyed as a whole, last of all"},
		none("message bodies", byKeys),
		none("look-up", shared), none("look-up operation", operation), none("subject search operation", operation),
		none("erasure ledger", "kept by law: it makes a restore be followed by this end"),
		none("evidence of acts", "the log names roles and numbers, no person; it cannot be changed"),
		none("evidence of erasures", "the log names roles and numbers, no person; it cannot be changed"),
		none("evidence keys and checkpoints", operation),
		none(backup.Category, "copies of what is handed over; they cannot be opened once the keys are gone, and expire"),
		none("state of backups", operation), none("retention states", operation), none("used links", "random numbers"),
		none("certificates", operation), none("leader operation", operation), none("database operation", operation),
		none("database files", "the files in which everything else stands"), none("server operation", operation),
		none("request pace", "in memory, for minutes"), none("times of recording", operation),
		none("attestations", platformOwn), none("register of findings", platformOwn), none("access grants", platformOwn),
		none("incidents", "the operator's register, which a law wants kept (GDPR Art. 33(5)); notices went to the customer"), none("vulnerability data", platformOwn), none("alerts", operation),
		none("requests of authorities", "the operator's register; a law wants it kept"),
		none("published documents", "what the platform says of itself, in public"),
		none("contract ends", "the record of this end"), none(ending.Remains, "what is kept of this end, until its own"),
	}
}

// belongings reads and deletes what a customer has, for a contract's end.
type belongings struct{ *House }

type yield = func(pledge.Record) error

// facts leaves out what is empty.
func facts(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			m[pairs[i]] = pairs[i+1]
		}
	}
	return m
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// eachPage reads a list that is given newest first.
func eachPage[T any](id func(T) int64, list func(before int64, limit int) ([]T, error), yield func(T) error) error {
	const limit = 200
	for before := int64(1<<63 - 1); ; {
		page, err := list(before, limit)
		if err != nil {
			return err
		}
		for _, x := range page {
			before = id(x)
			if err := yield(x); err != nil {
				return err
			}
		}
		if len(page) < limit {
			return nil
		}
	}
}

func (p belongings) customer(ctx context.Context, of ids.Tenant, f yield) error {
	t, err := p.tenants.Get(ctx, scope.Tenant(of), of)
	if err != nil {
		return err
	}
	return f(pledge.Record{Category: "customers", ID: t.ID.String(), At: t.Created, Fields: facts("name", t.Name, "state", string(t.State), "region", t.Region, "contract_ends", moment(t.Closes))})
}

func (p belongings) users(ctx context.Context, of ids.Tenant, f yield) error {
	return eachPage(func(u access.User) int64 { return int64(u.ID) }, func(before int64, limit int) ([]access.User, error) {
		return p.access.Users(ctx, scope.Tenant(of), ids.User(before), limit)
	}, func(u access.User) error {
		return f(pledge.Record{Category: "users", ID: u.ID.String(), At: u.Created, Fields: facts("email", u.Email.Text(), "name", u.Name, "role", string(u.Role), "state", string(u.State), "last_seen", moment(u.Seen))})
	})
}

func (p belongings) credentials(ctx context.Context, of ids.Tenant, f yield) error {
	err := eachPage(func(t access.Token) int64 { return int64(t.ID) }, func(before int64, limit int) ([]access.Token, error) {
		return p.access.Tokens(ctx, scope.Tenant(of), ids.Token(before), limit)
	}, func(t access.Token) error {
		var scopes []string
		for _, s := range t.Scopes {
			scopes = append(scopes, string(s))
		}
		return f(pledge.Record{Category: "machine credentials", ID: t.ID.String(), At: t.Created, Fields: facts("kind", "token", "name", t.Name, "scopes", strings.Join(scopes, " "), "expires", moment(t.Expires), "last_used", moment(t.Used))})
	})
	if err != nil {
		return err
	}
	return eachPage(func(c access.Credential) int64 { return int64(c.ID) }, func(before int64, limit int) ([]access.Credential, error) {
		return p.access.Credentials(ctx, scope.Tenant(of), ids.Credential(before), limit)
	}, func(c access.Credential) error {
		network := ""
		if c.Network.IsValid() {
			network = c.Network.String()
		}
		return f(pledge.Record{Category: "machine credentials", ID: c.ID.String(), At: c.Created, Fields: facts("kind", string(c.Kind), "name", c.Name, "username", c.Username, "network", network, "last_used", moment(c.Used))})
	})
}

// everybody goes with their sessions, which are found by their users.
func (p belongings) everybody(ctx context.Context, of ids.Tenant) (int, error) {
	n, _, err := p.access.Drop(ctx, of)
	return n, err
}

func (p belongings) holds(ctx context.Context, of ids.Tenant, f yield) error {
	return eachPage(func(x hold.Hold) int64 { return int64(x.ID) }, func(before int64, limit int) ([]hold.Hold, error) {
		return p.House.holds.List(ctx, scope.Tenant(of), ids.Hold(before), limit)
	}, func(x hold.Hold) error {
		message := ""
		if x.Message != 0 {
			message = x.Message.String()
		}
		return f(pledge.Record{Category: "holds", ID: x.ID.String(), At: x.Created, Fields: facts("kind", string(x.Kind), "ground", string(x.Ground), "case", x.Case, "address", x.Address.Text(), "message", message, "note", x.Note, "review", moment(x.Review), "released", moment(x.Released))})
	})
}

// held are the records that a hold keeps beyond their period: also the customer's.
func (p belongings) held(ctx context.Context, of ids.Tenant, f yield) error {
	return p.House.holds.EachOf(ctx, of, func(id ids.Hold, r hold.Record) error {
		return f(recordOf("held records", r, "hold", id.String()))
	})
}

func recordOf(category string, r hold.Record, more ...string) pledge.Record {
	fields := facts(append([]string{"message", r.Message.String()}, more...)...)
	for _, x := range r.Fields {
		if x.Value != "" {
			fields[x.Name] = x.Value
		}
	}
	return pledge.Record{Category: category, ID: r.Message.String() + "/" + strconv.FormatInt(r.ID, 10), At: r.At, Fields: fields}
}

// records are those of one category of history.
func (p belongings) records(category string) func(context.Context, ids.Tenant, yield) error {
	return func(ctx context.Context, of ids.Tenant, f yield) error {
		source := p.persons.ForHolds()
		return source.Messages(ctx, of, hold.Customer, address.Address{}, 0, func(m ids.Message) error {
			return source.Records(ctx, of, []ids.Message{m}, func(c string, _ int64) bool { return c != category }, func(r hold.Record) error {
				return f(recordOf(category, r))
			})
		})
	}
}

// ever is later than anything that is stored.
func (p belongings) ever() time.Time { return p.Clock.Now().Add(48 * time.Hour) }

func (p belongings) history(ctx context.Context, of ids.Tenant) (int, error) {
	return p.House.history.Purge(ctx, scope.Tenant(of), p.ever())
}

func (p belongings) conversations(ctx context.Context, of ids.Tenant) (int, error) {
	return p.House.history.PurgeConversations(ctx, scope.Tenant(of), p.ever())
}

func (p belongings) words(ctx context.Context, of ids.Tenant) (int, error) {
	return p.House.words.Purge(ctx, scope.Tenant(of), p.ever())
}

func (p belongings) tally(ctx context.Context, of ids.Tenant) (int, error) {
	if err := p.House.tally.Flush(ctx); err != nil { // what this process has counted and not written yet
		return 0, err
	}
	return p.House.tally.Purge(ctx, scope.Tenant(of), p.ever())
}

func (p belongings) counts(ctx context.Context, of ids.Tenant, f yield) error {
	const days = 400 * 24 * time.Hour // longer than counts are kept
	points, err := p.House.tally.Series(ctx, scope.Tenant(of), p.Clock.Now().UTC().Truncate(24*time.Hour).Add(-days), 24*time.Hour)
	for _, x := range points {
		if err == nil && x.Accepted+x.Delivered+x.Deferred+x.Failed > 0 {
			n := func(v int64) string { return strconv.FormatInt(v, 10) }
			err = f(pledge.Record{Category: "counts", ID: x.At.Format(time.DateOnly), At: x.At, Fields: facts("accepted", n(x.Accepted), "delivered", n(x.Delivered), "deferred", n(x.Deferred), "failed", n(x.Failed))})
		}
	}
	return err
}

func (p belongings) queued(ctx context.Context, of ids.Tenant, f yield) error {
	in := scope.Tenant(of)
	return p.queue.EachOf(ctx, in, func(w queue.Waiting) error {
		var to, states []string
		for _, r := range w.Recipients {
			to, states = append(to, r.Recipient.Text()), append(states, r.State.String())
		}
		return f(pledge.Record{
			Category: "queued mail", ID: w.Message.String(), At: w.Envelope.Received,
			Fields: facts("sender", w.Envelope.Sender.Text(), "recipients", strings.Join(to, ", "), "states", strings.Join(states, ", "), "subject", w.Envelope.Subject, "message_id", w.Envelope.MessageID, "size", strconv.FormatInt(w.Envelope.Size, 10)),
			Content: bytesOf(func(ctx context.Context) (io.ReaderAt, int64, io.Closer, error) {
				c, err := p.queue.Content(ctx, in, w.Message)
				if err != nil {
					return nil, 0, nil, err
				}
				return c, c.Size(), c, nil
			}),
		})
	})
}

func (p belongings) caught(ctx context.Context, of ids.Tenant, f yield) error {
	in := scope.Tenant(of)
	return p.inbox.EachOf(ctx, in, func(i inbox.Item) error {
		return f(pledge.Record{
			Category: "caught mail", ID: i.ID.String(), At: i.At,
			Fields: facts("from", i.From, "to", strings.Join(i.To, ", "), "subject", i.Subject, "size", strconv.FormatInt(i.Size, 10)),
			Content: bytesOf(func(ctx context.Context) (io.ReaderAt, int64, io.Closer, error) {
				_, c, err := p.inbox.Open(ctx, in, i.ID)
				if err != nil {
					return nil, 0, nil, err
				}
				return c, c.Size, c, nil
			}),
		})
	})
}

// bytesOf reads a message piece by piece. One that is settled meanwhile is empty.
func bytesOf(open func(context.Context) (io.ReaderAt, int64, io.Closer, error)) func(context.Context, func([]byte) error) error {
	return func(ctx context.Context, f func([]byte) error) error {
		r, size, done, err := open(ctx)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
			return nil
		}
		if err != nil {
			return err
		}
		defer done.Close()
		piece := make([]byte, 64<<10)
		for at := int64(0); at < size; {
			n, err := r.ReadAt(piece[:min(int64(len(piece)), size-at)], at)
			if n == 0 && err != nil {
				return fault.Wrap(err, "read message bytes")
			}
			if err := f(piece[:n]); err != nil {
				return err
			}
			at += int64(n)
		}
		return nil
	}
}

func (p belongings) suppressions(ctx context.Context, of ids.Tenant, f yield) error {
	for before := ids.Suppression(0); ; {
		page, err := p.suppress.List(ctx, scope.Tenant(of), address.Address{}, before, 200)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, s := range page {
			before = s.ID
			if s.Tenant != of {
				continue // every customer's
			}
			if err := f(pledge.Record{Category: "suppressions", ID: s.ID.String(), At: s.Created, Fields: facts("address", s.Address.Text(), "reason", string(s.Reason), "source", string(s.Source), "note", s.Note, "until", moment(s.Until))}); err != nil {
				return err
			}
		}
	}
}

// suppressed deletes in steps: a list may be long.
func (p belongings) suppressed(ctx context.Context, of ids.Tenant) (int, error) {
	const step = 500
	set, total := p.db.Set("flow/suppress"), 0
	for {
		var n int64
		err := p.db.Change(ctx, "drop a customer's suppressions", func(tx *db.Tx) (err error) {
			n, err = tx.Do(ctx, set, "drop_tenant", of, step)
			return err
		})
		if total += int(n); err != nil || n < step {
			return total, err
		}
	}
}

func (p belongings) requests(ctx context.Context, of ids.Tenant, f yield) error {
	return p.cases.EachOf(ctx, of, func(c request.Case) error {
		at := c.Ended
		if at.IsZero() {
			at = p.Clock.Now()
		}
		fields := facts("kind", string(c.Kind), "law", c.Law.Name, "source", string(c.Source), "state", string(c.State), "address", c.Address.Text(), "words", c.Note, "received", moment(c.Received), "ended", moment(c.Ended))
		for _, s := range c.Shares {
			for name, value := range facts("share", string(s.State), "due", moment(s.Due), "extended", moment(s.Extended), "decided", moment(s.Decided), "role", s.Role, "reason", s.Reason, "field", s.Field, "value", s.Value) {
				fields[name] = value
			}
		}
		return f(pledge.Record{Category: "requests of persons", ID: c.ID.String(), At: at, Fields: fields})
	})
}

// notices say which of the customer's endpoints were told of a person's erasure.
func (p belongings) notices(ctx context.Context, of ids.Tenant, f yield) error {
	return eachPage(func(n onward.Notice) int64 { return int64(n.ID) }, func(before int64, limit int) ([]onward.Notice, error) {
		return p.onward.List(ctx, scope.Tenant(of), ids.Onward(before), limit, false)
	}, func(n onward.Notice) error {
		return f(pledge.Record{Category: "notices to recipients", ID: n.ID.String(), At: n.Created, Fields: facts("kind", string(n.Kind), "host", n.Host, "state", string(n.State), "due", moment(n.Due), "ended", moment(n.Ended))})
	})
}

func (p belongings) routes(ctx context.Context, of ids.Tenant, f yield) error {
	for before := ids.Route(1<<63 - 1); ; {
		page, err := p.inbound.List(ctx, scope.Tenant(of), before, 200)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, r := range page {
			before = r.ID
			if err := f(pledge.Record{Category: "routes", ID: r.ID.String(), At: r.Created, Fields: facts("recipient", r.Pattern, "url", r.URL)}); err != nil {
				return err
			}
		}
	}
}

func (p belongings) domains(ctx context.Context, of ids.Tenant, f yield) error {
	for before := ids.Domain(1<<63 - 1); ; {
		page, err := p.relay.List(ctx, scope.Tenant(of), before, 200)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, d := range page {
			before = d.ID
			if err := f(pledge.Record{Category: "sending domains", ID: d.ID.String(), At: d.Created, Fields: facts("name", d.Name, "state", string(d.State), "token", d.Token, "checked", moment(d.Checked))}); err != nil {
				return err
			}
		}
	}
}

// looks are the records of who read the customer's data.
func (p belongings) looks(ctx context.Context, of ids.Tenant, f yield) error {
	_, err := p.House.reads.Each(ctx, scope.Tenant(of), time.Time{}, p.ever(), func(r reads.Read) error {
		by := string(r.Role)
		if r.User != 0 {
			by += " " + r.User.String()
		}
		return f(pledge.Record{Category: reads.Category, ID: strconv.FormatInt(r.At.UnixMicro(), 10), At: r.At, Fields: facts("by", by, "door", string(r.Door), "operation", r.Operation, "category", r.Category, "records", strconv.Itoa(r.Count))})
	})
	return err
}

func (p belongings) looked(ctx context.Context, of ids.Tenant) (int, error) {
	if err := p.House.reads.Flush(ctx); err != nil && !fault.Is(err, fault.Gone) { // what this process has not written yet
		return 0, err
	}
	return p.House.reads.Purge(ctx, scope.Tenant(of), p.ever())
}

func (p belongings) objections(ctx context.Context, of ids.Tenant, f yield) error {
	const most = 10_000
	list, err := p.supply.Objections(ctx, scope.Tenant(of), 0, most)
	for _, o := range list {
		if err == nil {
			err = f(pledge.Record{Category: "objections to sub-processors", ID: o.ID.String(), At: o.Made, Fields: facts("sub_processor", o.Of.String(), "version", strconv.Itoa(o.Number), "reason", o.Reason, "answered", moment(o.Answered), "answer", o.Answer)})
		}
	}
	return err
}

// processors drops the customer's own, and forgets them.
func (p belongings) processors(ctx context.Context, of ids.Tenant) (int, error) {
	n, err := p.by("product/trust/supply", "drop_versions")(ctx, of)
	if err != nil {
		return n, err
	}
	return n, p.supply.Drop(ctx, of)
}

func (p belongings) policies(ctx context.Context, of ids.Tenant, f yield) error {
	for before := 0; ; {
		page, err := p.House.policies.Versions(ctx, of, before, 50)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, v := range page {
			before = v.Number
			if err := f(pledge.Record{Category: "policies", ID: strconv.Itoa(v.Number), At: v.Published, Fields: facts("number", strconv.Itoa(v.Number), "effective", moment(v.Effective), "withdrawn", moment(v.Withdrawn), "note", v.Note, "text", v.Text)}); err != nil {
				return err
			}
		}
		if before <= 1 {
			return nil
		}
	}
}

func (p belongings) policy(ctx context.Context, of ids.Tenant) (int, error) {
	list, err := p.House.policies.Versions(ctx, of, 0, 1)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return list[0].Number, p.House.policies.Drop(ctx, of)
}

// by runs a package's query that deletes what a customer has.
func (p belongings) by(pkg, query string) func(context.Context, ids.Tenant) (int, error) {
	set := p.db.Set(pkg)
	return func(ctx context.Context, of ids.Tenant) (int, error) {
		var n int64
		err := p.db.Change(ctx, "drop what a customer had: "+pkg, func(tx *db.Tx) (err error) {
			n, err = tx.Do(ctx, set, query, of)
			return err
		})
		return int(n), err
	}
}

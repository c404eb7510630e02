package relay

import (
	"context"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
)

// Record is one record that a customer is asked to publish, and what is there.
type Record struct {
	Type    string // TXT or CNAME
	Name    string
	Value   string
	Purpose Purpose
	Found   []string // what stands there now; empty before the first look
	OK      bool
	Needed  bool // without it the domain is not the customer's
}

// Purpose says what a record is for.
type Purpose string

// The closed list of purposes.
const (
	Ownership  Purpose = "ownership"
	DKIM       Purpose = "dkim"
	SPF        Purpose = "spf"
	DMARC      Purpose = "dmarc"
	ReturnPath Purpose = "return_path"
)

const tokenPrefix = "mailvow-verify="

// Records lists what a domain of the scope should publish, without looking.
func (s *Store) Records(ctx context.Context, d Domain) ([]Record, error) {
	keys, err := s.keysOf(ctx, d)
	if err != nil {
		return nil, err
	}
	list := []Record{{Type: "TXT", Name: "_mailvow." + d.Name, Value: tokenPrefix + d.Token, Purpose: Ownership, Needed: true}}
	for _, k := range keys {
		list = append(list, Record{Type: "TXT", Name: k.selector + "._domainkey." + d.Name, Value: k.record, Purpose: DKIM})
	}
	if s.SPF != "" {
		list = append(list, Record{Type: "TXT", Name: d.Name, Value: "v=spf1 " + s.SPF + " ~all", Purpose: SPF})
	}
	list = append(list, Record{Type: "TXT", Name: "_dmarc." + d.Name, Value: "v=DMARC1; p=none", Purpose: DMARC})
	if s.ReturnPath != "" {
		list = append(list, Record{Type: "CNAME", Name: "bounces." + d.Name, Value: s.ReturnPath, Purpose: ReturnPath})
	}
	return list, nil
}

// Look asks the DNS for every record. A resolver that does not answer leaves a
// record's Found nil and is no error of the whole; answered says whether every
// needed record had an answer.
func (s *Store) Look(ctx context.Context, d Domain) (list []Record, answered bool, err error) {
	if list, err = s.Records(ctx, d); err != nil {
		return nil, false, err
	}
	answered = true
	for i := range list {
		found, err := s.ask(ctx, list[i])
		if err != nil {
			answered = answered && !list[i].Needed
			continue
		}
		list[i].Found, list[i].OK = found, s.fits(list[i], found)
	}
	return list, answered, nil
}

func (s *Store) ask(ctx context.Context, r Record) ([]string, error) {
	look := s.Resolver.TXT
	if r.Type == "CNAME" {
		look = s.Resolver.CNAME
	}
	result, err := look(ctx, r.Name)
	if fault.Is(err, fault.NotFound) {
		return []string{}, nil
	}
	if err != nil {
		return nil, err
	}
	found := []string{}
	for _, text := range result.Records {
		if relevant(r, text) {
			found = append(found, text)
		}
	}
	return found, nil
}

// relevant leaves out the other TXT records that stand at a domain's top.
func relevant(r Record, text string) bool {
	return r.Purpose != SPF || strings.HasPrefix(strings.ToLower(text), "v=spf1")
}

func (s *Store) fits(r Record, found []string) bool {
	switch r.Purpose {
	case Ownership:
		return slices.Contains(found, r.Value)
	case DKIM:
		return slices.ContainsFunc(found, func(f string) bool { return tag(f, "p") == tag(r.Value, "p") })
	case SPF: // RFC 7208 4.5: more than one record is an error
		return len(found) == 1 && slices.Contains(strings.Fields(strings.ToLower(found[0])), strings.ToLower(s.SPF))
	case DMARC:
		return len(found) == 1 && strings.HasPrefix(strings.ToLower(strings.ReplaceAll(found[0], " ", "")), "v=dmarc1;")
	case ReturnPath:
		return slices.ContainsFunc(found, func(f string) bool { return strings.EqualFold(strings.TrimSuffix(f, "."), r.Value) })
	}
	return false
}

// tag reads one value of a tag list (RFC 6376 3.2), white space dropped.
func tag(list, name string) string {
	for part := range strings.SplitSeq(list, ";") {
		if key, value, ok := strings.Cut(part, "="); ok && strings.TrimSpace(key) == name {
			return strings.Join(strings.Fields(value), "")
		}
	}
	return ""
}

const (
	// patience is how many checks in a row must miss the token before a domain
	// that was verified is not any more: a customer may be changing name servers.
	patience = 3
	// again is how often a domain is checked.
	again = 6 * time.Hour
)

// Check looks a domain of the scope up in the DNS now and moves its state. A
// token that stands where another customer's stood takes the domain over, once
// that one's is gone: Conflict while both are there.
func (s *Store) Check(ctx context.Context, in scope.Scope, id ids.Domain) (Domain, []Record, error) {
	d, err := s.Get(ctx, in, id)
	if err != nil {
		return Domain{}, nil, err
	}
	records, answered, err := s.Look(ctx, d)
	if err != nil {
		return Domain{}, nil, err
	}
	if !answered {
		return d, records, s.note(ctx, &d, d.State, d.Misses)
	}
	if !records[0].OK {
		return d, records, s.missed(ctx, &d)
	}
	if d.State != Verified {
		if err := s.supersede(ctx, d); err != nil {
			return Domain{}, nil, err
		}
	}
	err = s.note(ctx, &d, Verified, 0)
	if fault.Is(err, fault.Conflict) {
		err = taken()
	}
	return d, records, err
}

func taken() error {
	return fault.New(fault.Conflict, "Another customer of this server has shown that the domain is theirs. If it is yours now, remove their _mailvow record first.")
}

func (s *Store) missed(ctx context.Context, d *Domain) error {
	if d.Vouched {
		return s.note(ctx, d, d.State, 0)
	}
	state, misses := d.State, d.Misses+1
	if state == Verified && misses >= patience {
		state = Failed
	}
	return s.note(ctx, d, state, misses)
}

// supersede looks whether the present owner's token is still there.
func (s *Store) supersede(ctx context.Context, d Domain) error {
	list, err := s.read(ctx, "owner", d.Name)
	if err != nil || len(list) == 0 || list[0].Tenant == d.Tenant {
		return fault.Wrap(err, "find a domain's owner")
	}
	former := list[0]
	records, answered, err := s.Look(ctx, former)
	if err != nil {
		return err
	}
	if !answered || records[0].OK || former.Vouched {
		return taken()
	}
	return s.note(ctx, &former, Failed, patience)
}

func (s *Store) note(ctx context.Context, d *Domain, state State, misses int) error {
	err := s.DB.Change(ctx, "note a domain's check", func(tx *db.Tx) error {
		d.Checked = tx.Now()
		vouched := 0
		if d.Vouched {
			vouched = 1
		}
		_, err := tx.Do(ctx, s.set, "checked", d.ID, d.Tenant, state, misses, vouched, tx.Now())
		return err
	})
	if err != nil {
		return fault.Wrap(err, "note a domain's check")
	}
	d.State, d.Misses = state, misses
	s.owners.forget(d.Name)
	return nil
}

// CheckDue checks the domains that were not looked at for a while, at most
// limit, and returns how many it checked. One that cannot be checked does not
// stop the others.
func (s *Store) CheckDue(ctx context.Context, limit int) (int, error) {
	due, err := s.read(ctx, "due", s.Clock.Now().Add(-again), limit)
	if err != nil {
		return 0, fault.Wrap(err, "list domains to check")
	}
	done := 0
	for _, d := range due {
		_, _, err := s.Check(ctx, scope.Everyone, d.ID)
		switch {
		case err == nil:
			done++
		case fault.Is(err, fault.Conflict):
			if err := s.note(ctx, &d, d.State, d.Misses); err != nil {
				return done, err
			}
		case !fault.Is(err, fault.NotFound):
			return done, err
		}
	}
	return done, nil
}

// Vouch makes a domain of the scope the customer's on the operator's word, without
// asking the DNS: for mailvow dev, whose domains do not exist.
func (s *Store) Vouch(ctx context.Context, id ids.Domain) (Domain, error) {
	d, err := s.Get(ctx, scope.Everyone, id)
	if err != nil {
		return Domain{}, err
	}
	d.Vouched = true
	err = s.note(ctx, &d, Verified, 0)
	if fault.Is(err, fault.Conflict) {
		err = taken()
	}
	return d, err
}

package incident

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/reads"
)

// Selector says whose reads are looked for: those by a token, by a user, from a
// network address or at a node, in a time. One of the four is given.
type Selector struct {
	Token ids.Token    `json:"token,omitzero"`
	User  ids.User     `json:"user,omitzero"`
	From  netip.Prefix `json:"ip,omitzero"`
	Node  *int         `json:"node,omitempty"`
	Since time.Time    `json:"from,omitzero"`
	Until time.Time    `json:"to,omitzero"`
}

// Given reports whether the selector names anything.
func (s Selector) Given() bool {
	return s.Token != 0 || s.User != 0 || s.From.IsValid() || s.Node != nil
}

func (s *Selector) check(now time.Time) error {
	n := 0
	for _, given := range []bool{s.Token != 0, s.User != 0, s.From.IsValid(), s.Node != nil} {
		if given {
			n++
		}
	}
	if n != 1 {
		return fault.Field("selector", "Say whose reads: by one token, one user, one network address or network, or at one node.")
	}
	if s.Until.IsZero() {
		s.Until = now
	}
	if s.Since.IsZero() || !s.Since.Before(s.Until) {
		return fault.Field("from", "Say from when to when: the start lies before the end.")
	}
	return nil
}

func (s *Selector) matches(r *reads.Read) bool {
	switch {
	case s.Token != 0:
		return r.Token == s.Token
	case s.User != 0:
		return r.User == s.User
	case s.From.IsValid():
		return r.From.IsValid() && s.From.Contains(r.From)
	}
	return s.Node != nil && r.Node == *s.Node
}

// Category is what was read of one category.
type Category struct {
	Name    string    `json:"name"`
	Reads   int       `json:"reads"`   // how often somebody asked
	Records int       `json:"records"` // how many records were shown, each counted once where it is known
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// Affected is one customer in scope.
type Affected struct {
	Tenant     ids.Tenant `json:"customer"`
	Categories []Category `json:"categories"`
	Persons    int        `json:"persons"` // that are known by address
}

// Seen are the readers that a scope met.
type Seen struct {
	Tokens []ids.Token
	Users  []ids.User
}

// Scope is the answer.
type Scope struct {
	Selector  Selector
	Reads     int
	Customers []Affected
	Persons   int
	Unknown   []string // what the records cannot tell, in sentences
	Seen      Seen
}

// Records is how many records were shown.
func (s *Scope) Records() int {
	n := 0
	for _, a := range s.Customers {
		for _, c := range a.Categories {
			n += c.Records
		}
	}
	return n
}

// Person is one whom records name that were read.
type Person struct {
	Customer   ids.Tenant `json:"customer"`
	Address    string     `json:"address"`
	Categories []string   `json:"categories"`
}

// maxPersons bounds what one answer holds in memory.
const maxPersons = 2_000_000

// Scope says what was read by whom a selector names. With yield it gives each
// person too, once per customer: the list of those who may have to be told.
func (d *Desk) Scope(ctx context.Context, s Selector, yield func(Person) error) (Scope, error) {
	if err := s.check(d.Clock.Now()); err != nil {
		return Scope{}, err
	}
	q := &quest{desk: d, out: Scope{Selector: s, Customers: []Affected{}, Unknown: []string{}}, of: map[ids.Tenant]*customer{}}
	lost, err := d.Reads.Each(ctx, scope.Everyone, s.Since, s.Until, func(r reads.Read) error {
		if s.matches(&r) {
			q.take(&r)
		}
		return nil
	})
	if err != nil {
		return q.out, err
	}
	if err := q.resolve(ctx, yield); err != nil {
		return q.out, err
	}
	return q.out, q.limits(ctx, lost)
}

// quest is one answer in the making.
type quest struct {
	desk    *Desk
	out     Scope
	of      map[ids.Tenant]*customer
	many    int // reads that showed more records than they list
	persons int
	gone    int
}

type customer struct {
	categories map[string]*seen
	persons    map[string]map[string]bool // address → categories
	hashes     map[[16]byte]bool          // of persons who were asked for
}

type seen struct {
	Category
	records map[int64]bool              // whose persons are all shown
	single  map[[16]byte]map[int64]bool // records of one person who was asked for
	unknown int                         // records without an identifier
}

func (q *quest) take(r *reads.Read) {
	q.out.Reads++
	if r.Token != 0 && !slices.Contains(q.out.Seen.Tokens, r.Token) {
		q.out.Seen.Tokens = append(q.out.Seen.Tokens, r.Token)
	}
	if r.User != 0 && !slices.Contains(q.out.Seen.Users, r.User) {
		q.out.Seen.Users = append(q.out.Seen.Users, r.User)
	}
	if r.Category == reads.Unsaid {
		q.note("An operation that may read everything (" + r.Operation + ") names no records: take all that its customer has for read.")
	} else if r.Count == 0 {
		return // somebody asked, and nothing was there
	}
	c := q.of[r.Of]
	if c == nil {
		c = &customer{categories: map[string]*seen{}, persons: map[string]map[string]bool{}, hashes: map[[16]byte]bool{}}
		q.of[r.Of] = c
	}
	k := c.categories[r.Category]
	if k == nil {
		k = &seen{Category: Category{Name: r.Category, First: r.At}, records: map[int64]bool{}, single: map[[16]byte]map[int64]bool{}}
		c.categories[r.Category] = k
	}
	k.Reads, k.Last = k.Reads+1, r.At
	if r.At.Before(k.First) {
		k.First = r.At
	}
	into := k.records
	if r.Person != [16]byte{} {
		c.hashes[r.Person] = true
		if k.single[r.Person] == nil {
			k.single[r.Person] = map[int64]bool{}
		}
		into = k.single[r.Person]
	}
	for _, id := range r.IDs {
		into[id] = true
	}
	if len(r.IDs) == 0 {
		k.unknown += r.Count
		if r.Low != 0 {
			q.many++
		}
	}
}

// resolve finds whom the records name, customer by customer.
func (q *quest) resolve(ctx context.Context, yield func(Person) error) error {
	everybody := map[string]bool{}
	for _, t := range slices.Sorted(maps.Keys(q.of)) {
		c := q.of[t]
		a := Affected{Tenant: t, Categories: []Category{}}
		for _, name := range slices.Sorted(maps.Keys(c.categories)) {
			k := c.categories[name]
			if err := q.whom(ctx, t, c, k); err != nil {
				return err
			}
			all := maps.Clone(k.records)
			for _, part := range k.single {
				maps.Copy(all, part)
			}
			k.Records = len(all) + k.unknown
			a.Categories = append(a.Categories, k.Category)
		}
		a.Persons = len(c.persons) + len(c.hashes)
		for _, who := range slices.Sorted(maps.Keys(c.persons)) {
			everybody[who] = true
			if yield == nil {
				continue
			}
			if err := yield(Person{t, who, slices.Sorted(maps.Keys(c.persons[who]))}); err != nil {
				return err
			}
		}
		q.out.Persons += len(c.hashes) // asked for, and not to be found any more
		q.out.Customers = append(q.out.Customers, a)
		if t != 0 {
			continue
		}
		q.out.Customers = q.out.Customers[:len(q.out.Customers)-1]
		q.note("Some reads searched everybody's data without a customer: they stand in no customer's numbers.")
	}
	q.out.Persons += len(everybody)
	return nil
}

func (q *quest) note(text string) {
	if !slices.Contains(q.out.Unknown, text) {
		q.out.Unknown = append(q.out.Unknown, text)
	}
}

// whom finds the persons of one category: all whom its records name, and of
// records that one person was asked for, that person.
func (q *quest) whom(ctx context.Context, t ids.Tenant, c *customer, k *seen) error {
	find := func(records map[int64]bool, wanted func(address.Address) (bool, error)) error {
		if len(records) == 0 {
			return nil
		}
		gone, known, err := q.desk.Persons(ctx, t, k.Name, slices.Sorted(maps.Keys(records)), func(_ int64, who address.Address) error {
			ok, err := wanted(who)
			if err != nil || !ok {
				return err
			}
			text := who.Canonical()
			if c.persons[text] == nil {
				if q.persons++; q.persons > maxPersons {
					return fault.New(fault.Exhausted, "The scope holds more than two million persons: narrow its time.")
				}
				c.persons[text] = map[string]bool{}
			}
			c.persons[text][k.Name] = true
			return nil
		})
		q.gone += gone
		if !known {
			q.note(fmt.Sprintf("Whom the records of %q name is not looked up: see them by hand.", k.Name))
		}
		return err
	}
	if err := find(k.records, func(address.Address) (bool, error) { return true, nil }); err != nil {
		return err
	}
	for person, records := range k.single {
		err := find(records, func(who address.Address) (bool, error) {
			h, err := q.desk.Reads.Hash(t, who)
			if err == nil && h == person {
				delete(c.hashes, person)
			}
			return h == person, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// limits says what the records cannot tell.
func (q *quest) limits(ctx context.Context, lost int) error {
	s := q.out.Selector
	began, gaps, err := q.desk.Reads.Gaps(ctx, s.Since, s.Until)
	if err != nil {
		return err
	}
	if kept := q.desk.Kept(); kept.After(began) {
		began = kept
	}
	if s.Since.Before(began) {
		q.note("There are no records of reads from before " + began.UTC().Format(time.RFC3339) + ": what was read earlier is not known.")
	}
	for _, g := range gaps {
		until := "nobody has started there since"
		if !g.Until.IsZero() {
			until = "it started again at " + g.Until.UTC().Format(time.RFC3339)
		}
		q.note(fmt.Sprintf("Node %d died after %s (%s): records of its last moments may be lost.", g.Node, g.From.UTC().Format(time.RFC3339), until))
	}
	for _, x := range []struct {
		n    int
		text string
	}{
		{lost, "batches of records cannot be opened: their customers' keys are gone."},
		{q.many, "reads showed more records than they list: these are counted, and whom they name is not looked up."},
		{q.gone, "records that were read are gone by now: whom they named is not known any more."},
	} {
		if x.n > 0 {
			q.note(fmt.Sprintf("%d %s", x.n, x.text))
		}
	}
	switch {
	case s.Node != nil:
		q.note("Whoever controls a node's machine can read what it can open without leaving a record: take everything that the node could reach for seen.")
	case s.From.IsValid():
		q.note("A network address is that of the connection: behind a proxy, or shared, it is that of others too.")
	}
	q.note("What was taken past the doors (files, the database, the key store, backups) leaves no record of a read.")
	return nil
}

// ParseNetwork reads an IP address or a network.
func ParseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fault.Field("ip", "Give an IP address, or a network such as 192.0.2.0/24.")
	}
	return p.Masked(), nil
}

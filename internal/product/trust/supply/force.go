package supply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/policy"
)

// register is every version, by number.
type register map[ids.SubProcessor][]Version

// force answers from memory, because every connection asks.
type force struct {
	mark [4]int64 // of the tables, when they were read
	live atomic.Pointer[register]
}

// refreshEvery is how long another node's change may go unseen.
const refreshEvery = 2 * time.Second

// Run sees what other nodes change, until its context ends.
func (s *Store) Run(ctx context.Context) error {
	for clock.Sleep(ctx, s.Clock, refreshEvery) == nil {
		var mark [4]int64
		err := s.set.One(ctx, "mark", nil, &mark[0], &mark[1], &mark[2], &mark[3])
		if err == nil && mark != s.force.mark {
			err = s.refresh(ctx)
			s.force.mark = mark
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("read the register of sub-processors; what was known stays so", "error", err)
		}
	}
	return nil
}

func (s *Store) refresh(ctx context.Context) error {
	next := register{}
	err := s.set.Each(ctx, "all", nil, func(scan func(...any) error) error {
		var v Version
		var withdrawn, removed int64
		var text string
		if err := scan(&v.ID, &v.Number, &v.Tenant, &v.Announced, &v.Effective, &withdrawn, &removed, &v.Author, &v.Note, &text, &v.Open); err != nil {
			return err
		}
		v.Removed = removed != 0
		if withdrawn > 0 {
			v.Withdrawn = clock.FromMicros(withdrawn)
		}
		if err := json.Unmarshal([]byte(text), &v.Entry); err != nil {
			return fault.Because(fault.Internal, err, "")
		}
		next[v.ID] = append(next[v.ID], v)
		return nil
	})
	if err == nil {
		s.force.live.Store(&next)
	}
	return err
}

func (s *Store) versions(id ids.SubProcessor) []Version { return (*s.force.live.Load())[id] }

// inForce is the version that holds at a time; nil where there is none or it was
// removed.
func (s *Store) inForce(id ids.SubProcessor, at time.Time) *Version {
	return inForce(s.versions(id), at)
}

func inForce(all []Version, at time.Time) *Version {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].holds(at) {
			if all[i].Removed {
				return nil
			}
			return &all[i]
		}
	}
	return nil
}

// coming is the version that was announced and does not hold yet, or nil.
func coming(all []Version, at time.Time) *Version {
	if n := len(all); n > 0 && all[n-1].Withdrawn.IsZero() && !all[n-1].holds(at) {
		return &all[n-1]
	}
	return nil
}

// named finds the entry that has, or last had, a name.
func (s *Store) named(name string) ids.SubProcessor {
	for id, all := range *s.force.live.Load() {
		for i := range all {
			if all[i].Tenant == 0 && all[i].Withdrawn.IsZero() && strings.EqualFold(all[i].Entry.Name, name) {
				return id
			}
		}
	}
	return 0
}

// Processor is one sub-processor as the register has it at a moment.
type Processor struct {
	ID      ids.SubProcessor
	Tenant  ids.Tenant
	Current *Version // in force; nil: not yet, or not any more
	Coming  *Version // announced; nil: nothing
	Abroad  bool     // it gets data outside home
	Lacks   string   // why its endpoints are refused though it is in force; "": they are not
	Ends    time.Time
}

// Name is what it is called, or will be.
func (p *Processor) Name() string {
	if p.Current != nil {
		return p.Current.Entry.Name
	}
	if p.Coming != nil {
		return p.Coming.Entry.Name
	}
	return ""
}

// List gives the sub-processors of a scope that get data or are announced, by
// name: a customer's are everybody's and its own.
func (s *Store) List(in scope.Scope) []Processor {
	now := s.Clock.Now()
	var list []Processor
	for id, all := range *s.force.live.Load() {
		if t := all[0].Tenant; t != 0 && !in.Allows(t) {
			continue
		}
		p := s.processor(id, all, now)
		if p.Current != nil || p.Coming != nil {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b Processor) int {
		if c := strings.Compare(strings.ToLower(a.Name()), strings.ToLower(b.Name())); c != 0 {
			return c
		}
		return int(a.ID - b.ID)
	})
	return list
}

func (s *Store) processor(id ids.SubProcessor, all []Version, now time.Time) Processor {
	p := Processor{ID: id, Tenant: all[0].Tenant, Current: inForce(all, now), Coming: coming(all, now)}
	if p.Current != nil {
		e := &p.Current.Entry
		p.Abroad, p.Lacks, p.Ends = e.Abroad(s.Home), s.lacks(e, p.Tenant, now), e.Ends(s.Home)
	} else if p.Coming != nil {
		p.Abroad, p.Ends = p.Coming.Entry.Abroad(s.Home), p.Coming.Entry.Ends(s.Home)
	}
	return p
}

// Known gives every version of every entry for all customers, in no order.
func (s *Store) Known() []Version {
	var list []Version
	for _, all := range *s.force.live.Load() {
		if all[0].Tenant == 0 {
			list = append(list, all...)
		}
	}
	return list
}

// Public is the list that everybody may see: who gets data of all customers, and
// what was announced. It holds no customer's own and no endpoint.
func (s *Store) Public() []Processor {
	list := s.List(scope.Scope{})
	for i := range list {
		for _, v := range []**Version{&list[i].Current, &list[i].Coming} {
			if *v != nil {
				c := **v
				c.Entry.Endpoints, c.Author = nil, 0
				*v = &c
			}
		}
	}
	return list
}

// Get gives one with all its versions, newest first; NotFound outside the scope.
func (s *Store) Get(in scope.Scope, id ids.SubProcessor) (Processor, []Version, error) {
	all := s.versions(id)
	if len(all) == 0 || all[0].Tenant != 0 && !in.Allows(all[0].Tenant) {
		return Processor{}, nil, fault.New(fault.NotFound, "There is no such sub-processor.")
	}
	versions := slices.Clone(all)
	slices.Reverse(versions)
	return s.processor(id, all, s.Clock.Now()), versions, nil
}

// lacks adds to what an entry lacks what the policy in force says.
func (s *Store) lacks(e *Entry, of ids.Tenant, now time.Time) string {
	said := s.Policies.Platform(now).Document
	switch probes := s.Probing != nil && s.Probing(of); {
	case probes:
	case e.Kind != Own && leavesOut(said.SubProcessors, e.Name):
		return "the privacy policy in force names the sub-processors that may be given data, and " + e.Name + " is not among them"
	case !s.Home.within(said.Places, e):
		return "the privacy policy in force names the places where data may be (" + strings.Join(said.Places, ", ") + "), and " + e.Name + "'s (" + e.place() + ") is not among them"
	}
	return e.Lacks(now, s.Home)
}

// Fits refuses a policy that leaves out a sub-processor who gets data now, or a place
// where data is: it would say what the server does not do. What is new and left out
// is objected to.
func (s *Store) Fits(of ids.Tenant, d *policy.Document) error {
	var out, away []string
	for _, p := range s.List(scope.Tenant(of)) {
		if p.Current == nil {
			continue
		}
		e := &p.Current.Entry
		if d.SubProcessors.Given() && e.Kind != Own && !d.SubProcessors.Has(e.Name) {
			out = append(out, e.Name)
		}
		if !s.Home.within(d.Places, e) {
			away = append(away, e.Name+" ("+e.place()+")")
		}
	}
	switch {
	case len(out) > 0:
		return fault.Field("sub_processors", "These get data now and are left out: "+strings.Join(out, ", ")+". They come out of the register first.")
	case !s.Home.stands(d.Places):
		return fault.Field("places", "This server and its data stand in "+s.Home.Region+", which is left out.")
	case len(away) > 0:
		return fault.Field("places", "These have data now, in places that are left out: "+strings.Join(away, ", ")+". They come out of the register first.")
	}
	return nil
}

// Covers gives the name of the entry by which an endpoint (host:port) may be spoken
// to for a purpose now. A Denied fault says what to add. of is the one customer
// whose data goes there, zero for everybody's; region is the other one in which the
// configuration puts it, or "".
func (s *Store) Covers(purpose, endpoint, region string, of ids.Tenant) (string, error) {
	now := s.Clock.Now()
	why := ""
	for id, all := range *s.force.live.Load() {
		if t := all[0].Tenant; t != 0 && t != of {
			continue
		}
		p := s.processor(id, all, now)
		switch {
		case p.Current != nil && p.Current.Entry.covers(endpoint):
			said := refusal(&p.Current.Entry, purpose, region, p.Lacks)
			if said == "" {
				return p.Current.Entry.Name, nil
			}
			why = said
		case why == "" && p.Coming != nil && !p.Coming.Removed && p.Coming.Entry.covers(endpoint):
			why = waits(p.Coming, now)
		}
	}
	return "", denied(purpose, endpoint, region, why)
}

// refusal says why an entry in force that covers an endpoint is not enough, or "".
func refusal(e *Entry, purpose, region, lacks string) string {
	if lacks != "" {
		return lacks + ". Put the new one on record: mailvow subprocessor change"
	}
	if !slices.Contains(e.Purposes, purpose) {
		return fmt.Sprintf("%s is not used for %q by the register. Add the purpose: mailvow subprocessor change", e.Name, purpose)
	}
	if region != "" && e.Region != region {
		return fmt.Sprintf("by the configuration it stands in another region, %s, and %s's entry says that its data is in %s. Say the region: mailvow subprocessor change", region, e.Name, e.place())
	}
	return ""
}

func waits(v *Version, now time.Time) string {
	if v.Effective.After(now) {
		return v.Entry.Name + " is announced and takes effect on " + v.Effective.UTC().Format(time.RFC3339) + ", after the notice period"
	}
	return v.Entry.Name + " is announced, and an objection of a customer waits for an answer: mailvow subprocessor objections"
}

func denied(purpose, endpoint, region, why string) error {
	outside, with := "outside this server", ""
	if region != "" {
		outside, with = "in another region, "+region+",", fmt.Sprintf(", the region %q", region)
	}
	if why == "" {
		why = fmt.Sprintf("no sub-processor in force covers it. Add one with this endpoint%s and the purpose %q: mailvow subprocessor add, or sub_processors in mailvow.yaml", with, purpose)
		if region != "" {
			why += "; if " + region + " is another name of this server's own region, list it under region_names"
		}
	}
	return fault.New(fault.Denied, endpoint+" ("+purpose+") is "+outside+" and is not spoken to: "+why+".")
}

// Listed is the register before it is open: the entries of the configuration. What
// the database itself needs is judged by it.
type Listed struct {
	Entries []Entry
	Home    Home
	Clock   clock.Clock
}

// Covers is Store.Covers.
func (l Listed) Covers(purpose, endpoint, region string, _ ids.Tenant) (string, error) {
	why := ""
	for i := range l.Entries {
		if e := &l.Entries[i]; e.covers(endpoint) {
			if why = refusal(e, purpose, region, e.Lacks(l.Clock.Now(), l.Home)); why == "" {
				return e.Name, nil
			}
			why = strings.ReplaceAll(why, "mailvow subprocessor change", "sub_processors in mailvow.yaml")
		}
	}
	return "", denied(purpose, endpoint, region, why)
}

// Package inventory joins what every package declares to store into the one list
// that retention, subjects' requests and the record of processing (GDPR Art. 30)
// work from. It promises that a list which joins is consistent: every place has a
// category, nothing is declared twice, everything about a person says on what
// basis, for how long and how it is erased; and it names whatever is stored and
// was not declared. Which packages there are is given by app; what a period means
// in deeds is left to protect/retain.
package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
)

// Entry is one category with the package that declares it and the places, of any
// package, that hold it.
type Entry struct {
	pledge.Category
	Package string
	Places  []pledge.Place
	Default time.Duration // the declared ceiling, where the operator set another; else zero
}

// Inventory is the joined list. It never changes.
type Inventory struct {
	entries []*Entry
	byName  map[string]*Entry
	places  map[place]string // its package
}

// place is what makes a declared place one of its own.
type place struct {
	kind pledge.PlaceKind
	name string
}

// Join joins declarations. The error names everything that is wrong with them.
func Join(list ...pledge.Declaration) (*Inventory, error) {
	i := &Inventory{byName: map[string]*Entry{}, places: map[place]string{}}
	var wrong []error
	bad := func(d pledge.Declaration, format string, args ...any) {
		wrong = append(wrong, fmt.Errorf("%s: %s", d.Package, fmt.Sprintf(format, args...)))
	}
	for _, d := range list {
		for _, c := range d.Categories {
			if why := check(c); why != "" {
				bad(d, "category %q: %s", c.Name, why)
			}
			if other := i.byName[c.Name]; other != nil {
				bad(d, "category %q is declared by %s as well", c.Name, other.Package)
				continue
			}
			e := &Entry{Category: c, Package: d.Package}
			i.entries, i.byName[c.Name] = append(i.entries, e), e
		}
	}
	for _, d := range list {
		for _, p := range d.Places {
			key := place{p.Kind, p.Name}
			if other, twice := i.places[key]; twice {
				bad(d, "%s %s is declared by %s as well", p.Kind, p.Name, other)
				continue
			}
			i.places[key] = d.Package
			e := i.byName[p.Category]
			if e == nil {
				bad(d, "%s %s has the category %q, which nobody declares", p.Kind, p.Name, p.Category)
				continue
			}
			e.Places = append(e.Places, p)
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fault.Because(fault.Internal, err, "")
	}
	slices.SortFunc(i.entries, func(a, b *Entry) int { return cmp.Compare(a.Name, b.Name) })
	return i, nil
}

// check says what a category fails to say.
func check(c pledge.Category) string {
	personal := c.About != pledge.Nobody
	switch {
	case c.Name == "" || c.What == "" || c.Purpose == "":
		return "it needs a name, what it is and what for"
	case c.About == "":
		return "it does not say whom it is about"
	case c.Basis == "" || c.Erasing == "":
		return "it needs a legal basis and what erasing means"
	case personal == (c.Basis == pledge.NotPersonal):
		return "its legal basis does not fit whom it is about"
	case personal && !slices.Contains(pledge.Bases(), c.Basis):
		return "its legal basis is none: contract, legal duty, legitimate interest or consent"
	case personal && (c.Found == "" || c.Period.From == ""):
		return "it does not say how a person is found in it, or what its period counts from"
	case c.Period.Ceiling != 0 && c.Period.Floor > c.Period.Ceiling:
		return "the law's floor is above the ceiling"
	case c.Period.Ceiling < 0 || c.Period.Floor < 0:
		return "a period is not negative"
	}
	return served(c)
}

// served says what is wrong with the purpose that a category serves. Data of
// correspondents is processed on the customer's instruction or by a law that is
// named, and for nothing else (GDPR Art. 28(3)(a)).
func served(c pledge.Category) string {
	p, known := c.For.Of()
	switch {
	case !known:
		return fmt.Sprintf("it serves %q, which is no purpose", c.For)
	case c.About == pledge.Correspondent && p.Ground == pledge.OfContract:
		return fmt.Sprintf("it is about correspondents and serves %q, which neither the customer instructs nor a law asks for", c.For)
	case c.About != pledge.Nobody && c.For == pledge.ToRun:
		return "it is about somebody and serves the running of the server, which needs nobody's data"
	case c.Basis == pledge.LegalDuty && p.Ground != pledge.ByLaw:
		return fmt.Sprintf("it rests on a legal duty and serves %q, for which no law is named", c.For)
	}
	return ""
}

// Serving is what is kept for each purpose: its categories by name.
func (i *Inventory) Serving(p pledge.Purpose) []string {
	list := []string{}
	for _, e := range i.entries {
		if e.For == p {
			list = append(list, e.Name)
		}
	}
	return list
}

// With gives the inventory with the ceilings that the operator set, and with what
// a period counts from where configuration decides that. A name that nobody
// declares, and a ceiling under a legal floor, is an Invalid fault.
func (i *Inventory) With(ceilings map[string]time.Duration, from map[string]string) (*Inventory, error) {
	out := &Inventory{byName: map[string]*Entry{}, places: i.places}
	for _, e := range i.entries {
		own := *e
		if c, set := ceilings[e.Name]; set && c > 0 {
			if c != own.Period.Ceiling {
				own.Default = own.Period.Ceiling
			}
			own.Period.Ceiling = c
		}
		if text, set := from[e.Name]; set {
			own.Period.From = text
		}
		if why := check(own.Category); why != "" {
			return nil, fault.Field("retention", fmt.Sprintf("The period of %q cannot be set so: %s.", e.Name, why))
		}
		out.entries, out.byName[e.Name] = append(out.entries, &own), &own
	}
	for _, name := range append(slices.Sorted(maps.Keys(ceilings)), slices.Sorted(maps.Keys(from))...) {
		if i.byName[name] == nil {
			return nil, fault.Field("retention", fmt.Sprintf("There is no category %q.", name))
		}
	}
	return out, nil
}

// Entries lists the categories by name, with the places that hold them.
func (i *Inventory) Entries() []Entry {
	list := make([]Entry, len(i.entries))
	for n, e := range i.entries {
		list[n] = *e
	}
	return list
}

// Category finds one by name.
func (i *Inventory) Category(name string) (pledge.Category, bool) {
	e := i.byName[name]
	if e == nil {
		return pledge.Category{}, false
	}
	return e.Category, true
}

// Undeclared are those of the real names that nobody declared.
func (i *Inventory) Undeclared(kind pledge.PlaceKind, real []string) []string {
	var list []string
	for _, name := range real {
		if _, ok := i.places[place{kind, name}]; !ok {
			list = append(list, name)
		}
	}
	return list
}

// Absent are declared places that are not among the real names: a declaration
// that outlived its column.
func (i *Inventory) Absent(kind pledge.PlaceKind, real []string) []string {
	var list []string
	for p := range i.places {
		if p.kind == kind && !slices.Contains(real, p.name) {
			list = append(list, p.name)
		}
	}
	slices.Sort(list)
	return list
}

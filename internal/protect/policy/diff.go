package policy

import "slices"

// Change is one setting that differs between two documents.
type Change struct {
	Path    string `json:"path"`
	Before  string `json:"before"` // in words; empty: it said nothing
	After   string `json:"after"`
	Loosens bool   `json:"loosens"` // people lose something by it
}

// Words says the change to a person.
func (c Change) Words() string {
	way := " (stricter)"
	if c.Loosens {
		way = " (looser)"
	}
	switch {
	case c.Before == "":
		return c.Path + ": " + c.After + ", of which nothing was said before" + way
	case c.After == "":
		return c.Path + ": nothing is said any more; before: " + c.Before + way
	}
	return c.Path + ": " + c.After + "; before: " + c.Before + way
}

// Diff lists what another document would change in this one, by path. What is
// neither stricter nor the same counts as looser.
func (d *Document) Diff(to *Document) []Change {
	var list []Change
	before, after := d.settings(), to.settings()
	for _, a := range after {
		i, found := slices.BinarySearchFunc(before, a, byName)
		switch {
		case !found:
			list = append(list, Change{Path: a.path, After: a.setting.words()})
		case before[i].setting.words() != a.setting.words():
			list = append(list, Change{a.path, before[i].setting.words(), a.setting.words(), !a.setting.within(before[i].setting)})
		}
	}
	for _, b := range before {
		if _, found := slices.BinarySearchFunc(after, b, byName); !found {
			list = append(list, Change{Path: b.path, Before: b.setting.words(), Loosens: true})
		}
	}
	slices.SortFunc(list, func(a, b Change) int { return byName(named{path: a.Path}, named{path: b.Path}) })
	return list
}

// Loosens reports whether any of the changes does.
func Loosens(list []Change) bool {
	return slices.ContainsFunc(list, func(c Change) bool { return c.Loosens })
}

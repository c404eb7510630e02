package history

import (
	"context"
	"slices"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
)

// Declared says which attributes of a customer's messages identify a person, and as
// what: by the attribute's name.
type Declared func(ctx context.Context, tenant ids.Tenant) (map[string]pledge.Sort, error)

// known is one attribute by which a person is known.
type known struct {
	name string
	is   pledge.Sort
	want string // canonical
}

// attributeKeys are the values under which an attribute is found. Whether it is a
// phone number is said later, by the customer.
func attributeKeys(name, value string) []string {
	keys := []string{key(name, pledge.FullName, value)}
	if digits := strings.Count(strings.Map(digit, value), "0"); digits >= 5 && !strings.ContainsFunc(value, noPhone) {
		keys = append(keys, key(name, pledge.Phone, value))
	}
	return keys
}

func digit(r rune) rune {
	if r >= '0' && r <= '9' {
		return '0'
	}
	return -1
}

func noPhone(r rune) bool { return digit(r) < 0 && !strings.ContainsRune(" +-/().", r) }

func key(name string, is pledge.Sort, value string) string {
	form := "text"
	if is == pledge.Phone {
		form = "phone"
	}
	return form + "\n" + name + "\n" + pledge.Identifier{Is: is, Value: value}.Canonical()
}

// knownBy are the attributes by which a customer knows the person.
func (p *Holder) knownBy(ctx context.Context, tenant ids.Tenant, s pledge.Subject) ([]known, error) {
	if len(s.Identifiers) == 0 || p.Declared == nil {
		return nil, nil
	}
	declared, err := p.Declared(ctx, tenant)
	if err != nil {
		return nil, fault.Wrap(err, "look up what identifies a person")
	}
	var list []known
	for name, is := range declared {
		for _, i := range s.Identifiers {
			if i.Is == is {
				list = append(list, known{name, is, i.Canonical()})
			}
		}
	}
	slices.SortFunc(list, func(a, b known) int { return strings.Compare(a.name+"\n"+a.want, b.name+"\n"+b.want) })
	return list, nil
}

// hashes are the keyed hashes under which a customer's index finds the person.
func (p *Holder) hashes(tenant ids.Tenant, s pledge.Subject, by []known) ([][16]byte, error) {
	var list [][16]byte
	add := func(kind, value string) error {
		h, err := p.h.vault.Hash(tenant, kind, value)
		list = append(list, h)
		return err
	}
	if !s.Address.IsNull() {
		if err := add(byAddress, s.Address.Canonical()); err != nil {
			return nil, err
		}
	}
	for _, k := range by {
		form := "text"
		if k.is == pledge.Phone {
			form = "phone"
		}
		if err := add(byAttribute, form+"\n"+k.name+"\n"+k.want); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// matches reports whether a tag is one of the attributes.
func matches(by []known, tag string) bool {
	name, value, is := IsAttribute(tag)
	return is && slices.ContainsFunc(by, func(k known) bool {
		return k.name == name && pledge.Identifier{Is: k.is, Value: value}.Canonical() == k.want
	})
}

package pledge

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"mailvow/internal/base/fault"
)

// Sort is a sort of identifier.
type Sort string

// The closed list of sorts.
const (
	FullName       Sort = "name"
	Phone          Sort = "phone"
	CustomerNumber Sort = "customer_number"
	AccountName    Sort = "account"
)

// Sorts gives the closed list.
func Sorts() []Sort { return []Sort{FullName, Phone, CustomerNumber, AccountName} }

// Identifier is a word by which a customer knows a person.
type Identifier struct {
	Is    Sort   `json:"is"`
	Value string `json:"value"`
}

// Canonical is the value as it is compared: NFC, small letters, single spaces; of a
// phone number its digits alone, with a + where it begins with one or with 00.
func (i Identifier) Canonical() string {
	text := strings.Join(strings.Fields(strings.ToLower(norm.NFC.String(i.Value))), " ")
	if i.Is != Phone {
		return text
	}
	var digits strings.Builder
	for _, r := range text {
		if r >= '0' && r <= '9' {
			digits.WriteRune(r)
		}
	}
	number := digits.String()
	switch {
	case strings.HasPrefix(text, "+"):
		return "+" + number
	case strings.HasPrefix(number, "00"):
		return "+" + number[2:]
	}
	return number
}

// The bounds of identifiers of one person.
const (
	maxIdentifiers = 8
	maxValue       = 200
)

// CheckIdentifiers reads what somebody gave; what is wrong is an Invalid fault.
func CheckIdentifiers(list []Identifier) ([]Identifier, error) {
	if len(list) > maxIdentifiers {
		return nil, fault.Field("identifiers", "Give at most 8 identifiers.")
	}
	var out []Identifier
	for _, i := range list {
		i.Value = strings.TrimSpace(i.Value)
		switch {
		case !slices.Contains(Sorts(), i.Is):
			return nil, fault.Field("identifiers", "An identifier is a name, a phone, a customer_number or an account.")
		case !utf8.ValidString(i.Value) || utf8.RuneCountInString(i.Value) > maxValue || strings.ContainsFunc(i.Value, unicode.IsControl):
			return nil, fault.Field("identifiers", "An identifier has at most 200 characters, in one line.")
		case utf8.RuneCountInString(i.Canonical()) < 3:
			return nil, fault.Field("identifiers", "An identifier has three characters at least; a pattern is not taken.")
		case strings.ContainsAny(i.Value, "*%"):
			return nil, fault.Field("identifiers", "Give the whole identifier: a request is about one person, and patterns are not taken.")
		}
		out = append(out, i)
	}
	return out, nil
}

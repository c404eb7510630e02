package pledge

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"mailvow/internal/base/fault"
)

// Recipient is somebody who gets personal data: a sub-processor, or who stands
// behind an endpoint of a customer's.
type Recipient struct {
	Name    string   // as people are told: "Example Desk GmbH"; empty: the customer itself
	Purpose string   // what it gets the data for, in words
	Own     []string // what it uses the data for on its own account, of OwnPurposes
}

// OwnPurposes is the closed list of what a recipient may use data for on its own
// account. Marketing is not in it: personal data is never sold, rented or passed on
// for others' marketing.
func OwnPurposes() []string { return []string{"billing", "security", "legal duty"} }

// selling are words of a purpose that is others' marketing, whatever stands beside
// them.
var selling = []string{"marketing", "advertis", "resale", "reselling", "data broker", "lead generation"}

// maxRecipient bounds a recipient's name and purpose in characters.
const maxRecipient = 200

// Check refuses a recipient that uses data on its own account for what is not in
// OwnPurposes, or that gets it to market something. The field named is below the
// one given: "webhook.own_purposes".
func (r Recipient) Check(field string) error {
	at := func(name string) string {
		if field == "" {
			return name
		}
		return field + "." + name
	}
	for name, text := range map[string]string{"recipient": r.Name, "purpose": r.Purpose} {
		if utf8.RuneCountInString(text) > maxRecipient || !utf8.ValidString(text) || strings.ContainsAny(text, "\r\n\t@") {
			return fault.Field(at(name), "Write at most 200 characters on one line, and no address.")
		}
	}
	if err := CheckPurpose(at("purpose"), r.Purpose); err != nil {
		return err
	}
	for i, own := range r.Own {
		if !slices.Contains(OwnPurposes(), own) || slices.Contains(r.Own[:i], own) {
			return fault.Field(at("own_purposes"), fmt.Sprintf("A recipient that uses personal data for %.60q on its own account is refused: it may do so for %s only. Data is never sold, rented or passed on for others' marketing.",
				own, strings.Join(OwnPurposes(), ", ")))
		}
	}
	return nil
}

// CheckPurpose refuses a purpose in words that is others' marketing. What a
// customer sends for itself needs no recipient with such a purpose: it is delivered.
func CheckPurpose(field, words string) error {
	low := strings.ToLower(words)
	for _, w := range selling {
		if strings.Contains(low, w) {
			return fault.Field(field, fmt.Sprintf("Nobody gets personal data for %.60q: data is never sold, rented or passed on for others' marketing, and there is no such purpose.", words))
		}
	}
	return nil
}

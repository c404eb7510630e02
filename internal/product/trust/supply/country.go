package supply

import (
	"slices"
	"strings"
)

// eea are the states of the European Economic Area: the 27 of the Union with
// Iceland, Liechtenstein and Norway.
const eea = " AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK "

// Home are the countries to which data goes without a transfer.
type Home struct{ countries []string }

// HomeOf is the home of a server that stands in a country, as two letters: the EEA
// where the country is part of it or is not said, else the country alone.
func HomeOf(country string) Home {
	if country == "" || strings.Contains(eea, " "+country+" ") {
		return Home{strings.Fields(eea)}
	}
	return Home{[]string{country}}
}

func (h Home) has(country string) bool { return slices.Contains(h.countries, country) }

// String names it.
func (h Home) String() string {
	if len(h.countries) == 1 {
		return h.countries[0]
	}
	return "the EEA"
}

// IsCountry reports the form of ISO 3166-1 alpha-2.
func IsCountry(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}

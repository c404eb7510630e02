package supply

import (
	"slices"
	"strings"

	"mailvow/internal/protect/policy"
)

// eea are the states of the European Economic Area: the 27 of the Union with
// Iceland, Liechtenstein and Norway.
const eea = " AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK "

// Home is where this server stands: its region with the names that others give it,
// and the countries to which data goes without a transfer.
type Home struct {
	Region    string
	Names     []string
	countries []string
}

// HomeOf is the home of a server that stands in a region of a country, as two letters:
// data goes freely to the EEA where the country is part of it or is not said, else to
// the country alone.
func HomeOf(country, region string, names ...string) Home {
	h := Home{Region: region, Names: names, countries: []string{country}}
	if country == "" || strings.Contains(eea, " "+country+" ") {
		h.countries = strings.Fields(eea)
	}
	return h
}

func (h Home) here(region string) bool { return region == h.Region || slices.Contains(h.Names, region) }

// stands reports whether the places that a policy names have this server's region.
func (h Home) stands(places policy.Among) bool {
	return !places.Given() || slices.ContainsFunc(places, h.here)
}

// within reports whether the places that a policy names have an entry's: its region,
// under whatever name, or its country.
func (h Home) within(places policy.Among, e *Entry) bool {
	return !places.Given() || places.Has(e.Country) || e.Region != "" && (places.Has(e.Region) || h.here(e.Region) && h.stands(places))
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

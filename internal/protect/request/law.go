package request

import (
	"time"

	"mailvow/internal/base/fault"
)

// Term is a legal period. Zero is none.
type Term struct {
	Months       int
	Days         int
	BusinessDays int
}

// After is when the term ends that begins at a time. A month without such a day
// ends on its last day (Regulation 1182/71 Art. 3(2)(c)). That a period may run on
// over a holiday is not used: the clock here never ends later than the law's.
func (t Term) After(from time.Time) time.Time {
	if t == (Term{}) {
		return time.Time{}
	}
	from = from.UTC()
	end := from.AddDate(0, t.Months, 0)
	if end.Day() != from.Day() {
		end = end.AddDate(0, 0, -end.Day())
	}
	end = end.AddDate(0, 0, t.Days)
	for left := t.BusinessDays; left > 0; {
		end = end.AddDate(0, 0, 1)
		if d := end.Weekday(); d != time.Saturday && d != time.Sunday {
			left--
		}
	}
	return end
}

// Law is what a law says of a request's clock.
type Law struct {
	Name      string
	Title     string // as a person knows it
	Confirm   Term   // until the receipt must be confirmed
	Answer    Term   // until the answer
	Extension Term   // the whole term, from receipt, once extended
	Complaint string // where a person complains
}

// laws are data: a new law is a new row.
var laws = []Law{
	{ // GDPR Art. 12(3), 77
		Name: "gdpr", Title: "GDPR (European Union, and everywhere that nothing else is said)",
		Answer: Term{Months: 1}, Extension: Term{Months: 3},
		Complaint: "You may complain to the data protection authority of the country where you live or work (GDPR Art. 77), and go to court (Art. 79).",
	},
	{ // California Civil Code 1798.130(a)(2); Code of Regulations, title 11, 7021
		Name: "ccpa", Title: "CCPA (California)",
		Confirm: Term{BusinessDays: 10}, Answer: Term{Days: 45}, Extension: Term{Days: 90},
		Complaint: "You may complain to the California Privacy Protection Agency (cppa.ca.gov) or to the Attorney General of California.",
	},
}

// Laws gives the list.
func Laws() []Law { return append([]Law(nil), laws...) }

// LawOf finds one by name; empty is the GDPR.
func LawOf(name string) (Law, error) {
	for _, l := range laws {
		if l.Name == name || name == "" {
			return l, nil
		}
	}
	return Law{}, fault.Field("law", "The law is gdpr or ccpa.")
}

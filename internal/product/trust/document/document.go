// Package document writes what the platform says of itself to the public and to
// its customers: privacy policy, agreements, record of processing, measures,
// security pages. It promises that every document is made from the policy in
// force, the inventory and the findings, and from nothing else; that a sentence
// names the promises it rests on, and that one which was not seen to hold is
// marked to the operator, never published silently, and says so publicly when it
// is published all the same; that a published version is numbered, dated, signed,
// stands in the evidence log and never changes; and that the signature is
// verified with no server at hand. Drawing PDF is the caller's (app/paper); what
// is in force, declared and seen is protect's; pages are the doors'.
package document

import (
	"slices"
	"strconv"

	"mailvow/internal/base/fault"
)

// Kind is a document of the closed list.
type Kind string

// The closed list of documents.
const (
	PrivacyPolicy Kind = "privacy-policy"
	Agreement     Kind = "dpa"               // data processing agreement, GDPR Art. 28
	Processing    Kind = "processing-record" // GDPR Art. 30
	Measures      Kind = "measures"          // GDPR Art. 32
	Security      Kind = "security"          // the page for everybody
	SecurityPaper Kind = "security-paper"    // the paper for whom the operator admits
	SubProcessing Kind = "sub-processors"
	Transparency  Kind = "transparency"
	Cookies       Kind = "cookies"
	Associate     Kind = "baa" // business associate agreement, 45 CFR 164.504(e)
)

// Sort is what is known of a kind.
type Sort struct {
	Kind  Kind
	Title string
	About string // for whom and what for, in a line
	// Public: its versions stand in the trust centre. The others are handed to whom
	// the operator admits.
	Public bool
	write  func(*writer)
}

// sorts is the closed list in the order in which people see it.
func sorts() []Sort {
	return []Sort{
		{PrivacyPolicy, "Privacy policy", "What data is processed, why, for how long, and your rights.", true, privacyPolicy},
		{Agreement, "Data processing agreement", "The contract of GDPR Art. 28 between customer and operator, with its annexes.", true, agreement},
		{SubProcessing, "Sub-processors", "Who else may be given data, for what and where.", true, subProcessing},
		{Measures, "Technical and organisational measures", "What protects data here (GDPR Art. 32).", true, measures},
		{Processing, "Record of processing", "Every category of data with purpose, ground and period (GDPR Art. 30).", true, processing},
		{Security, "Security", "How this server protects mail, in a few words.", true, securityPage},
		{SecurityPaper, "Security paper", "Every control with what was observed, for customers and their auditors.", false, securityPaper},
		{Cookies, "Cookie notice", "What is stored in your browser.", true, cookieNotice},
		{Transparency, "Transparency report", "Requests of authorities.", true, transparency},
		{Associate, "Business associate agreement", "For customers who send protected health information (45 CFR 164.504(e)).", true, associate},
	}
}

// Sorts lists what documents there are.
func Sorts() []Sort { return sorts() }

// SortOf finds one; NotFound if there is no such document.
func SortOf(k Kind) (Sort, error) {
	list := sorts()
	i := slices.IndexFunc(list, func(s Sort) bool { return s.Kind == k })
	if i < 0 {
		return Sort{}, fault.New(fault.NotFound, "There is no such document; mailvow document list shows those there are.")
	}
	return list[i], nil
}

func itoa(n int) string { return strconv.Itoa(n) }

package pledge

import "mailvow/internal/base/ids"

// Purpose is what data is processed for, as a policy names it: "search". There is
// one closed list of them (Purposes), and every Category serves one.
type Purpose string

// The purposes that run on the customer's instruction: what their policy does not
// name does not run for them.
const (
	ToDeliver  Purpose = "deliver"
	ToHandOver Purpose = "endpoints"
	ToRecord   Purpose = "record"
	ToSearch   Purpose = "search"
	ToSuppress Purpose = "suppress"
	ToCount    Purpose = "count"
)

// The purposes that a law asks for by name, which nobody can switch off.
const (
	ToServeRights Purpose = "rights"
	ToHold        Purpose = "holds"
	ToAccount     Purpose = "accountability"
	ToSecure      Purpose = "security"
	ToTellBreach  Purpose = "breaches"
	ToNameOthers  Purpose = "sub-processors"
	ToEnd         Purpose = "contract end"
	ToDisclose    Purpose = "authorities"
)

// The purposes of the contract with the customer itself.
const (
	ToKeepAccounts Purpose = "accounts"
	ToRun          Purpose = "operation"
)

// Ground says on whose word a purpose runs.
type Ground string

// The grounds. OfContract covers the customer's own account and what is no
// personal data; a correspondent's data is never processed on it.
const (
	Instructed Ground = "instructed"
	ByLaw      Ground = "law"
	OfContract Ground = "contract"
)

// Processing is one purpose.
type Processing struct {
	Name   Purpose
	What   string // in words: "deliver the customer's mail to other servers"
	Ground Ground
	Law    string // by name, where the ground is a law
	Stops  string // what stops where it is not instructed, in words
}

// Purposes is the closed list. There is no purpose of marketing in it, and so no
// category of data that could serve one.
func Purposes() []Processing {
	instructed := func(p Purpose, what, stops string) Processing {
		return Processing{Name: p, What: what, Ground: Instructed, Stops: stops}
	}
	law := func(p Purpose, what, law string) Processing {
		return Processing{Name: p, What: what, Ground: ByLaw, Law: law}
	}
	return []Processing{
		instructed(ToDeliver, "send the customer's mail", "no mail of the customer's is taken for sending, and what is queued for other servers waits"),
		instructed(ToHandOver, "hand mail that arrives over to the customer's endpoints", "no mail is taken for the customer's routes, and what is queued for endpoints waits"),
		instructed(ToRecord, "keep a record of whom mail was from and to, and what was said", "records name nobody: sender, recipients, subject, Message-ID, address, replies and conversations are left out, and older records are rewritten"),
		instructed(ToSearch, "find messages by their people and words", "messages are not found by sender, recipient, domain, Message-ID or subject, and no subject is kept a second time"),
		instructed(ToSuppress, "keep and ask a list of addresses that do not exist or that the customer listed", "the list is neither added to nor asked; what a person asked for themselves is still honoured, by law"),
		instructed(ToCount, "count messages for charts", "nothing is counted"),
		law(ToServeRights, "answer what persons ask about their data, and honour it", "GDPR Art. 12 to 22"),
		law(ToHold, "keep what a law or a claim demands, apart and for nothing else", "GDPR Art. 17(3)(b) and (e), with the law that the hold names"),
		law(ToAccount, "show that the rules were kept", "GDPR Art. 5(2), 24 and 30"),
		law(ToSecure, "keep data safe, and bring it back after a loss", "GDPR Art. 32"),
		law(ToTellBreach, "tell of breaches in time", "GDPR Art. 33 and 34"),
		law(ToNameOthers, "say who else gets data, and hear objections", "GDPR Art. 28(2) and 44"),
		law(ToEnd, "return and delete data at the contract's end", "GDPR Art. 28(3)(g)"),
		law(ToDisclose, "answer authorities, and report it", "GDPR Art. 6(1)(c) and 48"),
		{Name: ToKeepAccounts, What: "keep the customer's account, its people and its settings", Ground: OfContract},
		{Name: ToRun, What: "run the server, with nothing of any person", Ground: OfContract},
	}
}

// Of finds a purpose in the list.
func (p Purpose) Of() (Processing, bool) {
	for _, x := range Purposes() {
		if x.Name == p {
			return x, true
		}
	}
	return Processing{}, false
}

// Instructions says what runs for a customer.
type Instructions interface {
	// Instructed is nil where a purpose runs for a customer, and else a Denied fault
	// that names the purpose and where it is instructed.
	Instructed(of ids.Tenant, p Purpose) error
}

// Refusal is what Instructions say of a purpose; without any, everything runs.
func Refusal(i Instructions, of ids.Tenant, p Purpose) error {
	if i == nil {
		return nil
	}
	return i.Instructed(of, p)
}

// Runs reports whether a purpose runs for a customer; without any instructions,
// everything does.
func Runs(i Instructions, of ids.Tenant, p Purpose) bool { return Refusal(i, of, p) == nil }

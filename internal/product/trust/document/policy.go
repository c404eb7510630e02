package document

import (
	"cmp"
	"slices"
	"strings"

	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/policy"
)

func privacyPolicy(w *writer) {
	w.heading("Who answers for your data")
	w.paragraph(
		say(capital(w.by())+" runs this mail server, "+w.Server+". It carries mail on the order of its customers: of that mail each customer is the controller and the operator its processor."),
		say("Of customers' own accounts the operator is the controller."),
	)
	w.whom()
	w.heading("What is processed, why and for how long")
	w.paragraph(say("This is all: nothing personal is stored here that is not in this list.", "cl-minimise"),
		say("The longest time is the policy's, and what is older is purged; who is under a legal hold is kept until the hold ends.", "cj-retention", "cj-hold"))
	w.categories()
	w.recorded()
	w.heading("What happens to the content of mail")
	w.list(
		say("The content of mail that arrives for a customer's endpoint is held only until the endpoint has taken it.", "cm-content-transient"),
		say("Other content is in the queue only while it is worked on, and is removed once it was forwarded.", "cl-queue"),
		say("Whatever is stored is sealed with AES-256 before it reaches a disk.", "ca-rest"),
	)
	w.sharing()
	w.rights()
	w.observed()
	w.heading("When this policy changes")
	w.changes()
}

// whom says how people reach the operator.
func (w *writer) whom() {
	if w.Operator.Name == "" {
		w.lacks("operator.name", "The document does not name the company that answers for it.")
	}
	if w.Operator.Address == "" {
		w.lacks("operator.address", "The document gives no postal address (GDPR Art. 13(1)(a)).")
	} else {
		w.paragraph(say("The postal address: " + strings.ReplaceAll(strings.TrimSpace(w.Operator.Address), "\n", ", ") + "."))
	}
	officer := "Questions on data protection go to " + w.Contacts.Privacy + ", or into the form at " + w.Contacts.Form + "; each opens a case with a deadline."
	if w.Operator.Officer != "" {
		officer = "The data protection officer is " + w.Operator.Officer + ", who is reached at " + w.Contacts.Privacy + "; a mail there opens a case with a deadline."
	}
	w.paragraph(say(officer, "mb-dpo"))
}

// about says whom data is about, in a person's words.
func about(x pledge.Whose) string {
	switch x {
	case pledge.Correspondent:
		return "senders and recipients of mail"
	case pledge.Staff:
		return "people who sign in"
	case pledge.Customer:
		return "customers"
	case pledge.Nobody:
	}
	return "nobody"
}

// personal are the categories about persons or customers.
func (w *writer) personal() []inventory.Entry {
	return slices.DeleteFunc(slices.Clone(w.Inventory), func(e inventory.Entry) bool { return e.About == pledge.Nobody })
}

// categories lists what is processed.
func (w *writer) categories() {
	var rows []Row
	for _, e := range w.personal() {
		rows = append(rows, Row{Cells: []string{capital(e.Name) + ": " + e.What, about(e.About), e.Purpose, string(e.Basis), kept(e.Period)}})
	}
	w.table("Categories of data", []string{"What", "About", "Purpose", "Ground", "Kept"}, rows)
}

// fieldWords name the fields of the record to people.
var fieldWords = map[string]string{
	"sender_ip": "address of origin (IP)", "message_id": "Message-ID", "sender": "sender", "recipient": "recipient", "subject": "subject",
	"server_response": "the answer of the receiving server",
}

// recorded says what the record of a message holds.
func (w *writer) recorded() {
	rows := map[string]*Row{}
	var order []string
	for _, s := range w.sayings("record.") {
		direction, field, _ := strings.Cut(strings.TrimPrefix(s.Path, "record."), ".")
		r := rows[field]
		if r == nil {
			name := fieldWords[field]
			if name == "" {
				name = strings.ReplaceAll(field, "_", " ")
			}
			r = &Row{Cells: []string{capital(name), "kept as it is", "kept as it is"}, Rests: []string{"cm-redact"}}
			rows[field], order = r, append(order, field)
		}
		if direction == "inbound" {
			r.Cells[1] = s.Words
		} else {
			r.Cells[2] = s.Words
		}
	}
	slices.Sort(order)
	var list []Row
	for _, f := range order {
		list = append(list, *rows[f])
	}
	if len(list) == 0 {
		return
	}
	w.subheading("What the record of a message holds")
	w.paragraph(say("Mail that arrives and mail that is sent have a policy each.", "cm-outbound-policy"),
		say("The record of any message is deleted on request.", "cm-metadata-delete"))
	w.table("Fields of the record", []string{"Field", "Of mail that arrives", "Of mail that is sent"}, list)
}

// sayings are the settings below a path.
func (w *writer) sayings(prefix string) []policy.Said {
	var list []policy.Said
	for path, s := range w.said {
		if strings.HasPrefix(path, prefix) {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b policy.Said) int { return cmp.Compare(a.Path, b.Path) })
	return list
}

func (w *writer) sharing() {
	w.heading("Who else gets data")
	w.list(
		say("The mail servers of recipients, which is what mail is for, and endpoints that a customer named.", "cj-relay"),
		say("Personal data is not sold, and not passed on for others' marketing.", "mb-no-sale"),
		say("Authorities get data only on a legal notice.", "cl-authorities"),
	)
	w.subs()
	if w.words("places") != "" {
		w.paragraph(say("Data may be in these regions: "+w.words("places")+".", "cm-regions"))
	} else {
		w.paragraph(say("This server and its stores stand in: " + w.Region + "."))
	}
}

// subs lists the sub-processors.
func (w *writer) subs() {
	if len(w.Subs) == 0 {
		w.paragraph(say("There is no sub-processor: no service of another company is given data.", "cm-subprocessors"))
		return
	}
	w.paragraph(say("These sub-processors may be given data, each for its purpose alone.", "cj-sharing"))
	var rows []Row
	for _, s := range w.Subs {
		machines := s.Machines
		if machines == "" {
			machines = "its own"
		}
		rows = append(rows, Row{Cells: []string{s.Name, s.Purpose, s.Place, machines}, Rests: []string{"cm-subprocessors"}})
	}
	w.table("Sub-processors", []string{"Name", "Purpose", "Place", "Machines"}, rows)
}

func (w *writer) rights() {
	w.heading("Your rights")
	answer := ""
	if t := w.words("rights.answer"); t != "" {
		answer = " The answer comes " + t + "."
	}
	w.paragraph(say("You may ask for a copy of your data, for its correction, its erasure, its restriction, for a copy that programs read, object to its use, and withdraw a consent (GDPR Art. 7, 15 to 21).", "mb-rights7"),
		say("Ask at "+w.URL+"/privacy, without an account: the address is proved by a link that is mailed to it, and the request goes to everybody here who holds something about you."+answer, "ca-rights"),
		say("Of an erasure you get a certificate that anybody can verify.", "mb-certificate"))
	w.paragraph(say("You may complain to the data protection authority of the country where you live or work (GDPR Art. 77)."))
}

// observed says how far recipients are observed.
func (w *writer) observed() {
	opens, clicks := w.words("tracking.opens"), w.words("tracking.clicks")
	if opens == "" && clicks == "" {
		return
	}
	w.heading("Whether you are observed")
	tell := func(what, how string) string {
		switch how {
		case "off":
			return what + ": never."
		case "allowed":
			return what + ": where the customer wants it."
		}
		return what + ": " + how + "."
	}
	w.list(say(tell("Whether a mail was opened", opens), "cm-cookies"), say(tell("Whether a link was followed", clicks), "cm-cookies"),
		say("The pages for persons without an account set no cookie and load nothing from others."))
}

func (w *writer) changes() {
	text := "Every version is numbered and dated, and older versions stay at " + w.URL + "/trust."
	w.paragraph(say(text))
	if n := w.words("notice.policy"); n != "" {
		w.paragraph(say("A change is mailed to every account and shown on its overview; one that loosens anything takes effect "+n+" after that at the earliest.", "mb-policy-changes"))
	}
}

// capital writes a sentence's first letter large.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// kept says a period to people.
func kept(p pledge.Period) string {
	from := ""
	if p.From != "" {
		from = " from " + p.From
	}
	switch {
	case p.Ceiling > 0 && p.Floor > 0:
		return inventory.Span(p.Ceiling) + " at most, " + inventory.Span(p.Floor) + " at least because a law asks for it," + from
	case p.Ceiling > 0:
		return inventory.Span(p.Ceiling) + " at most," + from
	case p.Floor > 0:
		return inventory.Span(p.Floor) + " at least because a law asks for it," + from
	case strings.HasPrefix(p.From, "never"), p.From == "":
		return capital(p.From)
	}
	return "until " + p.From
}

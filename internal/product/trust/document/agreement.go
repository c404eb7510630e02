package document

import (
	"mailvow/internal/protect/inventory"
)

func agreement(w *writer) {
	w.heading("Parties and subject")
	customer := "the customer who accepts it"
	if w.For != "" {
		customer = "the customer " + w.For
	}
	w.paragraph(say("This agreement is between " + customer + ", the controller, and " + w.by() + ", the processor, who runs " + w.Server + ". It is the contract of GDPR Art. 28(3) and lasts as long as the processor holds personal data for the controller."))
	w.whom()
	w.paragraph(say("Subject, nature and purpose, the sorts of data and of persons are in annex 1, the measures in annex 2, the sub-processors in annex 3."))
	w.heading("Instructions")
	purposes := w.words("purposes")
	if purposes == "" {
		purposes = "none"
	}
	w.list(
		say("The processor processes personal data only on the controller's documented instructions, save where a law demands it by name (Art. 28(3)(a)). Instructed are these purposes: "+purposes+".", "ca-instructions"),
		say("The controller instructs through console, API and policy; each change is on record.", "ca-ropa"),
		say("The processor tells the controller at once if it thinks that an instruction breaks the law."),
	)
	w.heading("Confidentiality and security")
	w.list(
		say("Whoever may open personal data is bound to secrecy (Art. 28(3)(b)).", "cl-secrecy"),
		say("The measures of annex 2 are kept (Art. 28(3)(c), 32), and are watched by probes on the running server."),
	)
	w.staff()
	w.heading("Sub-processors")
	w.list(say("The sub-processors of annex 3 are authorised. Each is bound to protect data as this agreement does (Art. 28(4)).", "cj-vendor-terms"))
	if n := w.words("notice.sub_processor"); n != "" {
		w.list(say("A new one gets data only after notice and "+n+", in which the controller may object (Art. 28(2)).", "ca-subprocessor-notice"))
	}
	w.help()
	w.end()
	w.heading("Showing it")
	w.list(
		say("The processor makes available what shows compliance and allows audits (Art. 28(3)(h)).", "ca-audit-rights"),
		say("What was done to data stands in a log that can be held against its signed checkpoints at "+w.URL+"/evidence/checkpoint, and mailvow audit looks at the server from outside.", "mb-certificate"),
	)
	w.annexes()
}

// staff says how the operator's people reach data.
func (w *writer) staff() {
	if s := w.words("staff"); s != "" {
		w.paragraph(say("The operator's people reach personal data "+s+".", "mb-need-to-know"))
	}
}

// help is what the processor helps with.
func (w *writer) help() {
	w.heading("Help with persons, breaches and assessments")
	w.list(
		say("The processor brings requests of persons before the controller, who decides, carries out what was decided and keeps the clock (Art. 28(3)(e)).", "ca-rights"),
		say("An erasure reaches every store of the server, and backups by a ledger that is replayed; its certificate says what was reached at once and by when the rest follows.", "mb-certificate"),
	)
	if c := w.words("breach.customer"); c != "" {
		w.list(say("The controller is told of a breach "+c+" from awareness, with what its own notices need (Art. 33(2)).", "ca-breach"))
	}
	w.list(say("The record of processing and the measures are given for the controller's assessments (Art. 28(3)(f)).", "ca-ropa"))
}

// end is the contract's end.
func (w *writer) end() {
	w.heading("The end")
	back, gone := w.words("termination.return"), w.words("termination.delete")
	if back == "" && gone == "" {
		return
	}
	text := "At the end of the contract the controller may export its data"
	if back != "" {
		text += " for " + back
	}
	text += "; then it is deleted"
	if gone != "" {
		text += " " + gone
	}
	w.paragraph(say(text+", and what a law keeps stays apart (Art. 28(3)(g)).", "ca-termination"))
}

func (w *writer) annexes() {
	w.heading("Annex 1: the processing")
	w.paragraph(say("Nature: taking, storing for a while, delivering and recording mail. Persons: those who write to the controller or are written to, and the controller's own people. Sorts of data, with what each is for and how long it is kept at most:"))
	w.categories()
	w.heading("Annex 2: technical and organisational measures")
	w.measured()
	w.heading("Annex 3: sub-processors")
	w.subs()
}

func associate(w *writer) {
	w.heading("Parties and subject")
	w.paragraph(say("This agreement is between the covered entity or business associate who accepts it and " + w.by() + ", the business associate, who runs " + w.Server + ". It is the contract of 45 CFR 164.504(e) and holds for protected health information in mail that the customer sends or receives here."))
	w.whom()
	w.heading("What this server is set to")
	w.list(
		say("Mail to other servers goes out with "+w.words("tls.outbound")+"; what a peer cannot take so waits.", "ca-transit"),
		say("Content is not shown in console or API.", "ca-hipaa"),
	)
	w.staff()
	w.heading("Use and disclosure")
	w.list(
		say("Protected health information is used to carry the customer's mail and for nothing else (164.504(e)(2)(i)).", "ca-instructions"),
		say("It is not disclosed but to the recipients of the mail, to endpoints that the customer named, and where a law demands it.", "cl-no-sharing"),
	)
	w.heading("Safeguards")
	w.measured()
	w.heading("Sub-contractors")
	w.subs()
	w.paragraph(say("Each agrees to the same restrictions (164.502(e)(1)(ii)).", "mb-vendor-dpa"))
	w.heading("Persons")
	w.list(say("Access, amendment and the account of disclosures are answered through requests of persons (164.524, 164.526, 164.528).", "ca-rights"))
	if c := w.words("breach.customer"); c != "" {
		w.heading("Breaches")
		w.paragraph(say("A breach of unsecured protected health information is reported to the customer "+c+" from its discovery (164.410).", "ca-breach"))
	}
	w.end()
	w.heading("Books")
	w.paragraph(say("Practices, books and records on protected health information are made available to the Secretary of Health and Human Services (164.504(e)(2)(ii)(I))."))
}

func processing(w *writer) {
	w.heading("Who keeps this record")
	w.paragraph(say(capital(w.by()) + ", for the server " + w.Server + " in " + w.Region + "."))
	w.whom()
	w.heading("Processing activities")
	w.paragraph(say("The list is joined from what every part of the server declares to store, and is held against the real store: a column that nobody declared is a defect.", "ca-ropa"))
	var rows []Row
	for _, e := range w.Inventory {
		rows = append(rows, Row{Cells: []string{capital(e.Name) + ": " + e.What, about(e.About), e.Purpose, string(e.Basis), kept(e.Period), e.Found + "; erasing means: " + string(e.Erasing), inventory.Security(e)}})
	}
	w.table("Record of processing (GDPR Art. 30)", []string{"Data", "Persons", "Purpose", "Ground", "Period", "Found and erased", "Security"}, rows)
	w.heading("Recipients")
	w.subs()
	w.heading("Security")
	w.paragraph(say("The measures are in the document “Technical and organisational measures” at " + w.URL + "/trust."))
}

func subProcessing(w *writer) {
	w.heading("The list")
	w.subs()
	w.heading("Changes")
	if n := w.words("notice.sub_processor"); n != "" {
		w.paragraph(say("Customers are told of a new sub-processor "+n+" before it gets data, and may object.", "ca-subprocessor-notice"))
	}
	w.paragraph(say("Older versions of this list stay at " + w.URL + "/trust. Questions reach a person at " + w.Contacts.Question + "."))
}

func transparency(w *writer) {
	w.heading("Requests of authorities")
	switch {
	case w.Lawful == nil:
		w.paragraph(say("This server keeps no register of authorities' requests yet, so nothing is said about them.", "cm-lawful"))
	case w.Lawful.Received == 0:
		w.paragraph(say("There has been none since this server's register began on "+w.Lawful.Since.UTC().Format("2 January 2006")+".", "cm-lawful"))
	default:
		n := w.Lawful
		w.table("Requests since "+n.Since.UTC().Format("2 January 2006"), []string{"Received", "Granted", "Refused", "Customers concerned"},
			[]Row{{Cells: []string{itoa(n.Received), itoa(n.Granted), itoa(n.Refused), itoa(n.Customers)}, Rests: []string{"cm-lawful"}}})
	}
	w.heading("How they are handled")
	w.list(
		say("Data is given only on a legal notice, which is examined first.", "cl-authorities"),
		say("What was erased cannot be given: its keys are destroyed.", "mb-certificate"),
	)
}

func cookieNotice(w *writer) {
	w.heading("What is stored in your browser")
	if len(w.Cookies) == 0 {
		w.paragraph(say("Nothing."))
		return
	}
	w.paragraph(say("Only what the console needs to work. There is no cookie for statistics or advertising, and no page loads anything from another company.", "cm-cookies"))
	var rows []Row
	for _, c := range w.Cookies {
		rows = append(rows, Row{Cells: []string{c.Name, c.Kind + ", " + c.Class(), c.Where, c.Purpose, c.Life}, Rests: nil})
	}
	w.table("What is stored", []string{"Name", "Kind", "Where", "Purpose", "Life"}, rows)
	w.paragraph(say("Scripts cannot read the session's cookie and other sites cannot use it.", "mb-csrf"))
	w.paragraph(say("The pages for persons without an account, this one among them, set none.", "cm-cookies"))
	w.paragraph(say("So there is nothing to consent to, and no banner asks. Global Privacy Control and Do Not Track ask for what holds for everybody here."))
	w.observed()
}

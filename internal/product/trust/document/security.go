package document

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"mailvow/internal/base/pledge"
)

// measured lists the measures of GDPR Art. 32, by what they protect.
func (w *writer) measured() {
	w.subheading("Confidentiality")
	w.list(
		say("Everything stored is sealed with AES-256-GCM above the database, under keys of each customer's own that are kept apart from the data.", "ca-rest"),
		say("Nothing of a message lies in the clear in any file of the server, and the listeners speak TLS.", "cm-encryption"),
		say("TLS is offered by every mail listener, and asked of customers and of browsers.", "mb-tls"),
		say("Every operation of the API names one permission, and one table says who has it.", "ca-rbac"),
		say("Passwords are kept as Argon2id hashes.", "mb-argon2id"),
		say("Another site's page cannot act with a signed-in person's session.", "mb-csrf"),
		say("Administrators sign in with a second factor.", "mb-mfa"),
	)
	w.subheading("Integrity")
	w.list(
		say("Administrative acts, purges, erasures and findings stand in an append-only log with signed checkpoints.", "mb-certificate"),
		say("Security events raise alerts.", "ca-monitoring"),
	)
	w.subheading("Availability")
	every, keep, drill := w.words("backups.every"), w.words("backups.keep"), w.words("backups.drill")
	w.list(
		say("Backups are encrypted, and a new one is made "+every+".", "mb-backups"),
		say("The oldest is gone "+keep+".", "mb-backup-purge"),
		say("Restoring is tried "+drill+".", "ca-backup-dr"),
		say("Mail that cannot be delivered is tried again, and its sender is told when the time is over.", "cl-retry", "cl-dsn"),
	)
	w.subheading("Minimisation")
	w.list(
		say("No column is stored that is not in the inventory with purpose and period.", "cl-minimise"),
		say("Each category is purged at its period, and then the keys go that opened it.", "cj-retention"),
		say("Content is removed once it was delivered, and its key is destroyed.", "cm-content-transient", "cl-queue"),
	)
	w.subheading("Regular testing")
	w.list(
		say("Probes act on the running server as outsiders do, and each finding stands in the log."),
		say("Known vulnerabilities are mended "+w.words("findings.critical")+" where they are critical, "+w.words("findings.high")+" where they are high.", "cm-scans"),
		say("People are trained and screened.", "ca-training"),
	)
}

func measures(w *writer) {
	w.heading("Measures")
	w.paragraph(say("What is written here is enforced by the server and watched by probes, or attested by the operator where people do it. The list says what stood so when this version was made."))
	w.measured()
	w.heading("TLS floors")
	w.tls()
	w.heading("Periods")
	w.periods()
}

// tls lists the floors.
func (w *writer) tls() {
	doors := []struct{ path, what string }{
		{"tls.mx", "Mail from other servers"}, {"tls.submission", "Mail from customers"}, {"tls.web", "API and console"}, {"tls.outbound", "Mail to other servers"}, {"tls.version", "The least version towards other servers"},
	}
	var rows []Row
	for _, d := range doors {
		if s := w.words(d.path); s != "" {
			rows = append(rows, Row{Cells: []string{d.what, s}, Rests: shows(d.path)})
		}
	}
	w.table("The least that is taken for TLS", []string{"For", "Floor"}, rows)
}

// periods lists the times that the policy sets.
func (w *writer) periods() {
	var rows []Row
	for _, s := range w.sayings("retention.") {
		rows = append(rows, Row{Cells: []string{capital(s.Path[len("retention."):]), s.Words}, Rests: shows(s.Path)})
	}
	w.table("How long categories are kept", []string{"Category", "Period"}, rows)
}

func securityPage(w *writer) {
	w.heading("In short")
	w.list(
		say("Stored data is sealed with AES-256; keys are kept apart and destroyed when their time is over.", "ca-rest"),
		say("Mail is taken and sent over TLS.", "mb-tls"),
		say("Content goes when it was delivered.", "cl-queue"),
		say("Backups are encrypted and tried.", "mb-backups", "ca-backup-dr"),
		say("What is promised is probed on the running server, and the results are public at "+w.URL+"/trust/controls."),
	)
	w.heading("Report a vulnerability")
	w.paragraph(
		say("Write to "+w.Contacts.Security+" or use the form at "+w.Contacts.Form+". Each report opens a case with a deadline, and you are told that it is being looked into.", "ca-security-contact"),
		say("Test only with accounts of your own, do not read others' mail, and give us time to mend before you publish."),
	)
	w.heading("Verify it yourself")
	w.list(
		say("The evidence log is at "+w.URL+"/evidence/checkpoint, and mailvow audit "+w.URL+" looks at this server from outside."),
		say("The documents here are signed by the log's key; mailvow certificate verify checks them with no server at hand."),
	)
}

// securityPaper has every control with what was observed.
func securityPaper(w *writer) {
	w.heading("What this paper is")
	w.paragraph(say("A list of what was observed on " + w.Server + ", made by the server itself from the findings of its probes. A probe acts as an outsider does: it sends mail, calls the API, answers as another server, and looks into the files on disk. It says what it saw and when; it is no certificate of a third party."))
	w.heading("Design")
	w.measured()
	w.heading("TLS floors")
	w.tls()
	w.heading("Controls that were observed")
	w.controls("Observed", func(s Seen) bool { return holds(s.Status) })
	w.heading("Controls that do not hold")
	w.controls("Not kept", func(s Seen) bool { return s.Status == pledge.Failing })
	w.heading("What is not shown")
	open, foreign := 0, 0
	for _, s := range w.Seen {
		switch s.Status {
		case pledge.NotYet:
			open++
		case pledge.NotApplicable:
			foreign++
		case pledge.Kept, pledge.Failing, pledge.Attested:
		}
	}
	w.paragraph(say(fmt.Sprintf("Of %d promises in the catalogue nothing shows %d yet on this server, and %d do not apply to it.", len(w.Seen), open, foreign)))
	w.heading("Verify it yourself")
	w.paragraph(say("The evidence log is at " + w.URL + "/evidence/checkpoint; each finding stands in it. mailvow audit " + w.URL + " believes nothing of what stands here and looks from outside."))
}

// controls lists promises with what was observed. Their state is what the table
// says, so that none is marked.
func (w *writer) controls(caption string, which func(Seen) bool) {
	type line struct {
		id string
		Seen
	}
	var list []line
	for id, s := range w.Seen {
		if which(s) {
			list = append(list, line{id, s})
		}
	}
	slices.SortFunc(list, func(a, b line) int { return cmp.Compare(a.id, b.id) })
	var rows []Row
	for _, l := range list {
		rows = append(rows, Row{Cells: []string{l.id, l.Says, l.Evidence, l.CheckedAt.UTC().Format(time.RFC3339)}})
	}
	w.table(caption, []string{"Control", "Promise", "What was seen", "When"}, rows)
	if len(rows) == 0 {
		w.paragraph(say("None."))
	}
}

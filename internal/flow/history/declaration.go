package history

import (
	"slices"
	"time"

	"mailvow/internal/base/pledge"
)

// The categories of what this package stores.
const (
	records       = "message records"
	conversations = "conversations"
)

// Declaration is what this package stores. The ceilings are the house's; the
// operator may set others.
var Declaration = pledge.Declaration{
	Package: "flow/history",
	Categories: []pledge.Category{
		{
			Name: records, About: pledge.Correspondent,
			What: "of each message: envelope sender and recipients, sender IP, Message-ID, subject, date received, the server's " +
				"response and the processing time; of outbound mail also size, tags, the host that answered and the number of attempts; " +
				"when somebody acted on it by hand, in which capacity, and the reason given",
			Purpose: "show a customer what happened to its mail, and find faults", For: pledge.ToRecord,
			Basis:      pledge.Contract,
			Period:     pledge.Period{Ceiling: 90 * 24 * time.Hour, From: "the event"},
			Found:      "keyed hash of the address in the look-up index",
			Erasing:    pledge.Anonymise,
			Source:     "the message itself and the servers that it came from and went to",
			Recipients: "the customer whose mail it is; of the message, the hosts and endpoints that its record names",
		},
		{
			Name: conversations, About: pledge.Correspondent,
			What:    "the SMTP conversation of each attempt with its times, without authentication",
			Purpose: "show what the receiving host said, to find why mail was refused", For: pledge.ToRecord,
			Basis:   pledge.LegitimateInterest,
			Period:  pledge.Period{Ceiling: 30 * 24 * time.Hour, From: "the attempt"},
			Found:   "the records of the person's messages name it",
			Erasing: pledge.Anonymise,
			Source:  "what this server and the receiving host said to each other",
		},
		{
			Name: "history operation", About: pledge.Nobody,
			What: "how far each reader of history has come; under which redactions each customer's records are kept", Purpose: "go on after a start, and rewrite records when redactions become stricter", For: pledge.ToRun, Basis: pledge.NotPersonal, Erasing: pledge.Nothing,
		},
	},
	Places: slices.Concat(
		pledge.Columns(records, false, "history", "pos", "id", "message", "recipient", "tenant", "direction", "kind", "at", "attempt"),
		pledge.Columns(records, true, "history", "sealed"),
		pledge.Columns(conversations, false, "conversation", "id", "message", "tenant", "at"),
		pledge.Columns(conversations, true, "conversation", "sealed"),
		pledge.Columns("history operation", false, "history_reader", "name", "node", "seq"),
		pledge.Columns("history operation", false, "history_redaction", "tenant", "rules"),
	),
}

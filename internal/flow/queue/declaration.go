package queue

import (
	"slices"

	"mailvow/internal/base/pledge"
)

// The categories of what this package stores.
const (
	queued = "queued mail"
	pauses = "pauses"
)

// Declaration is what this package stores. Large bodies lie in the blob store,
// which declares them.
var Declaration = pledge.Declaration{
	Package: "flow/queue",
	Categories: []pledge.Category{
		{
			Name: queued, About: pledge.Correspondent,
			What:    "a message's bytes and envelope, its recipients with their routes and last replies, until the last recipient is settled",
			Purpose: "deliver the message", For: pledge.ToDeliver,
			Basis:      pledge.Contract,
			Period:     pledge.Period{From: "the last recipient is settled, after the queue's expiry at the latest unless a person holds it. What was settled within the hour after its acceptance has its keys destroyed within an hour after the end of that hour; the keys of what waited longer are destroyed a day after the expiry"},
			Found:      "keyed hash of the address in the look-up index of the records, which name the message",
			Erasing:    pledge.Delete,
			Source:     "who sent the message",
			Recipients: "the recipients of the message, by their mail servers or the customer's endpoint",
		},
		{
			Name: pauses, About: pledge.Nobody,
			What: "destinations and customers to which a person stopped deliveries, and why", Purpose: "hold mail until it is resumed", For: pledge.ToRun,
			Basis: pledge.NotPersonal, Period: pledge.Period{From: "resuming"}, Erasing: pledge.Nothing,
		},
	},
	Places: slices.Concat(
		pledge.Columns(queued, false, "message", "id", "tenant", "direction", "class", "size", "place"),
		pledge.Columns(queued, true, "message", "key", "sealed"),
		pledge.Columns(queued, false, "body", "id"),
		pledge.Columns(queued, true, "body", "bytes"),
		pledge.Columns(queued, false, "queue", "id", "message", "tenant", "lane", "site", "state", "due", "expires", "attempt", "token", "node"),
		pledge.Columns(queued, true, "queue", "sealed"),
		pledge.Columns(pauses, false, "queue_pause", "id", "tenant", "site", "at"),
		pledge.Columns(pauses, true, "queue_pause", "sealed"),
		[]pledge.Place{{Kind: pledge.Memory, Name: "parcels of first attempts", Category: queued}},
	),
}

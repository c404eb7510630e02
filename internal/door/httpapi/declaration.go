package httpapi

import (
	"slices"

	"mailvow/internal/base/pledge"
)

// Declaration says what the API keeps by itself.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{
		{
			Name: "stored answers", About: pledge.Correspondent,
			What:    "the answers to requests with an Idempotency-Key, which name recipients' ids and addresses",
			Purpose: "do nothing twice when a program repeats a request", For: pledge.ToDeliver,
			Basis: pledge.Contract, Period: pledge.Period{Ceiling: keepAnswers, From: "the request"},
			Found: "by opening the customer's answers of a day", Erasing: pledge.Delete,
		},
		{
			Name: "request pace", About: pledge.Staff,
			What:    "how many requests a token, a session or an address made lately",
			Purpose: "keep one asker from taking the server from the others", For: pledge.ToSecure,
			Basis: pledge.LegitimateInterest, Period: pledge.Period{From: "the request; in memory for minutes"},
			Found: "not by person", Erasing: pledge.Nothing,
		},
	},
	Places: slices.Concat(
		pledge.Columns("stored answers", false, "http_idempotency", "tenant", "hash", "body", "status", "created"),
		pledge.Columns("stored answers", true, "http_idempotency", "sealed"),
		[]pledge.Place{{Kind: pledge.Memory, Name: "rate buckets of the API", Category: "request pace"}},
	),
}

package access

import (
	_ "embed" // the tables
	"slices"

	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
)

//go:embed access.sql
var sql string

const pkg = "protect/access"

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept about people and machines that sign in.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{
		{
			Name: "users", About: pledge.Staff,
			What:    "e-mail address, name, role and password hash of those who use the console",
			Purpose: "know who is asking and what they may do", For: pledge.ToKeepAccounts,
			Basis: pledge.Contract, Period: pledge.Period{From: "the user's deletion"},
			Found: "keyed hash of the e-mail address", Erasing: pledge.Delete,
		},
		{
			Name: "sessions", About: pledge.Staff,
			What:    "keyed hashes of session cookies and one-time links, and when they were last used",
			Purpose: "stay signed in", For: pledge.ToKeepAccounts, Basis: pledge.Contract,
			Period: pledge.Period{Ceiling: HouseLimits.Absolute, From: "signing in"},
			Found:  "the user's id", Erasing: pledge.Delete,
		},
		{
			Name: "machine credentials", About: pledge.Customer,
			What:    "keyed hashes of API tokens and SMTP passwords, their names, scopes and when they were last used",
			Purpose: "let a customer's programs in", For: pledge.ToKeepAccounts, Basis: pledge.Contract,
			Period: pledge.Period{From: "the credential's deletion"},
			Found:  "the customer's id", Erasing: pledge.Delete,
		},
	},
	Places: slices.Concat(
		pledge.Columns("users", false, "access_user", "id", "tenant", "email_hash", "password", "role", "state", "created", "changed", "seen", "until"),
		pledge.Columns("users", true, "access_user", "sealed"),
		pledge.Columns("sessions", false, "access_session", "id", "hash", "user_id", "created", "seen", "until"),
		pledge.Columns("sessions", false, "access_link", "hash", "user_id", "until"),
		pledge.Columns("machine credentials", false, "access_token", "id", "tenant", "user_id", "hash", "scopes", "created", "until", "used"),
		pledge.Columns("machine credentials", true, "access_token", "sealed"),
		pledge.Columns("machine credentials", false, "access_credential", "id", "tenant", "kind", "username", "hash", "created", "used"),
		pledge.Columns("machine credentials", true, "access_credential", "sealed"),
		[]pledge.Place{{Kind: pledge.Memory, Name: "verified SMTP credentials", Category: "machine credentials"}},
	),
}

// Package stored is the one list of what this server stores: the schema and the
// declaration of every package. A package that is not on it is neither opened
// nor purged; the tests here compare the list with what is really there.
package stored

import (
	"path"
	"strings"

	"mailvow/internal/base/pledge"
	"mailvow/internal/door/certificates"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/inbox"
	"mailvow/internal/flow/mention"
	"mailvow/internal/flow/queue"
	"mailvow/internal/flow/suppress"
	"mailvow/internal/flow/tally"
	"mailvow/internal/flow/words"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/job"
	"mailvow/internal/keep/leader"
	"mailvow/internal/keep/lookup"
	"mailvow/internal/keep/vault"
	"mailvow/internal/product/inbound"
	"mailvow/internal/product/relay"
	"mailvow/internal/product/trust/attest"
	"mailvow/internal/product/trust/document"
	"mailvow/internal/product/trust/finding"
	"mailvow/internal/product/trust/incident"
	"mailvow/internal/product/trust/lawful"
	"mailvow/internal/product/trust/notice"
	"mailvow/internal/product/trust/patch"
	"mailvow/internal/product/trust/supply"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/alert"
	"mailvow/internal/protect/backup"
	"mailvow/internal/protect/clearance"
	"mailvow/internal/protect/control"
	"mailvow/internal/protect/ending"
	"mailvow/internal/protect/erase"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/hold"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/link"
	"mailvow/internal/protect/onward"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/reads"
	"mailvow/internal/protect/request"
	"mailvow/internal/protect/retain"
	"mailvow/internal/protect/review"
	"mailvow/internal/protect/subject"
	"mailvow/internal/protect/tenant"
)

// Schemas are what db.Open is given, in the order of the floors.
func Schemas() []db.Schema {
	return []db.Schema{
		lookup.Schema, job.Schema, leader.Schema,
		tenant.Schema, access.Schema, link.Schema, evidence.Schema(), policy.Schema, retain.Schema(), backup.Schema, reads.Schema, control.Schema, hold.Schema, onward.Schema, subject.Schema, request.Schema, clearance.Schema, alert.Schema,
		history.Schema(), words.Schema, queue.Schema(), suppress.Schema, tally.Schema, inbox.Schema(), mention.Schema, relay.Schema, inbound.Schema, attest.Schema, review.Schema, finding.Schema, lawful.Schema, patch.Schema, supply.Schema, httpapi.Schema, certificates.Schema,
		document.Schema, ending.Schema,
		incident.Schema,
		notice.Schema,
	}
}

// Declarations are what every package says that it stores.
func Declarations() []pledge.Declaration {
	return []pledge.Declaration{
		db.Declaration, lookup.Declaration, job.Declaration, leader.Declaration, vault.Declaration, blob.Declaration,
		tenant.Declaration, access.Declaration, link.Declaration, evidence.Declaration, policy.Declaration, retain.Declaration, reads.Declaration, control.Declaration, hold.Declaration, onward.Declaration, subject.Declaration, erase.Declaration, request.Declaration, backup.Declaration, clearance.Declaration, alert.Declaration,
		history.Declaration, words.Declaration, queue.Declaration, suppress.Declaration, tally.Declaration, inbox.Declaration(), mention.Declaration, relay.Declaration, inbound.Declaration, attest.Declaration, review.Declaration, finding.Declaration, lawful.Declaration, patch.Declaration, supply.Declaration, httpapi.Declaration, certificates.Declaration, House,
		document.Declaration, ending.Declaration,
		incident.Declaration,
		notice.Declaration,
	}
}

// House is what the server's own floor writes.
var House = pledge.Declaration{
	Package: "app",
	Categories: []pledge.Category{{
		Name: "server operation", About: pledge.Nobody,
		What:    "the socket of the command line and, in dev mode, the demo customer's made-up credentials",
		Purpose: "run the server", For: pledge.ToRun, Basis: pledge.NotPersonal, Erasing: pledge.Nothing,
	}},
	Places: []pledge.Place{
		{Kind: pledge.DiskFile, Name: "admin.sock", Category: "server operation"},
		{Kind: pledge.DiskFile, Name: "demo.json", Category: "server operation"},
	},
}

// Inventory is all of them joined.
func Inventory() (*inventory.Inventory, error) { return inventory.Join(Declarations()...) }

// Mounts say where in a data folder the declared files lie. In dev mode the key
// store stands in the data folder too.
func Mounts() []inventory.Mount {
	return append([]inventory.Mount{
		{Folder: "db"},
		{Folder: "blobs", As: "blobs"},
		{Folder: "evidence", As: "evidence"},
		{Folder: "erasures", As: "erasures"},
	}, KeyMounts("keystore")...)
}

// KeyMounts say where in a key store the declared files lie; "." is the store itself.
func KeyMounts(folder string) []inventory.Mount {
	in := func(name string) string { return strings.TrimPrefix(path.Join(folder, name), "./") }
	root := in("")
	if root == "." {
		root = ""
	}
	return []inventory.Mount{
		{Folder: root, As: "keys"},
		{Folder: in("backup"), As: "backup-keys"},
		{Folder: in("erasures"), As: "erasure-keys"},
		{Folder: in("evidence"), As: "evidence-keys"},
	}
}

// Package evidence is the append-only log of what was done: administrative
// acts, access of staff to personal data, purges, erasures, changes of policy,
// results of probes, rotation and destruction of keys, restores. It promises
// that an entry, once under a signed checkpoint, cannot be changed, dropped or
// moved without everybody who holds a checkpoint noticing; that no entry names
// a person; and that a deletion certificate proves its erasure on a machine
// that has never heard of this server.
//
// An act stages its leaf in its own database transaction. One sequencer (Log)
// appends staged leaves to a Merkle tree (RFC 6962 2.1), writes tiles (C2SP
// tlog-tiles) and signs a checkpoint (C2SP tlog-checkpoint, Ed25519) at most
// once a second. Formats: docs/formats/evidence.md, docs/formats/certificate.md.
//
// Left to others: who is the leader among several nodes, the custody of the
// keys of pseudonyms, anchoring checkpoints with third parties, and drawing a
// certificate as PDF.
package evidence

import (
	"mailvow/internal/base/pledge"
)

// The categories of what this package stores.
const acts, receipts, heads = "evidence of acts", "evidence of erasures", "evidence keys and checkpoints"

// Declaration is what this package stores.
var Declaration = pledge.Declaration{
	Package: "protect/evidence",
	Categories: []pledge.Category{
		{
			Name: acts, About: pledge.Staff,
			What:    "which role did what, and when; a person is at most a pseudonym under a key per customer and year",
			Purpose: "show that the rules were kept", For: pledge.ToAccount, Basis: pledge.LegalDuty,
			Period: pledge.Period{From: "never removed; it names nobody once the pseudonym's key of that year is destroyed"},
			Found:  "not by address; by pseudonym while its key lives", Erasing: pledge.Anonymise,
		},
		{
			Name: receipts, About: pledge.Correspondent,
			What:    "SHA-256 of 32 random bytes and the address; the random bytes stand only in the person's certificate",
			Purpose: "prove an erasure to the person it was for", For: pledge.ToServeRights, Basis: pledge.LegalDuty,
			Period: pledge.Period{From: "never removed; without the certificate it names nobody"},
			Found:  "only with the person's own certificate", Erasing: pledge.KeepByLaw,
		},
		{
			Name: heads, About: pledge.Nobody,
			What:    "hashes of the tree, signed checkpoints, signing keys",
			Purpose: "make a change of the log visible", For: pledge.ToRun, Basis: pledge.NotPersonal,
			Period: pledge.Period{From: "kept as long as the log; a rotated private key goes with the checkpoint that records it"},
			Found:  "not at all", Erasing: pledge.Nothing,
		},
	},
	Places: []pledge.Place{
		{Kind: pledge.Column, Name: "evidence_staged.id", Category: heads},
		{Kind: pledge.Column, Name: "evidence_staged.leaf", Category: acts},
		{Kind: pledge.DiskFile, Name: "evidence/tile/entries", Category: acts},
		{Kind: pledge.DiskFile, Name: "evidence/tile/entries (erasures)", Category: receipts},
		{Kind: pledge.DiskFile, Name: "evidence/tile", Category: heads},
		{Kind: pledge.DiskFile, Name: "evidence/checkpoint", Category: heads},
		{Kind: pledge.DiskFile, Name: "evidence/checkpoints", Category: heads},
		{Kind: pledge.DiskFile, Name: "evidence/lock", Category: heads},
		{Kind: pledge.DiskFile, Name: "evidence/keys", Category: heads},
		{Kind: pledge.KeyFile, Name: "evidence-keys/NNNN.key", Category: heads},
		{Kind: pledge.KeyFile, Name: "evidence-keys/NNNN.pub", Category: heads},
		{Kind: pledge.KeyFile, Name: "evidence-keys/head", Category: heads},
	},
}

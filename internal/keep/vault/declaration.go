package vault

import "mailvow/internal/base/pledge"

// Declaration says what the key store holds: wrapped keys and ids, nobody's data.
var Declaration = pledge.Declaration{
	Package: "keep/vault",
	Categories: []pledge.Category{{
		Name: "keys", About: pledge.Nobody,
		What:    "the wrapped keys under which everything else is sealed, and the ids of keys to be destroyed",
		Purpose: "open what is kept while it may be kept, and make it unreadable in every copy afterwards", For: pledge.ToSecure,
		Basis:   pledge.NotPersonal,
		Period:  pledge.Period{From: "as long as the data that the key opens; an epoch key until its class's period is over"},
		Found:   "customer, class and day or hour in the record's name",
		Erasing: pledge.Nothing,
	}},
	Places: []pledge.Place{
		{Kind: pledge.KeyFile, Name: "kek", Category: "keys"},
		{Kind: pledge.KeyFile, Name: "tenant", Category: "keys", Sealed: true},
		{Kind: pledge.KeyFile, Name: "epoch", Category: "keys", Sealed: true},
		{Kind: pledge.KeyFile, Name: "index", Category: "keys", Sealed: true},
		{Kind: pledge.DiskFile, Name: "keys/a", Category: "keys", Sealed: true},
		{Kind: pledge.DiskFile, Name: "keys/b", Category: "keys", Sealed: true},
		{Kind: pledge.Memory, Name: "vault caches", Category: "keys"},
	},
}

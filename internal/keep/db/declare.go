package db

import "mailvow/internal/base/pledge"

// Declaration is what the package itself stores. The rows of others are
// declared where they are written.
var Declaration = pledge.Declaration{
	Package: "keep/db",
	Categories: []pledge.Category{{
		Name: "database operation", About: pledge.Nobody, What: "which migrations were applied, the numbers of nodes and of numbered rows",
		Purpose: "open the database again and count on", For: pledge.ToRun, Basis: pledge.NotPersonal, Erasing: pledge.Nothing,
	}, {
		Name: "database files", About: pledge.Nobody, What: "the files that hold the rows of all packages; what is personal in them is sealed above the database and declared there",
		Purpose: "keep rows", For: pledge.ToRun, Basis: pledge.NotPersonal, Erasing: pledge.Nothing,
	}},
	Places: append(append(append(
		pledge.Columns("database operation", false, "keep_migration", "package", "number", "checksum", "at"),
		pledge.Columns("database operation", false, "keep_number", "node", "bulk", "seq")...),
		pledge.Columns("database operation", false, "keep_node", "node", "token", "until", "region", "place")...),
		pledge.Place{Kind: pledge.DiskFile, Name: fileName, Category: "database files"},
		pledge.Place{Kind: pledge.DiskFile, Name: fileName + "-wal", Category: "database files"},
		pledge.Place{Kind: pledge.DiskFile, Name: fileName + "-shm", Category: "database files"},
		pledge.Place{Kind: pledge.DiskFile, Name: lockName, Category: "database operation"},
		pledge.Place{Kind: pledge.DiskFile, Name: reserveName, Category: "database operation"},
	),
}

package db_test

import (
	_ "embed"
	"strings"
	"testing"

	"mailvow/internal/keep/db"
)

//go:embed testdata/v1.sql
var version1 string // frozen: never edit it

// TestVersion1IsFrozen: the text of a landed migration never changes.
func TestVersion1IsFrozen(t *testing.T) {
	t.Parallel()
	words := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	if !strings.Contains(words(db.OwnSQL), words(version1)) {
		t.Error("migration 1 of keep/db is not the one that landed")
	}
}

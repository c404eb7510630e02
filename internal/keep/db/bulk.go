package db

import (
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"

	"mailvow/internal/base/fault"
)

// Bulk is a prepared statement over a relation of rows. Look it up once, at
// construction.
type Bulk struct {
	set      *Set
	name     string
	columns  []column
	numbered bool
	index    int // position among all bulks of the database: the order of running
	order    int // position in its file
	returns  bool
	// SQLite: with rows(...) as (values %s) text; PostgreSQL: the whole text.
	head, tail, bare string
	watchers         atomic.Pointer[[]func([]Committed)]
}

// Committed is one row after its commit, as a watcher sees it.
type Committed struct {
	Seq  int64 // the number of a row of a numbered bulk, else 0
	Row  []any // as stored; not to be changed
	Memo any   // what the unit's author handed over
}

var returning = regexp.MustCompile(`(?i)\s+returning\s+[A-Za-z0-9_."]+\s*$`)

// prepareTexts writes the statement's parts for the dialect.
func (b *Bulk) prepareTexts(text string, dialect Dialect) {
	names := make([]string, len(b.columns))
	for i, c := range b.columns {
		names[i] = c.name
	}
	b.returns = returning.MatchString(text)
	join := ") "
	if rest, ok := cutWord(text, "with"); ok {
		text, join = rest, "), "
	}
	head := "with rows(" + strings.Join(names, ", ") + ") as ("
	if dialect == Postgres {
		casts := make([]string, len(b.columns))
		for i, c := range b.columns {
			casts[i] = fmt.Sprintf("$%d::%s[]", i+1, pgTypes[c.kind])
		}
		b.head = head + "select * from unnest(" + strings.Join(casts, ", ") + ")" + join + text
		return
	}
	b.head, b.tail = head+"values ", join+text
	b.bare = join + returning.ReplaceAllString(text, "")
}

func cutWord(text, word string) (string, bool) {
	if len(text) > len(word) && strings.EqualFold(text[:len(word)], word) && strings.ContainsAny(text[len(word):len(word)+1], " \n\t") {
		return text[len(word):], true
	}
	return text, false
}

// sqliteText is the statement for n rows; bare leaves out what it returns.
func (b *Bulk) sqliteText(n int, bare bool) string {
	one := "(" + strings.Repeat(", ?", len(b.columns))[2:] + ")"
	tail := b.tail
	if bare {
		tail = b.bare
	}
	return b.head + strings.Repeat(", "+one, n)[2:] + tail
}

// check brings a row's values into the few types that both drivers store, in
// place, on the goroutine of whoever made it.
func (b *Bulk) check(row []any) error {
	if len(row) != len(b.columns) {
		return fault.Because(fault.Internal, fmt.Errorf("bulk %s of %s wants %d values, not %d", b.name, b.set.pkg, len(b.columns), len(row)), "")
	}
	start := 0
	if b.numbered {
		start = 2
	}
	for i := start; i < len(row); i++ {
		v, err := plain(row[i])
		if err == nil && !fits(v, b.columns[i].kind) {
			err = fmt.Errorf("is %T, the column is %s", v, b.columns[i].kind)
		}
		if err != nil {
			return fault.Because(fault.Internal, fmt.Errorf("bulk %s of %s, column %s: %w", b.name, b.set.pkg, b.columns[i].name, err), "")
		}
		row[i] = v
	}
	return nil
}

func fits(v any, kind string) bool {
	switch v.(type) {
	case nil:
		return true
	case int64:
		return kind == "int"
	case []byte:
		return kind == "blob"
	case string:
		return kind == "text"
	case bool:
		return kind == "bool"
	}
	return false
}

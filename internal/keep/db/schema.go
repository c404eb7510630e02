package db

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"mailvow/internal/base/fault"
)

// Schema is one package's .sql file. Comment lines begin its sections:
//
//	-- migration: 1             DDL; its words never change once landed; int, blob, bool and text are the types
//	-- query: name              one statement; $1, $2 … are its arguments
//	-- bulk: name (key int, …)  one statement over the relation rows with these columns; as a change it ends in
//	                            "returning <first column>" and finds at most one row a key
//	-- bulk numbered: name (node int, seq int, …)  rows that the committer numbers in commit order
//
// A section that must differ stands twice, adjacent, marked [sqlite] and
// [postgres]. In SQLite "insert … select … from rows on conflict" needs a
// "where true" before the conflict clause, and a change with a condition is
// written "where (id, token) in (select id, token from rows)", which goes by the
// key; "where exists (select … from rows …)" would read the whole table.
type Schema struct {
	Package string // "flow/queue"
	SQL     string // the embedded text
}

// Dialect is the SQL that a database speaks.
type Dialect uint8

// The two dialects.
const (
	SQLite Dialect = iota
	Postgres
)

// String is the dialect's name as it is written in marks: [sqlite].
func (d Dialect) String() string {
	if d == Postgres {
		return "postgres"
	}
	return "sqlite"
}

// Set is one package's queries. It is made once, at construction.
type Set struct {
	db         *DB
	pkg        string
	migrations []migration
	queries    map[string]*query
	bulks      map[string]*Bulk
}

type migration struct {
	number   int
	text     string
	checksum string
}

type query struct {
	set  *Set
	name string
	text string
}

type column struct {
	name string
	kind string // int, blob, text, bool
}

// section is one marked part of a .sql file.
type section struct {
	kind, name, mark, columns string
	text                      strings.Builder
	line                      int
}

var header = regexp.MustCompile(`^--\s*(migration|query|bulk|bulk numbered):\s*([A-Za-z0-9_]+)\s*(.*)$`)
var marked = regexp.MustCompile(`\[(sqlite|postgres)\]`)

// sections cuts a .sql file at its marked comment lines. What stands before the
// first is a comment to the reader.
func sections(text string) []*section {
	var all []*section
	for i, line := range strings.Split(text, "\n") {
		if m := header.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			s := &section{kind: m[1], name: m[2], line: i + 1}
			rest := m[3]
			if mark := marked.FindStringSubmatch(rest); mark != nil {
				s.mark, rest = mark[1], strings.Replace(rest, mark[0], "", 1)
			}
			s.columns = strings.TrimSpace(rest)
			all = append(all, s)
			continue
		}
		if len(all) > 0 {
			all[len(all)-1].text.WriteString(line + "\n")
		}
	}
	return all
}

// parse reads a package's file for one dialect.
func parse(schema Schema, dialect Dialect) (*Set, error) {
	set := &Set{pkg: schema.Package, queries: map[string]*query{}, bulks: map[string]*Bulk{}}
	bad := func(s *section, why string) error {
		return fault.Because(fault.Internal, fmt.Errorf("%s.sql line %d: %s %s: %s", schema.Package, s.line, s.kind, s.name, why), "")
	}
	for _, s := range sections(schema.SQL) {
		if s.mark != "" && s.mark != dialect.String() {
			continue
		}
		if err := set.take(s, dialect); err != nil {
			return nil, bad(s, err.Error())
		}
	}
	return set, nil
}

func (set *Set) take(s *section, dialect Dialect) error {
	text := strings.TrimSuffix(strings.TrimSpace(translate(s.text.String(), dialect, s.kind == "migration")), ";")
	if text == "" {
		return fmt.Errorf("it is empty")
	}
	if s.kind == "migration" {
		return set.takeMigration(s, text)
	}
	if set.queries[s.name] != nil || set.bulks[s.name] != nil {
		return fmt.Errorf("the name stands twice")
	}
	if s.kind == "query" {
		set.queries[s.name] = &query{set: set, name: s.name, text: text}
		return nil
	}
	columns, err := parseColumns(s.columns)
	if err != nil {
		return err
	}
	b := &Bulk{set: set, name: s.name, columns: columns, numbered: s.kind == "bulk numbered", order: len(set.bulks)}
	if b.numbered && (len(columns) < 2 || columns[0].name != "node" || columns[1].name != "seq") {
		return fmt.Errorf("a numbered bulk begins with (node int, seq int, …)")
	}
	b.prepareTexts(text, dialect)
	set.bulks[s.name] = b
	return nil
}

func (set *Set) takeMigration(s *section, text string) error {
	n, err := strconv.Atoi(s.name)
	if err != nil || n != len(set.migrations)+1 {
		return fmt.Errorf("migrations count 1, 2, 3 without a gap")
	}
	// The sum is over the words, so that a comment may be corrected.
	sum := sha256.Sum256([]byte(strings.Join(strings.Fields(text), " ")))
	set.migrations = append(set.migrations, migration{number: n, text: text, checksum: hex.EncodeToString(sum[:])})
	return nil
}

func parseColumns(list string) ([]column, error) {
	inner, ok := strings.CutPrefix(list, "(")
	inner, ok2 := strings.CutSuffix(inner, ")")
	if !ok || !ok2 {
		return nil, fmt.Errorf("a bulk names its columns: (key int, sealed blob)")
	}
	var columns []column
	for _, part := range strings.Split(inner, ",") {
		words := strings.Fields(part)
		if len(words) != 2 || pgTypes[words[1]] == "" {
			return nil, fmt.Errorf("column %q: write a name and one of int, blob, text, bool", part)
		}
		columns = append(columns, column{words[0], words[1]})
	}
	return columns, nil
}

var pgTypes = map[string]string{"int": "bigint", "blob": "bytea", "text": "text", "bool": "boolean"}

var (
	// Comments and quoted text pass unchanged (comments go); the rest is words.
	sqlToken    = regexp.MustCompile(`(?s)--[^\n]*|'(?:[^']|'')*'|"[^"]*"|\$[0-9]+|[A-Za-z_][A-Za-z0-9_]*|.`)
	tableSuffix = regexp.MustCompile(`(?i)\)(\s*,?\s*(without\s+rowid|strict))+`)
)

// translate writes a text in the words of one dialect. In migrations the types
// int, blob and bool are those of the dialect; everywhere $1 is SQLite's ?1,
// because there $1 is a name and no position.
func translate(text string, dialect Dialect, ddl bool) string {
	var b strings.Builder
	previous := ""
	for _, token := range sqlToken.FindAllString(text, -1) {
		switch {
		case strings.HasPrefix(token, "--"):
			continue
		case token[0] == '$' && dialect == SQLite:
			token = "?" + token[1:]
		case ddl || previous == "as":
			token = typeWord(token, dialect)
		}
		if strings.TrimSpace(token) != "" {
			previous = strings.ToLower(token)
		}
		b.WriteString(token)
	}
	if ddl && dialect == Postgres {
		return tableSuffix.ReplaceAllString(b.String(), ")")
	}
	return b.String()
}

func typeWord(word string, dialect Dialect) string {
	switch strings.ToLower(word) {
	case "int", "integer", "bigint":
		if dialect == Postgres {
			return "bigint"
		}
		return "integer" // only "integer primary key" is SQLite's row id
	case "bool", "boolean":
		if dialect == Postgres {
			return "boolean"
		}
		return "integer"
	case "blob", "bytea":
		if dialect == Postgres {
			return "bytea"
		}
		return "blob"
	}
	return word
}

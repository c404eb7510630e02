package db

// WithPragma lets a test open SQLite with a pragma that breaks a promise.
func (c Config) WithPragma(pragma string) Config {
	c.pragmas = append(c.pragmas, pragma)
	return c
}

// Waiting is how many units and changes wait for the committer.
func (d *DB) Waiting() int { return len(d.queue) }

// OwnSQL is the package's own schema.
var OwnSQL = ownSQL

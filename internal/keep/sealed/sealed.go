// Package sealed keeps a small struct as one sealed value in one column of one
// row. It promises that the value opens only in the row that it was sealed for.
// Keys and formats are the vault's; which column is sealed is the caller's to
// declare.
package sealed

import (
	"encoding/json"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/vault"
)

// Row names where a sealed value stands.
type Row struct {
	Tenant ids.Tenant
	Table  string
	ID     int64
}

func (r Row) ad() vault.AD { return vault.AD{Table: r.Table, Row: r.ID} }

// Put seals a struct for a row. Its errors are the vault's.
func Put(v *vault.Vault, class vault.Class, r Row, value any) ([]byte, error) {
	plain, err := json.Marshal(value)
	if err != nil {
		return nil, fault.Wrap(err, "write a value to be sealed")
	}
	out, err := v.Seal(nil, r.Tenant, class, r.ad(), plain)
	clear(plain)
	return out, fault.Wrap(err, "seal "+r.Table)
}

// Get opens what Put sealed.
func Get(v *vault.Vault, r Row, blob []byte, into any) error {
	plain, err := v.Open(nil, r.Tenant, r.ad(), blob)
	if err != nil {
		return fault.Wrap(err, "open "+r.Table)
	}
	err = json.Unmarshal(plain, into)
	clear(plain)
	return fault.Wrap(err, "read what was sealed in "+r.Table)
}

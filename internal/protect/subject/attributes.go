package subject

import (
	"context"
	_ "embed" // the table
	"maps"
	"slices"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
)

const pkg = "protect/subject"

//go:embed subject.sql
var sql string

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Attributes is the category of what customers declare.
const Attributes = "identifying attributes"

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: Attributes, About: pledge.Nobody, What: "the names of those attributes of a customer's messages that identify a person",
		Purpose: "find everything about a person who asks", For: pledge.ToServeRights, Basis: pledge.NotPersonal, Period: pledge.Period{From: "the end of the contract"},
		Found: "not at all", Erasing: pledge.Nothing,
	}},
	Places: pledge.Columns(Attributes, false, "subject_attribute", "tenant", "name", "sort"),
}

// maxAttributes is how many attributes a customer may declare.
const maxAttributes = 50

// Declared says which attributes of a customer's messages identify a person, and as
// what.
func (d *Desk) Declared(ctx context.Context, tenant ids.Tenant) (map[string]pledge.Sort, error) {
	declared := map[string]pledge.Sort{}
	err := d.DB.Set(pkg).Each(ctx, "attributes", []any{tenant}, func(scan func(...any) error) error {
		var name string
		var is pledge.Sort
		err := scan(&name, &is)
		declared[name] = is
		return err
	})
	return declared, fault.Wrap(err, "read what identifies a person")
}

// Declare says anew which attributes identify a person. It counts for messages that
// were accepted before, too.
func (d *Desk) Declare(ctx context.Context, tenant ids.Tenant, by evidence.Actor, declared map[string]pledge.Sort) error {
	if len(declared) > maxAttributes {
		return fault.Field("attributes", "At most 50 attributes identify a person.")
	}
	names := slices.Sorted(maps.Keys(declared))
	for _, name := range names {
		if name == "" || len(name) > 64 || strings.ContainsAny(name, "=\n\r") {
			return fault.Field("attributes", "An attribute's name has 1 to 64 bytes without =, as metadata has.")
		}
		if !slices.Contains(pledge.Sorts(), declared[name]) {
			return fault.Field("attributes", "An attribute is a name, a phone, a customer_number or an account.")
		}
	}
	leaf := evidence.Leaf{ID: ids.New[ids.Leaf](d.IDs), At: evidence.On(d.Clock.Now()), By: by, Tenant: tenant, Body: &evidence.Act{Act: "subject.attributes"}}
	err := d.DB.Change(ctx, "declare what identifies a person", func(tx *db.Tx) error {
		set := d.DB.Set(pkg)
		if _, err := tx.Do(ctx, set, "drop_tenant", tenant); err != nil {
			return err
		}
		for _, name := range names {
			if _, err := tx.Do(ctx, set, "set_attribute", tenant, name, declared[name]); err != nil {
				return err
			}
		}
		return d.Stage.Stage(ctx, tx, leaf)
	})
	d.Log.Nudge()
	return fault.Wrap(err, "declare what identifies a person")
}

package db

import (
	"context"

	"mailvow/internal/base/fault"
)

// Columns lists every column of every table that is really there, each as
// table.column, in the order of the tables' names.
func (d *DB) Columns(ctx context.Context) ([]string, error) {
	var list []string
	err := d.own.Each(ctx, "columns", nil, func(scan func(...any) error) error {
		var table, column string
		err := scan(&table, &column)
		list = append(list, table+"."+column)
		return err
	})
	return list, fault.Wrap(err, "list the columns of the database")
}

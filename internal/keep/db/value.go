package db

import (
	"database/sql"
	"fmt"
	"math"
	"reflect"
	"time"

	"mailvow/internal/base/clock"
)

// plain brings a value into nil, int64, []byte, string or bool. Times become
// microseconds. A time.Duration is refused: its unit would be lost.
func plain(v any) (any, error) {
	switch x := v.(type) {
	case nil, int64, []byte, string, bool:
		return v, nil
	case int:
		return int64(x), nil
	case time.Time:
		return clock.Micros(x), nil
	case time.Duration:
		return nil, fmt.Errorf("a time.Duration has no unit in the database; pass a number whose name says it")
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return r.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		if r.Uint() > math.MaxInt64 {
			return nil, fmt.Errorf("%T %d is larger than a database integer", v, r.Uint())
		}
		return int64(r.Uint()), nil
	case reflect.Bool:
		return r.Bool(), nil
	case reflect.String:
		return r.String(), nil
	case reflect.Slice:
		if r.Type().Elem().Kind() == reflect.Uint8 {
			return r.Bytes(), nil
		}
	case reflect.Array:
		if r.Type().Elem().Kind() == reflect.Uint8 {
			b := make([]byte, r.Len())
			reflect.Copy(reflect.ValueOf(b), r)
			return b, nil
		}
	}
	return nil, fmt.Errorf("%T cannot be stored", v)
}

// plainAll prepares a query's arguments.
func plainAll(args []any) ([]any, error) {
	out := make([]any, len(args))
	for i, a := range args {
		v, err := plain(a)
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		out[i] = v
	}
	return out, nil
}

// destinations wraps those places that database/sql cannot fill.
func destinations(dest []any) []any {
	for i, d := range dest {
		if t, ok := d.(*time.Time); ok {
			dest[i] = (*microTime)(t)
		}
	}
	return dest
}

type microTime time.Time

// Scan implements sql.Scanner.
func (t *microTime) Scan(v any) error {
	us, ok := v.(int64)
	if !ok {
		return fmt.Errorf("%T is no time in microseconds", v)
	}
	*t = microTime(clock.FromMicros(us))
	return nil
}

var _ sql.Scanner = (*microTime)(nil)

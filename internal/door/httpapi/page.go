package httpapi

import (
	"strconv"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// Paging is how every list is asked for.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many at most."`
	Cursor string `query:"cursor" maxLength:"1024" doc:"The next of the page before."`
}

// Page is one page of a list, newest first.
type Page[T any] struct {
	Items []T     `json:"items" nullable:"false"`
	Next  *string `json:"next" doc:"The cursor of the next page; null at the end."`
}

type pageOut[T any] struct{ Body Page[T] }

// listing binds a cursor to a list, to its filters, and to who asks.
func listing(list string, who Asker) string { return list + "\x00" + who.Tenant.String() }

// pageOf serves a list that goes downward by identifier.
func pageOf[T any, V any](a *API, list string, in Paging, fetch func(before int64, limit int) ([]T, error), id func(T) int64, view func(T) V) (*pageOut[V], error) {
	position, err := a.cursors.open(list, in.Cursor)
	if err != nil {
		return nil, err
	}
	before := int64(0)
	if position != "" {
		if before, err = strconv.ParseInt(position, 36, 64); err != nil {
			return nil, fault.Field("query.cursor", "The cursor is not one that this list gave.")
		}
	}
	got, err := fetch(before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &pageOut[V]{Page[V]{Items: []V{}}}
	for i, t := range got {
		if i == in.Limit {
			next := a.cursors.seal(list, strconv.FormatInt(id(got[i-1]), 36))
			out.Body.Next = &next
			break
		}
		out.Body.Items = append(out.Body.Items, view(t))
	}
	return out, nil
}

// ByID is the input of operations on one thing.
type ByID struct {
	ID string `path:"id" maxLength:"64"`
}

// idAt reads an identifier and blames the place where it stood.
func idAt[T ids.Any](location, s string) (T, error) {
	id, err := ids.Parse[T](s)
	if err != nil {
		text, _ := fault.Public(err)
		return 0, fault.Field(location, text)
	}
	return id, nil
}

// when shows a moment, or null for one that has not come.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Microsecond)
	return &t
}

type nothing struct{}

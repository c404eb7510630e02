package probes

import (
	"context"
	"fmt"
	"maps"
	"net/http"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
)

// deletion records how a waiting message lies in the store, lets it go, and then
// finds none of it: ciphertext, wrapped key, sealed envelope. Sealed bytes never
// hold the text, so a search for the text would always find nothing.
func (x *scene) deletion(ctx context.Context, id ids.Message, letGo func()) (verdict, error) {
	if _, err := x.waitState(ctx, id, "deferred"); err != nil {
		return verdict{}, err
	}
	sealed, err := x.Stored(ctx, id)
	if err != nil {
		return verdict{}, fault.Wrap(err, "record how the canary lies in the store")
	}
	pieces := cut("ciphertext", sealed.Body)
	maps.Copy(pieces, cut("wrapped key", sealed.Key))
	maps.Copy(pieces, cut("sealed envelope", sealed.Row))
	for part, bytes := range map[string][]byte{"ciphertext": sealed.Body, "wrapped key": sealed.Key} {
		before, _, err := x.search(ctx, cut(part, bytes))
		if err != nil {
			return verdict{}, err
		}
		if len(before) == 0 {
			return bad("the %s was not found while it lived: the probe does not look where the server writes", part), nil
		}
	}
	if v, err := x.blind(ctx, pieces); err != nil || v.status != "" {
		return v, err
	}
	letGo()
	if err := x.must(ctx, http.MethodPost, "/v1/queue/retry", map[string]string{"message": id.String()}, nil); err != nil {
		return verdict{}, err
	}
	if _, err := x.waitState(ctx, id, "delivered"); err != nil {
		return verdict{}, err
	}
	var seen found
	var total int64
	err = x.until(ctx, "the sealed bytes to go", func() (bool, error) {
		seen, total, err = x.search(ctx, pieces)
		return len(seen) == 0, err
	})
	if len(seen) > 0 {
		return bad("after the delivery sealed bytes of the canary are still in %v", seen), nil
	}
	if err != nil {
		return verdict{}, err
	}
	return x.relations(ctx, pieces, fmt.Sprintf("%d pieces of ciphertext, wrapped key and envelope were recorded while the message waited; after its delivery none is in %d bytes of files, free pages and write-ahead log", len(pieces), total))
}

// blind makes sure that the probe sees the database's own files at all.
func (x *scene) blind(ctx context.Context, pieces map[string][]byte) (verdict, error) {
	if x.Relations == nil {
		return verdict{}, nil
	}
	seen := false
	err := x.Relations(ctx, func(_ string, content []byte) error {
		seen = seen || in(content, pieces) != ""
		return nil
	})
	if err == nil && !seen {
		return bad("the sealed bytes were not found in the database's files while they lived: the probe does not look where they are"), nil
	}
	return verdict{}, nil //nolint:nilerr // what cannot be read is said after the delivery, when the rows were looked at
}

// relations looks into the database's own files, where it keeps them elsewhere.
func (x *scene) relations(ctx context.Context, pieces map[string][]byte, evidence string) (verdict, error) {
	if x.Relations == nil {
		return verdict{pledge.Kept, evidence}, nil
	}
	seen := found{}
	err := x.Relations(ctx, func(name string, content []byte) error {
		if what := in(content, pieces); what != "" {
			seen[name] = what
		}
		return nil
	})
	switch {
	case err != nil:
		return bad("the rows are gone; the database's files cannot be looked into (%v), so whether dead rows are left is not shown", err), nil
	case len(seen) > 0:
		return bad("the rows are gone; PostgreSQL still has their sealed bytes in %v, until it overwrites them; they can be opened until their day's key is destroyed", seen), nil
	}
	return verdict{pledge.Kept, evidence + ", nor in the database's own files"}, nil
}

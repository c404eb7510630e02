package probes

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"time"

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
	until, err := x.KeyUntil(ctx, x.Tenant, sealed)
	if err != nil {
		return bad("it is not known until when copies of the canary can be opened: %v", err), nil
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
	if open, err := x.Opens(ctx, x.Tenant, id, sealed.Key); err != nil || !open {
		return bad("the recorded key does not open while the message waits, so that its end would show nothing: %v", err), nil
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
	delivered := x.Clock.Now()
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
	took := x.Clock.Now().Sub(delivered).Round(100 * time.Millisecond)
	x.past.add(recording{x.Tenant, id, sealed.Key, until})
	v, err := x.lag(ctx, until)
	if err != nil || v.status != pledge.Kept {
		return v, err
	}
	return good("%d pieces of ciphertext, wrapped key and envelope were recorded while the message waited; %v after its delivery none is in %d bytes of %s; %s",
		len(pieces), took, total, x.places(ctx, pieces), v.evidence), nil
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

// places says where the pieces were not found and, of a database that keeps its
// own files, what is in those. PostgreSQL does not overwrite what it deletes:
// dead rows and its log keep sealed bytes until they are written over. For those
// the end of their key counts, which lag shows.
func (x *scene) places(ctx context.Context, pieces map[string][]byte) string {
	if x.Relations == nil {
		return "files, free pages and write-ahead log"
	}
	const gone = "files and live rows"
	seen := found{}
	err := x.Relations(ctx, func(name string, content []byte) error {
		if what := in(content, pieces); what != "" {
			seen[name] = what
		}
		return nil
	})
	switch {
	case err != nil:
		return gone + fmt.Sprintf(", while the database's own files cannot be looked into (%v), so that dead rows may be left", err)
	case len(seen) > 0:
		return gone + fmt.Sprintf(", while PostgreSQL still has sealed bytes of it in %v, until it overwrites them", seen)
	}
	return gone + ", nor in the database's own files"
}

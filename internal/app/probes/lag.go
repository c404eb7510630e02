package probes

import (
	"context"
	"fmt"
	"sync"
	"time"

	"mailvow/internal/base/ids"
)

// recording is a canary as it lay in the store while it waited.
type recording struct {
	tenant  ids.Tenant
	message ids.Message
	key     []byte    // the message's key, wrapped
	until   time.Time // the key above it is destroyed by then
}

// recordings are the newest ones of this process. They are in memory only: on
// disk they would be what the probe looks for.
type recordings struct {
	mu   sync.Mutex
	list []recording
}

const mostRecordings = 64

func (r *recordings) add(one recording) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == mostRecordings {
		r.list = append(r.list[:0], r.list[1:]...)
	}
	r.list = append(r.list, one)
}

// over gives those whose time is over, and when the first other one's will be.
func (r *recordings) over(now time.Time) (list []recording, next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.list {
		switch {
		case now.After(one.until):
			list = append(list, one)
		case next.IsZero() || one.until.Before(next):
			next = one.until
		}
	}
	return list, next
}

// lag shows that copies end too: what dead rows, the write-ahead log and backups
// hold of a delivered message is sealed, and nothing opens it once the key of its
// hour is destroyed. Two things are looked at: that no customer's key of that kind
// outlives its time, and that canaries recorded earlier do not open today.
func (x *scene) lag(ctx context.Context, until time.Time) (verdict, error) {
	all, overdue, err := x.TransitKeys(ctx)
	if err != nil {
		return verdict{}, err
	}
	if overdue > 0 {
		return bad("%d of %d keys of passing content are past their time and were not destroyed: copies of what was delivered can still be opened", overdue, all), nil
	}
	past, next := x.past.over(x.Clock.Now())
	for _, r := range past {
		open, err := x.Opens(ctx, r.tenant, r.message, r.key)
		if err != nil {
			return verdict{}, err
		}
		if open {
			return bad("the key of a canary that was delivered earlier still opens, though its time was over at %s", stamp(r.until)), nil
		}
	}
	says := fmt.Sprintf("any copy of them can be opened until the key of their hour is destroyed, by %s at the latest; of %d such keys in the key store, of every customer, none is past its time", stamp(until), all)
	if len(past) > 0 {
		return good("%s; of %d earlier canaries whose time is over none opens", says, len(past)), nil
	}
	return good("%s; no canary of this process is old enough to show that it does not open any more: the first will be at %s", says, stamp(next)), nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// Package limit holds the units of limits: a size that carries its unit in
// configuration and code, and a bounded number of places. Rates over time are
// left to golang.org/x/time/rate.
package limit

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync/atomic"

	"mailvow/internal/base/fault"
)

// Bytes is a size in bytes.
type Bytes int64

// The units, powers of 1024 as mail servers count.
const (
	Byte Bytes = 1
	KiB        = 1024 * Byte
	MiB        = 1024 * KiB
	GiB        = 1024 * MiB
)

var units = []struct {
	name string
	size Bytes
}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", Byte}}

// ParseBytes reads a number with its unit: 25MiB, 1.5GB, 512B. A bare number is
// refused, because nobody can tell what it means.
func ParseBytes(s string) (Bytes, error) {
	for _, u := range units {
		number, ok := strings.CutSuffix(strings.TrimSpace(s), u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || math.IsNaN(v) || v < 0 || v*float64(u.size) >= math.MaxInt64 {
			break
		}
		return Bytes(v * float64(u.size)), nil
	}
	return 0, fault.New(fault.Invalid, fmt.Sprintf("%.40q is no size; write a number and a unit, such as 25MiB (B, kB, KiB, MB, MiB, GB, GiB).", s))
}

// String gives the largest unit of 1024 that divides the size evenly.
func (b Bytes) String() string {
	for _, u := range units[:3] {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) error {
	v, err := ParseBytes(string(text))
	*b = v
	return err
}

// Places is a bounded number of places, such as the signatures computed at once.
type Places chan struct{}

// NewPlaces makes n places.
func NewPlaces(n int) Places { return make(Places, n) }

// Take waits for a place or for the context's end.
func (p Places) Take(ctx context.Context) error {
	select {
	case p <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TryTake takes a place if one is free.
func (p Places) TryTake() bool {
	select {
	case p <- struct{}{}:
		return true
	default:
		return false
	}
}

// Leave gives a place back. Each Take is followed by one Leave.
func (p Places) Leave() { <-p }

// Budget is a bounded number of bytes that many hold at once.
type Budget struct {
	most Bytes
	held atomic.Int64
}

// NewBudget makes a budget of most bytes.
func NewBudget(most Bytes) *Budget { return &Budget{most: most} }

// TryTake takes n bytes if so many are free.
func (b *Budget) TryTake(n Bytes) bool {
	for {
		held := b.held.Load()
		if held+int64(n) > int64(b.most) {
			return false
		}
		if b.held.CompareAndSwap(held, held+int64(n)) {
			return true
		}
	}
}

// Leave gives n bytes back.
func (b *Budget) Leave(n Bytes) { b.held.Add(-int64(n)) }

// Held is how many bytes are taken.
func (b *Budget) Held() Bytes { return Bytes(b.held.Load()) }

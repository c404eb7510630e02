package vault

import (
	"sync"
	"sync/atomic"
)

// cache is a bounded map that many read. It forgets what was not used lately.
type cache[K comparable, V any] struct {
	mu    sync.RWMutex
	max   int
	items map[K]*cached[V]
}

type cached[V any] struct {
	value V
	used  atomic.Bool
}

func newCache[K comparable, V any](max int) *cache[K, V] {
	return &cache[K, V]{max: max, items: map[K]*cached[V]{}}
}

func (c *cache[K, V]) get(k K) (V, bool) {
	c.mu.RLock()
	item := c.items[k]
	c.mu.RUnlock()
	if item == nil {
		var zero V
		return zero, false
	}
	if !item.used.Load() { // a load is cheap for many cores, a store is not
		item.used.Store(true)
	}
	return item.value, true
}

func (c *cache[K, V]) put(k K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.items[k]; !there && len(c.items) >= c.max {
		c.evict()
	}
	c.items[k] = &cached[V]{value: v}
}

// evict drops one that was not used since evict last passed it. A map's order
// is random, so a few steps are as good as a clock hand.
func (c *cache[K, V]) evict() {
	steps := 0
	var victim K
	for k, item := range c.items {
		victim = k
		if steps++; !item.used.Swap(false) || steps > 32 {
			break
		}
	}
	delete(c.items, victim)
}

// drop forgets everything for which which says true.
func (c *cache[K, V]) drop(which func(K, V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, item := range c.items {
		if which(k, item.value) {
			delete(c.items, k)
		}
	}
}

func (c *cache[K, V]) each(yield func(K, V)) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for k, item := range c.items {
		yield(k, item.value)
	}
}

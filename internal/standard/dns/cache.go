package dns

import (
	"container/list"
	"sync"
	"time"
)

// cache keeps the answers that were used last, up to a number of them.
type cache struct {
	mu    sync.Mutex
	most  int
	byUse *list.List // of *kept, the one used last in front
	index map[question]*list.Element
}

type kept struct {
	question question
	answer   answer
	until    time.Time
}

func newCache(most int) *cache {
	return &cache{most: most, byUse: list.New(), index: map[question]*list.Element{}}
}

func (c *cache) get(q question, now time.Time) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.index[q]
	if !ok {
		return answer{}, false
	}
	k := e.Value.(*kept)
	if !now.Before(k.until) {
		c.byUse.Remove(e)
		delete(c.index, q)
		return answer{}, false
	}
	c.byUse.MoveToFront(e)
	return k.answer, true
}

func (c *cache) put(q question, a answer, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.index[q]; ok {
		c.byUse.Remove(e)
	}
	c.index[q] = c.byUse.PushFront(&kept{q, a, until})
	if c.byUse.Len() > c.most {
		e := c.byUse.Back()
		c.byUse.Remove(e)
		delete(c.index, e.Value.(*kept).question)
	}
}

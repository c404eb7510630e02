// Package service starts goroutines so that somebody stops them and waits. Who
// starts one names it; a panic in it is recovered, logged and counted as an
// error, because one bad message must not stop the mail of all others.
package service

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"mailvow/internal/base/fault"
)

// Group is a set of running goroutines with one end. The zero Group is not
// usable; make one with New.
type Group struct {
	ctx    context.Context
	cancel context.CancelFunc
	log    *slog.Logger
	wg     sync.WaitGroup
}

// New makes a group that ends with parent, or with Stop.
func New(parent context.Context, log *slog.Logger) *Group {
	ctx, cancel := context.WithCancel(parent)
	return &Group{ctx: ctx, cancel: cancel, log: log}
}

// Context ends when the group is stopped.
func (g *Group) Context() context.Context { return g.ctx }

// Go runs f until it returns. f must return soon after its context ends. An
// error, or a panic turned into one, is logged with the name.
func (g *Group) Go(name string, f func(context.Context) error) {
	g.wg.Go(func() {
		if err := Guard(func() error { return f(g.ctx) }); err != nil && g.ctx.Err() == nil {
			g.log.Error("a part of the server ended", "part", name, "error", err)
		}
	})
}

// Stop ends the group and waits until all have returned, or until wait is over;
// then it returns an Unavailable fault, and the stragglers are left running.
func (g *Group) Stop(wait time.Duration) error {
	g.cancel()
	done := make(chan struct{})
	go func() { g.wg.Wait(); close(done) }()
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-done:
		return nil
	case <-t.C:
		return fault.New(fault.Unavailable, "some parts did not stop in time")
	}
}

// Guard runs f and turns a panic into an Internal fault with its stack.
func Guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Because(fault.Internal, fmt.Errorf("panic: %v\n%s", p, debug.Stack()), "")
		}
	}()
	return f()
}

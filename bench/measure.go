package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Round is one server between generator and sink, once.
type Round struct {
	Kind     string  `json:"kind"` // relay or signed
	Peer     string  `json:"peer"`
	Sessions int     `json:"sessions"`
	Round    int     `json:"round"`
	Messages int     `json:"messages"`
	Accepted float64 `json:"accepted_per_second"`
	Rate     float64 `json:"delivered_per_second"`
	CPU      float64 `json:"cpu_us_per_message"` // of the server, all its processes
	Rig      float64 `json:"rig_us_per_message"` // of generator and sink
	Memory   int64   `json:"peak_memory_bytes"`
	Busy     float64 `json:"machine_busy"` // share of all processors, 0 to 1
	Steal    float64 `json:"machine_steal"`
}

type bench struct {
	options
	dir   string
	ours  bool // dir is ours to remove
	built map[string]string
}

func newBench(o options) (*bench, error) {
	for _, p := range []string{"smtp-source", "smtp-sink"} {
		if _, err := exec.LookPath(p); err != nil {
			return nil, fmt.Errorf("%s is missing: Debian's package postfix has it", p)
		}
	}
	b := &bench{options: o, dir: o.dir, built: map[string]string{}}
	if b.dir == "" {
		var err error
		if b.dir, err = os.MkdirTemp("", "mailvow-bench-"); err != nil {
			return nil, err
		}
		b.ours = true
	}
	return b, os.Chmod(b.dir, 0o755) // Postfix and OpenDKIM run as other users
}

func (b *bench) close() {
	if b.ours {
		os.RemoveAll(b.dir)
	}
}

// round starts a server afresh and sends it one load.
func (b *bench) round(ctx context.Context, p peer, sessions int) (Round, error) {
	dir, err := os.MkdirTemp(b.dir, p.name()+"-")
	if err != nil {
		return Round{}, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return Round{}, err
	}
	addr, err := freeAddress()
	if err != nil {
		return Round{}, err
	}
	sink, err := freeAddress()
	if err != nil {
		return Round{}, err
	}
	if _, direct := p.(pipe); direct {
		sink = addr
	}
	s, err := p.start(ctx, setting{dir: dir, listen: addr, sink: sink, sessions: sessions})
	if err != nil {
		return Round{}, err
	}
	defer s.stop()
	waitQuiet(ctx, b.quiet)
	return b.load(ctx, p, s, addr, sink, sessions)
}

func (b *bench) load(ctx context.Context, p peer, s server, addr, sink string, sessions int) (Round, error) {
	r := Round{Peer: p.name(), Sessions: sessions, Messages: b.messages * p.factor()}
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	sinking := startSink(ctx, sink, r.Messages)
	if sinking.err != nil {
		return r, sinking.err
	}
	peak := watchMemory(s)
	before, cpu0, begun := processors(), s.cpu(), time.Now()
	generating := startSource(ctx, addr, r.Messages, sessions, b.size)
	// Without a server between, the sink ends before it answers the last message.
	if err := generating.wait(); err != nil && r.Peer != (pipe{}).name() {
		cancel()
		_ = sinking.wait()
		return r, fmt.Errorf("smtp-source: %w", err)
	}
	accepted := time.Since(begun)
	if err := sinking.wait(); err != nil {
		return r, fmt.Errorf("smtp-sink did not get all: %w", err)
	}
	delivered := time.Since(begun)
	cpu1, after := s.cpu(), processors()
	n := float64(r.Messages)
	r.Accepted, r.Rate = n/accepted.Seconds(), n/delivered.Seconds()
	r.CPU = (cpu1 - cpu0).Seconds() / n * 1e6
	r.Rig = (generating.cpu() + sinking.cpu()).Seconds() / n * 1e6
	r.Memory = peak()
	r.Busy, r.Steal = after.since(before)
	return r, nil
}

// tool is the generator or the sink.
type tool struct {
	cmd *exec.Cmd
	err error
}

func startTool(ctx context.Context, name string, args ...string) *tool {
	t := &tool{cmd: exec.CommandContext(ctx, name, args...)}
	t.cmd.Stderr = os.Stderr
	t.err = t.cmd.Start()
	return t
}

func (t *tool) wait() error {
	if t.err != nil {
		return t.err
	}
	return t.cmd.Wait()
}

func (t *tool) cpu() time.Duration {
	return t.cmd.ProcessState.UserTime() + t.cmd.ProcessState.SystemTime()
}

// startSink starts a sink that ends after n messages and waits until it listens.
func startSink(ctx context.Context, addr string, n int) *tool {
	args := []string{"-4", "-m", "1000", "-M", strconv.Itoa(n)}
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	t := startTool(ctx, "smtp-sink", append(args, addr, "1024")...)
	// A connection without a message costs the sink nothing and counts for nothing.
	for range 100 {
		if t.err != nil || dials(addr) {
			return t
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.err = errors.New("smtp-sink does not listen")
	return t
}

// startSource sends n messages to unique recipients on connections that stay open.
func startSource(ctx context.Context, addr string, n, sessions, size int) *tool {
	return startTool(ctx, "smtp-source", "-4", "-d", "-N", "-M", benchDomain, "-s", strconv.Itoa(sessions), "-l", strconv.Itoa(size),
		"-m", strconv.Itoa(n), "-f", "sender@"+benchDomain, "-t", "user@sink.example", addr)
}

// benchDomain is the domain that every load is sent from: the one of mailvow dev.
const benchDomain = "demo.example"

// watchMemory looks at a server's memory twice a second; the function it gives
// ends that and says the highest.
func watchMemory(s server) func() int64 {
	var peak atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			peak.Store(max(peak.Load(), s.memory()))
			select {
			case <-stop:
				return
			case <-time.After(500 * time.Millisecond):
			}
		}
	}()
	return func() int64 { close(stop); <-done; return peak.Load() }
}

// jiffies is the first line of /proc/stat.
type jiffies struct{ idle, steal, all float64 }

func processors() (j jiffies) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return j
	}
	line, _, _ := strings.Cut(string(text), "\n")
	for i, s := range strings.Fields(line) {
		v, _ := strconv.ParseFloat(s, 64)
		switch {
		case i == 0 || i > 8: // the name; guest time is part of user time
			continue
		case i == 4 || i == 5:
			j.idle += v
		case i == 8:
			j.steal = v
		}
		j.all += v
	}
	return j
}

// since gives the shares of time that the machine worked and that others took.
func (j jiffies) since(before jiffies) (busy, steal float64) {
	all := j.all - before.all
	if all <= 0 {
		return 0, 0
	}
	return 1 - (j.idle-before.idle)/all, (j.steal - before.steal) / all
}

// waitQuiet waits until the machine has been nine tenths idle for a second and a half.
func waitQuiet(ctx context.Context, atMost time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	for ctx.Err() == nil {
		before := processors()
		select {
		case <-ctx.Done():
			return
		case <-time.After(1500 * time.Millisecond):
		}
		if busy, _ := processors().since(before); busy < 0.1 {
			return
		}
	}
}

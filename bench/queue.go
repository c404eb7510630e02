package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"
)

// Queue is what a full queue costs: a server whose only destination does not
// answer, beside one that is empty.
type Queue struct {
	Recipients int       `json:"recipients"`
	Filling    float64   `json:"filling_recipients_per_second"`
	Peak       int64     `json:"peak_memory_bytes"`    // while it filled
	Resident   int64     `json:"resident_memory_byte"` // afterwards
	Empty      []float64 `json:"accepted_per_second_empty"`
	Full       []float64 `json:"accepted_per_second_full"`
}

// perMessage is how many recipients a message has that fills the queue.
const perMessage = 100

// queue fills a server's queue and then lets it take turns in accepting mail
// with a server that has just started. Neither can deliver, so that what is
// measured is acceptance alone.
func (b *bench) queue(ctx context.Context) (*Queue, error) {
	p := &mailvow{binary: b.binary}
	if m := missing(b.binary, "make build"); m != "" {
		return nil, fmt.Errorf("%s", m)
	}
	full, addr, done, err := b.startAlone(ctx, p)
	if err != nil {
		return nil, err
	}
	defer done()
	q := &Queue{Recipients: b.queued / perMessage * perMessage}
	peak, begun := watchMemory(full), time.Now()
	if err := fill(ctx, addr, b.queued/perMessage); err != nil {
		return nil, fmt.Errorf("fill the queue: %w", err)
	}
	q.Filling = float64(q.Recipients) / time.Since(begun).Seconds()
	waitQuiet(ctx, b.quiet)
	q.Peak, q.Resident = peak(), full.memory()
	for range b.rounds {
		rate, err := b.accept(ctx, addr)
		if err != nil {
			return q, err
		}
		q.Full = append(q.Full, rate)
		if rate, err = b.acceptEmpty(ctx, p); err != nil {
			return q, err
		}
		q.Empty = append(q.Empty, rate)
	}
	return q, nil
}

// startAlone starts a server whose destination refuses connections.
func (b *bench) startAlone(ctx context.Context, p peer) (s server, addr string, done func(), err error) {
	dir, err := os.MkdirTemp(b.dir, "queue-")
	if err != nil {
		return nil, "", nil, err
	}
	addr, err = freeAddress()
	if err != nil {
		return nil, "", nil, err
	}
	nobody, err := freeAddress()
	if err != nil {
		return nil, "", nil, err
	}
	if s, err = p.start(ctx, setting{dir: dir, listen: addr, sink: nobody}); err != nil {
		return nil, "", nil, err
	}
	return s, addr, func() { s.stop(); os.RemoveAll(dir) }, nil
}

func (b *bench) acceptEmpty(ctx context.Context, p peer) (float64, error) {
	_, addr, done, err := b.startAlone(ctx, p)
	if err != nil {
		return 0, err
	}
	defer done()
	return b.accept(ctx, addr)
}

// accept gives messages accepted per second, 20 sessions.
func (b *bench) accept(ctx context.Context, addr string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	waitQuiet(ctx, b.quiet)
	begun := time.Now()
	err := startSource(ctx, addr, b.messages, 20, b.size).wait()
	return float64(b.messages) / time.Since(begun).Seconds(), err
}

func fill(ctx context.Context, addr string, messages int) error {
	cmd := exec.CommandContext(ctx, "smtp-source", "-4", "-d", "-N", "-M", benchDomain, "-s", "20", "-l", "1000", "-r", strconv.Itoa(perMessage),
		"-m", strconv.Itoa(messages), "-f", "sender@"+benchDomain, "-t", "user@sink.example", addr)
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

func (q *Queue) print(w io.Writer) {
	fmt.Fprintf(w, "\nqueue of %d recipients: filled at %.0f recipients/s, memory %.0f MB (at most %.0f MB while it filled)\n",
		q.Recipients, q.Filling, float64(q.Resident)/1e6, float64(q.Peak)/1e6)
	if len(q.Full) == 0 {
		return
	}
	ratios := make([]float64, len(q.Full))
	for i := range min(len(q.Full), len(q.Empty)) {
		ratios[i] = q.Full[i] / q.Empty[i]
	}
	slices.Sort(ratios)
	fmt.Fprintf(w, "accepted messages/s: full %s, empty %s, full ÷ empty %s\n", spread(q.Full, "%.0f"), spread(q.Empty, "%.0f"), spread(ratios, "%.2f"))
}

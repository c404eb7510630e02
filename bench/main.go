// Command bench measures the whole road of Mailvow beside the mail servers that
// people use today, on one machine and in the same minutes.
//
// A generator (smtp-source) sends messages of 10 KB to the server under test,
// which relays them to a sink (smtp-sink) that ends when it has them all; the
// rate is messages through the time from the first connection to the last
// delivery. Servers take turns, A B A B, each round with a fresh queue, so that
// a change in the machine's speed meets all of them; ratios are formed round by
// round. It starts every process itself, on free ports of 127.0.0.1 and in a
// temporary folder, and ends only those.
//
// What it does not do: it judges nothing. Figures go to standard output as
// tables and to a JSON file.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	only     string
	peers    string
	binary   string
	version  string
	out      string
	dir      string
	spikes   string
	rounds   int
	messages int
	size     int
	sessions []int
	queued   int
	rows     int
	leaves   int
	quiet    time.Duration
	limit    time.Duration
}

func flags() (options, error) {
	var o options
	var sessions string
	flag.StringVar(&o.only, "only", "relay,signed", "what to measure: relay, signed, queue, history, person, evidence (the last four take long)")
	flag.StringVar(&o.peers, "peers", "", "only these servers, separated by commas, instead of all that are installed")
	flag.StringVar(&o.binary, "mailvow", "bin/mailvow", "the program under test")
	flag.StringVar(&o.version, "version", "unknown", "what to call the version under test")
	flag.StringVar(&o.out, "out", "tmp/bench.json", "where the figures go as JSON")
	flag.StringVar(&o.dir, "dir", "", "folder for queues and data; a temporary one if empty")
	flag.StringVar(&o.spikes, "spikes", "../shared/bench", "folder of the two bare spikes; without it they are left out")
	flag.StringVar(&sessions, "sessions", "20,100", "sessions of the generator")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of each server")
	flag.IntVar(&o.messages, "messages", 4000, "messages of a round for Postfix; faster servers get four times as many")
	flag.IntVar(&o.size, "size", 10240, "bytes of a message's body")
	flag.IntVar(&o.queued, "queued", 1_000_000, "recipients in the queue for -only queue")
	flag.IntVar(&o.rows, "rows", 10_000_000, "rows in the history for -only history and -only person")
	flag.IntVar(&o.leaves, "leaves", 10_000_000, "entries in the log for -only evidence")
	flag.DurationVar(&o.quiet, "quiet", 40*time.Second, "wait at most so long for a quiet machine before each round")
	flag.DurationVar(&o.limit, "limit", 5*time.Minute, "give a round up after")
	flag.Parse()
	for s := range strings.SplitSeq(sessions, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return o, fmt.Errorf("-sessions %q: not a list of numbers", sessions)
		}
		o.sessions = append(o.sessions, n)
	}
	if flag.NArg() > 0 || o.rounds < 1 || o.messages < 1 {
		return o, errors.New("bench takes flags only, and at least one round of one message; see -help")
	}
	return o, nil
}

func main() {
	o, err := flags()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(3)
	}
}

// Figures is everything that a run found.
type Figures struct {
	Date     time.Time  `json:"date"`
	Version  string     `json:"version"`
	Machine  Machine    `json:"machine"`
	Baseline []Baseline `json:"baseline"`
	Rounds   []Round    `json:"rounds"`
	Queue    *Queue     `json:"queue,omitempty"`
	History  []Rows     `json:"history,omitempty"`
	Person   *Person    `json:"person,omitempty"`
	Evidence *Evidence  `json:"evidence,omitempty"`
	Left     []string   `json:"left_out,omitempty"`
}

func run(ctx context.Context, o options) error {
	b, err := newBench(o)
	if err != nil {
		return err
	}
	defer b.close()
	f := &Figures{Date: time.Now().UTC().Truncate(time.Second), Version: o.version, Machine: machine(), Baseline: baseline(b.dir)}
	printHead(os.Stdout, f)
	for what := range strings.SplitSeq(o.only, ",") {
		switch what {
		case "relay", "signed":
			err = b.relay(ctx, f, what)
		case "queue":
			f.Queue, err = b.queue(ctx)
		case "history":
			f.History, err = b.history(ctx)
		case "person":
			f.Person, err = b.person(ctx)
		case "evidence":
			f.Evidence, err = b.evidence(ctx)
		default:
			err = fmt.Errorf("-only %s: there is no such part", what)
		}
		if err != nil {
			break
		}
	}
	printFigures(os.Stdout, f)
	return errors.Join(err, writeJSON(o.out, f))
}

func writeJSON(path string, f *Figures) error {
	if path == "" {
		return nil
	}
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if dir := strings.TrimRight(path[:strings.LastIndexByte(path, '/')+1], "/"); dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// relay lets the servers take turns.
func (b *bench) relay(ctx context.Context, f *Figures, kind string) error {
	peers, left := b.peers(kind == "signed")
	f.Left = append(f.Left, left...)
	if len(peers) == 0 {
		return errors.New("none of the servers is here: " + strings.Join(left, "; "))
	}
	for _, sessions := range b.sessions {
		for round := 1; round <= b.rounds; round++ {
			// Every other round runs backwards, so that nobody always follows the same.
			order := slices.Clone(peers)
			if round%2 == 0 {
				slices.Reverse(order)
			}
			for _, p := range order {
				r, err := b.round(ctx, p, sessions)
				if err != nil {
					return fmt.Errorf("%s with %d sessions: %w", p.name(), sessions, err)
				}
				r.Kind, r.Round = kind, round
				f.Rounds = append(f.Rounds, r)
				printRound(os.Stderr, r)
			}
		}
	}
	return nil
}

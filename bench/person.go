package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/vault"
)

// Person is what the rights of a person cost beside so much history, and what
// its purge does to mail that flows. Durations are of whole commands.
type Person struct {
	Rows    int             `json:"rows"`
	Records int             `json:"messages_of_one_person"` // two rows each
	Find    []time.Duration `json:"find_ns"`
	Export  []time.Duration `json:"export_ns"`
	Erase   []time.Duration `json:"erase_ns"` // until the certificate is there
	Purge   time.Duration   `json:"purge_ns"`
	Before  int64           `json:"bytes_before_purge"`
	After   int64           `json:"bytes_after_purge"`
	Calm    []float64       `json:"accepted_per_second_before"`
	Purging []float64       `json:"accepted_per_second_while_purging"`
}

const (
	persons  = 5
	messages = 100 // of each person
	// aged is how old the rows are: younger than the policy's 90 days, older than
	// the 30 that purge them.
	aged = 60 * 24 * time.Hour
	// enough bounds how long a purge may take.
	enough = 40 * time.Minute
)

const narrower = "retention: {message records: 30d}\n"

// past is the machine's clock, set back.
type past struct {
	clock.Wall
	by time.Duration
}

// Now implements clock.Clock.
func (p past) Now() time.Time { return p.Wall.Now().Add(-p.by) }

// person fills a server's history, acts on some persons by its own commands, and
// purges everything while mail flows.
func (b *bench) person(ctx context.Context) (*Person, error) {
	dir, err := os.MkdirTemp(b.dir, "person-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	data := filepath.Join(dir, "data")
	binary, err := filepath.Abs(b.binary)
	if err != nil {
		return nil, err
	}
	m := &mailvow{binary: binary}
	customer, err := prepare(ctx, binary, data, false)
	if err != nil {
		return nil, fmt.Errorf("prepare a customer: %w", err)
	}
	p := &Person{Rows: b.rows, Records: messages}
	if err := b.fillHistory(ctx, data, customer); err != nil {
		return nil, fmt.Errorf("fill the history: %w", err)
	}
	s := setting{dir: dir}
	if s.listen, err = freeAddress(); err == nil {
		s.sink, err = freeAddress()
	}
	if err != nil {
		return nil, err
	}
	running, err := m.serve(ctx, data, s)
	if err != nil {
		return nil, err
	}
	if err = p.rights(ctx, b, s); err == nil {
		p.Calm, err = b.acceptances(ctx, s)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(narrower), 0o600)
	}
	if err == nil {
		_, err = b.command(ctx, s, "policy", "publish", filepath.Join(dir, "policy.yaml"))
	}
	running.stop() // a pass comes with the start
	if err != nil {
		return p, err
	}
	return p, p.purge(ctx, b, m, data, s)
}

// fillHistory writes the rows, among which some persons have theirs evenly.
func (b *bench) fillHistory(ctx context.Context, data string, customer ids.Tenant) error {
	kek, err := vault.LoadKEKFile(data + "-kek")
	if err != nil {
		return err
	}
	h, err := openHistory(ctx, filepath.Join(data, "db"), data+"-keys", kek, past{by: aged})
	if err != nil {
		return err
	}
	defer h.close()
	h.tenant = customer
	every := int64(max(1, b.rows/2/(persons*messages)))
	var last atomic.Int64
	h.address = func() string {
		if n := last.Add(1); n%every == 0 {
			return fmt.Sprintf("person%d@sink.example", n/every%persons)
		}
		return fmt.Sprintf("user%d@sink.example", last.Load())
	}
	return h.write(ctx, b.rows/2)
}

// rights acts on each person once: find, export, erase.
func (p *Person) rights(ctx context.Context, b *bench, s setting) error {
	waitQuiet(ctx, b.quiet)
	for i := range persons {
		who := fmt.Sprintf("person%d@sink.example", i)
		for _, act := range []struct {
			times *[]time.Duration
			args  []string
		}{
			{&p.Find, []string{"find", who, "--json"}},
			{&p.Export, []string{"export", who, "--out", filepath.Join(s.dir, who+".zip")}},
			{&p.Erase, []string{"erase", who, "--out", filepath.Join(s.dir, who+".json")}},
		} {
			begun := time.Now()
			out, err := b.command(ctx, s, append([]string{"subject"}, act.args...)...)
			if err != nil {
				return err
			}
			*act.times = append(*act.times, time.Since(begun))
			if act.args[0] == "find" && !bytes.Contains(out, fmt.Appendf(nil, `"count":%d`, p.Records)) {
				return fmt.Errorf("of %s was found: %s", who, out)
			}
		}
		if _, err := b.command(ctx, s, "subject", "find", who); err == nil {
			return fmt.Errorf("%s is still found after the erasure", who)
		}
	}
	return nil
}

// command runs the program against the server.
func (b *bench) command(ctx context.Context, s setting, args ...string) ([]byte, error) {
	binary, err := filepath.Abs(b.binary)
	if err != nil {
		return nil, err
	}
	var out, log bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, append(args, "--config", s.config())...)
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("mailvow %s: %w: %s", args, err, log.Bytes())
	}
	return out.Bytes(), nil
}

// acceptances sends some rounds of mail and says how fast each was taken.
func (b *bench) acceptances(ctx context.Context, s setting) (rates []float64, err error) {
	waitQuiet(ctx, b.quiet)
	for range b.rounds {
		rate, err := b.taken(ctx, s)
		if err != nil {
			return rates, err
		}
		rates = append(rates, rate)
	}
	return rates, nil
}

// taken sends one round; its mail is delivered, too.
func (b *bench) taken(ctx context.Context, s setting) (float64, error) {
	n := 4 * b.messages
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	sinking := startSink(ctx, s.sink, n)
	if sinking.err != nil {
		return 0, sinking.err
	}
	begun := time.Now()
	if err := startSource(ctx, s.listen, n, 20, b.size).wait(); err != nil {
		cancel()
		_ = sinking.wait() // it was ended
		return 0, err
	}
	rate := float64(n) / time.Since(begun).Seconds()
	return rate, sinking.wait()
}

// purge starts the server, which purges at once, and sends mail until all is gone
// and the files have given their room back.
func (p *Person) purge(ctx context.Context, b *bench, m *mailvow, data string, s setting) error {
	p.Before = sizeOf(filepath.Join(data, "db"))
	running, err := m.serve(ctx, data, s)
	if err != nil {
		return err
	}
	defer running.stop()
	begun := time.Now()
	for {
		rate, err := b.taken(ctx, s)
		if err != nil {
			return err
		}
		done, err := b.purged(ctx, s)
		switch {
		case err != nil:
			return err
		case done:
			p.Purge = time.Since(begun)
			return p.shrunk(ctx, b, data)
		case time.Since(begun) > enough:
			return errors.New("the purge does not end")
		}
		p.Purging = append(p.Purging, rate)
	}
}

// shrunk waits until the files grow no smaller: the mail of the load stays.
func (p *Person) shrunk(ctx context.Context, b *bench, data string) error {
	p.After = sizeOf(filepath.Join(data, "db"))
	for range 100 {
		waitQuiet(ctx, b.quiet)
		now := sizeOf(filepath.Join(data, "db"))
		if now >= p.After {
			break
		}
		p.After = now
	}
	return ctx.Err()
}

// purged says whether a pass over the records has gone well and found them.
func (b *bench) purged(ctx context.Context, s setting) (bool, error) {
	out, err := b.command(ctx, s, "retention", "--json")
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) { // what is overdue is the answer no
		return false, err
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var k struct {
			Category string
			Purged   int
			Problem  string
		}
		if err := d.Decode(&k); err != nil {
			return false, fmt.Errorf("no line on message records: %w", err)
		}
		if k.Problem != "" {
			return false, fmt.Errorf("%s: %s", k.Category, k.Problem)
		}
		if k.Category == "message records" {
			return k.Purged > 0, nil
		}
	}
}

func (p *Person) print(w io.Writer) {
	fmt.Fprintf(w, "\none person with %d messages among %d rows: found in %s, exported in %s, erased with certificate in %s\n",
		p.Records, p.Rows, durations(p.Find), durations(p.Export), durations(p.Erase))
	if p.Purge == 0 {
		return
	}
	fmt.Fprintf(w, "purge of them while mail flowed: %s, files %d MB before and %d MB after; accepted messages/s %s before, %s meanwhile",
		p.Purge.Round(time.Second), p.Before>>20, p.After>>20, spread(p.Calm, "%.0f"), spread(p.Purging, "%.0f"))
	if len(p.Purging) > 0 && len(p.Calm) > 0 {
		fmt.Fprintf(w, ", %.2f of it", median(slices.Sorted(slices.Values(p.Purging)))/median(slices.Sorted(slices.Values(p.Calm))))
	}
	fmt.Fprintln(w)
}

func durations(all []time.Duration) string {
	ms := make([]float64, len(all))
	for i, d := range all {
		ms[i] = float64(d) / 1e6
	}
	return spread(ms, "%.1f") + " ms"
}

package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

func printHead(w io.Writer, f *Figures) {
	m := f.Machine
	fmt.Fprintf(w, "%s  %s\n%d × %s, %d MB, Linux %s, %s\n", f.Date.Format(time.RFC3339), f.Version, m.Processors, m.Processor, m.MemoryMB, m.Kernel, m.Go)
	for _, b := range f.Baseline {
		fmt.Fprintf(w, "baseline: %s: %s [%s to %s]\n", b.What, short(b.Median), short(b.Min), short(b.Max))
	}
}

func short(d time.Duration) string {
	switch {
	case d < 10*time.Microsecond:
		return fmt.Sprintf("%.1f µs", float64(d)/1e3)
	case d < time.Millisecond:
		return fmt.Sprintf("%.0f µs", float64(d)/1e3)
	}
	return fmt.Sprintf("%.2f ms", float64(d)/1e6)
}

func printRound(w io.Writer, r Round) {
	fmt.Fprintf(w, "%-7s round %d  %-17s %3d sessions  %6.0f/s delivered  %6.0f/s accepted  %5.0f µs CPU  busy %3.0f %%  steal %2.0f %%\n",
		r.Kind, r.Round, r.Peer, r.Sessions, r.Rate, r.Accepted, r.CPU, 100*r.Busy, 100*r.Steal)
}

// printFigures writes the tables for docs/performance.md.
func printFigures(w io.Writer, f *Figures) {
	for _, c := range cells(f.Rounds) {
		if c.first {
			fmt.Fprintf(w, "\n%s, %d sessions\n\n", c.kind, c.sessions)
			fmt.Fprintln(w, "| server | messages/s, median [min to max] | CPU µs a message | peak memory MB | Mailvow ÷ it, median [min to max] |")
			fmt.Fprintln(w, "|---|---|---|---|---|")
		}
		ratio := "–"
		if len(c.ratios) > 0 {
			ratio = spread(c.ratios, "%.2f")
		}
		fmt.Fprintf(w, "| %s | %s | %s | %.0f | %s |\n", c.peer, spread(c.rates, "%.0f"), spread(c.cpu, "%.0f"), float64(c.memory)/1e6, ratio)
	}
	if f.Queue != nil {
		f.Queue.print(w)
	}
	printRows(w, f.History)
	if f.Person != nil {
		f.Person.print(w)
	}
	if f.Evidence != nil {
		f.Evidence.print(w)
	}
	for _, l := range f.Left {
		fmt.Fprintf(w, "left out: %s\n", l)
	}
}

// cell is one server under one load, over all rounds.
type cell struct {
	kind, peer         string
	sessions           int
	first              bool // of its table
	rates, cpu, ratios []float64
	memory             int64
}

// cells gathers rounds, in the order in which they first came, table by table.
func cells(rounds []Round) []*cell {
	var all []*cell
	for _, r := range rounds {
		i := slices.IndexFunc(all, func(c *cell) bool { return c.kind == r.Kind && c.peer == r.Peer && c.sessions == r.Sessions })
		if i < 0 {
			first := !slices.ContainsFunc(all, func(c *cell) bool { return c.kind == r.Kind && c.sessions == r.Sessions })
			all, i = append(all, &cell{kind: r.Kind, peer: r.Peer, sessions: r.Sessions, first: first}), len(all)
		}
		c := all[i]
		c.rates, c.cpu, c.memory = append(c.rates, r.Rate), append(c.cpu, r.CPU), max(c.memory, r.Memory)
		if ours := ofRound(rounds, r); ours > 0 && r.Rate > 0 && !isOurs(r.Peer) {
			c.ratios = append(c.ratios, ours/r.Rate)
		}
	}
	return all
}

func isOurs(peer string) bool { return peer == "mailvow" || peer == "mailvow+rsa" }

// ofRound is Mailvow's own rate in the same round.
func ofRound(rounds []Round, r Round) float64 {
	for _, x := range rounds {
		if isOurs(x.Peer) && x.Kind == r.Kind && x.Sessions == r.Sessions && x.Round == r.Round {
			return x.Rate
		}
	}
	return 0
}

func spread(values []float64, format string) string {
	v := slices.Sorted(slices.Values(values))
	if len(v) == 0 {
		return "–"
	}
	return fmt.Sprintf(format+" ["+format+" to "+format+"]", median(v), v[0], v[len(v)-1])
}

func median(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

func printRows(w io.Writer, all []Rows) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(w, "\nhistory\n\n")
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, r := range all {
		fmt.Fprintf(t, "%d rows\t%.0f rows/s\t%d MB of files\n", r.Rows, r.Rate, r.Bytes>>20)
	}
	t.Flush()
}

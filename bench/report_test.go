package main

import (
	"strings"
	"testing"
)

func TestRatiosAreFormedWithinARound(t *testing.T) {
	t.Parallel()
	round := func(peer string, n int, rate float64) Round {
		return Round{Kind: "relay", Peer: peer, Sessions: 20, Round: n, Rate: rate, CPU: 100}
	}
	all := cells([]Round{
		round("mailvow", 1, 1000), round("postfix", 1, 500),
		round("postfix", 2, 250), round("mailvow", 2, 1000),
		round("mailvow", 3, 3000), round("postfix", 3, 500),
		{Kind: "signed", Peer: "postfix+opendkim", Sessions: 20, Round: 1, Rate: 300},
	})
	if len(all) != 3 || !all[0].first || all[1].first || !all[2].first {
		t.Fatalf("%d cells", len(all))
	}
	if got := spread(all[1].ratios, "%.1f"); got != "4.0 [2.0 to 6.0]" {
		t.Errorf("ratios %s", got)
	}
	if len(all[0].ratios) != 0 || len(all[2].ratios) != 0 {
		t.Error("a ratio without its other half")
	}
	var b strings.Builder
	printFigures(&b, &Figures{Rounds: []Round{round("postfix", 1, 500)}, Left: []string{"mailvow: is missing"}})
	for _, part := range []string{"relay, 20 sessions", "| postfix | 500 [500 to 500] |", "left out: mailvow: is missing"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("the table lacks %q:\n%s", part, b.String())
		}
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   string
	}{{[]float64{3, 1, 2}, "2.0 [1.0 to 3.0]"}, {[]float64{4, 1, 3, 2}, "2.5 [1.0 to 4.0]"}, {nil, "–"}} {
		if got := spread(c.values, "%.1f"); got != c.want {
			t.Errorf("%v: %s, want %s", c.values, got, c.want)
		}
	}
}

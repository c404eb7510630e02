package admin

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailvow/internal/base/fault"
	"mailvow/internal/protect/reads"
)

// noted keeps what was put on record.
type noted struct {
	list []string
	none error
}

func (n *noted) Record(_ context.Context, by reads.Reader, declared []string, t *reads.Tally) error {
	line := string(by.Door) + " " + by.Operation + " " + strings.Join(declared, ",")
	if t.Empty() {
		line += " nothing"
	}
	n.list = append(n.list, line)
	return n.none
}

// TestEveryOperationSaysWhatItReads: what is not in the table counts as reading
// anything; here it fails, and so does a line without an operation.
func TestEveryOperationSaysWhatItReads(t *testing.T) {
	t.Parallel()
	s := New(Parts{}, "test", slog.New(slog.DiscardHandler))
	for _, name := range s.names {
		if _, said := reading[name]; !said {
			t.Errorf("%s does not say which personal data it shows: add a line to reading in reading.go", name)
		}
	}
	for name := range reading {
		if !slices.Contains(s.names, name) {
			t.Errorf("the table of reading names %q, and there is no such operation", name)
		}
	}
}

// TestReadsAreOnRecord: what the command line shows is on record first.
func TestReadsAreOnRecord(t *testing.T) {
	t.Parallel()
	n := &noted{}
	c := start(t, filepath.Join(t.TempDir(), "s"), Parts{Queue: &fakeQueue{}, Reads: n})
	if _, err := Call(t.Context(), c, QueueList, QueueFilter{}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(n.list, "; "); got != "cli queue/list queued mail" {
		t.Errorf("on record: %q", got)
	}
	n.none = fault.New(fault.Unavailable, "No record can be written.")
	if list, err := Call(t.Context(), c, QueueList, QueueFilter{}); !fault.Is(err, fault.Unavailable) || len(list) > 0 {
		t.Errorf("without a record: %v %v", list, err)
	}
}

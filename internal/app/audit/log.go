package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/protect/evidence"
)

// log audits the evidence log. Without a visit it does not hold, or could not be
// reached; the report says which.
func (a *auditor) log(ctx context.Context) (*evidence.Visit, error) {
	seen, at, err := a.folder.recall()
	if err != nil {
		return nil, err
	}
	if len(seen.Keys) == 0 {
		if seen.Keys, err = a.firstKey(ctx); err != nil {
			a.saw("evidence.log", Broken, "the log's key cannot be had: "+words(err))
			return nil, nil //nolint:nilnil // the report has it
		}
	} else if len(a.Keys) > 0 && !among(a.Keys, seen.Keys) {
		a.saw("evidence.key", Broken, "the key that was believed so far is not among those given")
	}
	if a.logged, err = a.folder.policies(seen.Size); err != nil {
		return nil, err
	}
	visit, err := a.visit(ctx, seen, nil)
	if err != nil {
		return nil, a.contradicted("evidence.log", err)
	}
	if err := a.folder.remember(visit.Seen, a.Clock.Now()); err != nil {
		return nil, err
	}
	a.report.log(visit)
	grown := visit.Checkpoint.Size - seen.Size
	a.saw("evidence.log", Holds, fmt.Sprintf("%d entries, of which %d are new and were verified one by one under %d checkpoint(s)", visit.Checkpoint.Size, grown, visit.Report.Checkpoints))
	if seen.Checkpoint != "" {
		a.saw("evidence.grew", Holds, fmt.Sprintf("it still begins with the %d entries that were seen on %s", seen.Size, at.Format(time.RFC3339)))
	} else {
		a.saw("evidence.grew", Unseen, "this is the first visit: whether the log was another one before, only the next ones see")
	}
	a.others(ctx, visit)
	if a.Certificate != nil {
		report, err := visit.Certificate(ctx, a.Certificate)
		a.good("evidence.certificate", err == nil, fmt.Sprintf("%s is entry %d of the log", report.Certificate, report.LeafIndex+1), words(err))
		a.contradiction(err)
	}
	return visit, nil
}

// others compares with what others were shown.
func (a *auditor) others(ctx context.Context, visit *evidence.Visit) {
	if len(a.Held) == 0 {
		a.saw("evidence.others", Unseen, "no checkpoint of another observer was given (--held): a log that shows everybody something else is seen by comparing them")
		return
	}
	for i, text := range a.Held {
		err := visit.Holds(ctx, text)
		a.good("evidence.others", err == nil, fmt.Sprintf("checkpoint %d of those that others hold is the same log", i+1), words(err))
		a.contradiction(err)
	}
}

// firstKey is the key that this and all later visits begin with.
func (a *auditor) firstKey(ctx context.Context) ([]evidence.Key, error) {
	text, err := a.Read(ctx, "keys")
	if err != nil {
		return nil, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	k, err := evidence.ParseKey(line)
	if err != nil {
		return nil, err
	}
	switch {
	case len(a.Keys) == 0:
		a.saw("evidence.key", Unseen, "the key was believed because the server showed it first; compare it with one from elsewhere: "+k.String())
	case !among(a.Keys, []evidence.Key{k}):
		return nil, fault.New(fault.Denied, "the server shows a first key that is not among those given.")
	default:
		a.saw("evidence.key", Holds, "the log begins with a key that was given")
	}
	return []evidence.Key{k}, nil
}

// visit follows the log; one that is being written just now is asked again.
func (a *auditor) visit(ctx context.Context, seen evidence.Seen, leaf func(int64, evidence.Leaf) error) (*evidence.Visit, error) {
	for tries := 0; ; tries++ {
		found := logged{From: a.logged.From, Versions: maps.Clone(a.logged.Versions)}
		visit, err := evidence.Audit(ctx, a, seen, func(index int64, l evidence.Leaf) error {
			found.note(l)
			if leaf == nil {
				return nil
			}
			return leaf(index, l)
		})
		if err == nil { // what did not verify says nothing
			a.logged = found
			err = a.folder.keepPolicies(found)
		}
		if !fault.Is(err, fault.Unavailable) || tries == 2 {
			return visit, err
		}
		if err := clock.Sleep(ctx, a.Clock, time.Second); err != nil {
			return nil, err
		}
	}
}

// contradicted puts into the report why there is no visit.
func (a *auditor) contradicted(id string, err error) error {
	if a.contradiction(err) {
		a.saw(id, Broken, words(err))
		return nil
	}
	if fault.Is(err, fault.Unavailable) || fault.Is(err, fault.NotFound) {
		a.saw(id, Broken, "the log cannot be read: "+words(err))
		return nil
	}
	return err
}

// contradiction keeps the first proof that the log contradicted itself.
func (a *auditor) contradiction(err error) bool {
	var c *evidence.Contradiction
	if !errors.As(err, &c) {
		return false
	}
	if a.report.Contradiction == nil {
		a.report.Contradiction = &Contradiction{Breach: string(c.Breach), Kept: c.Kept, Shown: c.Shown}
	}
	return true
}

func among(given, keys []evidence.Key) bool {
	for _, g := range given {
		for _, k := range keys {
			if g.String() == k.String() {
				return true
			}
		}
	}
	return false
}

// words is an error as a person reads it.
func words(err error) string {
	if err == nil {
		return ""
	}
	text, _ := fault.Public(err)
	if text == "" {
		text = err.Error()
	}
	var c *evidence.Contradiction
	if errors.As(err, &c) {
		return string(c.Breach) + ": " + c.What
	}
	return strings.TrimSuffix(text, ".")
}

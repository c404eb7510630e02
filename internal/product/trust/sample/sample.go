// Package sample draws lists for a period out of the evidence log, for auditors to
// sample from: changes, what access was given, who joined and who left, incidents,
// and probes that failed. It promises that each line names the entry it stands for,
// so that it can be held against the log, and that a customer's auditor gets that
// customer's lines alone, with the platform's failed probes. What is in the log is
// up to those who act.
package sample

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
)

// List is one of the lists.
type List string

// The closed list of lists.
const (
	Changes      List = "changes"       // every other administrative act, policies, keys, restores
	Grants       List = "grants"        // access that was given or taken back: roles, tokens, credentials, grants of staff
	Joiners      List = "joiners"       // users that were made
	Leavers      List = "leavers"       // users that were removed or suspended
	Incidents    List = "incidents"     // what was done about breaches
	FailedProbes List = "failed_probes" // looks that saw a promise broken
)

// Lists gives the closed list.
func Lists() []List { return []List{Changes, Grants, Joiners, Leavers, Incidents, FailedProbes} }

// The acts by which access says that users come, go and change.
const (
	Joined  = string(access.Joins)
	Left    = string(access.Leaves)
	Changed = string(access.Changes)
)

// Row is one line.
type Row struct {
	Entry    int64         `json:"entry"` // of the log, from 0
	At       time.Time     `json:"at"`
	Customer ids.Tenant    `json:"customer,omitzero"` // whose; nothing: the platform as a whole
	What     string        `json:"what"`              // the act, the promise, the policy's version
	Target   string        `json:"target,omitempty"`  // an identifier
	By       evidence.Role `json:"by"`
}

// Most is how many lines one list has at most.
const Most = 10_000

// slack is how far an entry's time may lie from its place in the log: entries are
// signed in the order in which processes staged them.
const slack = time.Hour

var errEnough = errors.New("enough")

// Draw gives the lines of a list that lie in [from, to), oldest first. more says
// that there were more than Most; ask for a shorter period. A list that there is not
// is NotFound, a period that ends before it begins Invalid.
func Draw(ctx context.Context, r *evidence.Reader, in scope.Scope, list List, from, to time.Time) (rows []Row, more bool, err error) {
	if !slices.Contains(Lists(), list) {
		return nil, false, fault.New(fault.NotFound, "There is no such list; there are changes, grants, joiners, leavers, incidents and failed_probes.")
	}
	if !from.Before(to) {
		return nil, false, fault.Field("to", "The period ends before it begins.")
	}
	start, err := begin(ctx, r, from.Add(-slack))
	if err != nil {
		return nil, false, err
	}
	everyone, own := in.Args()
	err = r.Leaves(ctx, start, func(index int64, l evidence.Leaf) error {
		switch {
		case l.At.After(to.Add(slack)):
			return errEnough
		case l.At.Before(from) || !l.At.Before(to):
			return nil
		}
		of, row := read(l)
		if of != list || everyone == 0 && int64(l.Tenant) != own && (of != FailedProbes || l.Tenant != 0) {
			return nil
		}
		if len(rows) == Most {
			more = true
			return errEnough
		}
		row.Entry, row.At, row.Customer, row.By = index, l.At.UTC(), l.Tenant, l.By.Role
		rows = append(rows, row)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return rows, more, fault.Wrap(err, "draw a list for auditors")
}

// begin finds the first entry that is not older than a moment.
func begin(ctx context.Context, r *evidence.Reader, from time.Time) (int64, error) {
	c, err := r.Checkpoint(ctx)
	if err != nil {
		return 0, fault.Wrap(err, "read the evidence log")
	}
	low, high := int64(0), c.Size
	for low < high {
		mid := low + (high-low)/2
		var at time.Time
		err := r.Leaves(ctx, mid, func(_ int64, l evidence.Leaf) error {
			at = l.At.Time
			return errEnough
		})
		if err != nil && !errors.Is(err, errEnough) {
			return 0, fault.Wrap(err, "read the evidence log")
		}
		if at.Before(from) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, nil
}

// read says in which list an entry stands; "" is none.
func read(l evidence.Leaf) (List, Row) {
	switch b := l.Body.(type) {
	case *evidence.Act:
		return ofAct(b.Act), Row{What: b.Act, Target: b.Target}
	case *evidence.PolicyChange:
		return Changes, Row{What: "policy.version." + b.Version}
	case *evidence.KeyRotation:
		return Changes, Row{What: "key.rotate." + string(b.Purpose)}
	case *evidence.Restore:
		return Changes, Row{What: "restore"}
	case *evidence.ProbeResult:
		if b.Status == pledge.Failing {
			return FailedProbes, Row{What: b.Promise}
		}
	}
	return "", Row{}
}

func ofAct(act string) List {
	switch {
	case act == Joined:
		return Joiners
	case act == Left:
		return Leavers
	case strings.HasPrefix(act, "incident."):
		return Incidents
	case act == Changed, strings.HasPrefix(act, "grant."), slices.Contains([]string{"create-token", "delete-token", "create-credential", "delete-credential", "access.review"}, act):
		return Grants
	}
	return Changes
}

// CSV writes rows with a line of names before them.
func CSV(w io.Writer, rows []Row) error {
	out := csv.NewWriter(w)
	lines := [][]string{{"entry", "at", "customer", "what", "target", "by"}}
	for _, r := range rows {
		customer := ""
		if r.Customer != 0 {
			customer = r.Customer.String()
		}
		lines = append(lines, []string{strconv.FormatInt(r.Entry, 10), r.At.Format(time.RFC3339Nano), customer, r.What, r.Target, string(r.By)})
	}
	return fault.Wrap(out.WriteAll(lines), "write a list")
}

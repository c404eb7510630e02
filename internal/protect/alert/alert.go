// Package alert is the one place for what must be looked at: conditions that its
// sources report, and events that its detectors see. It promises that the same
// thing is one alert however often it is seen, told once by every channel until it
// clears and comes back; that each says what to do; that a channel which fails is
// tried again at the next look; and that the list is bounded. What is wrong is the
// sources' to know; how people are told is the channels'.
package alert

import (
	"context"
	_ "embed" // the table
	"errors"
	"slices"
	"sync"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
)

//go:embed alert.sql
var sql string

const pkg = "protect/alert"

// Schema is what this package stores.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: "alerts", About: pledge.Nobody,
		What:    "what must be looked at, since when, how often it was seen, and whether somebody has seen it; identifiers and counts only",
		Purpose: "see that something goes wrong", For: pledge.ToSecure, Basis: pledge.NotPersonal, Erasing: pledge.Nothing,
	}},
	Places: pledge.Columns("alerts", false, "alert", "id", "marker", "kind", "text", "first", "last", "times", "acknowledged", "seen_by", "cleared", "told"),
}

// Kind is a sort of alert; each has its line in the runbook.
type Kind string

// The kinds.
const (
	Guessing    Kind = "guessing"    // credentials are tried
	Probe       Kind = "probe"       // a promise is not kept
	Retention   Kind = "retention"   // a period is not kept
	Backup      Kind = "backup"      // a backup or its drill is too old
	Space       Kind = "space"       // the disk fills
	Request     Kind = "requests"    // a person's request is late
	Hold        Kind = "hold"        // nobody reviewed a hold
	Attestation Kind = "attestation" // one ends or has ended
	Finding     Kind = "finding"     // one is past its deadline
	Scan        Kind = "scan"        // vulnerability data is too old
	Volume      Kind = "volume"      // a customer sends far more than ever
	Export      Kind = "export"      // somebody reads very much
	Role        Kind = "role"        // somebody may do more than before
	Training    Kind = "training"    // one of the operator's people lacks an attestation that the policy advises
	Incident    Kind = "incident"    // a clock of one runs out, or a notice lacks something
	Contract    Kind = "contract"    // data that was to be gone at a contract's end is not
	Supply      Kind = "sub_processors"
	Review      Kind = "review" // nobody reviewed access
)

var runbook = map[Kind]string{
	Guessing:    "Look in the log for failed sign-ins and in the proxy for their origin; block it there. Passwords are slow to check and attempts are limited per address and account, so nothing is open yet.",
	Probe:       "mailvow controls check ID says what was seen; mend that first, then check again.",
	Retention:   "mailvow retention says which category and why; the purge is tried again every hour.",
	Backup:      "mailvow backup list shows what is late; see that its place can be reached, then mailvow backup now.",
	Space:       "Free space or add some; docs/handbook/disk.md says what is refused at which mark.",
	Request:     "mailvow request list shows the clock; decide before it runs out.",
	Hold:        "mailvow hold review or mailvow hold release.",
	Attestation: "Renew it and enter the new one: mailvow attestation add.",
	Finding:     "mailvow finding list; mend it, or say why it is none.",
	Scan:        "Import a fresh file of osv.dev: mailvow vulnerabilities import FILE.",
	Volume:      "Look what is sent: mailvow message list --customer. Ask the customer; if a credential was stolen, mailvow queue pause --customer, then take the credential away.",
	Export:      "mailvow incident scope --token or --user with the times says what was read, of whom. If it was not meant, contain it: mailvow incident open, then contain.",
	Role:        "Ask whoever did it, who is in the log of acts, and whoever has it now. If nobody meant it, suspend the user: it ends their sessions.",
	Training:    "Train and screen them and enter it: mailvow attestation add training --user ADDRESS --until DATE.",
	Incident:    "mailvow incident show says which clock runs and what the notice lacks; mailvow incident notify sends it.",
	Contract:    "The server's log says what fails; it is tried again by itself. docs/handbook/ending.md says what is destroyed in which order.",
	Review:      "mailvow access-review show, then mailvow access-review sign; it decides about every user, token, credential and grant.",
	Supply:      "mailvow sub-processor list; renew its papers, or answer the objections.",
}

// Runbook is the line of a kind.
func (k Kind) Runbook() string { return runbook[k] }

// Kinds gives the closed list.
func Kinds() []Kind {
	return []Kind{Guessing, Probe, Retention, Backup, Space, Request, Hold, Attestation, Finding, Scan, Volume, Export, Role, Training, Incident, Contract, Supply, Review}
}

// Condition is something that is so now. Marker names what it is about.
type Condition struct {
	Marker string
	Kind   Kind
	Text   string
}

// Alert is one line of the list.
type Alert struct {
	ID           ids.Alert
	Marker       string
	Kind         Kind
	Text         string
	First        time.Time
	Last         time.Time
	Times        int
	Acknowledged time.Time
	By           ids.User
	Cleared      time.Time
	Told         time.Time
}

// Source reports what is wrong now. Events are not its: see Raise.
type Source func(context.Context) ([]Condition, error)

// Channel tells somebody.
type Channel func(context.Context, Alert) error

// Config is what the board stands on.
type Config struct {
	DB       *db.DB
	Stage    *evidence.Stage
	IDs      *ids.Source
	Clock    clock.Clock
	Observe  *observe.Observer
	Sources  map[string]Source
	Channels []Channel
}

// Board keeps alerts.
type Board struct {
	Config
	set   *db.Set
	mu    sync.Mutex
	extra map[int]Channel // lent for a moment
	next  int
}

// New makes a board over a database that was opened with Schema.
func New(c Config) *Board { return &Board{Config: c, set: c.DB.Set(pkg), extra: map[int]Channel{}} }

const (
	// most is how many alerts are kept, and pass how many are told at one look.
	most, pass = 1000, 50
	// keep is how long a cleared alert stays in the list, and event how long an
	// event stands after it was last seen.
	keep, event = 30 * 24 * time.Hour, 24 * time.Hour
)

// Raise puts an event on the board, and tells it if it is new.
func (b *Board) Raise(ctx context.Context, c Condition) error {
	if err := b.put(ctx, []Condition{c}); err != nil {
		return err
	}
	return b.tell(ctx)
}

func (b *Board) put(ctx context.Context, list []Condition) error {
	now := clock.Micros(b.Clock.Now())
	err := b.DB.Change(ctx, "raise alerts", func(tx *db.Tx) error {
		for _, c := range list[:min(len(list), most)] {
			if _, err := tx.Do(ctx, b.set, "again", c.Marker, now); err != nil {
				return err
			}
			if _, err := tx.Do(ctx, b.set, "raise", ids.New[ids.Alert](b.IDs), c.Marker, string(c.Kind), c.Text, now); err != nil {
				return err
			}
		}
		return nil
	})
	return fault.Wrap(err, "raise alerts")
}

// Look asks every source, clears what is no longer so, and tells what is new. A
// source that fails leaves what it reported before.
func (b *Board) Look(ctx context.Context) error {
	var wrong []error
	for name, source := range b.Sources {
		list, err := source(ctx)
		if err == nil {
			list = slices.Clone(list)
			for i := range list {
				list[i].Marker = name + " " + list[i].Marker
			}
			err = b.put(ctx, list)
		}
		if err == nil {
			err = b.clear(ctx, name, list)
		}
		wrong = append(wrong, err)
	}
	wrong = append(wrong, b.clear(ctx, "", nil), b.tell(ctx), b.bound(ctx))
	return errors.Join(wrong...)
}

// clear ends a source's alerts that it reports no more, or with no source those
// events that were not seen for long.
func (b *Board) clear(ctx context.Context, source string, still []Condition) error {
	standing, err := b.Standing(ctx)
	if err != nil {
		return err
	}
	now := b.Clock.Now()
	return fault.Wrap(b.DB.Change(ctx, "clear alerts", func(tx *db.Tx) error {
		for _, a := range standing {
			name, over := b.sourceOf(a.Marker), false
			switch {
			case name != source:
			case source == "":
				over = now.Sub(a.Last) > event
			default:
				over = !slices.ContainsFunc(still, func(c Condition) bool { return c.Marker == a.Marker })
			}
			if !over {
				continue
			}
			if _, err := tx.Do(ctx, b.set, "clear", a.Marker, clock.Micros(now)); err != nil {
				return err
			}
		}
		return nil
	}), "clear alerts")
}

// sourceOf is the source that reports a marker; "" for an event's.
func (b *Board) sourceOf(marker string) string {
	for name := range b.Sources {
		if len(marker) > len(name) && marker[:len(name)+1] == name+" " {
			return name
		}
	}
	return ""
}

func (b *Board) bound(ctx context.Context) error {
	return fault.Wrap(b.DB.Change(ctx, "bound the list of alerts", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, b.set, "bound", clock.Micros(b.Clock.Now().Add(-keep)), most)
		return err
	}), "bound the list of alerts")
}

// tell gives what is new to every channel; one that fails has it again at the
// next look, and so may another that took it.
func (b *Board) tell(ctx context.Context) error {
	list, err := b.read(ctx, "untold", pass)
	if err != nil {
		return err
	}
	b.mu.Lock()
	channels := slices.Clone(b.Channels)
	for _, c := range b.extra {
		channels = append(channels, c)
	}
	b.mu.Unlock()
	var wrong []error
	for _, a := range list {
		var failed error
		for _, c := range channels {
			failed = errors.Join(failed, c(ctx, a))
		}
		if failed != nil {
			wrong = append(wrong, failed)
			continue
		}
		wrong = append(wrong, b.DB.Change(ctx, "note what was told", func(tx *db.Tx) error {
			_, err := tx.Do(ctx, b.set, "told", a.ID, clock.Micros(b.Clock.Now()))
			return err
		}))
	}
	return fault.Wrap(errors.Join(wrong...), "tell alerts")
}

// Lend adds a channel until it is given back: a probe's.
func (b *Board) Lend(c Channel) (giveBack func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	n := b.next
	b.extra[n] = c
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.extra, n)
	}
}

// Acknowledge says that somebody has seen an alert.
func (b *Board) Acknowledge(ctx context.Context, id ids.Alert, user ids.User, by evidence.Actor) (Alert, error) {
	err := b.DB.Change(ctx, "acknowledge an alert", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, b.set, "acknowledge", id, clock.Micros(b.Clock.Now()), user)
		if err != nil || n == 0 {
			return err // a second time changes nothing
		}
		return b.Stage.Stage(ctx, tx, evidence.Leaf{
			ID: ids.New[ids.Leaf](b.IDs), At: evidence.On(b.Clock.Now()), By: by, Body: &evidence.Act{Act: "alert.acknowledge", Target: id.String()},
		})
	})
	if err != nil {
		return Alert{}, fault.Wrap(err, "acknowledge an alert")
	}
	list, err := b.read(ctx, "get", id)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "There is no such alert.")
	}
	if err != nil {
		return Alert{}, err
	}
	return list[0], nil
}

// Standing gives what is not cleared, newest first.
func (b *Board) Standing(ctx context.Context) ([]Alert, error) { return b.read(ctx, "standing", most) }

// List gives all that is kept, newest first, from before (zero: all).
func (b *Board) List(ctx context.Context, before ids.Alert, limit int) ([]Alert, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	return b.read(ctx, "list", before, limit)
}

// Drop removes what a probe raised.
func (b *Board) Drop(ctx context.Context, marker string) error {
	return fault.Wrap(b.DB.Change(ctx, "drop an alert", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, b.set, "drop", marker)
		return err
	}), "drop an alert")
}

func (b *Board) read(ctx context.Context, query string, args ...any) ([]Alert, error) {
	var list []Alert
	err := b.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var a Alert
		var at [5]int64
		if err := scan(&a.ID, &a.Marker, &a.Kind, &a.Text, &at[0], &at[1], &a.Times, &at[2], &a.By, &at[3], &at[4]); err != nil {
			return err
		}
		for i, to := range []*time.Time{&a.First, &a.Last, &a.Acknowledged, &a.Cleared, &a.Told} {
			if at[i] != 0 {
				*to = clock.FromMicros(at[i]).UTC()
			}
		}
		list = append(list, a)
		return nil
	})
	return list, fault.Wrap(err, "read alerts")
}

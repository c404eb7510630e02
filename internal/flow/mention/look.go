package mention

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/message"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/queue"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/job"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
)

// The bounds of a search.
const (
	maxLooked  = 200_000 // texts
	MaxFound   = 1000    // places
	maxText    = 1 << 20 // bytes of one part
	maxParts   = 50      // parts of one message
	perMessage = 5       // places in one message
	around     = 120     // characters before and after a place
	maxTerm    = 320     // characters of what is looked for
	pageSize   = 100
)

// wanted are the spellings that are looked for, folded.
func (x *Search) wanted() []string {
	list := []string{fold(x.Address.Text()), fold(x.Address.Canonical())}
	for _, i := range x.Identifiers {
		list = append(list, fold(i.Value), i.Canonical())
	}
	slices.Sort(list)
	return slices.DeleteFunc(slices.Compact(list), func(s string) bool { return utf8.RuneCountInString(s) < 3 })
}

// fold is the form in which texts are compared: NFC, small letters.
func fold(text string) string { return strings.ToLower(norm.NFC.String(text)) }

// cursor is how far a search came: through what waits, then through subjects.
type cursor struct {
	After  ids.Recipient `json:"after,omitempty"`
	Last   ids.Message   `json:"last,omitempty"` // looked at last, whose other recipients are passed over
	Term   int           `json:"term"`           // -1: bodies first
	Before ids.Message   `json:"before,omitempty"`
	Looked int           `json:"looked"`
	Found  int           `json:"found"`
}

// found is one place on its way into the store.
type found struct {
	message ids.Message
	where   string
	words   string
}

// Work implements job.Work.
func (s *Store) Work(ctx context.Context, run *job.Run) error {
	j := run.Job()
	x, err := s.Get(ctx, scope.Tenant(j.Tenant), j.ID)
	if fault.Is(err, fault.NotFound) {
		return nil // purged or erased meanwhile
	}
	if err != nil {
		return err
	}
	at := cursor{Term: -1}
	if len(j.Cursor) > 0 {
		if err := json.Unmarshal(j.Cursor, &at); err != nil {
			return fault.Because(fault.Internal, err, "")
		}
	}
	for {
		list, next, more, err := s.step(ctx, &x, at)
		if err != nil {
			return err
		}
		whole := next.Looked < maxLooked && at.Found+len(list) <= MaxFound
		if !whole {
			list, more = list[:min(len(list), MaxFound-at.Found)], false
		}
		if err := s.save(ctx, run, &x, at.Found, list, &next, more, whole); err != nil {
			return err
		}
		if !more {
			return nil
		}
		at = next
	}
}

// save writes a step down with its cursor.
func (s *Store) save(ctx context.Context, run *job.Run, x *Search, before int, list []found, next *cursor, more, whole bool) error {
	next.Found = before + len(list)
	raw, err := json.Marshal(next)
	if err != nil {
		return fault.Wrap(err, "note how far a search came")
	}
	blobs := make([][]byte, len(list))
	for i, f := range list {
		if blobs[i], err = sealed.Put(s.Vault, vault.Account, placeRow(x.Tenant, x.ID, before+i+1), passage{Words: f.words}); err != nil {
			return err
		}
	}
	return run.Save(ctx, job.Progress{Cursor: raw, Done: int64(next.Looked)}, func(tx *db.Tx) error {
		for i, f := range list {
			if _, err := tx.Do(ctx, s.set, "place", x.ID, before+i+1, x.Tenant, f.message, f.where, blobs[i]); err != nil {
				return err
			}
		}
		all := 0
		if whole {
			all = 1
		}
		if _, err := tx.Do(ctx, s.set, "looked", x.ID, next.Looked, next.Found, all); err != nil || more {
			return err
		}
		_, err := tx.Do(ctx, s.set, "end", x.ID, clock.Micros(s.Clock.Now()))
		return err
	})
}

// step looks at one page of texts.
func (s *Store) step(ctx context.Context, x *Search, at cursor) ([]found, cursor, bool, error) {
	if at.Term < 0 {
		return s.bodies(ctx, x, at)
	}
	return s.subjects(ctx, x, at)
}

// bodies looks at mail that waits: no other text is kept.
func (s *Store) bodies(ctx context.Context, x *Search, at cursor) ([]found, cursor, bool, error) {
	in := scope.Tenant(x.Tenant)
	page, err := s.Queue.List(ctx, in, queue.Filter{After: at.After, Limit: pageSize})
	if err != nil {
		return nil, at, false, err
	}
	var list []found
	wanted := x.wanted()
	for _, item := range page {
		if at.After = item.ID; item.Message == at.Last {
			continue
		}
		at.Last = item.Message
		words, err := s.inBody(ctx, in, item.Message, wanted)
		if err != nil {
			return nil, at, false, err
		}
		at.Looked++
		if len(words) == 0 {
			continue
		}
		own, err := s.own(ctx, x, item.Message)
		if err != nil {
			return nil, at, false, err
		}
		for _, w := range words {
			if !own {
				list = append(list, found{item.Message, "text", w})
			}
		}
	}
	if len(page) < pageSize {
		at.Term = 0
	}
	return list, at, true, nil
}

// subjects looks at the subjects of records, one spelling after another.
func (s *Store) subjects(ctx context.Context, x *Search, at cursor) ([]found, cursor, bool, error) {
	wanted := x.wanted()
	if at.Term >= len(wanted) {
		return nil, at, false, nil
	}
	in := scope.Tenant(x.Tenant)
	page, next, err := s.Subjects.Find(ctx, in, history.WordQuery{Text: history.Fold(wanted[at.Term]), Before: at.Before, Limit: pageSize})
	if err != nil {
		return nil, at, false, err
	}
	var list []found
	for _, m := range page {
		at.Looked++
		words, err := s.inSubject(ctx, x, m, wanted)
		if err != nil {
			return nil, at, false, err
		}
		// Under an earlier spelling it was found already.
		if words != "" && len(places(words, wanted[:at.Term], 1)) == 0 && len(places(words, wanted[at.Term:at.Term+1], 1)) > 0 {
			list = append(list, found{m, "subject", words})
		}
	}
	if at.Before = next; next == 0 {
		at.Term++
	}
	return list, at, true, nil
}

// inSubject gives the subject of a message between others.
func (s *Store) inSubject(ctx context.Context, x *Search, m ids.Message, wanted []string) (string, error) {
	own, err := s.own(ctx, x, m)
	if err != nil || own {
		return "", err
	}
	events, err := s.Records.Of(ctx, scope.Tenant(x.Tenant), m)
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	for _, e := range events {
		if e.Kind == history.Accepted {
			if list := places(e.Detail.Subject, wanted, 1); len(list) > 0 {
				return list[0], nil
			}
		}
	}
	return "", err
}

// own reports whether the person sent a message or was sent it.
func (s *Store) own(ctx context.Context, x *Search, m ids.Message) (bool, error) {
	events, err := s.Records.Of(ctx, scope.Tenant(x.Tenant), m)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return false, err
	}
	for _, e := range events {
		for _, text := range append([]string{e.Detail.Sender}, e.Detail.Recipients...) {
			if a, err := address.Parse(text); err == nil && !a.IsNull() && a.Canonical() == x.Address.Canonical() {
				return true, nil
			}
		}
	}
	return false, nil
}

// inBody gives the words around each place in a waiting message's texts.
func (s *Store) inBody(ctx context.Context, in scope.Scope, m ids.Message, wanted []string) ([]string, error) {
	c, err := s.Queue.Content(ctx, in, m)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
		return nil, nil // settled meanwhile
	}
	if err != nil {
		return nil, err
	}
	defer c.Close()
	parsed, err := message.Parse(c, c.Size(), message.Options{})
	if err != nil {
		return nil, nil //nolint:nilerr // what no program reads names nobody
	}
	var list []string
	parts := 0
	parsed.Walk(func(p *message.Part) bool {
		if p.IsLeaf() && p.Type.Major() == "text" {
			parts++
			b, _ := io.ReadAll(io.LimitReader(p.Text(), maxText)) // what can be read of it
			text := string(b)
			if p.Type.Value == "text/html" {
				text = untagged(text)
			}
			for _, w := range places(text, wanted, perMessage-len(list)) {
				if !slices.Contains(list, w) { // the same in plain and in HTML
					list = append(list, w)
				}
			}
		}
		return parts < maxParts && len(list) < perMessage
	})
	return list, nil
}

// untagged is the text of HTML as far as a search needs it.
func untagged(text string) string {
	var b strings.Builder
	in := false
	for _, r := range text {
		switch {
		case r == '<':
			in = true
			b.WriteByte(' ')
		case r == '>':
			in = false
		case !in:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// places gives the words around up to most places at which one of the spellings
// stands by itself.
func places(text string, wanted []string, most int) []string {
	text = strings.Join(strings.Fields(norm.NFC.String(strings.ToValidUTF8(text, "�"))), " ")
	low := []rune(strings.ToLower(text))
	plain := []rune(text)
	if len(low) != len(plain) { // a letter without its like: what is shown is small
		plain = low
	}
	var list []string
	for at := 0; at < len(low) && len(list) < most; at++ {
		n := longest(low[at:], wanted)
		if n == 0 || at > 0 && joins(low[at-1]) || at+n < len(low) && joins(low[at+n]) {
			continue
		}
		list = append(list, string(plain[max(0, at-around):min(len(plain), at+n+around)]))
		at += n + around // what is near is in the words already
	}
	return list
}

// joins reports whether a letter would make a longer word of what it stands beside.
func joins(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// longest is the length of the longest spelling with which a text begins.
func longest(text []rune, wanted []string) int {
	best := 0
	for _, w := range wanted {
		first, _ := utf8.DecodeRuneInString(w)
		if text[0] != first {
			continue
		}
		if r := []rune(w); len(r) > best && len(r) <= len(text) && slices.Equal(text[:len(r)], r) {
			best = len(r)
		}
	}
	return best
}

// alone is the person's own name without the words around it.
func alone(words string, wanted []string) string {
	low := []rune(fold(words))
	for at := range low {
		if n := longest(low[at:], wanted); n > 0 {
			return "[…] " + string(low[at:at+n]) + " […]"
		}
	}
	return "[…]"
}

// Purge removes searches that were ordered before a time; retention calls it.
func (s *Store) Purge(ctx context.Context, in scope.Scope, before time.Time) (int, error) {
	all, own := in.Args()
	var n int64
	err := s.DB.Change(ctx, "purge searches for mentions", func(tx *db.Tx) (err error) {
		if _, err = tx.Do(ctx, s.set, "purge_places", clock.Micros(before), all, own); err != nil {
			return err
		}
		n, err = tx.Do(ctx, s.set, "purge", clock.Micros(before), all, own)
		return err
	})
	return int(n), fault.Wrap(err, "purge searches for mentions")
}

// Oldest is when the oldest search was ordered, or zero.
func (s *Store) Oldest(ctx context.Context) (time.Time, error) {
	var at int64
	err := s.set.One(ctx, "oldest", nil, &at)
	if err != nil || at == 0 {
		return time.Time{}, fault.Wrap(err, "look for the oldest search")
	}
	return clock.FromMicros(at), nil
}

// Drop removes everything of a customer whose contract ended.
func (s *Store) Drop(ctx context.Context, t ids.Tenant) (int, error) {
	var n int64
	err := s.DB.Change(ctx, "drop a customer's searches for mentions", func(tx *db.Tx) (err error) {
		if _, err = tx.Do(ctx, s.set, "drop_tenant_places", t); err != nil {
			return err
		}
		n, err = tx.Do(ctx, s.set, "drop_tenant", t)
		return err
	})
	return int(n), fault.Wrap(err, "drop a customer's searches for mentions")
}

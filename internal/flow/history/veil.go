package history

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/lookup"
	"mailvow/internal/protect/policy"
)

// veil is what a policy lets be seen of one customer's values.
type veil struct {
	h      *History
	tenant ids.Tenant
	rules  Redactions
}

const (
	hashMark  = "hash:" // a keyed hash is shown as one
	shortened = 16      // characters of a text that is cut short
)

var hashText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// shown is what may be seen of a field's value. What was shown so before stays:
// records are rewritten more than once.
func (v veil) shown(f Field, value string) string {
	if value == "" {
		return ""
	}
	switch v.rules[f] {
	case policy.Drop:
		return ""
	case policy.Hash:
		return v.hashed(f, value)
	case policy.Truncate:
		return truncated(f, value)
	case policy.Keep:
	}
	return value
}

// hashed is a value's keyed hash: equal values of one customer stay equal, and
// nobody without the customer's key can try values. A key that is out of reach
// leaves nothing.
func (v veil) hashed(f Field, value string) string {
	if strings.HasPrefix(value, hashMark) {
		return value
	}
	if a, err := address.Parse(value); err == nil && (f == FieldSender || f == FieldRecipient) {
		value = a.Canonical()
	}
	// A sender and a recipient who are the same person show as the same.
	domain := "shown " + string(f)
	if f == FieldSender || f == FieldRecipient {
		domain = "shown address"
	}
	hash, err := v.h.vault.Hash(v.tenant, domain, value)
	if err != nil {
		return ""
	}
	return hashMark + hashText.EncodeToString(hash[:])
}

func truncated(f Field, value string) string {
	switch f {
	case FieldSender, FieldRecipient:
		if a, err := address.Parse(value); err == nil {
			return "@" + a.Domain()
		}
		if strings.HasPrefix(value, "@") || strings.HasPrefix(value, hashMark) {
			return value
		}
		return ""
	case FieldIP:
		return network(value)
	case FieldSubject, FieldMessageID, FieldReply:
	}
	letters := []rune(value)
	if len(letters) <= shortened || strings.HasPrefix(value, hashMark) {
		return value
	}
	return string(letters[:shortened]) + "…"
}

// network is the /24 or /48 in which an address lies.
func network(value string) string {
	if _, err := netip.ParsePrefix(value); err == nil || strings.HasPrefix(value, hashMark) {
		return value
	}
	ip, err := netip.ParseAddr(value)
	if err != nil {
		return ""
	}
	bits := 48
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		bits = 24
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// swaps are the values of a message that other texts (replies, conversations,
// notices) must not repeat, with what stands in their place.
func (v veil) swaps(known ...Known) []swap {
	var list []swap
	add := func(f Field, value string) {
		if rule := v.rules[f]; value == "" || rule == "" || rule == policy.Keep {
			return
		}
		to := v.shown(f, value)
		if to == "" {
			to = removed
		}
		for _, from := range spelling(value) {
			if s := (swap{from, to}); !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	for _, k := range known {
		add(FieldIP, k.IP)
		add(FieldMessageID, k.MessageID)
		add(FieldSender, k.Sender)
		add(FieldRecipient, k.Recipient)
		add(FieldSubject, k.Subject)
	}
	// Of two values of which one holds the other, the longer goes first.
	slices.SortStableFunc(list, func(a, b swap) int { return len(b.from) - len(a.from) })
	return list
}

// nothing reports that a record may name nobody and repeat nothing: every field is
// dropped, as where keeping records is not instructed.
func (r Redactions) nothing() bool {
	for _, f := range Fields() {
		if r[f] != policy.Drop {
			return false
		}
	}
	return true
}

// Nothing drops every field.
func Nothing() Redactions {
	r := Redactions{}
	for _, f := range Fields() {
		r[f] = policy.Drop
	}
	return r
}

// detail redacts an event. The swaps are those of its message, since a later
// event (a bounce's reply) repeats what only the first one holds.
func (v veil) detail(d *Detail, swaps []swap) {
	d.IP, d.MessageID = v.shown(FieldIP, d.IP), v.shown(FieldMessageID, d.MessageID)
	d.Sender, d.Subject = v.shown(FieldSender, d.Sender), v.shown(FieldSubject, d.Subject)
	if rule := v.rules[FieldRecipient]; rule == policy.Drop {
		d.Recipients = nil
	} else if rule != "" && rule != policy.Keep {
		d.Recipients = slices.Clone(d.Recipients)
		for i, r := range d.Recipients {
			d.Recipients[i] = v.shown(FieldRecipient, r)
		}
	}
	d.Reply = v.shown(FieldReply, swapped(d.Reply, swaps))
	if d.Actor != "" { // a person's words; our own name nobody
		d.Note = swapped(d.Note, swaps)
	}
	if v.rules.nothing() {
		d.By, d.TLS, d.Tags = "", "", nil
	}
}

// Redact brings the record of one message that is kept already under rules, by
// direction: rows, conversations and the hashes by which it is found. It returns
// the number of rows rewritten; a repeat changes nothing more.
func (h *History) Redact(ctx context.Context, tenant ids.Tenant, m ids.Message, rules func(Direction) Redactions) (int, error) {
	events, err := h.Of(ctx, scope.Tenant(tenant), m)
	if err != nil || len(events) == 0 {
		return 0, err
	}
	v := veil{h, tenant, rules(events[0].Direction)}
	if len(v.rules) == 0 {
		return 0, nil
	}
	swaps := v.swaps(knownOf(events)...)
	// The hashes go first: once the row says less, nobody knows them any more.
	for _, e := range events {
		if err := h.forgetHashes(ctx, e, func(d *Detail) { v.detail(d, swaps) }); err != nil {
			return 0, err
		}
	}
	if v.rules.nothing() {
		if err := h.dropConversations(ctx, tenant, events); err != nil {
			return 0, err
		}
	}
	return h.rewriteMessage(ctx, tenant, m, func(d *Detail, _ []Known) { v.detail(d, swaps) },
		func(text string, _ []Known) string { return swapped(text, swaps) })
}

// dropConversations deletes the conversations of a message's attempts.
func (h *History) dropConversations(ctx context.Context, tenant ids.Tenant, events []Event) error {
	all, owner := scope.Tenant(tenant).Args()
	var attempts []int64
	for _, e := range events {
		if e.Attempt != 0 {
			attempts = append(attempts, int64(e.Attempt))
		}
	}
	list, err := json.Marshal(attempts)
	if err != nil || len(attempts) == 0 {
		return fault.Wrap(err, "write a list of attempts")
	}
	return fault.Wrap(h.db.Change(ctx, "delete conversations", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, h.set, "delete_conversations", string(list), all, owner)
		return err
	}), "delete conversations")
}

// forgetHashes drops from the look-up what an event is not found by after a change.
func (h *History) forgetHashes(ctx context.Context, e Event, change func(*Detail)) error {
	if h.index == nil || e.Kind != Accepted {
		return nil
	}
	before, err := h.index.entries(nil, &e)
	if err != nil {
		return err
	}
	change(&e.Detail)
	after, err := h.index.entries(nil, &e)
	if err != nil {
		return err
	}
	for _, x := range before {
		if slices.Contains(after, x) {
			continue
		}
		if _, err := h.index.look.RemoveAt(ctx, x.Hash, lookup.Position{Node: x.Node, Seq: x.Seq}); err != nil {
			return err
		}
	}
	return nil
}

package pages

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/protect/request"
)

// Ten messages at once from one network and then one in two minutes: what goes to
// an address for them is bounded by protect/request.
const writeEvery, writeBurst = 2 * time.Minute, 10

// inquiry is what the form shows.
type inquiry struct {
	Problem, Address, Note string
	Kind                   request.Kind
	Kinds                  []request.Kind
}

func (t *Trust) contact(w http.ResponseWriter, status int, f inquiry) {
	f.Kinds = request.Inquiries()
	t.show(w, status, "contact", f)
}

func (t *Trust) inquire(w http.ResponseWriter, r *http.Request) {
	if !t.limits.may(r.RemoteAddr) {
		w.Header().Set("Retry-After", "120")
		t.show(w, http.StatusTooManyRequests, "refused", refusal{"Too many messages", "Too many messages came from your network. Try again in a few minutes, or write a mail."})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		t.contact(w, http.StatusBadRequest, inquiry{Problem: "The form did not come through; send it again."})
		return
	}
	f := inquiry{Address: r.PostForm.Get("address"), Kind: request.Kind(r.PostForm.Get("kind")), Note: r.PostForm.Get("note")}
	c, err := t.Inquiries.Inquire(r.Context(), f.Kind, f.Address, f.Note)
	switch {
	case fault.Is(err, fault.Invalid):
		f.Problem, _ = fault.Public(err)
		t.contact(w, http.StatusBadRequest, f)
	case err != nil:
		t.refuse(w, r, err)
	default:
		t.show(w, http.StatusOK, "thanks", struct {
			ID  string
			Due time.Time
		}{c.ID.String(), c.Due()})
	}
}

// expires is how long security.txt is good for. It is written anew for each
// reader, so that it never ends while the server runs; RFC 9116 2.5.5 asks for
// less than a year.
const expires = 180 * 24 * time.Hour

func (t *Trust) securityText(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	base := t.Base()
	secure := strings.HasPrefix(base, "https://") // RFC 9116 2.5: an address of the web begins so
	line("Contact", "mailto:"+t.Contacts.Security)
	for _, c := range t.Security.Contacts {
		line("Contact", c)
	}
	if secure {
		line("Contact", base+"/trust/contact?about=security")
	}
	line("Expires", t.Clock.Now().UTC().Truncate(24*time.Hour).Add(expires).Format(time.RFC3339))
	line("Preferred-Languages", strings.Join(t.Security.Languages, ", "))
	switch {
	case t.Security.Disclosure != "":
		line("Policy", t.Security.Disclosure)
	case secure:
		line("Policy", base+"/trust/security")
	}
	if secure {
		line("Canonical", base+"/.well-known/security.txt")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8") // RFC 9116 3
	_, _ = w.Write([]byte(b.String()))                          // the peer went
}

// The feed (RFC 4287).
type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  atomAuthor  `xml:"author"`
	Links   []atomLink  `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

type atomAuthor struct {
	Name string `xml:"name"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr,omitempty"`
	Href string `xml:"href,attr"`
}

type atomEntry struct {
	ID      string   `xml:"id"`
	Title   string   `xml:"title"`
	Updated string   `xml:"updated"`
	Link    atomLink `xml:"link"`
	Summary string   `xml:"summary"`
}

// maxFeed is how many changes the feed tells of.
const maxFeed = 50

func (t *Trust) feed(w http.ResponseWriter, r *http.Request) {
	shelves, err := t.shelves(r.Context())
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	policies, err := t.Policies(r.Context())
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	base := t.Base()
	f := atomFeed{
		ID: base + "/trust", Title: "Trust centre of " + t.Operator, Author: atomAuthor{t.Operator},
		Links: []atomLink{{"self", base + "/trust/feed.atom"}, {"alternate", base + "/trust"}},
	}
	for _, s := range shelves {
		for _, v := range s.Versions {
			at := fmt.Sprintf("%s/trust/%s/%d", base, v.Kind, v.Number)
			f.Entries = append(f.Entries, atomEntry{at, fmt.Sprintf("%s, version %d", s.Title, v.Number), stampOf(v.Published), atomLink{Href: at}, v.Note})
		}
	}
	for _, p := range policies {
		at := fmt.Sprintf("%s/trust/policy#v%d", base, p.Number)
		f.Entries = append(f.Entries, atomEntry{at, fmt.Sprintf("The policy that the server obeys, version %d, in force from %s", p.Number, day(p.Effective)), stampOf(p.Published), atomLink{Href: at}, strings.TrimSpace(p.Note + " " + strings.Join(p.Changes, "; "))})
	}
	newestFirst(f.Entries)
	f.Entries = f.Entries[:min(len(f.Entries), maxFeed)]
	f.Updated = stampOf(time.Time{})
	if len(f.Entries) > 0 {
		f.Updated = f.Entries[0].Updated
	}
	out, err := xml.MarshalIndent(f, "", " ")
	if err != nil {
		t.refuse(w, r, fault.Because(fault.Internal, err, ""))
		return
	}
	w.Header().Set("Content-Type", "application/atom+xml; charset=utf-8")
	_, _ = w.Write(append([]byte(xml.Header), out...)) // the peer went
}

func stampOf(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// newestFirst sorts entries by their time, which are spelt alike.
func newestFirst(list []atomEntry) {
	slices.SortStableFunc(list, func(a, b atomEntry) int { return strings.Compare(b.Updated, a.Updated) })
}

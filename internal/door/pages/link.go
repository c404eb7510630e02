// Package pages is the door for people without an account: what links in mail
// lead to. It promises that a link acts by POST alone, that its text is not kept
// by caches, sent on to other sites or indexed, and that a stranger learns
// nothing from a link that is wrong. What is shown is given by the products.
package pages

import (
	"net/http"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/link"
)

// Action is a page behind a link.
type Action struct {
	Links   *link.Store
	Purpose link.Purpose
	// Show writes the page with its form, which posts to the same address.
	Show func(w http.ResponseWriter, r *http.Request, l link.Link)
	// Act does it, in the transaction that marks the link as used.
	Act func(tx *db.Tx, l link.Link) error
	// Done writes the page after it.
	Done func(w http.ResponseWriter, r *http.Request)
	// Refused writes the page of a link that does not hold; text says why.
	Refused func(w http.ResponseWriter, r *http.Request, status int, text string)
}

// ServeHTTP shows on GET and acts on POST. The link's text is the path value
// "link".
func (a *Action) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex")
	text := r.PathValue("link")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		l, err := a.Links.Read(r.Context(), a.Purpose, text)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		a.Show(w, r, l)
	case http.MethodPost:
		if err := a.Links.Use(r.Context(), a.Purpose, text, a.Act); err != nil {
			a.refuse(w, r, err)
			return
		}
		a.Done(w, r)
	default:
		h.Set("Allow", "GET, HEAD, POST")
		http.Error(w, "Open the link, or confirm on its page.", http.StatusMethodNotAllowed)
	}
}

func (a *Action) refuse(w http.ResponseWriter, r *http.Request, err error) {
	text, _ := fault.Public(err)
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Invalid, fault.Unauthenticated, fault.Denied:
		a.Refused(w, r, http.StatusNotFound, text)
	case fault.Gone, fault.Conflict:
		a.Refused(w, r, http.StatusGone, text)
	case fault.Internal, fault.Exhausted, fault.Unavailable, fault.ReadOnly, fault.Full:
		a.Refused(w, r, http.StatusServiceUnavailable, "This cannot be done just now; try again later.")
	}
}

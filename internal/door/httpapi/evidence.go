package httpapi

import (
	"context"
	"net/http"
	"strconv"

	"mailvow/internal/base/fault"
	"mailvow/internal/protect/evidence"
)

// Evidence gives the published files of the evidence log; protect/evidence
// fills it.
type Evidence interface {
	File(ctx context.Context, path string) (evidence.PublishedFile, error)
}

// serveEvidence gives the evidence log to anybody, with no account: it names no
// person, and it proves something only to those who may read it. Paths and
// answers are those of C2SP tlog-tiles. What is final may be kept for ever; the
// checkpoint never, because an old one hides what came after it.
func (a *API) serveEvidence(w http.ResponseWriter, r *http.Request) {
	if a.parts.Evidence == nil {
		writeProblem(w, r, problemOf(absent(), false))
		return
	}
	f, err := a.parts.Evidence.File(r.Context(), r.PathValue("path"))
	if err != nil {
		if fault.Is(err, fault.Conflict) { // the stored log contradicts itself: that is ours to mend
			err = fault.Because(fault.Internal, err, "")
		}
		report(r.Context(), a.log, "evidence", err)
		writeProblem(w, r, problemOf(err, false))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	if f.Text {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	if f.Final {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("Access-Control-Allow-Origin", "*") // for verifiers that run in a browser; no cookie goes along
	h.Set("Content-Length", strconv.Itoa(len(f.Data)))
	w.Write(f.Data) // a peer that has gone is no concern of ours
}

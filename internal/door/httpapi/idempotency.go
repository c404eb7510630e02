package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"io"
	"net/http"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/limit"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/access"
)

const (
	maxKey = 255
	// abandoned is when a request that began and never ended (a crash) may be
	// begun again.
	abandoned = 2 * time.Minute
	// maxAnswer is the largest answer that is stored.
	maxAnswer = 64 << 10
)

// answer is what a repeat gets.
type answer struct {
	Type string `json:"type"`
	Body []byte `json:"body"`
}

// repeats answers a POST that was answered before. Only who may do the operation
// has keys: they belong to the customer, of whose people not all may see every
// answer.
func (a *API) repeats(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		who := requestOf(r.Context()).who
		if key == "" || r.Method != http.MethodPost || !who.Known() || !a.mayDo(r, who) {
			next.ServeHTTP(w, r)
			return
		}
		if p := a.repeat(w, r, next, key, who.Tenant); p != nil {
			writeProblem(w, r, p)
		}
	})
}

func (a *API) repeat(w http.ResponseWriter, r *http.Request, next http.Handler, key string, in ids.Tenant) *Problem {
	if len(key) > maxKey || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) {
		return newProblem(http.StatusUnprocessableEntity, "invalid", "The Idempotency-Key is wrong.").
			at("header.Idempotency-Key", "It has 1 to 255 printable ASCII characters.")
	}
	// The body is hashed before anything is done with it.
	held, p := a.weigh(r, a.largestBody())
	if p != nil {
		return p
	}
	defer held.leave()
	a.deadline(r.Context(), w, rawTime) // it may be a raw message
	body, p := held.read(r, w, a.largestBody())
	if p != nil {
		return p
	}
	a.arrived(r.Context(), w)
	r.Body = io.NopCloser(bytes.NewReader(body))
	requestOf(r.Context()).weighed = true
	hash, err := a.parts.Vault.Hash(in, "idempotency", r.URL.Path+"\x00"+key)
	if err != nil {
		return a.internal(r, err)
	}
	e := entry{tenant: in, hash: hash, body: said(r, body)}
	fresh, stored, err := a.begin(r.Context(), e)
	switch {
	case err != nil:
		return a.internal(r, err)
	case !fresh:
		return a.replay(w, r, e, stored)
	}
	return a.firstTime(w, r, next, e)
}

// mayDo asks whether an operation is open to somebody; the operation itself says
// in words that it is not.
func (a *API) mayDo(r *http.Request, who access.Principal) bool {
	_, pattern := a.mux.Handler(r)
	needs, there := a.needs[pattern]
	_, may := who.May(needs)
	return !there || needs == open || may
}

// largestBody is what a message of the largest size takes in base64 with JSON
// around it.
func (a *API) largestBody() limit.Bytes { return a.config.MaxMessage/3*4 + limit.MiB }

type entry struct {
	tenant ids.Tenant
	hash   [16]byte
	body   [32]byte
}

// said is the hash of what a request asks for: its query, where a raw message has
// its recipients, and its body.
func said(r *http.Request, body []byte) (sum [32]byte) {
	h := sha256.New()
	_, _ = io.WriteString(h, r.URL.RawQuery+"\x00") // a hash never fails
	_, _ = h.Write(body)
	h.Sum(sum[:0])
	return sum
}

type storedAnswer struct {
	body    []byte
	status  int
	sealed  []byte
	created time.Time
}

// begin claims a key. fresh says that this request is the one that acts.
func (a *API) begin(ctx cctx, e entry) (fresh bool, stored storedAnswer, err error) {
	err = a.parts.DB.Change(ctx, "begin an idempotent request", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, a.set, "begin", e.tenant, e.hash, e.body, tx.Now())
		if err != nil || n == 1 {
			fresh = n == 1
			return err
		}
		if err := tx.One(ctx, a.set, "look", []any{e.tenant, e.hash}, &stored.body, &stored.status, &stored.sealed, &stored.created); err != nil {
			return err
		}
		if stored.status == 0 && tx.Now().Sub(stored.created) > abandoned && bytes.Equal(stored.body, e.body[:]) {
			n, err := tx.Do(ctx, a.set, "take_over", e.tenant, e.hash, stored.created, tx.Now())
			fresh = n == 1
			return err
		}
		return nil
	})
	return fresh, stored, fault.Wrap(err, "begin an idempotent request")
}

func (e entry) row() sealed.Row {
	var row int64
	for _, b := range e.hash[:8] {
		row = row<<8 | int64(b)
	}
	return sealed.Row{Tenant: e.tenant, Table: "http_idempotency", ID: row}
}

func (a *API) replay(w http.ResponseWriter, r *http.Request, e entry, stored storedAnswer) *Problem {
	switch {
	case subtle.ConstantTimeCompare(stored.body, e.body[:]) != 1:
		return newProblem(http.StatusUnprocessableEntity, "key_reused", "This Idempotency-Key was used with another body or query. Use a new key for a new request.").
			at("header.Idempotency-Key", "It was used with another body or query.")
	case stored.status == 0:
		return newProblem(http.StatusConflict, "under_way", "The first request with this Idempotency-Key is still under way.").with("Retry-After", "1")
	case len(stored.sealed) == 0:
		return newProblem(http.StatusConflict, "already_done", "This was done already, and its answer is not shown again: it held a secret, or a person whose data was erased since. Where it made a secret, delete it and make another one with a new key.")
	}
	var old answer
	if err := sealed.Get(a.parts.Vault, e.row(), stored.sealed, &old); err != nil {
		return problemOf(err, false)
	}
	if stored.status < http.StatusMultipleChoices {
		if err := a.repeatOnRecord(r); err != nil {
			return a.internal(r, err)
		}
	}
	w.Header().Set("Idempotency-Replayed", "true")
	w.Header().Set("Content-Type", old.Type)
	w.WriteHeader(stored.status)
	w.Write(old.Body) // a peer that has gone is no concern of ours
	return nil
}

// firstTime lets the request through and keeps its answer before it goes out. An
// answer of 5xx is not kept: the same request may succeed later.
func (a *API) firstTime(w http.ResponseWriter, r *http.Request, next http.Handler, e entry) *Problem {
	kept := &keeper{ResponseWriter: w}
	done := false
	defer func() {
		if !done { // next panicked
			a.settle(r, e, http.StatusInternalServerError, nil)
		}
	}()
	next.ServeHTTP(kept, r)
	done = true
	status := max(kept.status, http.StatusOK)
	a.settle(r, e, status, a.keepable(r, e, w.Header().Get("Content-Type"), status, kept))
	kept.send()
	return nil
}

// keepable gives what a repeat will get: nil for nothing, so that it acts again;
// empty for an answer that cannot be shown twice.
func (a *API) keepable(r *http.Request, e entry, contentType string, status int, kept *keeper) []byte {
	switch {
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusUnauthorized:
		return nil
	case kept.sent, status < 300 && a.showsSecret(r):
		return []byte{}
	}
	blob, err := sealed.Put(a.parts.Vault, vault.Content, e.row(), answer{contentType, kept.body.Bytes()})
	if err != nil {
		a.log.ErrorContext(r.Context(), "an answer could not be kept", "request", requestID(r.Context()), "error", err)
		return []byte{}
	}
	return blob
}

// settle writes the end down; nil forgets that the request began. It goes on
// when the peer has gone: what was done is done.
func (a *API) settle(r *http.Request, e entry, status int, blob []byte) {
	ctx := context.WithoutCancel(r.Context())
	err := a.parts.DB.Change(ctx, "settle an idempotent request", func(tx *db.Tx) error {
		var err error
		if blob == nil {
			_, err = tx.Do(ctx, a.set, "forget", e.tenant, e.hash)
		} else {
			_, err = tx.Do(ctx, a.set, "finish", e.tenant, e.hash, status, blob)
		}
		return err
	})
	if err != nil {
		a.log.ErrorContext(ctx, "an idempotent request could not be settled", "request", requestID(ctx), "error", err)
	}
}

// showsSecret asks whether the request's operation answers with a secret.
func (a *API) showsSecret(r *http.Request) bool {
	_, pattern := a.mux.Handler(r)
	return a.secretive[pattern]
}

func (a *API) internal(r *http.Request, err error) *Problem {
	report(r.Context(), a.log, "idempotency", err)
	return problemOf(err, false)
}

// keeper holds an answer back until it is kept. One that is larger than
// maxAnswer goes out as it comes, and is not kept.
type keeper struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
	sent   bool
}

func (k *keeper) WriteHeader(status int) {
	if k.status == 0 {
		k.status = status
	}
}

func (k *keeper) Write(b []byte) (int, error) {
	if k.sent || k.body.Len()+len(b) > maxAnswer {
		k.send()
		return k.ResponseWriter.Write(b)
	}
	return k.body.Write(b)
}

func (k *keeper) send() {
	if k.sent {
		return
	}
	k.sent = true
	k.ResponseWriter.WriteHeader(max(k.status, http.StatusOK))
	k.ResponseWriter.Write(k.body.Bytes()) // a peer that has gone is no concern of ours
}

package httpapi

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
)

const (
	// freeBody is up to which size a body is not weighed.
	freeBody = 64 * limit.KiB
	// weighStep is taken at a time for a body that does not say how long it is.
	weighStep = 256 * limit.KiB
	// bodyTime is how long a body may take to arrive, rawTime a raw message.
	bodyTime = time.Minute
	rawTime  = 10 * time.Minute
)

// weight is what one request's body holds of the budget of bytes in flight.
type weight struct {
	budget *limit.Budget
	taken  limit.Bytes
}

func (w *weight) take(n limit.Bytes) bool {
	if !w.budget.TryTake(n) {
		return false
	}
	w.taken += n
	return true
}

func (w *weight) leave() {
	w.budget.Leave(w.taken)
	w.taken = 0
}

// weigh takes what a body that says its length will hold, at most most bytes; it
// takes nothing yet for one that does not.
func (a *API) weigh(r *http.Request, most limit.Bytes) (*weight, *Problem) {
	w := &weight{budget: a.bodies}
	if n := limit.Bytes(r.ContentLength); n > freeBody && !w.take(min(n, most)) {
		return nil, busy()
	}
	return w, nil
}

func busy() *Problem {
	return newProblem(http.StatusServiceUnavailable, "unavailable", "So many large requests are under way that this one found no room. Try again in a moment.").with("Retry-After", "5")
}

// read reads a whole body into memory, weighed as it comes where it did not say
// its length.
func (w *weight) read(r *http.Request, out http.ResponseWriter, most limit.Bytes) ([]byte, *Problem) {
	from := http.MaxBytesReader(out, r.Body, int64(most))
	tooLarge := func() *Problem {
		return newProblem(http.StatusRequestEntityTooLarge, "too_large", "The request's body is larger than "+most.String()+", or it broke off.")
	}
	if r.ContentLength >= 0 {
		if limit.Bytes(r.ContentLength) > most {
			return nil, tooLarge()
		}
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(from, body); err != nil {
			return nil, tooLarge()
		}
		return body, nil
	}
	var body bytes.Buffer
	for {
		if !w.take(weighStep) {
			return nil, busy()
		}
		n, err := io.CopyN(&body, from, int64(weighStep))
		switch {
		case err == io.EOF: //nolint:errorlint // io.CopyN gives io.EOF itself
			return body.Bytes(), nil
		case err != nil || n == 0:
			return nil, tooLarge()
		}
	}
}

// weighed lets an operation have its body once there is room for it. A body that
// does not say its length is read here, because no answer can be given in the
// middle of the framework's reading.
func (a *API) weighed(ctx huma.Context, o op, next func(huma.Context)) {
	request, out := unwrap(ctx)
	in := requestOf(request.Context())
	if o.raw {
		a.deadline(request.Context(), out, rawTime)
	}
	if o.raw || in.weighed || request.Body == nil || request.ContentLength == 0 {
		next(ctx)
		return
	}
	most := orBytes(o.body, plainBody)
	w, p := a.weigh(request, most)
	if p != nil {
		writeProblem(out, request, p)
		return
	}
	defer w.leave()
	if request.ContentLength < 0 {
		a.deadline(request.Context(), out, bodyTime)
		body, p := w.read(request, out, most)
		if p != nil {
			writeProblem(out, request, p)
			return
		}
		a.arrived(request.Context(), out)
		request.Body = io.NopCloser(bytes.NewReader(body))
	}
	next(ctx)
}

// deadline ends a body that comes too slowly; arrived takes it away, because
// what is done with the body may take longer.
func (a *API) deadline(ctx context.Context, w http.ResponseWriter, after time.Duration) {
	a.readUntil(ctx, w, a.parts.Clock.Now().Add(after))
}

func (a *API) arrived(ctx context.Context, w http.ResponseWriter) { a.readUntil(ctx, w, time.Time{}) }

func (a *API) readUntil(ctx context.Context, w http.ResponseWriter, t time.Time) {
	if err := http.NewResponseController(w).SetReadDeadline(t); err != nil {
		a.log.DebugContext(ctx, "a body is read without a deadline", "error", err)
	}
}

// normal gives every line CRLF while it passes; a CR alone is refused, because
// some hosts take it for a line end and others do not.
type normal struct {
	w    io.Writer
	last byte
	line []byte
}

func (n *normal) Write(p []byte) (int, error) {
	n.line = n.line[:0]
	for _, c := range p {
		switch {
		case n.last == '\r' && c != '\n':
			return 0, bareCR()
		case c == '\n' && n.last != '\r':
			n.line = append(n.line, '\r')
		}
		n.line = append(n.line, c)
		n.last = c
	}
	if _, err := n.w.Write(n.line); err != nil {
		return 0, err
	}
	return len(p), nil
}

// end closes the last line.
func (n *normal) end() error {
	switch n.last {
	case '\n':
		return nil
	case '\r':
		return bareCR()
	}
	_, err := n.w.Write([]byte("\r\n"))
	return err
}

func bareCR() error {
	return fault.Field("raw", "The message holds a CR without LF. Encode it, or end lines with CRLF.")
}

// pieces copies a body in small steps, and says what a reader's failure means.
func pieces(ctx context.Context, w io.Writer, r io.Reader) error {
	piece := make([]byte, 32<<10)
	for ctx.Err() == nil {
		n, err := r.Read(piece)
		if n > 0 {
			if _, err := w.Write(piece[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF: //nolint:errorlint // readers give io.EOF itself
			return nil
		case err != nil:
			return fault.Because(fault.Invalid, err, "The message broke off, or it is too large.")
		}
	}
	return fault.New(fault.Invalid, "The message broke off.")
}

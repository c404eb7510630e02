package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"

	"mailvow/internal/base/fault"
)

// stream is handle for an answer that is long or comes bit by bit. A fault
// before the first byte is a problem; one after it breaks the connection, so
// that the client cannot take a part for the whole.
func stream[In, Out any](s *Server, mux *http.ServeMux, op Op[In, Out], do func(context.Context, In, io.Writer) error) {
	s.names = append(s.names, string(op))
	mux.HandleFunc("POST /"+string(op), func(w http.ResponseWriter, r *http.Request) {
		var in In
		d := json.NewDecoder(io.LimitReader(r.Body, maxBody))
		d.DisallowUnknownFields()
		out := &flushing{w: w}
		err := d.Decode(&in)
		if err != nil {
			err = fault.Because(fault.Invalid, err, "The request is not understood; command and server may be of different versions.")
		} else {
			err = s.streamed(r.Context(), string(op), out, func(ctx context.Context, w io.Writer) error { return do(ctx, in, w) })
		}
		if err == nil {
			return
		}
		if fault.Is(err, fault.Internal) || out.begun {
			s.log.Error("an operation failed", "operation", string(op), "error", err)
		}
		if out.begun {
			panic(http.ErrAbortHandler)
		}
		s.refuse(w, string(op), err)
	})
}

// flushing sends each piece at once.
type flushing struct {
	w     http.ResponseWriter
	begun bool
}

// Write implements io.Writer.
func (f *flushing) Write(b []byte) (int, error) {
	f.begun = true
	n, err := f.w.Write(b)
	if err == nil {
		err = http.NewResponseController(f.w).Flush()
	}
	return n, err
}

// Stream makes the server do an operation whose answer is a stream, and copies
// it to w.
func Stream[In, Out any](ctx context.Context, c *Client, op Op[In, Out], in In, w io.Writer) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fault.Wrap(err, "write "+string(op))
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://mailvow/"+string(op), bytes.NewReader(body))
	if err != nil {
		return fault.Wrap(err, "write "+string(op))
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return fault.Wrap(err, "ask the server")
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
		if err != nil {
			return fault.Because(fault.Unavailable, err, "The server's answer broke off.")
		}
		return problemOf(text)
	}
	if _, err := io.Copy(w, answer.Body); err != nil {
		return fault.Because(fault.Unavailable, err, "The server's answer broke off; its log says why.")
	}
	return nil
}

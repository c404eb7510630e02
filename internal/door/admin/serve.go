package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/protect/reads"
)

// Server answers the command line.
type Server struct {
	http  *http.Server
	log   *slog.Logger
	reads Reads
	names []string // of the operations
}

// New makes a server of the parts. version is what ping answers.
func New(p Parts, version string, log *slog.Logger) *Server {
	s := &Server{log: log, reads: p.Reads}
	mux := http.NewServeMux()
	handle(s, mux, Ping, func(context.Context, struct{}) (ServerVersion, error) { return ServerVersion{version}, nil })
	s.queue(mux, p)
	s.domains(mux, p)
	s.messages(mux, p)
	s.keys(mux, p)
	s.subjects(mux, p)
	s.requests(mux, p)
	s.mentions(mux, p)
	s.notices(mux, p)
	s.controls(mux, p)
	s.backups(mux, p)
	s.people(mux, p)
	s.retention(mux, p)
	s.policies(mux, p)
	s.purposes(mux, p)
	s.supply(mux, p)
	s.holds(mux, p)
	s.documents(mux, p)
	s.attestations(mux, p)
	s.findings(mux, p)
	s.patches(mux, p)
	s.alerts(mux, p)
	s.reviews(mux, p)
	s.lawful(mux, p)
	s.customers(mux, p)
	s.incidents(mux, p)
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	return s
}

// Listen makes the socket at path, mode 0600. A socket that nobody answers on
// is a dead server's and is replaced; one that somebody does is a Conflict.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	if _, err := Call(ctx, Dial(path), Ping, struct{}{}); err == nil {
		return nil, fault.New(fault.Conflict, "Another server answers on "+path+".").WithHint("stop it, or give this one a data folder of its own")
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, fault.New(fault.Conflict, path+" is no socket; move it away.")
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fault.Because(fault.Invalid, err, "The socket "+path+" cannot be replaced.")
	}
	return listen(path)
}

// Serve answers on l until Shutdown.
func (s *Server) Serve(_ context.Context, l net.Listener) error {
	err := s.http.Serve(known{l, s.log})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown lets operations under way finish until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error { return s.http.Shutdown(ctx) }

// known lets in only connections of root and of this process's own user.
type known struct {
	net.Listener
	log *slog.Logger
}

func (k known) Accept() (net.Conn, error) {
	for {
		c, err := k.Listener.Accept()
		if err != nil {
			return nil, err
		}
		uid, err := peer(c)
		if err == nil && (uid == 0 || uid == os.Geteuid()) {
			return c, nil
		}
		k.log.Warn("a stranger at the admin socket was turned away", "uid", uid, "error", err)
		if err := c.Close(); err != nil {
			k.log.Warn("close a stranger's connection", "error", err)
		}
	}
}

func handle[In, Out any](s *Server, mux *http.ServeMux, op Op[In, Out], do func(context.Context, In) (Out, error)) {
	s.names = append(s.names, string(op))
	mux.HandleFunc("POST /"+string(op), func(w http.ResponseWriter, r *http.Request) {
		var in In
		out, err := func() (out Out, err error) {
			d := json.NewDecoder(io.LimitReader(r.Body, maxBody))
			d.DisallowUnknownFields()
			if err := d.Decode(&in); err != nil {
				return out, fault.Because(fault.Invalid, err, "The request is not understood; command and server may be of different versions.")
			}
			ctx, read := reads.Count(r.Context())
			if out, err = do(ctx, in); err == nil {
				err = s.onRecord(ctx, string(op), out, read)
			}
			return out, err
		}()
		if err != nil {
			if fault.Is(err, fault.Internal) {
				s.log.Error("an operation failed", "operation", string(op), "error", err)
			}
			s.refuse(w, string(op), err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(out); err != nil {
			s.log.Warn("answer the command line", "operation", string(op), "error", err)
		}
	})
}

// refuse answers with a problem.
func (s *Server) refuse(w http.ResponseWriter, op string, err error) {
	text, field := fault.Public(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnprocessableEntity)
	if err := json.NewEncoder(w).Encode(problem{fault.KindOf(err), text, field, fault.HintOf(err)}); err != nil {
		s.log.Warn("answer the command line", "operation", op, "error", err)
	}
}

// act is handle for what changes something: it is written into the evidence log
// once it is done. target names its object by an identifier, or gives "".
func act[In, Out any](s *Server, mux *http.ServeMux, p Parts, op Op[In, Out], target func(In, Out) string, do func(context.Context, In) (Out, error)) {
	handle(s, mux, op, func(ctx context.Context, in In) (Out, error) {
		out, err := do(ctx, in)
		if err != nil || p.Acts == nil {
			return out, err
		}
		name := strings.ReplaceAll(string(op), "/", ".")
		return out, fault.Wrap(p.Acts.Record(context.WithoutCancel(ctx), name, target(in, out)), "record "+name)
	})
}

func nothing[In, Out any](In, Out) string { return "" }

// absent refuses an operation whose part this process does not have.
func absent(what string) error {
	return fault.New(fault.Unavailable, "This server does not keep "+what+".").WithHint("ask a node that has the role for it")
}

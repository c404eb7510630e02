// Package observe is how the house shows what it does: log, metrics, traces. It
// promises that a log line holds no personal value: attributes whose value is
// an address, an IP or text that looks like one are replaced before any handler
// sees them. Where the lines go is decided in app.
package observe

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Observer is handed to every part of the server.
type Observer struct {
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Tracer  trace.Tracer
}

// New makes an observer that writes to handler, behind the guard.
func New(handler slog.Handler, metrics prometheus.Registerer, tracer trace.Tracer) *Observer {
	if tracer == nil {
		tracer = noop.NewTracerProvider().Tracer("mailvow")
	}
	return &Observer{Log: slog.New(Guard(handler)), Metrics: metrics, Tracer: tracer}
}

// Silent observes nothing; for tests and offline commands.
func Silent() *Observer {
	return New(slog.DiscardHandler, prometheus.NewRegistry(), nil)
}

// For returns the observer with a logger that names the part.
func (o *Observer) For(part string) *Observer {
	c := *o
	c.Log = o.Log.With("part", part)
	return &c
}

// Guard wraps a handler so that no personal value passes: anything that holds
// an address or an IP is replaced by a mark.
func Guard(h slog.Handler) slog.Handler { return guard{h} }

type guard struct{ slog.Handler }

const removed = "[removed]"

var (
	addressLike = regexp.MustCompile(`("[^"\n]*"|[^\s<>"'(),:;]+)@[^\s<>"'(),;]+`)
	ipv4Like    = regexp.MustCompile(`\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b`)
	ipv6Like    = regexp.MustCompile(`\b[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){3,7}\b|\b[0-9a-fA-F:]{2,}::[0-9a-fA-F:]*|::[0-9a-fA-F:]+`)
)

// Clean removes what looks like an address or a public IP from free text.
// Loopback stays: it is nobody's.
func Clean(s string) string {
	if strings.Contains(s, "@") {
		s = addressLike.ReplaceAllString(s, removed)
	}
	s = ipv4Like.ReplaceAllStringFunc(s, cleanIP)
	if strings.Contains(s, ":") {
		s = ipv6Like.ReplaceAllStringFunc(s, cleanIP)
	}
	return s
}

func cleanIP(s string) string {
	ip, err := netip.ParseAddr(s)
	if err != nil || ip.IsLoopback() || ip.IsUnspecified() {
		return s
	}
	return removed
}

func (g guard) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, Clean(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(cleanAttr(a))
		return true
	})
	return g.Handler.Handle(ctx, clean)
}

func (g guard) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = cleanAttr(a)
	}
	return guard{g.Handler.WithAttrs(clean)}
}

func (g guard) WithGroup(name string) slog.Handler { return guard{g.Handler.WithGroup(name)} }

func cleanAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, Clean(v.String()))
	case slog.KindGroup:
		group := v.Group()
		clean := make([]any, len(group))
		for i, m := range group {
			clean[i] = cleanAttr(m)
		}
		return slog.Group(a.Key, clean...)
	case slog.KindAny:
		switch x := v.Any().(type) {
		case error:
			return slog.String(a.Key, Clean(x.Error()))
		case netip.Addr, netip.AddrPort, net.IP, *net.TCPAddr, net.Addr:
			return slog.String(a.Key, removed)
		case interface{ String() string }:
			return slog.String(a.Key, Clean(x.String()))
		case []byte:
			return slog.String(a.Key, removed)
		}
		return slog.String(a.Key, Clean(slog.AnyValue(v.Any()).String()))
	case slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindInt64, slog.KindTime, slog.KindUint64, slog.KindLogValuer:
	}
	return slog.Attr{Key: a.Key, Value: v}
}

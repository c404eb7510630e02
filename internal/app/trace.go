package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"mailvow/internal/base/fault"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/outcome"
)

// openTraces sends spans by OTLP over HTTP where observe.otlp says so. The
// attributes of a span are identifiers, counts and words of ours: no address, no
// subject, no IP, no error's text.
func (h *House) openTraces() (trace.Tracer, error) {
	c := h.Config
	if c.Observe.OTLP == "" {
		return nil, nil
	}
	u, err := url.Parse(c.Observe.OTLP)
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "observe.otlp is no URL.")
	}
	transport := &http.Transport{
		// The gate is opened after this; no span is sent before.
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dialer, err := h.gate.To("traces")
			if err != nil {
				return nil, err
			}
			return dialer.Dial(ctx, network, addr)
		},
		MaxIdleConns: 2, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second,
	}
	if u.Path == "" {
		u.Path = "/v1/traces" // OTLP 1.x, the default path of traces
	}
	exporter, err := otlptracehttp.New(h.parts.Context(), otlptracehttp.WithEndpointURL(u.String()),
		otlptracehttp.WithHTTPClient(&http.Client{Transport: transport, Timeout: 10 * time.Second}),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}))
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, fmt.Sprintf("Traces cannot be sent to observe.otlp: %v.", err))
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(spans{exporter, slog.New(h.Log)}, sdktrace.WithMaxQueueSize(4096), sdktrace.WithMaxExportBatchSize(512)),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "mailvow"), attribute.String("service.version", Version()), attribute.String("mailvow.region", c.Region))),
	)
	h.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(h.parts.Context()), 5*time.Second)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			slog.New(h.Log).Warn("the last traces were not sent", "error", err)
		}
		return nil
	})
	return provider.Tracer("mailvow"), nil
}

// spans logs what cannot be sent and goes on: traces are never worth more.
type spans struct {
	sdktrace.SpanExporter
	log *slog.Logger
}

// ExportSpans implements sdktrace.SpanExporter.
func (s spans) ExportSpans(ctx context.Context, list []sdktrace.ReadOnlySpan) error {
	if err := s.SpanExporter.ExportSpans(ctx, list); err != nil {
		s.log.Warn("traces were not sent", "spans", len(list))
	}
	return nil
}

// failSpan marks a span with the kind of a fault and nothing else of it.
func failSpan(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, fault.KindOf(err).String())
	}
}

// tracedCourier is a span for each attempt.
type tracedCourier struct {
	deliver.Courier
	tracer trace.Tracer
	kind   deliver.RouteKind
}

// Deliver implements deliver.Courier.
func (c tracedCourier) Deliver(ctx context.Context, p *deliver.Parcel) []outcome.Outcome {
	ctx, span := c.tracer.Start(ctx, "deliver attempt", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("mailvow.message", p.Message.String()), attribute.String("mailvow.customer", p.Tenant.String()),
		attribute.Int("mailvow.route", int(c.kind)), attribute.Int("mailvow.recipients", len(p.Recipients))))
	defer span.End()
	list := c.Courier.Deliver(ctx, p)
	delivered := 0
	for i := range list {
		if list[i].Kind == outcome.Delivered {
			delivered++
		}
	}
	span.SetAttributes(attribute.Int("mailvow.delivered", delivered))
	return list
}

// traced is a span for each HTTP request, named by its route and never by its
// path, which may hold an address.
func (h *House) traced(next http.Handler) http.Handler {
	if h.Config.Observe.OTLP == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := h.observe.Tracer.Start(r.Context(), "HTTP "+r.Method, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		r = r.WithContext(ctx)
		next.ServeHTTP(seen, r)
		span.SetAttributes(attribute.String("http.request.method", r.Method), attribute.Int("http.response.status_code", seen.status))
		if r.Pattern != "" {
			span.SetAttributes(attribute.String("http.route", r.Pattern))
		}
		if seen.status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

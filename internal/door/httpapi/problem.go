package httpapi

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"mailvow/internal/base/fault"
)

// Problem is an error as the API answers it (RFC 9457).
type Problem struct {
	Type     string         `json:"type" doc:"What sort of problem this is, for programs: urn:mailvow:problem: and a word." example:"urn:mailvow:problem:invalid"`
	Title    string         `json:"title" doc:"The status in words." example:"Unprocessable Entity"`
	Status   int            `json:"status" doc:"The HTTP status." example:"422"`
	Detail   string         `json:"detail,omitempty" doc:"What went wrong, and what to do."`
	Instance string         `json:"instance,omitempty" doc:"The request's id; the server's log knows it." example:"urn:mailvow:request:req_01k8x3v5r2e00000g00000000r"`
	Errors   []FieldAtFault `json:"errors,omitempty" doc:"The fields to blame."`
	Hint     string         `json:"hint,omitempty" doc:"What the operator of the server should do."`
	header   http.Header
}

// FieldAtFault names one field and what is wrong with it.
type FieldAtFault struct {
	Location string `json:"location" doc:"Where the field stands: body.to[0], query.limit." example:"body.to[0]"`
	Message  string `json:"message" doc:"What is wrong with it."`
}

// Error implements error.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

var (
	_ huma.StatusError       = (*Problem)(nil)
	_ huma.HeadersError      = (*Problem)(nil)
	_ huma.ContentTypeFilter = (*Problem)(nil)
)

const problemPrefix = "urn:mailvow:problem:"

// newProblem makes a problem of a kind; the word is the last part of its type.
func newProblem(status int, word, detail string) *Problem {
	return &Problem{Type: problemPrefix + word, Title: http.StatusText(status), Status: status, Detail: detail}
}

func (p *Problem) at(location, message string) *Problem {
	p.Errors = append(p.Errors, FieldAtFault{location, message})
	return p
}

func (p *Problem) with(header, value string) *Problem {
	if p.header == nil {
		p.header = http.Header{}
	}
	p.header.Set(header, value)
	return p
}

// statusOf says how each kind of fault is answered.
func statusOf(k fault.Kind) int {
	switch k {
	case fault.Invalid:
		return http.StatusUnprocessableEntity
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Denied:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.Exhausted:
		return http.StatusTooManyRequests
	case fault.Unavailable, fault.ReadOnly:
		return http.StatusServiceUnavailable
	case fault.Full:
		return http.StatusInsufficientStorage
	case fault.Gone:
		return http.StatusGone
	case fault.Internal:
	}
	return http.StatusInternalServerError
}

// problemOf translates a fault. Internal ones are answered with the request's id
// only; what went wrong stands in the log.
func problemOf(err error, operator bool) *Problem {
	kind := fault.KindOf(err)
	text, field := fault.Public(err)
	if text == "" {
		text = bland(kind)
	}
	p := newProblem(statusOf(kind), kind.String(), text)
	if field != "" {
		p.at(location(field), text)
	}
	if operator {
		p.Hint = fault.HintOf(err)
	}
	switch kind {
	case fault.Unauthenticated:
		p.with("WWW-Authenticate", `Bearer realm="mailvow"`)
	case fault.Exhausted, fault.Unavailable, fault.ReadOnly, fault.Full:
		p.with("Retry-After", "30")
	case fault.Internal, fault.Invalid, fault.Denied, fault.NotFound, fault.Conflict, fault.Gone:
	}
	return p
}

// location says where a field stands; one that does not say so is in the body.
func location(field string) string {
	for _, place := range []string{"body.", "path.", "query.", "header."} {
		if strings.HasPrefix(field, place) {
			return field
		}
	}
	return "body." + field
}

func bland(k fault.Kind) string {
	switch k {
	case fault.Internal:
		return "Something went wrong inside the server. Its log knows this request by the id in \"instance\"."
	case fault.NotFound:
		return "There is no such thing, or it is not yours."
	case fault.Unauthenticated:
		return "Say who you are: send a token as \"Authorization: Bearer mv_…\", or sign in."
	case fault.Denied:
		return "You may not do this."
	case fault.Unavailable, fault.ReadOnly, fault.Full:
		return "The server cannot do this right now. Try again later."
	case fault.Exhausted:
		return "Too much at once. Try again later."
	case fault.Invalid, fault.Conflict, fault.Gone:
	}
	return "The request cannot be done as it stands."
}

// fromHuma turns the framework's own error into a problem; the value is not
// echoed, it may be somebody's.
func fromHuma(m *huma.ErrorModel) *Problem {
	word := map[int]string{
		http.StatusBadRequest: "syntax", http.StatusUnprocessableEntity: "invalid", http.StatusRequestEntityTooLarge: "too_large",
		http.StatusUnsupportedMediaType: "media_type", http.StatusNotAcceptable: "media_type", http.StatusRequestTimeout: "timeout",
	}[m.Status]
	if word == "" {
		word = "internal"
	}
	p := newProblem(m.Status, word, sentence(m.Detail))
	switch m.Status {
	case http.StatusUnprocessableEntity:
		p.Detail = "The request does not fit the API; \"errors\" names what to change."
	case http.StatusUnsupportedMediaType:
		p.Detail = "Send the body as JSON, with \"Content-Type: application/json\"."
	case http.StatusBadRequest:
		p.Detail = "The request's body is no JSON, or it is missing; \"errors\" says where it breaks."
	}
	for _, e := range m.Errors {
		if e != nil {
			p.at(e.Location, e.Message)
		}
	}
	return p
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

// writeProblem answers outside the framework.
func writeProblem(w http.ResponseWriter, r *http.Request, p *Problem) {
	p.Instance = instanceOf(r.Context())
	h := w.Header()
	for name, values := range p.header {
		h[name] = values
	}
	h.Set("Content-Type", "application/problem+json")
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte(`{"title":"Internal Server Error","status":500}`)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		w.Write(body) // a peer that has gone is no concern of ours
	}
}

func instanceOf(ctx cctx) string {
	if id := requestID(ctx); id != "" {
		return "urn:mailvow:request:" + id
	}
	return ""
}

// report logs what the asker must not read.
func report(ctx cctx, log *slog.Logger, operation string, err error) {
	switch fault.KindOf(err) {
	case fault.Internal:
		log.ErrorContext(ctx, "an operation of the API failed", "operation", operation, "request", requestID(ctx), "error", err)
	case fault.Unavailable, fault.ReadOnly, fault.Full:
		log.WarnContext(ctx, "an operation of the API had to be put off", "operation", operation, "request", requestID(ctx), "error", err)
	case fault.Invalid, fault.Unauthenticated, fault.Denied, fault.NotFound, fault.Conflict, fault.Exhausted, fault.Gone:
	}
}

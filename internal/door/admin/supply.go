package admin

import (
	"context"
	"net/http"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/egress"
	"mailvow/internal/product/trust/supply"
	"mailvow/internal/protect/evidence"
)

// Supply is product/trust/supply.
type Supply interface {
	List(in scope.Scope) []supply.Processor
	Get(in scope.Scope, id ids.SubProcessor) (supply.Processor, []supply.Version, error)
	Judge(ctx context.Context, d supply.Draft) (supply.Verdict, error)
	Announce(ctx context.Context, d supply.Draft) (supply.Version, supply.Verdict, error)
	Withdraw(ctx context.Context, id ids.SubProcessor, by evidence.Actor) (supply.Version, error)
	Objections(ctx context.Context, in scope.Scope, of ids.SubProcessor, limit int) ([]supply.Objection, error)
	Answer(ctx context.Context, id ids.Objection, answer string, by evidence.Actor) (supply.Objection, error)
}

// Endpoints is keep/egress.
type Endpoints interface {
	Endpoints(ctx context.Context) []egress.Endpoint
}

// The operations of the register. They put themselves into the evidence log.
const (
	SupplyList       Op[SupplyRef, []SubProcessor]      = "subprocessor/list"
	SupplyShow       Op[SupplyRef, SubProcessorHistory] = "subprocessor/show"
	SupplyAnnounce   Op[SupplyDraft, SupplyVerdict]     = "subprocessor/announce"
	SupplyWithdraw   Op[SupplyRef, SupplyVerdict]       = "subprocessor/withdraw"
	SupplyObjections Op[SupplyRef, []Objection]         = "subprocessor/objections"
	SupplyAnswer     Op[SupplyReply, Objection]         = "subprocessor/answer"
	EndpointList     Op[SupplyRef, []Endpoint]          = "subprocessor/endpoints"
)

// SupplyRef names a sub-processor by its id or its name.
type SupplyRef struct {
	Of string `json:"of,omitempty"`
}

// SubProcessor is one as it is printed.
type SubProcessor struct {
	ID         ids.SubProcessor `json:"id"`
	State      string           `json:"state"` // coming, in_force, refused, ended
	Problem    string           `json:"problem,omitempty"`
	Abroad     bool             `json:"abroad"`
	Since      time.Time        `json:"since"`
	Ends       time.Time        `json:"ends,omitzero"`
	Entry      supply.Entry     `json:"entry"`
	Coming     *SupplyVersion   `json:"coming,omitempty"`
	Objections int              `json:"open_objections"`
}

// SupplyVersion is one version.
type SupplyVersion struct {
	Number    int          `json:"number"`
	Announced time.Time    `json:"announced"`
	Effective time.Time    `json:"effective"`
	Withdrawn time.Time    `json:"withdrawn,omitzero"`
	Removed   bool         `json:"removed,omitzero"`
	Note      string       `json:"note,omitempty"`
	Entry     supply.Entry `json:"entry"`
}

// SubProcessorHistory is one with all its versions, newest first.
type SubProcessorHistory struct {
	SubProcessor
	Versions []SupplyVersion `json:"versions"`
}

// SupplyDraft is an entry to be announced: a new one, or with Of another version.
type SupplyDraft struct {
	Of        string       `json:"of,omitempty"`
	Entry     supply.Entry `json:"entry"`
	Remove    bool         `json:"remove,omitzero"`
	Effective time.Time    `json:"effective,omitzero"`
	Note      string       `json:"note,omitempty"`
	Check     bool         `json:"check,omitzero"` // say what would be; announce nothing
}

// SupplyVerdict is what an announcement changes.
type SupplyVerdict struct {
	ID        ids.SubProcessor `json:"id,omitzero"`
	Number    int              `json:"number,omitzero"`
	Effective time.Time        `json:"effective"`
	Changes   []string         `json:"changes"`
}

// Objection is a customer's to a change.
type Objection struct {
	ID       ids.Objection    `json:"id"`
	Customer ids.Tenant       `json:"customer"`
	Of       ids.SubProcessor `json:"sub_processor"`
	Number   int              `json:"number"`
	Made     time.Time        `json:"made"`
	Reason   string           `json:"reason"`
	Answered time.Time        `json:"answered,omitzero"`
	Answer   string           `json:"answer,omitempty"`
}

// SupplyReply answers an objection.
type SupplyReply struct {
	Objection ids.Objection `json:"objection"`
	Answer    string        `json:"answer"`
}

// Endpoint is one place that the server is configured to speak to.
type Endpoint struct {
	Destination string `json:"destination"`
	Purpose     string `json:"purpose"`
	Host        string `json:"host"`
	Own         bool   `json:"own"`
	Region      string `json:"region,omitempty"` // another one than this server's
	Entry       string `json:"entry,omitempty"`
	Problem     string `json:"problem,omitempty"`
}

func viewVersion(v *supply.Version) *SupplyVersion {
	if v == nil {
		return nil
	}
	return &SupplyVersion{v.Number, v.Announced, v.Effective, v.Withdrawn, v.Removed, v.Note, v.Entry}
}

func viewProcessor(p *supply.Processor) SubProcessor {
	x := SubProcessor{ID: p.ID, State: "ended", Problem: p.Lacks, Abroad: p.Abroad, Ends: p.Ends, Coming: viewVersion(p.Coming)}
	switch {
	case p.Current != nil:
		x.State, x.Entry, x.Since = "in_force", p.Current.Entry, p.Current.Effective
		if p.Lacks != "" {
			x.State = "refused"
		}
	case p.Coming != nil:
		x.State, x.Entry, x.Since = "coming", p.Coming.Entry, p.Coming.Effective
	}
	if p.Coming != nil {
		x.Objections = p.Coming.Open
	}
	return x
}

// processor finds one by its id or its name.
func processor(s Supply, of string) (ids.SubProcessor, error) {
	if id, err := ids.Parse[ids.SubProcessor](of); err == nil {
		return id, nil
	}
	for _, p := range s.List(scope.Everyone) {
		if strings.EqualFold(p.Name(), of) {
			return p.ID, nil
		}
	}
	return 0, fault.New(fault.NotFound, "There is no such sub-processor; mailvow subprocessor list shows them.")
}

func (s *Server) supply(mux *http.ServeMux, p Parts) {
	handle(s, mux, SupplyList, func(context.Context, SupplyRef) ([]SubProcessor, error) {
		if p.Supply == nil {
			return nil, absent("sub-processors")
		}
		list := []SubProcessor{}
		for _, x := range p.Supply.List(scope.Everyone) {
			list = append(list, viewProcessor(&x))
		}
		return list, nil
	})
	handle(s, mux, SupplyShow, func(_ context.Context, in SupplyRef) (out SubProcessorHistory, err error) {
		if p.Supply == nil {
			return out, absent("sub-processors")
		}
		id, err := processor(p.Supply, in.Of)
		if err != nil {
			return out, err
		}
		x, versions, err := p.Supply.Get(scope.Everyone, id)
		out.SubProcessor = viewProcessor(&x)
		for i := range versions {
			out.Versions = append(out.Versions, *viewVersion(&versions[i]))
		}
		return out, err
	})
	handle(s, mux, SupplyAnnounce, func(ctx context.Context, in SupplyDraft) (SupplyVerdict, error) {
		if p.Supply == nil {
			return SupplyVerdict{}, absent("sub-processors")
		}
		return announce(ctx, p.Supply, in)
	})
	handle(s, mux, SupplyWithdraw, func(ctx context.Context, in SupplyRef) (SupplyVerdict, error) {
		if p.Supply == nil {
			return SupplyVerdict{}, absent("sub-processors")
		}
		id, err := processor(p.Supply, in.Of)
		if err != nil {
			return SupplyVerdict{}, err
		}
		v, err := p.Supply.Withdraw(ctx, id, operator())
		return SupplyVerdict{ID: id, Number: v.Number, Effective: v.Effective}, err
	})
	s.objections(mux, p)
	handle(s, mux, EndpointList, func(ctx context.Context, _ SupplyRef) ([]Endpoint, error) {
		if p.Endpoints == nil {
			return nil, absent("endpoints")
		}
		list := []Endpoint{}
		for _, e := range p.Endpoints.Endpoints(ctx) {
			list = append(list, Endpoint{e.Destination, e.Use, e.Host, e.Ours, e.Region, e.Entry, e.Problem})
		}
		return list, nil
	})
}

func announce(ctx context.Context, s Supply, in SupplyDraft) (out SupplyVerdict, err error) {
	d := supply.Draft{Entry: in.Entry, Remove: in.Remove, Effective: in.Effective, Note: in.Note, By: operator()}
	if in.Of != "" {
		if d.ID, err = processor(s, in.Of); err != nil {
			return out, err
		}
	}
	var v supply.Verdict
	if in.Check {
		v, err = s.Judge(ctx, d)
		out.ID = d.ID
	} else {
		var version supply.Version
		version, v, err = s.Announce(ctx, d)
		out.ID, out.Number = version.ID, version.Number
	}
	out.Effective, out.Changes = v.Effective, []string{}
	for _, c := range v.Changes {
		out.Changes = append(out.Changes, c.Words())
	}
	return out, err
}

func (s *Server) objections(mux *http.ServeMux, p Parts) {
	view := func(o supply.Objection) Objection {
		return Objection{o.ID, o.Tenant, o.Of, o.Number, o.Made, o.Reason, o.Answered, o.Answer}
	}
	handle(s, mux, SupplyObjections, func(ctx context.Context, in SupplyRef) ([]Objection, error) {
		if p.Supply == nil {
			return nil, absent("sub-processors")
		}
		var of ids.SubProcessor
		var err error
		if in.Of != "" {
			if of, err = processor(p.Supply, in.Of); err != nil {
				return nil, err
			}
		}
		list, err := p.Supply.Objections(ctx, scope.Everyone, of, 1000)
		out := make([]Objection, len(list))
		for i, o := range list {
			out[i] = view(o)
		}
		return out, err
	})
	handle(s, mux, SupplyAnswer, func(ctx context.Context, in SupplyReply) (Objection, error) {
		if p.Supply == nil {
			return Objection{}, absent("sub-processors")
		}
		o, err := p.Supply.Answer(ctx, in.Objection, in.Answer, operator())
		return view(o), err
	})
}

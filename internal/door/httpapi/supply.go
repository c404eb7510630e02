package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/egress"
	"mailvow/internal/product/trust/supply"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

// Endpoints gives what the operator configured; keep/egress fills it.
type Endpoints interface {
	Endpoints(ctx context.Context) []egress.Endpoint
}

// SubProcessorEntry is what the register says of one.
type SubProcessorEntry supply.Entry

// SubProcessor is one company that gets customers' data, as the register has it.
type SubProcessor struct {
	ID         string               `json:"id"`
	State      string               `json:"state" enum:"coming,in_force,ended" doc:"Coming: announced only."`
	Entry      SubProcessorEntry    `json:"entry" doc:"What is in force; of one that is announced only, what will be."`
	Since      time.Time            `json:"since" doc:"From when this holds, or will hold at the earliest."`
	Abroad     bool                 `json:"abroad" doc:"Data goes to a place outside, which needs a safeguard."`
	EndsAt     *time.Time           `json:"ends_at" doc:"When its agreement or safeguard ends, after which it is refused."`
	Problem    string               `json:"problem,omitempty" doc:"Why it is refused now."`
	OneOnly    bool                 `json:"one_customer_only" doc:"It gets data of one customer alone."`
	Coming     *SubProcessorVersion `json:"coming,omitempty" doc:"What is announced and does not hold yet."`
	Objections int                  `json:"open_objections" doc:"To what is coming, that wait for an answer. It does not take effect before."`
	MayObject  bool                 `json:"may_object" doc:"The asker's customer can still object to what is coming."`
}

// SubProcessorVersion is one version of an entry; every version stays.
type SubProcessorVersion struct {
	Number      int               `json:"number"`
	AnnouncedAt time.Time         `json:"announced_at"`
	EffectiveAt time.Time         `json:"effective_at"`
	WithdrawnAt *time.Time        `json:"withdrawn_at"`
	Removed     bool              `json:"removed" doc:"From then on it is no sub-processor any more."`
	Note        string            `json:"note"`
	Entry       SubProcessorEntry `json:"entry"`
}

// SubProcessorNotice is that a customer was told.
type SubProcessorNotice struct {
	Customer string     `json:"customer"`
	Number   int        `json:"number"`
	ToldAt   time.Time  `json:"told_at"`
	MailedAt *time.Time `json:"mailed_at"`
}

// SubProcessorDetail is one with its history.
type SubProcessorDetail struct {
	SubProcessor
	Versions []SubProcessorVersion `json:"versions" nullable:"false"`
	Notices  []SubProcessorNotice  `json:"notices" nullable:"false" doc:"Of the asker's customer; the operator sees all."`
}

// SubProcessorVerdict is what an announcement would change, or did.
type SubProcessorVerdict struct {
	ID          string         `json:"id,omitempty"`
	Number      int            `json:"number,omitempty"`
	Changes     []PolicyChange `json:"changes" nullable:"false"`
	Loosens     bool           `json:"loosens" doc:"Customers get their notice period before it."`
	EarliestAt  time.Time      `json:"earliest_at"`
	EffectiveAt time.Time      `json:"effective_at"`
}

// SupplyObjection is what a customer has against a change.
type SupplyObjection struct {
	ID         string     `json:"id"`
	Customer   string     `json:"customer"`
	Number     int        `json:"number" doc:"Of the version."`
	MadeAt     time.Time  `json:"made_at"`
	Author     *string    `json:"author" doc:"The user's id; null: the customer's own policy names the sub-processors that it allows."`
	Reason     string     `json:"reason"`
	AnsweredAt *time.Time `json:"answered_at" doc:"Null: it waits, and the change with it."`
	Answer     string     `json:"answer,omitempty"`
}

// OperatorEndpoint is one place that this server is configured to speak to.
type OperatorEndpoint struct {
	Destination string `json:"destination"`
	Purpose     string `json:"purpose" doc:"As an entry's purposes must have it."`
	Host        string `json:"host"`
	Own         bool   `json:"own" doc:"Of this machine or a private network: it needs no entry."`
	Region      string `json:"region,omitempty" doc:"The other region in which the configuration puts it; left out for this server's own."`
	Entry       string `json:"entry,omitempty" doc:"The sub-processor that covers it."`
	Problem     string `json:"problem,omitempty" doc:"Why it is refused."`
}

// SubProcessorDraft is an entry that the operator wants in the register.
type SubProcessorDraft struct {
	Entry       SubProcessorEntry `json:"entry"`
	EffectiveAt *time.Time        `json:"effective_at,omitempty" doc:"Left out: as soon as it may be."`
	Note        string            `json:"note,omitempty" maxLength:"500" doc:"What the change is for, to customers."`
}

type addSubProcessor struct{ Body SubProcessorDraft }

type changeSubProcessor struct {
	ByID
	Body SubProcessorDraft
}

type checkSubProcessor struct {
	Of   string `query:"of" maxLength:"64" doc:"Which one would change; without it, a new one."`
	Body SubProcessorDraft
}

type objectIn struct {
	ByID
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"2000"`
	}
}

type answerIn struct {
	ByID
	Body struct {
		Answer string `json:"answer" minLength:"1" maxLength:"2000" doc:"The customer reads it."`
	}
}

type supplyList struct {
	Body struct {
		Home  string         `json:"home" doc:"What is not a place outside: the EEA, or a country."`
		Items []SubProcessor `json:"items" nullable:"false"`
	}
}

type itemsOut[T any] struct {
	Body struct {
		Items []T `json:"items" nullable:"false"`
	}
}

type supplyDetail struct{ Body SubProcessorDetail }
type supplyVerdict struct{ Body SubProcessorVerdict }
type objectionOut struct{ Body SupplyObjection }

func (a *API) supplyRoutes() {
	const tag = "sub-processors"
	read, manage := access.PolicyRead, access.PlatformManage
	register(a, op{id: "list-sub-processors", method: http.MethodGet, path: "/v1/sub-processors", summary: "Who gets data, and which changes are coming", tag: tag, needs: read}, a.listSupply)
	register(a, op{id: "get-sub-processor", method: http.MethodGet, path: "/v1/sub-processors/{id}", summary: "One sub-processor with all its versions", tag: tag, needs: read}, a.getSupply)
	register(a, op{id: "check-sub-processor", method: http.MethodPost, path: "/v1/sub-processors/check", summary: "What an announcement would change, and when it could take effect", tag: tag, needs: manage, status: http.StatusOK, quiet: true}, a.checkSupply)
	// What is announced, taken back, objected and answered goes into the evidence log by itself.
	register(a, op{id: "add-sub-processor", method: http.MethodPost, path: "/v1/sub-processors", summary: "Announce a sub-processor; customers are told", tag: tag, needs: manage, status: http.StatusCreated, quiet: true}, a.addSupply)
	register(a, op{id: "change-sub-processor", method: http.MethodPut, path: "/v1/sub-processors/{id}", summary: "Announce a change; customers are told", tag: tag, needs: manage, quiet: true}, a.changeSupply)
	register(a, op{id: "remove-sub-processor", method: http.MethodDelete, path: "/v1/sub-processors/{id}", summary: "End it: its endpoints are refused from now on", tag: tag, needs: manage, quiet: true}, a.removeSupply)
	register(a, op{id: "withdraw-sub-processor", method: http.MethodDelete, path: "/v1/sub-processors/{id}/coming", summary: "Take back what is announced", tag: tag, needs: manage, quiet: true}, a.withdrawSupply)
	register(a, op{id: "list-sub-processor-objections", method: http.MethodGet, path: "/v1/sub-processors/{id}/objections", summary: "What customers have against its changes; a customer sees its own", tag: tag, needs: read}, a.listObjections)
	register(a, op{id: "object-to-sub-processor", method: http.MethodPost, path: "/v1/sub-processors/{id}/objections", summary: "Object to what is coming, for your customer", tag: tag, needs: access.PolicyManage, status: http.StatusCreated, quiet: true}, a.objectToSupply)
	register(a, op{id: "answer-objection", method: http.MethodPost, path: "/v1/objections/{id}/answer", summary: "Answer an objection", tag: tag, needs: manage, status: http.StatusOK, quiet: true}, a.answerObjection)
	register(a, op{id: "list-endpoints", method: http.MethodGet, path: "/v1/endpoints", summary: "Every place that this server is configured to speak to, and who covers it", tag: tag, needs: access.PlatformRead}, a.listEndpoints)
}

// ofSupply is whose part of the register somebody sees: a customer its own, who may
// read the platform everybody's.
func ofSupply(who Asker) scope.Scope {
	if in, ok := who.May(access.PlatformRead); ok {
		return in
	}
	return scope.Tenant(who.Tenant)
}

func byWhom(who Asker) evidence.Actor {
	if who.Role == access.Operator {
		return evidence.Actor{Role: evidence.ByOperator}
	}
	return evidence.Actor{Role: evidence.ByOwner}
}

func viewSupplyVersion(v *supply.Version) *SubProcessorVersion {
	if v == nil {
		return nil
	}
	return &SubProcessorVersion{v.Number, v.Announced.UTC(), v.Effective.UTC(), when(v.Withdrawn), v.Removed, v.Note, SubProcessorEntry(v.Entry)}
}

func (a *API) viewSupply(who Asker, p *supply.Processor) SubProcessor {
	v := SubProcessor{
		ID: p.ID.String(), State: "in_force", Abroad: p.Abroad, EndsAt: when(p.Ends), OneOnly: p.Tenant != 0, Coming: viewSupplyVersion(p.Coming),
	}
	operator := ofSupply(who).All()
	switch {
	case p.Current != nil:
		v.Entry, v.Since = SubProcessorEntry(p.Current.Entry), p.Current.Effective.UTC()
		if operator {
			v.Problem = p.Lacks
		}
	case p.Coming != nil:
		v.State, v.Entry, v.Since = "coming", SubProcessorEntry(p.Coming.Entry), p.Coming.Effective.UTC()
	default:
		v.State = "ended"
	}
	if p.Coming != nil {
		if operator {
			v.Objections = p.Coming.Open
		}
		_, may := who.May(access.PolicyManage)
		v.MayObject = may && who.Tenant != tenant.Platform && p.Coming.Effective.After(a.parts.Clock.Now())
	}
	if !operator { // where exactly the operator's machines are is no customer's business
		v.Entry.Endpoints = nil
		if v.Coming != nil {
			v.Coming.Entry.Endpoints = nil
		}
	}
	return v
}

func (a *API) listSupply(_ context.Context, who Asker, _ *struct{}) (*supplyList, error) {
	if a.parts.Supply == nil {
		return nil, absent()
	}
	out := &supplyList{}
	out.Body.Home, out.Body.Items = a.parts.Supply.Home.String(), []SubProcessor{}
	for _, p := range a.parts.Supply.List(ofSupply(who)) {
		out.Body.Items = append(out.Body.Items, a.viewSupply(who, &p))
	}
	return out, nil
}

// oneSupply finds one in what the asker sees.
func (a *API) oneSupply(who Asker, text string) (supply.Processor, []supply.Version, error) {
	if a.parts.Supply == nil {
		return supply.Processor{}, nil, absent()
	}
	id, err := idAt[ids.SubProcessor]("path.id", text)
	if err != nil {
		return supply.Processor{}, nil, err
	}
	return a.parts.Supply.Get(ofSupply(who), id)
}

func (a *API) getSupply(ctx context.Context, who Asker, in *ByID) (*supplyDetail, error) {
	p, versions, err := a.oneSupply(who, in.ID)
	if err != nil {
		return nil, err
	}
	out := &supplyDetail{SubProcessorDetail{SubProcessor: a.viewSupply(who, &p), Versions: []SubProcessorVersion{}, Notices: []SubProcessorNotice{}}}
	for i := range versions {
		if !ofSupply(who).All() {
			versions[i].Entry.Endpoints = nil
		}
		out.Body.Versions = append(out.Body.Versions, *viewSupplyVersion(&versions[i]))
	}
	if out.Body.State == "ended" && len(versions) > 0 {
		out.Body.Entry, out.Body.Since = SubProcessorEntry(versions[0].Entry), versions[0].Effective.UTC()
	}
	notices, err := a.parts.Supply.Notices(ctx, ofSupply(who), p.ID)
	for _, n := range notices {
		out.Body.Notices = append(out.Body.Notices, SubProcessorNotice{n.Tenant.String(), n.Number, n.Told.UTC(), when(n.Mailed)})
	}
	return out, err
}

func (in *SubProcessorDraft) draft(who Asker, of ids.SubProcessor) supply.Draft {
	d := supply.Draft{ID: of, Entry: supply.Entry(in.Entry), Note: in.Note, Author: who.User, By: byWhom(who)}
	if in.EffectiveAt != nil {
		d.Effective = *in.EffectiveAt
	}
	return d
}

func viewSupplyVerdict(v supply.Verdict, of ids.SubProcessor, number int) *supplyVerdict {
	out := &supplyVerdict{SubProcessorVerdict{ID: of.String(), Number: number, Changes: make([]PolicyChange, len(v.Changes)), Loosens: v.Loosens, EarliestAt: v.Earliest.UTC(), EffectiveAt: v.Effective.UTC()}}
	for i, c := range v.Changes {
		out.Body.Changes[i] = PolicyChange{c.Field, c.Before, c.After, c.Loosens, c.Words()}
	}
	return out
}

func (a *API) checkSupply(ctx context.Context, who Asker, in *checkSubProcessor) (*supplyVerdict, error) {
	if a.parts.Supply == nil {
		return nil, absent()
	}
	var of ids.SubProcessor
	if in.Of != "" {
		p, _, err := a.oneSupply(who, in.Of)
		if err != nil {
			return nil, err
		}
		of = p.ID
	}
	v, err := a.parts.Supply.Judge(ctx, in.Body.draft(who, of))
	if err != nil {
		return nil, err
	}
	return viewSupplyVerdict(v, of, 0), nil
}

func (a *API) announce(ctx context.Context, d supply.Draft) (*supplyVerdict, error) {
	version, v, err := a.parts.Supply.Announce(ctx, d)
	if err != nil {
		return nil, err
	}
	return viewSupplyVerdict(v, version.ID, version.Number), nil
}

func (a *API) addSupply(ctx context.Context, who Asker, in *addSubProcessor) (*supplyVerdict, error) {
	if a.parts.Supply == nil {
		return nil, absent()
	}
	return a.announce(ctx, in.Body.draft(who, 0))
}

func (a *API) changeSupply(ctx context.Context, who Asker, in *changeSubProcessor) (*supplyVerdict, error) {
	p, _, err := a.oneSupply(who, in.ID)
	if err != nil {
		return nil, err
	}
	return a.announce(ctx, in.Body.draft(who, p.ID))
}

func (a *API) removeSupply(ctx context.Context, who Asker, in *ByID) (*supplyVerdict, error) {
	p, _, err := a.oneSupply(who, in.ID)
	if err != nil {
		return nil, err
	}
	return a.announce(ctx, supply.Draft{ID: p.ID, Remove: true, Author: who.User, By: byWhom(who)})
}

func (a *API) withdrawSupply(ctx context.Context, who Asker, in *ByID) (*nothing, error) {
	p, _, err := a.oneSupply(who, in.ID)
	if err == nil {
		_, err = a.parts.Supply.Withdraw(ctx, p.ID, byWhom(who))
	}
	return nil, err
}

func viewObjection(o supply.Objection) SupplyObjection {
	v := SupplyObjection{ID: o.ID.String(), Customer: o.Tenant.String(), Number: o.Number, MadeAt: o.Made.UTC(), Reason: o.Reason, AnsweredAt: when(o.Answered), Answer: o.Answer}
	if o.Author != 0 {
		author := o.Author.String()
		v.Author = &author
	}
	return v
}

// mostObjections is how many are listed at most, the newest.
const mostObjections = 500

func (a *API) listObjections(ctx context.Context, who Asker, in *ByID) (*itemsOut[SupplyObjection], error) {
	p, _, err := a.oneSupply(who, in.ID)
	if err != nil {
		return nil, err
	}
	list, err := a.parts.Supply.Objections(ctx, ofSupply(who), p.ID, mostObjections)
	out := &itemsOut[SupplyObjection]{}
	out.Body.Items = []SupplyObjection{}
	for _, o := range list {
		out.Body.Items = append(out.Body.Items, viewObjection(o))
	}
	return out, err
}

func (a *API) objectToSupply(ctx context.Context, who Asker, in *objectIn) (*objectionOut, error) {
	if who.Tenant == tenant.Platform {
		return nil, fault.New(fault.Denied, "Customers object; the operator withdraws what is announced.")
	}
	p, _, err := a.oneSupply(who, in.ID)
	if err != nil {
		return nil, err
	}
	o, err := a.parts.Supply.Object(ctx, who.Tenant, who.User, p.ID, in.Body.Reason, byWhom(who))
	if err != nil {
		return nil, err
	}
	return &objectionOut{viewObjection(o)}, nil
}

func (a *API) answerObjection(ctx context.Context, who Asker, in *answerIn) (*objectionOut, error) {
	if a.parts.Supply == nil {
		return nil, absent()
	}
	id, err := idAt[ids.Objection]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	o, err := a.parts.Supply.Answer(ctx, id, in.Body.Answer, byWhom(who))
	if err != nil {
		return nil, err
	}
	return &objectionOut{viewObjection(o)}, nil
}

func (a *API) listEndpoints(ctx context.Context, _ Asker, _ *struct{}) (*itemsOut[OperatorEndpoint], error) {
	if a.parts.Endpoints == nil {
		return nil, absent()
	}
	out := &itemsOut[OperatorEndpoint]{}
	out.Body.Items = []OperatorEndpoint{}
	for _, e := range a.parts.Endpoints.Endpoints(ctx) {
		out.Body.Items = append(out.Body.Items, OperatorEndpoint{e.Destination, e.Use, e.Host, e.Ours, e.Region, e.Entry, e.Problem})
	}
	return out, nil
}

// endsSoon is how long before its end an agreement is warned of.
const endsSoon = 30 * 24 * time.Hour

// supplyAlerts tells a customer what is coming, and the operator what is refused,
// ends soon, or waits for an answer.
func (a *API) supplyAlerts(who Asker) []Alert {
	if _, may := who.May(access.PolicyRead); !may || a.parts.Supply == nil {
		return nil
	}
	var list []Alert
	say := func(format string, args ...any) {
		list = append(list, Alert{"sub_processors", fmt.Sprintf(format, args...)})
	}
	operator, now := ofSupply(who).All(), a.parts.Clock.Now()
	for _, p := range a.parts.Supply.List(ofSupply(who)) {
		switch {
		case !operator:
			if p.Coming != nil && p.Coming.Effective.After(now) {
				say("%s is to get data, or more of it, from %s. Until then you may object, under Sub-processors.", p.Coming.Entry.Name, p.Coming.Effective.UTC().Format(time.DateOnly))
			}
			continue
		case p.Lacks != "":
			say("%s is refused: %s.", p.Current.Entry.Name, p.Lacks)
		case p.Current != nil && !p.Ends.IsZero() && p.Ends.Before(now.Add(endsSoon)):
			say("The papers of %s end on %s; from then on it is refused.", p.Current.Entry.Name, p.Ends.UTC().Format(time.DateOnly))
		}
		if p.Coming != nil && p.Coming.Open > 0 {
			say("%d objections to %s wait for an answer, and its change with them.", p.Coming.Open, p.Coming.Entry.Name)
		}
	}
	return list
}

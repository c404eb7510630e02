package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/access"
	rights "mailvow/internal/protect/request"
)

// Requests keeps requests of persons as cases; app fills it with protect/request.
type Requests interface {
	List(ctx context.Context, in scope.Scope, before ids.Case, limit int) ([]rights.Case, error)
	Get(ctx context.Context, in scope.Scope, id ids.Case) (rights.Case, error)
	Enter(ctx context.Context, t ids.Tenant, by access.Principal, q rights.Asked) (rights.Case, error)
	Decide(ctx context.Context, by access.Principal, x rights.Decision) (rights.Case, error)
	// Late counts shares that are overdue, and those that will be within a week.
	Late(ctx context.Context, in scope.Scope) (overdue, due int, err error)
}

// Request is a request of a person about their data.
type Request struct {
	ID          string             `json:"id"`
	Kind        string             `json:"kind" enum:"access,rectification,erasure,restriction,portability,objection,withdrawal,question,security,abuse,privacy,child" doc:"The last five are messages to the operator. A report of a child stands ahead of all others."`
	Law         string             `json:"law" enum:"gdpr,ccpa,none"`
	Source      string             `json:"source" enum:"person,customer"`
	State       string             `json:"state" enum:"unproved,open,extended,answered,refused,lapsed"`
	Address     string             `json:"address"`
	Note        string             `json:"note,omitempty" doc:"The person's words."`
	Identifiers []PersonIdentifier `json:"identifiers" nullable:"false" doc:"Further words by which the person says to be known. They are not proved."`
	ReceivedAt  time.Time          `json:"received_at" doc:"The law's clock runs from here."`
	ProvedAt    *time.Time         `json:"proved_at" doc:"When the person showed that the address is theirs."`
	ConfirmBy   *time.Time         `json:"confirm_by" doc:"When the law wants the receipt confirmed; null: it does not."`
	ConfirmedAt *time.Time         `json:"confirmed_at"`
	EndedAt     *time.Time         `json:"ended_at"`
	Shares      []RequestShare     `json:"shares" nullable:"false" doc:"Each customer who holds something decides on its own."`
	Told        []OnwardNotice     `json:"told" nullable:"false" doc:"The endpoints that got the person's data and were told what became of it."`
}

// RequestShare is one customer's part of a request.
type RequestShare struct {
	Customer   string     `json:"customer"`
	State      string     `json:"state" enum:"open,extended,accepted,answered,refused"`
	Standing   string     `json:"standing" enum:"in_time,soon,overdue,done"`
	DueAt      time.Time  `json:"due_at"`
	ExtendedAt *time.Time `json:"extended_at"`
	DecidedAt  *time.Time `json:"decided_at"`
	Reason     string     `json:"reason,omitempty" doc:"Of a refusal or an extension; the person was told."`
	Identified bool       `json:"identified" doc:"The identifiers were found to be the person's, and searched by."`
	ResultEnds *time.Time `json:"result_ends_at" doc:"Until when the person can fetch the result."`
}

type enterIn struct {
	Body struct {
		Address  string     `json:"address" maxLength:"320"`
		Kind     string     `json:"kind" enum:"access,rectification,erasure,restriction,portability,objection,withdrawal"`
		Law      string     `json:"law,omitempty" enum:"gdpr,ccpa" default:"gdpr"`
		Note     string     `json:"note,omitempty" maxLength:"2000"`
		Received *time.Time `json:"received_at,omitempty" doc:"When it came in; now where it is left out."`

		Identifiers []PersonIdentifier `json:"identifiers,omitempty" maxItems:"8" nullable:"false" doc:"Further words by which you know the person; they are searched by."`
	}
}

type decideIn struct {
	ByID
	Body struct {
		Decision   string `json:"decision" enum:"accept,refuse,extend"`
		Reason     string `json:"reason,omitempty" maxLength:"2000" doc:"Needed to refuse or to extend; the person is told."`
		Field      string `json:"field,omitempty" maxLength:"64" doc:"Of a rectification: the field as the person's copy names it."`
		Value      string `json:"value,omitempty" maxLength:"1000" doc:"Of a rectification: what is right. Of a report of a child: the child's address, about which everything is erased at every customer."`
		KeepAway   bool   `json:"keep_away,omitempty" doc:"Of an erasure: leave a keyed hash, so that the person is not written to again."`
		Identified bool   `json:"identified,omitempty" doc:"The identifiers that the person gave are theirs: search by them, too."`
		Customer   string `json:"customer,omitempty" maxLength:"64" doc:"For the operator: for which customer, where several hold something."`
	}
}

type requestOut struct{ Body Request }

func (a *API) requestRoutes() {
	tag, p := "subjects", access.SubjectsManage
	register(a, op{id: "list-requests", method: http.MethodGet, path: "/v1/requests", summary: "Requests of persons about their data, newest first; open reports of a child ahead of all others", tag: tag, needs: p}, a.listRequests)
	register(a, op{id: "get-request", method: http.MethodGet, path: "/v1/requests/{id}", summary: "One request", tag: tag, needs: p}, a.getRequest)
	register(a, op{id: "enter-request", method: http.MethodPost, path: "/v1/requests", summary: "Enter a request that a person made to you; they are told that it is seen to", tag: tag, needs: p, quiet: true, status: http.StatusCreated}, a.enterRequest)
	register(a, op{id: "decide-request", method: http.MethodPost, path: "/v1/requests/{id}/decide", summary: "Accept and carry out, refuse, or extend; the person is told", tag: tag, needs: p, quiet: true, status: http.StatusOK}, a.decideRequest)
}

func (a *API) viewRequest(ctx context.Context, in scope.Scope, c rights.Case) (Request, error) {
	v := Request{
		ID: c.ID.String(), Kind: string(c.Kind), Law: c.Law.Name, Source: string(c.Source), State: string(c.State), Address: c.Address.Text(), Note: c.Note,
		ReceivedAt: c.Received.UTC(), ProvedAt: when(c.Proved), ConfirmBy: when(c.ConfirmBy()), ConfirmedAt: when(c.Confirmed), EndedAt: when(c.Ended), Shares: []RequestShare{}, Identifiers: []PersonIdentifier{},
	}
	for _, i := range c.Identifiers {
		v.Identifiers = append(v.Identifiers, PersonIdentifier{string(i.Is), i.Value})
	}
	told, err := a.told(ctx, in, c.ID)
	v.Told = told
	now := a.parts.Clock.Now()
	for i := range c.Shares {
		s := &c.Shares[i]
		v.Shares = append(v.Shares, RequestShare{
			Customer: s.Tenant.String(), State: string(s.State), Standing: string(s.Standing(now)), DueAt: s.Due.UTC(), ExtendedAt: when(s.Extended),
			DecidedAt: when(s.Decided), Reason: s.Reason, ResultEnds: when(s.Until), Identified: s.Theirs,
		})
	}
	return v, err
}

func (a *API) oneRequest(ctx context.Context, in scope.Scope, c rights.Case) (*requestOut, error) {
	v, err := a.viewRequest(ctx, in, c)
	return &requestOut{v}, err
}

func (a *API) listRequests(ctx context.Context, who Asker, in *Paging) (*pageOut[Request], error) {
	if a.parts.Requests == nil {
		return nil, absent()
	}
	var wrong error
	out, err := pageOf(a, listing("requests", who), *in, func(before int64, limit int) ([]rights.Case, error) {
		return a.parts.Requests.List(ctx, who.Scope, ids.Case(before), limit)
	}, func(c rights.Case) int64 { return int64(c.ID) }, func(c rights.Case) Request {
		v, err := a.viewRequest(ctx, who.Scope, c)
		if err != nil {
			wrong = err
		}
		return v
	})
	if err == nil {
		err = wrong
	}
	return out, err
}

// personsRequest finds one in the asker's scope.
func (a *API) personsRequest(ctx context.Context, who Asker, text string) (rights.Case, error) {
	if a.parts.Requests == nil {
		return rights.Case{}, absent()
	}
	id, err := idAt[ids.Case]("path.id", text)
	if err != nil {
		return rights.Case{}, err
	}
	return a.parts.Requests.Get(ctx, who.Scope, id)
}

func (a *API) getRequest(ctx context.Context, who Asker, in *ByID) (*requestOut, error) {
	c, err := a.personsRequest(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	return a.oneRequest(ctx, who.Scope, c)
}

func (a *API) enterRequest(ctx context.Context, who Asker, in *enterIn) (*requestOut, error) {
	if a.parts.Requests == nil {
		return nil, absent()
	}
	q := rights.Asked{Address: in.Body.Address, Kind: rights.Kind(in.Body.Kind), Law: in.Body.Law, Note: in.Body.Note}
	known, err := identifiers(in.Body.Identifiers)
	if err != nil {
		return nil, err
	}
	q.Identifiers = known
	if in.Body.Received != nil {
		q.Received = *in.Body.Received
	}
	c, err := a.parts.Requests.Enter(ctx, who.Tenant, who.Principal, q)
	if err != nil {
		return nil, err
	}
	return a.oneRequest(ctx, who.Scope, c)
}

func (a *API) decideRequest(ctx context.Context, who Asker, in *decideIn) (*requestOut, error) {
	c, err := a.personsRequest(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	t := who.Tenant
	switch {
	case in.Body.Customer != "":
		if t, err = idAt[ids.Tenant]("body.customer", in.Body.Customer); err != nil {
			return nil, err
		}
	case len(c.Shares) == 1:
		t = c.Shares[0].Tenant
	}
	if !who.Scope.Allows(t) {
		return nil, fault.New(fault.NotFound, "There is no such request.")
	}
	c, err = a.parts.Requests.Decide(ctx, who.Principal, rights.Decision{
		Case: c.ID, Tenant: t, Verdict: rights.Verdict(in.Body.Decision), Reason: in.Body.Reason, Field: in.Body.Field, Value: in.Body.Value, KeepAway: in.Body.KeepAway, Theirs: in.Body.Identified,
	})
	if err != nil {
		return nil, err
	}
	return a.oneRequest(ctx, who.Scope, c)
}

// lateRequests are alerts for who answers requests.
func (a *API) lateRequests(ctx context.Context, who Asker) ([]Alert, error) {
	in, may := who.May(access.SubjectsManage)
	if !may || a.parts.Requests == nil {
		return nil, nil
	}
	overdue, due, err := a.parts.Requests.Late(ctx, in)
	var list []Alert
	if overdue > 0 {
		list = append(list, Alert{"requests", numbered(overdue) + " of persons about their data not answered in time: see Data subjects."})
	}
	if due > 0 {
		list = append(list, Alert{"requests", numbered(due) + " of persons about their data to be answered within a week: see Data subjects."})
	}
	return list, err
}

func numbered(n int) string {
	if n == 1 {
		return "1 request"
	}
	return strconv.Itoa(n) + " requests"
}

package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/queue"
	"mailvow/internal/protect/access"
)

// QueueItem is one recipient that is still to be delivered.
type QueueItem struct {
	ID        string     `json:"id"`
	Message   string     `json:"message"`
	Customer  string     `json:"customer"`
	Recipient string     `json:"recipient"`
	Domain    string     `json:"domain"`
	State     string     `json:"state" enum:"ready,leased,deferred,held,paused"`
	Attempts  int        `json:"attempts"`
	DueAt     time.Time  `json:"due_at"`
	ExpiresAt *time.Time `json:"expires_at"`
	LastReply string     `json:"last_reply,omitempty"`
	Why       string     `json:"why,omitempty" doc:"Why it is held."`
}

// QueueGroup is the queue of one domain and customer.
type QueueGroup struct {
	Domain    string     `json:"domain"`
	Customer  string     `json:"customer"`
	Ready     int64      `json:"ready" doc:"Due, or in a courier's hands."`
	Deferred  int64      `json:"deferred" doc:"Always 0 here: waiting for another attempt counts as ready."`
	Held      int64      `json:"held"`
	Paused    int64      `json:"paused"`
	OldestAt  *time.Time `json:"oldest_at"`
	LastReply string     `json:"last_reply,omitempty"`
}

type queueQuery struct {
	Paging
	State    string `query:"state" enum:"ready,leased,deferred,held,paused"`
	Domain   string `query:"domain" maxLength:"255"`
	Customer string `query:"customer" maxLength:"64"`
}

type queueTarget struct {
	Body struct {
		IDs      []string `json:"ids,omitempty" maxItems:"1000" nullable:"false"`
		Message  string   `json:"message,omitempty" maxLength:"64"`
		Domain   string   `json:"domain,omitempty" maxLength:"255"`
		Customer string   `json:"customer,omitempty" maxLength:"64"`
		Reason   string   `json:"reason,omitempty" maxLength:"500" doc:"Why; the messages' timelines show it, and the queue while they are held."`
	}
}

// QueueResult says how many recipients an act reached.
type QueueResult struct {
	Count int `json:"count"`
}

type queueResultOut struct{ Body QueueResult }

// Pause stops deliveries until they are resumed.
type Pause struct {
	ID       string    `json:"id"`
	Domain   string    `json:"domain,omitempty"`
	Customer string    `json:"customer,omitempty"`
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"`
}

type pauseIn struct {
	Body struct {
		Domain   string `json:"domain,omitempty" maxLength:"255"`
		Customer string `json:"customer,omitempty" maxLength:"64"`
		Reason   string `json:"reason,omitempty" maxLength:"500"`
	}
}

type pauseOut struct{ Body Pause }

func (a *API) queueRoutes() {
	register(a, op{id: "list-queue", method: http.MethodGet, path: "/v1/queue", summary: "List what is still to be delivered, oldest first", tag: "queue", needs: access.QueueRead}, a.listQueue)
	register(a, op{id: "summarise-queue", method: http.MethodGet, path: "/v1/queue/summary", summary: "The queue by recipient domain and customer", tag: "queue", needs: access.QueueRead}, a.summariseQueue)
	for _, act := range []struct {
		id, path, summary string
		do                func(*queue.Queue, context.Context, scope.Scope, queue.Selection, queue.Hand) (int, error)
	}{
		{"retry-queue", "/v1/queue/retry", "Try recipients again now", (*queue.Queue).Retry},
		{"release-queue", "/v1/queue/release", "Let held recipients go", (*queue.Queue).Release},
		{"hold-queue", "/v1/queue/hold", "Make recipients wait for a person", (*queue.Queue).Hold},
		{"fail-queue", "/v1/queue/fail", "Give recipients up; their senders are told", (*queue.Queue).Fail},
	} {
		register(a, op{id: act.id, method: http.MethodPost, path: act.path, summary: act.summary, tag: "queue", needs: access.QueueManage},
			func(ctx context.Context, who Asker, in *queueTarget) (*queueResultOut, error) {
				in2, sel, err := target(who, in)
				if err != nil {
					return nil, err
				}
				n, err := act.do(a.parts.Queue, ctx, in2, sel, queue.Hand{Actor: handOf(who), Reason: strings.TrimSpace(in.Body.Reason)})
				return &queueResultOut{QueueResult{n}}, err
			})
	}
	register(a, op{id: "list-pauses", method: http.MethodGet, path: "/v1/queue/pauses", summary: "List pauses", tag: "queue", needs: access.QueueRead}, a.listPauses)
	register(a, op{id: "pause-queue", method: http.MethodPost, path: "/v1/queue/pause", summary: "Pause deliveries to a domain, or of a customer; what is paused already gets the new reason", tag: "queue", needs: access.QueueManage}, a.pauseQueue)
	register(a, op{id: "resume-queue", method: http.MethodPost, path: "/v1/queue/resume", summary: "End a pause", tag: "queue", needs: access.QueueManage}, a.resumeQueue)
}

// handOf is the capacity in which somebody acts by hand; history keeps no name.
func handOf(who Asker) history.Actor {
	switch who.Role {
	case access.Operator, access.Custodian:
		return history.ByOperator
	case access.Owner:
		return history.ByOwner
	case access.Admin:
		return history.ByAdmin
	case access.Developer:
		return history.ByDeveloper
	case access.Viewer, access.Auditor: // an auditor changes nothing
		return history.ByViewer
	}
	return history.ByToken
}

// within narrows the asker's scope to one customer, where one is named.
func within(who Asker, field, customer string) (scope.Scope, error) {
	if customer == "" {
		return who.Scope, nil
	}
	id, err := idAt[ids.Tenant](field, customer)
	if err != nil {
		return scope.Scope{}, err
	}
	if !who.Scope.Allows(id) {
		return scope.Scope{}, fault.New(fault.NotFound, "There is no such customer.")
	}
	return scope.Tenant(id), nil
}

var queueStates = map[string]queue.State{"ready": queue.Ready, "deferred": queue.Ready, "leased": queue.Leased, "held": queue.Held, "paused": queue.Paused}

// stateOf tells a recipient that waits for its first attempt from one that waits
// for another.
func stateOf(i queue.Item) string {
	if i.State == queue.Ready && i.Attempts > 0 {
		return "deferred"
	}
	return i.State.String()
}

func viewQueueItem(i queue.Item) QueueItem {
	return QueueItem{
		ID: i.ID.String(), Message: i.Message.String(), Customer: i.Tenant.String(), Recipient: i.Recipient.Text(), Domain: i.Site,
		State: stateOf(i), Attempts: i.Attempts, DueAt: i.Due.UTC(), ExpiresAt: when(i.Expires), LastReply: i.LastReply, Why: i.Why,
	}
}

func (a *API) listQueue(ctx context.Context, who Asker, in *queueQuery) (*pageOut[QueueItem], error) {
	in2, err := within(who, "query.customer", in.Customer)
	if err != nil {
		return nil, err
	}
	list := listing("queue\x00"+in.State+"\x00"+in.Domain+"\x00"+in.Customer, who)
	return pageOf(a, list, in.Paging, func(after int64, limit int) ([]queue.Item, error) {
		return a.queuePage(ctx, in2, in, ids.Recipient(after), limit)
	}, func(i queue.Item) int64 { return int64(i.ID) }, viewQueueItem)
}

// queuePage reads on until it has enough of the state that was asked for: ready
// and deferred are one state of the queue.
func (a *API) queuePage(ctx context.Context, s scope.Scope, in *queueQuery, after ids.Recipient, limit int) ([]queue.Item, error) {
	var page []queue.Item
	for len(page) < limit {
		got, err := a.parts.Queue.List(ctx, s, queue.Filter{State: queueStates[in.State], Domain: in.Domain, After: after, Limit: limit})
		if err != nil {
			return nil, err
		}
		for _, i := range got {
			if in.State == "" || stateOf(i) == in.State {
				page = append(page, i)
			}
		}
		if len(got) < limit {
			break
		}
		after = got[len(got)-1].ID
	}
	return page[:min(limit, len(page))], nil
}

func (a *API) summariseQueue(ctx context.Context, who Asker, _ *nothing) (*struct{ Body []QueueGroup }, error) {
	groups, err := a.parts.Queue.Summary(ctx, who.Scope, 500)
	if err != nil {
		return nil, err
	}
	out := &struct{ Body []QueueGroup }{[]QueueGroup{}}
	for _, g := range groups {
		out.Body = append(out.Body, QueueGroup{
			Domain: g.Site, Customer: g.Tenant.String(), Ready: g.Count[queue.Ready] + g.Count[queue.Leased], Held: g.Count[queue.Held],
			Paused: g.Count[queue.Paused], OldestAt: when(g.Oldest), LastReply: g.LastReply,
		})
	}
	return out, nil
}

// target reads what an act is to reach: a customer alone means everything of it.
func target(who Asker, in *queueTarget) (scope.Scope, queue.Selection, error) {
	b := in.Body
	s, err := within(who, "customer", b.Customer)
	if err != nil {
		return s, queue.Selection{}, err
	}
	sel := queue.Selection{Domain: b.Domain, Everything: b.Customer != "" && b.Domain == "" && b.Message == "" && len(b.IDs) == 0}
	for _, text := range b.IDs {
		id, err := idAt[ids.Recipient]("ids", text)
		if err != nil {
			return s, sel, err
		}
		sel.IDs = append(sel.IDs, id)
	}
	if b.Message != "" {
		if sel.Message, err = idAt[ids.Message]("message", b.Message); err != nil {
			return s, sel, err
		}
	}
	if len(sel.IDs) == 0 && sel.Message == 0 && sel.Domain == "" && !sel.Everything {
		return s, sel, fault.Field("ids", "Say what to act on: ids, a message, a domain or a customer.")
	}
	return s, sel, nil
}

func viewPause(p queue.Pause) Pause {
	return Pause{ID: p.ID.String(), Domain: p.Domain, Customer: p.Tenant.String(), Reason: p.Reason, Since: p.At.UTC()}
}

func (a *API) listPauses(ctx context.Context, who Asker, _ *nothing) (*struct{ Body []Pause }, error) {
	list, err := a.parts.Queue.Pauses(ctx, who.Scope)
	if err != nil {
		return nil, err
	}
	out := &struct{ Body []Pause }{[]Pause{}}
	for _, p := range list {
		out.Body = append(out.Body, viewPause(p))
	}
	return out, nil
}

func (a *API) pauseQueue(ctx context.Context, who Asker, in *pauseIn) (*pauseOut, error) {
	s, err := within(who, "customer", in.Body.Customer)
	if err != nil {
		return nil, err
	}
	tenant, one := s.ID()
	if in.Body.Domain == "" && (in.Body.Customer == "" || !one) {
		return nil, fault.Field("domain", "Say what to pause: a domain, a customer, or both.")
	}
	p, err := a.parts.Queue.Pause(ctx, queue.Pause{Tenant: tenant, Domain: in.Body.Domain, Reason: in.Body.Reason, By: pauser(who)})
	if err != nil {
		return nil, err
	}
	return &pauseOut{viewPause(p)}, nil
}

// pauser is as whom the asker pauses: each ends only what is theirs.
func pauser(who Asker) queue.Pausers {
	if _, one := who.Scope.ID(); one {
		return queue.Customer
	}
	return queue.Operator
}

func (a *API) resumeQueue(ctx context.Context, who Asker, in *pauseIn) (*queueResultOut, error) {
	s, err := within(who, "customer", in.Body.Customer)
	if err != nil {
		return nil, err
	}
	if _, one := s.ID(); in.Body.Domain == "" && !one {
		return nil, fault.Field("domain", "Say which pause to end: a domain, a customer, or both.")
	}
	list, err := a.parts.Queue.Pauses(ctx, s)
	if err != nil {
		return nil, err
	}
	out := &queueResultOut{}
	for _, p := range list {
		if p.Domain != in.Body.Domain || (in.Body.Customer != "" && p.Tenant.String() != in.Body.Customer) {
			continue
		}
		if err := a.parts.Queue.Resume(ctx, s, p.ID, pauser(who)); err != nil {
			return nil, err
		}
		out.Body.Count++
	}
	if out.Body.Count == 0 {
		return nil, fault.New(fault.NotFound, "There is no such pause.")
	}
	return out, nil
}

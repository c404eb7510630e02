package httpapi

import (
	"context"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/protect/reads"
)

// Reads puts on record who read whose data; protect/reads does.
type Reads interface {
	Record(ctx context.Context, by reads.Reader, declared []string, t *reads.Tally) error
}

// The categories of the inventory that operations show.
const (
	ofRecords       = "message records"
	ofQueue         = "queued mail"
	ofConversations = "conversations"
	ofCaught        = "caught mail"
	ofSuppressions  = "suppressions"
	ofUsers         = "users"
	ofRoutes        = "routes"
	ofHolds         = "holds"
	ofHeld          = "held records"
	ofRequests      = "requests of persons"
	ofMentions      = "mentions in texts"
	ofAttestations  = "attestations"
	ofGrants        = "access grants"
	ofObjections    = "objections to sub-processors"
)

// reading says of every operation which personal data it shows; an empty list is
// "none but the asker's own, or what they have just sent". What is not here counts
// as an operation that reads anything, and a test names it.
var reading = map[string][]string{
	"list-messages": {ofRecords}, "get-message": {ofRecords, ofQueue}, "get-conversations": {ofConversations}, "list-conversations": {ofConversations},
	"get-content": {ofQueue}, "get-parsed": {ofQueue},
	"send-message": {}, "send-raw-message": {}, "delete-message": {},
	"list-queue": {ofQueue}, "summarise-queue": {}, "retry-queue": {}, "release-queue": {}, "hold-queue": {}, "fail-queue": {},
	"list-pauses": {}, "pause-queue": {}, "resume-queue": {},
	"list-caught": {ofCaught}, "get-caught": {ofCaught}, "get-caught-source": {ofCaught}, "get-caught-attachment": {ofCaught},
	"delete-caught": {}, "clear-caught": {},
	"list-suppressions": {ofSuppressions}, "create-suppression": {}, "delete-suppression": {},
	"list-users": {ofUsers}, "get-user": {ofUsers}, "change-user": {ofUsers}, "create-user": {}, "delete-user": {}, "create-sign-in-link": {},
	"list-routes": {ofRoutes}, "get-route": {ofRoutes}, "change-route": {ofRoutes}, "create-route": {}, "delete-route": {},
	"list-holds": {ofHolds}, "get-hold": {ofHolds}, "review-hold": {ofHolds}, "release-hold": {ofHolds}, "create-hold": {}, "read-hold": {ofHeld},
	"list-requests": {ofRequests}, "get-request": {ofRequests}, "decide-request": {ofRequests}, "enter-request": {},
	"list-mention-searches": {ofMentions}, "search-mentions": {ofMentions}, "get-mention-search": {ofMentions}, "decide-mention": {ofMentions},
	"list-onward": {}, "get-onward": {}, "retry-onward": {}, "settle-onward": {}, // an endpoint's host, never the person
	"find-subject": {reads.Any}, "export-subject": {reads.Any}, "archive-subject": {reads.Any}, "correct-subject": {}, "restrict-subject": {}, "erase-subject": {}, "get-identifying-attributes": {}, "set-identifying-attributes": {},
	"list-attestations": {ofAttestations}, "get-attestation-file": {ofAttestations}, "withdraw-attestation": {ofAttestations}, "create-attestation": {},
	"get-vulnerabilities": {}, "import-vulnerabilities": {}, "get-sbom": {},
	"list-alerts": {}, "acknowledge-alert": {},
	"list-findings": {}, "create-finding": {}, "move-finding": {},
	"list-lawful-requests": {}, "create-lawful-request": {}, "decide-lawful-request": {}, "export-for-authority": {reads.Any}, "get-transparency": {},
	"list-grants": {ofGrants}, "take-grant": {}, "end-grant": {},
	"list-incidents": {}, "get-incident": {}, "scope-incident": {}, "open-incident": {}, "draft-incident": {}, "notify-incident": {}, "tell-incident": {},
	"contain-incident": {}, "release-incident": {}, "close-incident": {},
	"sign-in": {}, "get-session": {}, "change-self": {}, "sign-out": {},
	"list-tokens": {}, "create-token": {}, "delete-token": {}, "list-credentials": {}, "create-credential": {}, "delete-credential": {},
	"list-customers": {}, "create-customer": {}, "get-customer": {}, "change-customer": {},
	"list-domains": {}, "create-domain": {}, "get-domain": {}, "check-domain": {}, "delete-domain": {},
	"get-overview": {}, "watch-counts": {},
	"list-controls": {}, "check-controls": {}, "map-controls": {}, "export-controls": {}, "get-evidence-bundle": {}, "get-access-review": {ofUsers}, "sign-access-review": {}, "list-sample": {}, "export-sample": {},
	"get-inventory": {}, "get-backups": {}, "list-retention": {},
	"get-policy": {}, "list-policy-versions": {}, "get-policy-version": {}, "list-policy-profiles": {}, "check-policy": {}, "publish-policy": {}, "withdraw-policy": {}, "list-purposes": {}, "list-recipients": {}, "instruct-purpose": {},
	"get-termination": {}, "order-termination": {}, "undo-termination": {}, "list-terminations": {}, "export-customer": {reads.Any},
	"list-documents": {}, "list-document-versions": {}, "get-document-copy": {}, "get-document-draft": {}, "publish-document": {}, "admit-to-document": {}, "list-notices": {}, "see-notice": {},
	"list-sub-processors": {}, "get-sub-processor": {}, "check-sub-processor": {}, "add-sub-processor": {}, "change-sub-processor": {},
	"remove-sub-processor": {}, "withdraw-sub-processor": {}, "list-endpoints": {},
	"list-sub-processor-objections": {ofObjections}, "answer-objection": {ofObjections}, "object-to-sub-processor": {},
}

// declared is what an operation may show.
func declared(operation string) []string {
	list, said := reading[operation]
	if !said {
		return []string{reads.Any}
	}
	return list
}

// onRecord puts on record what an answer shows, before it goes out.
func (a *API) onRecord(ctx context.Context, operation string, who Asker, answer any, t *reads.Tally) error {
	list := declared(operation)
	if a.parts.Reads == nil || len(list) == 0 {
		return nil
	}
	see(ctx, answer)
	return a.parts.Reads.Record(ctx, readerOf(requestOf(ctx), who, operation), list, t)
}

func readerOf(r *request, who Asker, operation string) reads.Reader {
	by := reads.Reader{
		Door: reads.API, Operation: operation, Role: string(who.Role), Tenant: who.Tenant, User: who.User, Session: who.Session, Token: who.Token,
	}
	if who.Session != 0 {
		by.Door = reads.Console
	}
	if from, err := netip.ParseAddr(r.peer); err == nil {
		by.From = from.Unmap()
	}
	return by
}

// repeatOnRecord is onRecord for an answer that was stored for a repeat: it shows
// the same again, and what that was stands in the first record.
func (a *API) repeatOnRecord(r *http.Request) error {
	_, pattern := a.mux.Handler(r)
	operation := a.operations[pattern]
	list := declared(operation)
	if a.parts.Reads == nil || len(list) == 0 {
		return nil
	}
	ctx, t := reads.Count(r.Context())
	in := requestOf(ctx)
	return a.parts.Reads.Record(ctx, readerOf(in, Asker{Principal: in.who}, operation), list, t)
}

// see counts what an answer shows. Answers that are streams, and those whose
// records do not say whose they are, are counted by their operations.
func see(ctx context.Context, answer any) {
	switch v := answer.(type) {
	case *mentionOut:
		seeMentions(ctx, &v.Body)
	case *pageOut[MentionSearch]:
		for i := range v.Body.Items {
			seeMentions(ctx, &v.Body.Items[i])
		}
	case *pageOut[Message]:
		for i := range v.Body.Items {
			m := &v.Body.Items[i]
			saw[ids.Message](ctx, ofRecords, m.Customer, m.ID, m.ReceivedAt)
		}
	case *messageOut:
		m := &v.Body
		saw[ids.Message](ctx, ofRecords, m.Customer, m.ID, m.ReceivedAt)
		if m.ContentIsFor {
			saw[ids.Message](ctx, ofQueue, m.Customer, m.ID, m.ReceivedAt)
		}
	case *pageOut[QueueItem]:
		for i := range v.Body.Items {
			q := &v.Body.Items[i]
			saw[ids.Message](ctx, ofQueue, q.Customer, q.Message, time.Time{})
		}
	case *pageOut[Suppression]:
		for i := range v.Body.Items {
			s := &v.Body.Items[i]
			saw[ids.Suppression](ctx, ofSuppressions, s.Customer, s.ID, s.CreatedAt)
		}
	case *pageOut[User]:
		for i := range v.Body.Items {
			seeUser(ctx, &v.Body.Items[i])
		}
	case *userOut:
		seeUser(ctx, &v.Body)
	case *pageOut[Route]:
		for i := range v.Body.Items {
			seeRoute(ctx, &v.Body.Items[i])
		}
	case *routeOut:
		seeRoute(ctx, &v.Body)
	case *pageOut[Hold]:
		for i := range v.Body.Items {
			seeHold(ctx, &v.Body.Items[i])
		}
	case *holdOut:
		seeHold(ctx, &v.Body)
	case *pageOut[Request]:
		for i := range v.Body.Items {
			seeRequest(ctx, &v.Body.Items[i])
		}
	case *requestOut:
		seeRequest(ctx, &v.Body)
	case *itemsOut[SupplyObjection]:
		for i := range v.Body.Items {
			seeObjection(ctx, &v.Body.Items[i])
		}
	case *objectionOut:
		seeObjection(ctx, &v.Body)
	}
}

func seeUser(ctx context.Context, u *User) {
	saw[ids.User](ctx, ofUsers, u.Customer, u.ID, u.CreatedAt)
}

func seeRoute(ctx context.Context, r *Route) {
	saw[ids.Route](ctx, ofRoutes, r.Customer, r.ID, r.CreatedAt)
}

func seeHold(ctx context.Context, h *Hold) {
	saw[ids.Hold](ctx, ofHolds, h.Customer, h.ID, h.CreatedAt)
}

func seeObjection(ctx context.Context, o *SupplyObjection) {
	saw[ids.Objection](ctx, ofObjections, o.Customer, o.ID, o.MadeAt)
}

func seeMentions(ctx context.Context, x *MentionSearch) {
	saw[ids.Job](ctx, ofMentions, x.Customer, x.ID, x.AskedAt)
}

func seeRequest(ctx context.Context, r *Request) {
	for i := range r.Shares {
		saw[ids.Case](ctx, ofRequests, r.Shares[i].Customer, r.ID, r.ReceivedAt)
	}
}

// saw counts a record by the text forms that an answer has. A text that is no
// identifier counts without one: what is shown is on record in any case.
func saw[T ids.Any](ctx context.Context, category, customer, id string, at time.Time) {
	whose, err := ids.Parse[ids.Tenant](customer)
	if err != nil {
		whose = 0
	}
	which, err := ids.Parse[T](id)
	if err != nil {
		which = 0
	}
	reads.Saw(ctx, category, whose, int64(which), at)
}

// ReadCategories are the categories that operations declare, as often as they do.
func ReadCategories() []string {
	return slices.Concat(slices.Collect(maps.Values(reading))...)
}

package httpapi

import (
	"context"
	"io"
	"mime"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/message"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/intake"
	"mailvow/internal/flow/queue"
	"mailvow/internal/keep/blob"
	"mailvow/internal/protect/access"
)

const rawType = "message/rfc822"

// rawMessage is a message that comes as it is; its bytes go into a draft while
// they arrive and are never held in memory together.
type rawMessage struct {
	From  string   `query:"from" maxLength:"998" doc:"The envelope sender; the address of the From field unless given."`
	To    []string `query:"to,explode" maxItems:"1000" doc:"The envelope recipients; those of To and Cc unless given."`
	Tags  []string `query:"tag,explode" maxItems:"20"`
	Class string   `query:"class" enum:"transactional,marketing,digest" default:"transactional"`
	body  io.Reader
	kind  string
}

// Resolve implements huma.Resolver: it takes the body without reading it.
func (m *rawMessage) Resolve(ctx huma.Context) []error {
	request, _ := unwrap(ctx)
	m.body, m.kind = request.Body, request.Header.Get("Content-Type")
	return nil
}

func (a *API) rawRoutes() {
	register(a, op{
		id: "send-raw-message", method: http.MethodPost, path: "/v1/messages/raw", tag: "messages", needs: access.MessagesSend, raw: true,
		summary: "Send a whole message as it is (message/rfc822); without an Idempotency-Key it is never held in memory",
		status:  http.StatusAccepted, body: a.config.MaxMessage, quiet: true,
	}, a.sendRaw)
}

func (a *API) sendRaw(ctx context.Context, who Asker, in *rawMessage) (_ *acceptedOut, err error) {
	if kind, _, e := mime.ParseMediaType(in.kind); e != nil || kind != rawType {
		return nil, fault.Field("header.Content-Type", "Send the message as it is, with \"Content-Type: message/rfc822\".")
	}
	tags, err := tagsOf(&NewMessage{Tags: in.Tags})
	if err != nil {
		return nil, err
	}
	draft := a.parts.Drafts.Begin(ctx)
	given := false // to intake, which ends the draft itself
	defer func() {
		if err != nil && !given {
			if e := draft.Discard(ctx); e != nil {
				a.log.WarnContext(ctx, "discard a draft; the sweep will", "error", e)
			}
		}
	}()
	size := &measured{w: draft, most: int64(a.config.MaxMessage)}
	lines := &normal{w: size}
	if err := pieces(ctx, lines, in.body); err != nil {
		return nil, err
	}
	if err := lines.end(); err != nil {
		return nil, err
	}
	if err := draft.Finish(); err != nil {
		return nil, err
	}
	l, err := a.drafted(draft, in)
	if err != nil {
		return nil, err
	}
	sub, err := a.submission(ctx, who, l, classes[in.Class], tags)
	if err != nil {
		return nil, err
	}
	sub.Draft, sub.Need, given = draft, deliver.Need{EightBit: size.eight, SMTPUTF8: l.utf8}, true
	return a.hand(ctx, sub, l)
}

// drafted reads envelope and needs off a message that lies in its draft.
func (a *API) drafted(draft *blob.Draft, in *rawMessage) (*letter, error) {
	h, err := message.ParseHeader(draft.ReaderAt(), draft.Size(), message.Options{})
	if err != nil {
		return nil, fault.Wrap(err, "read a raw message")
	}
	l := &letter{}
	if l.from, err = rawFrom(&h, in.From); err != nil {
		return nil, err
	}
	if l.recipients, err = rawRecipients(&h, &NewMessage{To: in.To}); err != nil {
		return nil, err
	}
	l.utf8 = slices.ContainsFunc(l.recipients, address.Address.NeedsUTF8)
	head := &measured{w: io.Discard, most: draft.Size()}
	if _, err := io.Copy(head, io.NewSectionReader(draft.ReaderAt(), 0, min(h.Body, draft.Size()))); err != nil {
		return nil, fault.Wrap(err, "read a raw message's header")
	}
	l.utf8 = l.utf8 || head.eight
	return l, nil
}

// submission asks whether the customer may send so, and where it goes.
func (a *API) submission(ctx context.Context, who Asker, l *letter, class queue.Class, tags []string) (*intake.Submission, error) {
	if err := a.parts.Senders.MaySend(ctx, who.Tenant, l.from); err != nil {
		return nil, err
	}
	sub := &intake.Submission{
		Tenant: who.Tenant, Direction: history.Outbound, Class: class, Sender: l.from, Peer: deliver.Peer{Protocol: "HTTP"}, Tags: tags,
	}
	for _, to := range l.recipients {
		route, err := a.parts.Routes.Route(ctx, who.Tenant, to)
		if err != nil {
			return nil, err
		}
		sub.Recipients = append(sub.Recipients, queue.Recipient{Address: to, Route: route})
	}
	return sub, nil
}

// hand gives a submission to intake and names what was accepted.
func (a *API) hand(ctx context.Context, sub *intake.Submission, l *letter) (*acceptedOut, error) {
	receipt, err := a.parts.Intake.Accept(ctx, sub)
	if err != nil {
		return nil, err
	}
	out := &acceptedOut{Accepted{ID: receipt.Message.String(), Recipients: []AcceptedRecipient{}}}
	for i, id := range receipt.Recipients {
		out.Body.Recipients = append(out.Body.Recipients, AcceptedRecipient{ID: id.String(), Address: l.recipients[i].Text()})
	}
	return out, nil
}

// rawBody says in the document what the operation takes.
func rawBody() *huma.RequestBody {
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		rawType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}}
}

package history

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pack"
	"mailvow/internal/flow/outcome"
)

// Kind is what happened to a message or to one of its recipients.
type Kind uint8

// The closed list of events. The numbers stand in stored rows and never change
// their meaning.
const (
	Accepted   Kind = 1  // taken over, for all its recipients
	Delivered  Kind = 2  // the next host or the endpoint took it for this recipient
	Deferred   Kind = 3  // not now; a further attempt follows
	Failed     Kind = 4  // refused for good
	Expired    Kind = 5  // given up after the queue's time
	Suppressed Kind = 6  // not sent: the recipient is on a suppression list
	Cancelled  Kind = 7  // taken out of the queue by a person
	Held       Kind = 8  // waits for a person
	Released   Kind = 9  // a person let it go on
	Notified   Kind = 10 // the sender was sent a delivery status notification
	Superseded Kind = 11 // an outcome that came after its lease was lost; it changed nothing
	Retried    Kind = 12 // a person had it tried again at once
)

var kindNames = [...]string{"", "accepted", "delivered", "deferred", "failed", "expired", "suppressed", "cancelled", "held", "released", "notified", "superseded", "retried"}

// String is the kind as the API spells it.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return ""
}

// KindOf is the event that an outcome writes.
func KindOf(k outcome.Kind) Kind {
	switch k {
	case outcome.Delivered:
		return Delivered
	case outcome.Deferred, outcome.Unknown:
		return Deferred
	case outcome.Failed:
		return Failed
	case outcome.Expired:
		return Expired
	case outcome.Suppressed:
		return Suppressed
	case outcome.Cancelled:
		return Cancelled
	}
	return 0
}

// Direction tells mail that our customers send from mail that arrives for them.
type Direction uint8

// The directions.
const (
	Outbound Direction = 1
	Inbound  Direction = 2
	Notice   Direction = 3 // written by this server: a DSN
)

// String is the direction as the API spells it.
func (d Direction) String() string {
	switch d {
	case Outbound:
		return "outbound"
	case Inbound:
		return "inbound"
	case Notice:
		return "notice"
	}
	return ""
}

// Position is where an event stands: each node numbers its own in commit order.
type Position struct {
	Node int
	Seq  int64
}

// Event is one line of history.
type Event struct {
	Position  Position
	Message   ids.Message
	Recipient ids.Recipient // zero for events about the whole message
	Tenant    ids.Tenant
	Direction Direction
	Kind      Kind
	At        time.Time
	Attempt   ids.Attempt // names the conversation, or zero
	Detail    Detail
}

// Detail is what an event says of persons; it is sealed as one value. Which
// fields are set depends on kind and direction: an inbound record is made of
// IP, MessageID, Sender, Recipients, Subject, the event's time, Reply and Took,
// and of nothing else; what a person does to mail adds Actor and Note.
type Detail struct {
	Sender     string
	Recipients []string
	IP         string
	Subject    string
	MessageID  string
	Reply      string        // status and text of the host, or status and body of the endpoint
	By         string        // the host that answered; outbound only
	TLS        string        // outbound only
	Took       time.Duration // processing time
	Size       int64         // outbound only
	Attempts   int
	Tags       []string // outbound only
	Actor      Actor    // who acted by hand, or ""
	Note       string   // why it is held, the words of who acted, or the notice (an id)
}

// attribute marks those tags that are attributes: "meta:name=value".
const attribute = "meta:"

// Attribute is a customer's own word about a message as a tag.
func Attribute(name, value string) string { return attribute + name + "=" + value }

// IsAttribute reports whether a tag is one, and gives it.
func IsAttribute(tag string) (name, value string, is bool) {
	text, is := strings.CutPrefix(tag, attribute)
	if !is {
		return "", "", false
	}
	name, value, _ = strings.Cut(text, "=")
	return name, value, true
}

// Actor is in which capacity somebody acted on mail by hand. It is no name.
type Actor string

// The actors.
const (
	ByOperator  Actor = "operator"
	ByOwner     Actor = "owner"
	ByAdmin     Actor = "admin"
	ByDeveloper Actor = "developer"
	ByViewer    Actor = "viewer"
	ByToken     Actor = "token" // a program
)

const detailVersion = 1

func (d *Detail) append(dst []byte) []byte {
	w := pack.To(dst, detailVersion)
	w.String(d.Sender)
	w.Strings(d.Recipients)
	w.String(d.IP)
	w.String(d.Subject)
	w.String(d.MessageID)
	w.String(d.Reply)
	w.String(d.By)
	w.String(d.TLS)
	w.Int(int64(d.Took))
	w.Int(d.Size)
	w.Int(int64(d.Attempts))
	w.Strings(d.Tags)
	w.String(d.Note)
	w.String(string(d.Actor))
	return w.Bytes()
}

func readDetail(b []byte) (d Detail, err error) {
	r, version := pack.From(b)
	if version != detailVersion {
		return d, fault.New(fault.Internal, "history row of an unknown version")
	}
	d.Sender = r.String()
	d.Recipients = r.Strings()
	d.IP = r.String()
	d.Subject = r.String()
	d.MessageID = r.String()
	d.Reply = r.String()
	d.By = r.String()
	d.TLS = r.String()
	d.Took = time.Duration(r.Int())
	d.Size = r.Int()
	d.Attempts = int(r.Int())
	d.Tags = r.Strings()
	d.Note = r.String()
	d.Actor = Actor(r.String())
	return d, r.Err()
}

// Field is a field of a record that a policy can redact.
type Field string

// The fields of the record.
const (
	FieldIP        Field = "sender_ip"
	FieldMessageID Field = "message_id"
	FieldSender    Field = "sender"
	FieldRecipient Field = "recipient"
	FieldSubject   Field = "subject"
	FieldReply     Field = "server_response"
)

// Fields lists them for configuration and documents.
func Fields() []Field {
	return []Field{FieldIP, FieldMessageID, FieldSender, FieldRecipient, FieldSubject, FieldReply}
}

// Without removes every occurrence of the values from a text, in any case.
func Without(text string, values []string) string {
	swaps := make([]swap, len(values))
	for i, v := range values {
		swaps[i] = swap{v, removed}
	}
	return swapped(text, swaps)
}

// removed stands where a value stood.
const removed = "[redacted]"

// swap is a value and what stands in its place.
type swap struct{ from, to string }

func swapped(text string, swaps []swap) string {
	for _, s := range swaps {
		low, lv := lowered(text), lowered(s.from)
		if s.from == "" || s.from == s.to || !strings.Contains(low, lv) {
			continue
		}
		var b strings.Builder
		for i := 0; ; {
			j := strings.Index(low[i:], lv)
			if j < 0 {
				b.WriteString(text[i:])
				break
			}
			b.WriteString(text[i : i+j])
			b.WriteString(s.to)
			i += j + len(s.from)
		}
		text = b.String()
	}
	return text
}

// lowered is a text in lower case in which everything stands where it stood: a
// letter whose small form has another length, and an octet that is no UTF-8,
// stay as they are.
func lowered(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return strings.ToLower(text)
	}
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if l := unicode.ToLower(r); n > 1 && utf8.RuneLen(l) == n || n == 1 && r < utf8.RuneSelf {
			b = utf8.AppendRune(b, l)
		} else {
			b = append(b, text[i:i+n]...)
		}
		i += n
	}
	return string(b)
}

// Package admin is the door for the command line on the same machine: typed
// operations over HTTP and JSON on a Unix socket in the data folder. It promises
// that only root and the user whom the server runs as are heard, whatever the
// socket's mode became; who that is may do everything, so there are no tokens.
// What an operation means is left to the parts that it calls.
package admin

import (
	"context"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/queue"
	"mailvow/internal/product/relay"
	"mailvow/internal/protect/tenant"
)

// Parts are what the operations act on. A part that is nil makes its operations
// refuse: this process does not do that.
type Parts struct {
	Queue     Queue
	Domains   Domains
	Tenants   Tenants
	History   History
	Keys      Keys
	Subjects  Subjects
	Eraser    Eraser
	Requests  Requests
	Mentions  Mentions
	Onward    Onward
	Clock     clock.Clock
	Controls  Controls
	Bundles   Bundles
	Reviews   Reviews
	Backups   Backups
	Retention Retention
	Policy    Policy
	Supply    Supply
	Endpoints Endpoints
	Holds     Holds
	Documents Documents
	Endings   Endings
	Incidents Incidents
	People    People
	Acts      Acts
	Reads     Reads
	Assurance Assurance
}

// Acts writes what was done into the evidence log: every operation that changes
// something, under its name.
type Acts interface {
	Record(ctx context.Context, act string, target string) error
}

// Queue is flow/queue as people act on it.
type Queue interface {
	List(ctx context.Context, s scope.Scope, f queue.Filter) ([]queue.Item, error)
	OfMessage(ctx context.Context, s scope.Scope, m ids.Message) ([]queue.Item, error)
	Counts(ctx context.Context, s scope.Scope) (map[queue.State]int64, error)
	Retry(ctx context.Context, s scope.Scope, sel queue.Selection, by queue.Hand) (int, error)
	Fail(ctx context.Context, s scope.Scope, sel queue.Selection, by queue.Hand) (int, error)
	Hold(ctx context.Context, s scope.Scope, sel queue.Selection, by queue.Hand) (int, error)
	Release(ctx context.Context, s scope.Scope, sel queue.Selection, by queue.Hand) (int, error)
	Withdraw(ctx context.Context, s scope.Scope, m ids.Message) (int, error)
	Pause(ctx context.Context, p queue.Pause) (queue.Pause, error)
	Pauses(ctx context.Context, s scope.Scope) ([]queue.Pause, error)
	Resume(ctx context.Context, s scope.Scope, id ids.Job, by queue.Pausers) error
}

// Domains is product/relay.
type Domains interface {
	Add(ctx context.Context, tenant ids.Tenant, name string) (relay.Domain, error)
	Get(ctx context.Context, in scope.Scope, id ids.Domain) (relay.Domain, error)
	List(ctx context.Context, in scope.Scope, before ids.Domain, limit int) ([]relay.Domain, error)
	Records(ctx context.Context, d relay.Domain) ([]relay.Record, error)
	Check(ctx context.Context, in scope.Scope, id ids.Domain) (relay.Domain, []relay.Record, error)
}

// Tenants is protect/tenant.
type Tenants interface {
	List(ctx context.Context, in scope.Scope, before ids.Tenant, limit int) ([]tenant.Tenant, error)
	Add(ctx context.Context, name, region string) (tenant.Tenant, error)
}

// History is flow/history.
type History interface {
	Search(ctx context.Context, s scope.Scope, q history.Query) ([]history.Summary, ids.Message, error)
	Of(ctx context.Context, s scope.Scope, m ids.Message) ([]history.Event, error)
	Delete(ctx context.Context, s scope.Scope, m ids.Message) (int, error)
}

// Keys rotates keys while the server runs.
type Keys interface {
	// RotateTenants gives every customer a new key and returns how many.
	RotateTenants(ctx context.Context) (int, error)
	// RotateKEK wraps all keys under the key in a file, which it makes if there is
	// none.
	RotateKEK(ctx context.Context, file string) error
	// LearnKEK lets the server open what is wrapped under the key in a file, which
	// it makes if there is none.
	LearnKEK(ctx context.Context, file string) error
}

// Item is one recipient in the queue, as it is printed.
type Item struct {
	ID        ids.Recipient `json:"id"`
	Message   ids.Message   `json:"message"`
	Customer  ids.Tenant    `json:"customer"`
	Recipient string        `json:"recipient"`
	Site      string        `json:"site"`
	State     string        `json:"state"`
	Attempts  int           `json:"attempts"`
	Due       time.Time     `json:"due"`
	Expires   time.Time     `json:"expires"`
	LastReply string        `json:"last_reply,omitempty"`
	Why       string        `json:"why,omitempty"`
}

// QueueFilter narrows a list; zero values do not.
type QueueFilter struct {
	Customer ids.Tenant    `json:"customer,omitzero"`
	State    string        `json:"state,omitzero"`
	Domain   string        `json:"domain,omitzero"`
	After    ids.Recipient `json:"after,omitzero"`
	Limit    int           `json:"limit,omitzero"`
}

// Selection names what is acted on. One of the fields below Customer is given.
type Selection struct {
	Customer   ids.Tenant      `json:"customer,omitzero"`
	IDs        []ids.Recipient `json:"ids,omitempty"`
	Message    ids.Message     `json:"message,omitzero"`
	Domain     string          `json:"domain,omitzero"`
	Everything bool            `json:"everything,omitzero"`
	Reason     string          `json:"reason,omitzero"` // why; kept in the messages' history
}

// Count is on how many something was done.
type Count struct {
	Count int `json:"count"`
}

// Pause stops deliveries until somebody resumes them.
type Pause struct {
	ID       ids.Job    `json:"id,omitzero"`
	Customer ids.Tenant `json:"customer,omitzero"` // zero: of every customer
	Domain   string     `json:"domain,omitzero"`   // "": to every destination
	Reason   string     `json:"reason"`
	At       time.Time  `json:"at,omitzero"`
}

// NewDomain is a domain that a customer claims.
type NewDomain struct {
	Customer ids.Tenant `json:"customer"`
	Name     string     `json:"name"`
}

// DomainRef names a domain by id or by name.
type DomainRef struct {
	Customer ids.Tenant `json:"customer,omitzero"`
	Domain   string     `json:"domain"`
}

// Domain is a domain with what must stand in its DNS.
type Domain struct {
	ID       ids.Domain `json:"id"`
	Customer ids.Tenant `json:"customer"`
	Name     string     `json:"name"`
	State    string     `json:"state"`
	Checked  time.Time  `json:"checked,omitzero"`
	Records  []Record   `json:"records,omitempty"`
}

// Record is one DNS record that a customer is asked to publish.
type Record struct {
	Purpose string   `json:"purpose"`
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Value   string   `json:"value"`
	Found   []string `json:"found,omitempty"`
	OK      bool     `json:"ok"`
	Needed  bool     `json:"needed"`
}

// MessageRef names a message.
type MessageRef struct {
	Customer ids.Tenant  `json:"customer,omitzero"`
	Message  ids.Message `json:"message"`
}

// MessageFilter chooses messages. Zero values do not narrow.
type MessageFilter struct {
	Customer  ids.Tenant  `json:"customer,omitzero"`
	Recipient string      `json:"recipient,omitempty"`
	Sender    string      `json:"sender,omitempty"`
	Subject   string      `json:"subject,omitempty"` // words of it
	Before    ids.Message `json:"before,omitzero"`
	Limit     int         `json:"limit,omitzero"` // 200 at most
}

// Messages is one page, newest first.
type Messages struct {
	Items []Listed    `json:"items"`
	Next  ids.Message `json:"next,omitzero"` // go on before this one; zero at the end
}

// Listed is a message in a list.
type Listed struct {
	ID         ids.Message `json:"id"`
	Customer   ids.Tenant  `json:"customer"`
	At         time.Time   `json:"at"`
	Direction  string      `json:"direction"`
	State      string      `json:"state"`
	Sender     string      `json:"sender"`
	Recipients []string    `json:"recipients"`
	Subject    string      `json:"subject"`
}

// Message is what is known of one message.
type Message struct {
	ID       ids.Message `json:"id"`
	Customer ids.Tenant  `json:"customer"`
	Events   []Event     `json:"events"`
	Queued   []Item      `json:"queued,omitempty"`
}

// Event is one line of a message's timeline.
type Event struct {
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"`
	Recipient string    `json:"recipient,omitempty"`
	Reply     string    `json:"reply,omitempty"`
	Actor     string    `json:"actor,omitempty"`  // in which capacity somebody acted by hand
	Reason    string    `json:"reason,omitempty"` // in their words, or why it is held
}

// Deleted is what the deletion of a message did.
type Deleted struct {
	Events    int `json:"events"`
	Cancelled int `json:"cancelled"` // recipients that were not delivered yet
}

// Rotation is what is to be rotated.
type Rotation struct {
	KEK   string `json:"kek,omitzero"`   // a file; "": the customers' keys instead
	Learn bool   `json:"learn,omitzero"` // only learn it
}

func scopeOf(customer ids.Tenant) scope.Scope {
	if customer == 0 {
		return scope.Everyone // the operator's own view: whoever reaches the socket runs the platform
	}
	return scope.Tenant(customer)
}

package admin

import (
	"context"
	"net/http"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"
)

// Policy is protect/policy.
type Policy interface {
	For(id ids.Tenant, t time.Time) policy.InForce
	Versions(ctx context.Context, of ids.Tenant, before, limit int) ([]policy.Version, error)
	Judge(ctx context.Context, d policy.Draft) (policy.Verdict, error)
	Publish(ctx context.Context, d policy.Draft) (policy.Version, policy.Verdict, error)
	Withdraw(ctx context.Context, of ids.Tenant, number int, by evidence.Role) error
	Purposes(of ids.Tenant, t time.Time) []policy.PurposeState
	Instruct(ctx context.Context, d policy.Draft, p pledge.Purpose, on bool) (policy.Version, policy.Verdict, error)
}

// The operations of the policy. Without a customer they are about the platform's.
const (
	PolicyShow     Op[PolicyOf, PolicyNow]        = "policy/show"
	PolicyVersions Op[PolicyOf, []PolicyVersion]  = "policy/versions"
	PolicyCheck    Op[PolicyDraft, PolicyVerdict] = "policy/check"
	PolicyPublish  Op[PolicyDraft, PolicyVerdict] = "policy/publish"
	PolicyWithdraw Op[PolicyVersionRef, Count]    = "policy/withdraw"

	PurposeList     Op[PolicyOf, []Purpose]         = "purpose/list"
	PurposeInstruct Op[PurposeOrder, PolicyVerdict] = "purpose/instruct"
)

// Purpose is what data is processed for, and whether it runs.
type Purpose struct {
	Name   string `json:"name"`
	What   string `json:"what"`
	Ground string `json:"ground"` // instructed, law or contract
	Law    string `json:"law,omitempty"`
	Stops  string `json:"stops,omitempty"`
	Runs   bool   `json:"runs"`
	Policy string `json:"policy"`
}

// PurposeOrder instructs a purpose, or ends it.
type PurposeOrder struct {
	Customer   ids.Tenant `json:"customer,omitzero"`
	Name       string     `json:"name"`
	Instructed bool       `json:"instructed"`
	Note       string     `json:"note"`
}

// PolicyOf says whose policy, and at which time; zero is now.
type PolicyOf struct {
	Customer ids.Tenant `json:"customer,omitzero"`
	At       time.Time  `json:"at,omitzero"`
}

// PolicyNow is what is in force.
type PolicyNow struct {
	Label    string        `json:"label"`
	Settings []PolicyWords `json:"settings"`
	Text     string        `json:"text"` // the whole of it as YAML
}

// PolicyWords is one setting.
type PolicyWords struct {
	Path  string `json:"path"`
	Value string `json:"value"`
	Words string `json:"words"`
	// Obeyed says that a part of the server acts on it.
	Obeyed bool `json:"obeyed"`
}

// PolicyVersion is one version.
type PolicyVersion struct {
	Number    int       `json:"number"`
	Effective time.Time `json:"effective"`
	Published time.Time `json:"published"`
	Withdrawn time.Time `json:"withdrawn,omitzero"`
	Note      string    `json:"note"`
	Text      string    `json:"text"`
}

// PolicyDraft is a text to be put in force.
type PolicyDraft struct {
	Customer  ids.Tenant `json:"customer,omitzero"`
	Text      string     `json:"text"`
	Effective time.Time  `json:"effective,omitzero"`
	Note      string     `json:"note"`
}

// PolicyVerdict is what a draft would change, or did.
type PolicyVerdict struct {
	Number    int       `json:"number,omitzero"`
	Effective time.Time `json:"effective"`
	Changes   []string  `json:"changes"`
}

// PolicyVersionRef names a version.
type PolicyVersionRef struct {
	Customer ids.Tenant `json:"customer,omitzero"`
	Number   int        `json:"number"`
}

// whose is the customer, or the platform where none is named.
func whose(id ids.Tenant) ids.Tenant {
	if id == 0 {
		return tenant.Platform
	}
	return id
}

func (s *Server) policies(mux *http.ServeMux, p Parts) {
	handle(s, mux, PolicyShow, func(_ context.Context, in PolicyOf) (PolicyNow, error) {
		if p.Policy == nil {
			return PolicyNow{}, absent("policies")
		}
		return policyNow(p.Policy.For(whose(in.Customer), in.At))
	})
	handle(s, mux, PolicyVersions, func(ctx context.Context, in PolicyOf) ([]PolicyVersion, error) {
		if p.Policy == nil {
			return nil, absent("policies")
		}
		list, err := p.Policy.Versions(ctx, whose(in.Customer), 0, 100)
		out := make([]PolicyVersion, len(list))
		for i, v := range list {
			out[i] = PolicyVersion{v.Number, v.Effective, v.Published, v.Withdrawn, v.Note, v.Text}
		}
		return out, err
	})
	draft := func(in PolicyDraft) policy.Draft {
		return policy.Draft{Tenant: whose(in.Customer), Text: in.Text, Effective: in.Effective, Note: in.Note, Role: evidence.ByOperator}
	}
	handle(s, mux, PolicyCheck, func(ctx context.Context, in PolicyDraft) (PolicyVerdict, error) {
		if p.Policy == nil {
			return PolicyVerdict{}, absent("policies")
		}
		v, err := p.Policy.Judge(ctx, draft(in))
		return verdictOf(0, v), err
	})
	// Publishing and withdrawing put themselves into the evidence log.
	handle(s, mux, PolicyPublish, func(ctx context.Context, in PolicyDraft) (PolicyVerdict, error) {
		if p.Policy == nil {
			return PolicyVerdict{}, absent("policies")
		}
		published, v, err := p.Policy.Publish(ctx, draft(in))
		return verdictOf(published.Number, v), err
	})
	handle(s, mux, PolicyWithdraw, func(ctx context.Context, in PolicyVersionRef) (Count, error) {
		if p.Policy == nil {
			return Count{}, absent("policies")
		}
		return Count{1}, p.Policy.Withdraw(ctx, whose(in.Customer), in.Number, evidence.ByOperator)
	})
}

func (s *Server) purposes(mux *http.ServeMux, p Parts) {
	handle(s, mux, PurposeList, func(_ context.Context, in PolicyOf) ([]Purpose, error) {
		if p.Policy == nil {
			return nil, absent("policies")
		}
		list := []Purpose{}
		for _, x := range p.Policy.Purposes(whose(in.Customer), in.At) {
			list = append(list, Purpose{string(x.Name), x.What, string(x.Ground), x.Law, x.Stops, x.Runs, x.Label})
		}
		return list, nil
	})
	// It puts itself into the evidence log, as the version of the policy that it is.
	handle(s, mux, PurposeInstruct, func(ctx context.Context, in PurposeOrder) (PolicyVerdict, error) {
		if p.Policy == nil {
			return PolicyVerdict{}, absent("policies")
		}
		made, v, err := p.Policy.Instruct(ctx, policy.Draft{Tenant: whose(in.Customer), Note: in.Note, Role: evidence.ByOperator}, pledge.Purpose(in.Name), in.Instructed)
		return verdictOf(made.Number, v), err
	})
}

func policyNow(in policy.InForce) (PolicyNow, error) {
	said, err := in.Document.Says()
	if err != nil {
		return PolicyNow{}, err
	}
	text, err := in.Document.Text()
	out := PolicyNow{Label: in.Label, Text: string(text), Settings: make([]PolicyWords, len(said))}
	for i, x := range said {
		out.Settings[i] = PolicyWords{x.Path, x.Value, x.Words, policy.Obeyed(x.Path)}
	}
	return out, err
}

func verdictOf(number int, v policy.Verdict) PolicyVerdict {
	out := PolicyVerdict{Number: number, Effective: v.Effective, Changes: make([]string, len(v.Changes))}
	for i, c := range v.Changes {
		out.Changes[i] = c.Words()
	}
	return out
}

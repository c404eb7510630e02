package httpapi

import (
	"context"
	"net/http"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"
)

// PolicyInForce is the policy that holds for the asker.
type PolicyInForce struct {
	Label    string          `json:"label" doc:"The versions that made it: 3, or 3-2 where a customer's second narrows the platform's third."`
	Platform bool            `json:"platform" doc:"It is the platform's own, and not a customer's."`
	Settings []PolicySetting `json:"settings" nullable:"false"`
	Text     string          `json:"text" doc:"The newest version's text, as it was written; empty where the customer has none of its own."`
}

// PolicySetting is one thing that the policy says.
type PolicySetting struct {
	Path   string `json:"path" example:"retention.message records"`
	Value  string `json:"value" example:"90d"`
	Words  string `json:"words" example:"gone after 90 days"`
	Obeyed bool   `json:"obeyed" doc:"A part of this server acts on it; what nothing acts on yet is on record only."`
	Own    bool   `json:"own" doc:"The customer's own version says it, and not the platform's alone."`
}

// PolicyVersion is one version; every version stays.
type PolicyVersion struct {
	Number      int        `json:"number"`
	EffectiveAt time.Time  `json:"effective_at"`
	PublishedAt time.Time  `json:"published_at"`
	WithdrawnAt *time.Time `json:"withdrawn_at"`
	Author      *string    `json:"author" doc:"The user's id; null: the server's first start."`
	Note        string     `json:"note"`
	Text        string     `json:"text"`
}

// PolicyChange is what a version changes in one setting.
type PolicyChange struct {
	Path    string `json:"path"`
	Before  string `json:"before"`
	After   string `json:"after"`
	Loosens bool   `json:"loosens"`
	Words   string `json:"words"`
}

// PolicyVerdict is what publishing would do, or did.
type PolicyVerdict struct {
	Changes     []PolicyChange `json:"changes" nullable:"false"`
	EffectiveAt time.Time      `json:"effective_at"`
	EarliestAt  time.Time      `json:"earliest_at" doc:"Before what loosens anything lies the notice period that the policy names."`
	Number      int            `json:"number,omitempty" doc:"Of the version that was published."`
	Text        string         `json:"text" doc:"The text that would be, or was, published."`
}

// PolicyProfile is a policy that is ready to be published.
type PolicyProfile struct {
	Name  string `json:"name"`
	About string `json:"about"`
	Text  string `json:"text"`
}

type policyDraft struct {
	Body struct {
		Text        string            `json:"text,omitempty" maxLength:"65536" doc:"The whole policy as YAML. Give this or settings."`
		Settings    map[string]string `json:"settings,omitempty" doc:"Single settings by path, over the newest version; an empty value leaves one out."`
		EffectiveAt *time.Time        `json:"effective_at,omitempty" doc:"Left out: as soon as it may be."`
		Note        string            `json:"note,omitempty" maxLength:"500" doc:"What the change is for; public."`
	}
}

type policyOut struct{ Body PolicyInForce }
type policyVerdictOut struct{ Body PolicyVerdict }
type policyVersionOut struct{ Body PolicyVersion }

type policyVersionsOut struct {
	Body struct {
		Items []PolicyVersion `json:"items" nullable:"false"`
	}
}

type policyProfilesOut struct {
	Body struct {
		Items []PolicyProfile `json:"items" nullable:"false"`
	}
}

type policyVersionsIn struct {
	Before int `query:"before" minimum:"0" doc:"Only versions with smaller numbers."`
	Limit  int `query:"limit" minimum:"1" maximum:"100" default:"50"`
}

type byNumber struct {
	Number int `path:"id" minimum:"1" maximum:"1000000000" doc:"The version's number."`
}

func (a *API) policyRoutes() {
	const tag = "policy"
	register(a, op{id: "get-policy", method: http.MethodGet, path: "/v1/policy", summary: "The policy in force, setting by setting", tag: tag, needs: access.PolicyRead}, a.getPolicy)
	register(a, op{id: "list-policy-versions", method: http.MethodGet, path: "/v1/policy/versions", summary: "Every version, newest first", tag: tag, needs: access.PolicyRead}, a.listPolicies)
	register(a, op{id: "get-policy-version", method: http.MethodGet, path: "/v1/policy/versions/{id}", summary: "One version", tag: tag, needs: access.PolicyRead}, a.getPolicyVersion)
	register(a, op{id: "list-policy-profiles", method: http.MethodGet, path: "/v1/policy/profiles", summary: "Policies that are ready to be published", tag: tag, needs: access.PolicyRead}, a.listProfiles)
	register(a, op{id: "check-policy", method: http.MethodPost, path: "/v1/policy/check", summary: "What publishing would change, in words, and when it could take effect", tag: tag, needs: access.PolicyManage}, a.checkPolicy)
	register(a, op{id: "publish-policy", method: http.MethodPost, path: "/v1/policy/versions", summary: "Publish a version", tag: tag, needs: access.PolicyManage, status: http.StatusCreated}, a.publishPolicy)
	register(a, op{id: "withdraw-policy", method: http.MethodDelete, path: "/v1/policy/versions/{id}", summary: "Withdraw a version that has not taken effect", tag: tag, needs: access.PolicyManage}, a.withdrawPolicy)
}

func (a *API) getPolicy(ctx context.Context, who Asker, _ *struct{}) (*policyOut, error) {
	now := a.parts.Clock.Now()
	in := a.parts.Policy.For(who.Tenant, now)
	out := &policyOut{PolicyInForce{Label: in.Label, Platform: who.Tenant == tenant.Platform, Settings: []PolicySetting{}}}
	newest, _, err := a.newestPolicy(ctx, who)
	if err != nil {
		return nil, err
	}
	out.Body.Text = newest.Text
	all, err := in.Document.Says()
	if err != nil {
		return nil, err
	}
	outer := map[string]string{}
	if !out.Body.Platform {
		said, err := a.parts.Policy.Platform(now).Document.Says()
		if err != nil {
			return nil, err
		}
		for _, s := range said {
			outer[s.Path] = s.Value
		}
	}
	for _, s := range all {
		out.Body.Settings = append(out.Body.Settings, PolicySetting{s.Path, s.Value, s.Words, policy.Obeyed(s.Path), !out.Body.Platform && outer[s.Path] != s.Value})
	}
	return out, nil
}

// newestPolicy is the asker's own newest version that was not withdrawn, and its
// document; both are empty where there is none.
func (a *API) newestPolicy(ctx context.Context, who Asker) (policy.Version, *policy.Document, error) {
	list, err := a.parts.Policy.Versions(ctx, who.Tenant, 0, 100)
	if err != nil {
		return policy.Version{}, nil, err
	}
	for _, v := range list {
		if v.Withdrawn.IsZero() {
			d, err := policy.Parse([]byte(v.Text))
			return v, d, err
		}
	}
	return policy.Version{}, &policy.Document{}, nil
}

func viewPolicy(v policy.Version) PolicyVersion {
	out := PolicyVersion{Number: v.Number, EffectiveAt: v.Effective.UTC(), PublishedAt: v.Published.UTC(), WithdrawnAt: when(v.Withdrawn), Note: v.Note, Text: v.Text}
	if v.Author != 0 {
		author := v.Author.String()
		out.Author = &author
	}
	return out
}

func (a *API) listPolicies(ctx context.Context, who Asker, in *policyVersionsIn) (*policyVersionsOut, error) {
	list, err := a.parts.Policy.Versions(ctx, who.Tenant, in.Before, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &policyVersionsOut{}
	out.Body.Items = make([]PolicyVersion, len(list))
	for i, v := range list {
		out.Body.Items[i] = viewPolicy(v)
	}
	return out, nil
}

func (a *API) getPolicyVersion(ctx context.Context, who Asker, in *byNumber) (*policyVersionOut, error) {
	v, err := a.parts.Policy.Version(ctx, who.Tenant, in.Number)
	if err != nil {
		return nil, err
	}
	return &policyVersionOut{viewPolicy(v)}, nil
}

func (a *API) listProfiles(context.Context, Asker, *struct{}) (*policyProfilesOut, error) {
	list, err := policy.Profiles()
	if err != nil {
		return nil, err
	}
	out := &policyProfilesOut{}
	out.Body.Items = make([]PolicyProfile, len(list))
	for i, p := range list {
		out.Body.Items[i] = PolicyProfile{p.Name, p.About, string(p.Text)}
	}
	return out, nil
}

// capacity is in which capacity somebody publishes.
func capacity(who Asker) evidence.Role {
	if who.Role == access.Operator {
		return evidence.ByOperator
	}
	return evidence.ByOwner
}

// draftOf makes the draft that a request asks for.
func (a *API) draftOf(ctx context.Context, who Asker, in *policyDraft) (policy.Draft, error) {
	d := policy.Draft{Tenant: who.Tenant, Text: in.Body.Text, Note: in.Body.Note, Author: who.User, Role: capacity(who)}
	if in.Body.EffectiveAt != nil {
		d.Effective = *in.Body.EffectiveAt
	}
	switch {
	case in.Body.Text != "" && len(in.Body.Settings) > 0:
		return d, fault.Field("settings", "Give the whole text or single settings, not both.")
	case in.Body.Text == "" && len(in.Body.Settings) == 0:
		return d, fault.Field("text", "Give the policy's text, or settings by their paths.")
	case in.Body.Text != "":
		return d, nil
	}
	_, newest, err := a.newestPolicy(ctx, who)
	if err != nil {
		return d, err
	}
	next, err := newest.With(in.Body.Settings)
	if err != nil {
		return d, err
	}
	text, err := next.Text()
	d.Text = string(text)
	return d, err
}

func viewVerdict(v policy.Verdict, text string) PolicyVerdict {
	out := PolicyVerdict{Changes: make([]PolicyChange, len(v.Changes)), EffectiveAt: v.Effective.UTC(), EarliestAt: v.Earliest.UTC(), Text: text}
	for i, c := range v.Changes {
		out.Changes[i] = PolicyChange{c.Path, c.Before, c.After, c.Loosens, c.Words()}
	}
	return out
}

func (a *API) checkPolicy(ctx context.Context, who Asker, in *policyDraft) (*policyVerdictOut, error) {
	d, err := a.draftOf(ctx, who, in)
	if err != nil {
		return nil, err
	}
	v, err := a.parts.Policy.Judge(ctx, d)
	if err != nil {
		return nil, err
	}
	return &policyVerdictOut{viewVerdict(v, d.Text)}, nil
}

func (a *API) publishPolicy(ctx context.Context, who Asker, in *policyDraft) (*policyVerdictOut, error) {
	d, err := a.draftOf(ctx, who, in)
	if err != nil {
		return nil, err
	}
	published, v, err := a.parts.Policy.Publish(ctx, d)
	if err != nil {
		return nil, err
	}
	out := viewVerdict(v, d.Text)
	out.Number = published.Number
	return &policyVerdictOut{out}, nil
}

func (a *API) withdrawPolicy(ctx context.Context, who Asker, in *byNumber) (*nothing, error) {
	return nil, a.parts.Policy.Withdraw(ctx, who.Tenant, in.Number, capacity(who))
}

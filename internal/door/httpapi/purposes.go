package httpapi

import (
	"context"
	"net/http"
	"time"

	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/policy"
)

// Purpose is one purpose for which data is processed, and whether it runs.
type Purpose struct {
	Name       string   `json:"name" example:"search"`
	What       string   `json:"what"`
	Ground     string   `json:"ground" enum:"instructed,law,contract" doc:"On whose word it runs: the policy's, a law's, or the contract's."`
	Law        string   `json:"law,omitempty" doc:"The law that asks for it."`
	Stops      string   `json:"stops,omitempty" doc:"What stops while it is not instructed."`
	Runs       bool     `json:"runs"`
	Offered    bool     `json:"offered" doc:"The platform's policy has it, so that a customer's may."`
	Policy     string   `json:"policy" doc:"The versions of the policy that say so: 3-2."`
	Categories []string `json:"categories" nullable:"false" doc:"What is kept for it, as the inventory names it."`
}

type purposesOut struct {
	Body struct {
		Items []Purpose `json:"items" nullable:"false"`
	}
}

type purposeIn struct {
	Name string `path:"name" maxLength:"40"`
	Body struct {
		Instructed  bool       `json:"instructed"`
		EffectiveAt *time.Time `json:"effective_at,omitempty" doc:"Left out: as soon as it may be."`
		Note        string     `json:"note,omitempty" maxLength:"500" doc:"What the change is for; public."`
	}
}

func (a *API) purposeRoutes() {
	const tag = "policy"
	register(a, op{id: "list-purposes", method: http.MethodGet, path: "/v1/purposes", summary: "What data is processed for, on whose word, and whether it runs", tag: tag, needs: access.PolicyRead}, a.listPurposes)
	register(a, op{id: "instruct-purpose", method: http.MethodPut, path: "/v1/purposes/{name}", summary: "Instruct a purpose, or end it: a version of the policy", tag: tag, needs: access.PolicyManage}, a.instructPurpose)
}

func (a *API) listPurposes(_ context.Context, who Asker, _ *struct{}) (*purposesOut, error) {
	out := &purposesOut{}
	out.Body.Items = []Purpose{}
	for _, p := range a.parts.Policy.Purposes(who.Tenant, a.parts.Clock.Now()) {
		v := Purpose{
			Name: string(p.Name), What: p.What, Ground: string(p.Ground), Law: p.Law, Stops: p.Stops,
			Runs: p.Runs, Offered: p.Offered, Policy: p.Label, Categories: []string{},
		}
		if a.parts.Inventory != nil {
			v.Categories = a.parts.Inventory.Serving(p.Name)
		}
		out.Body.Items = append(out.Body.Items, v)
	}
	return out, nil
}

func (a *API) instructPurpose(ctx context.Context, who Asker, in *purposeIn) (*policyVerdictOut, error) {
	d := policy.Draft{Tenant: who.Tenant, Note: in.Body.Note, Author: who.User, Role: capacity(who)}
	if in.Body.EffectiveAt != nil {
		d.Effective = *in.Body.EffectiveAt
	}
	made, v, err := a.parts.Policy.Instruct(ctx, d, pledge.Purpose(in.Name), in.Body.Instructed)
	if err != nil {
		return nil, err
	}
	out := viewVerdict(v, made.Text)
	out.Number = made.Number
	return &policyVerdictOut{out}, nil
}

package app

import (
	"context"
	"crypto/rand"
	"strings"

	"mailvow/internal/app/probes"
	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/product/trust/supply"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"
)

// staffForProbe makes one of the operator's people and signs them in. Whatever
// they enter goes with them.
func (h *House) staffForProbe(ctx context.Context) (probes.Colleague, func(), error) {
	return h.colleagueForProbe(ctx, access.Operator)
}

// custodianForProbe is staffForProbe for one who opens what a law wants kept.
func (h *House) custodianForProbe(ctx context.Context) (probes.Colleague, func(), error) {
	return h.colleagueForProbe(ctx, access.Custodian)
}

func (h *House) colleagueForProbe(ctx context.Context, role access.Role) (probes.Colleague, func(), error) {
	email, err := address.Parse("staff-" + strings.ToLower(rand.Text()) + "@" + canaryDomain)
	if err != nil {
		return probes.Colleague{}, nil, err
	}
	if err := h.dismissProbed(ctx); err != nil {
		return probes.Colleague{}, nil, err
	}
	u, err := h.access.AddUser(ctx, access.House(), access.NewUser{Tenant: tenant.Platform, Email: email, Name: probeName, Role: role})
	if err != nil {
		return probes.Colleague{}, nil, err
	}
	undo := func() {
		ctx := context.WithoutCancel(ctx)
		h.probing.Store(0)
		if err := h.dismiss(ctx, u); err != nil {
			h.observe.Log.Warn("dismiss a probe's colleague; the next probe will", "error", err)
		}
	}
	h.probing.Store(int64(u.ID))
	link, _, err := h.access.Link(ctx, access.House(), scope.Everyone, u.ID)
	var secret string
	if err == nil {
		secret, _, err = h.access.SignInByLink(ctx, link)
	}
	if err != nil {
		undo()
		return probes.Colleague{}, nil, err
	}
	return probes.Colleague{User: u.ID, Cookie: httpapi.SessionCookie(h.secureCookies()) + "=" + secret}, undo, nil
}

const probeName = "Canary (probes of this server)"

// dismissProbed removes colleagues whom a probe left behind when the process died.
func (h *House) dismissProbed(ctx context.Context) error {
	return h.eachColleague(ctx, func(u access.User) error {
		if u.Name != probeName || u.Email.Domain() != canaryDomain {
			return nil
		}
		return h.dismiss(ctx, u)
	})
}

func (h *House) dismiss(ctx context.Context, u access.User) error {
	if _, err := h.attests.Forget(ctx, scope.Tenant(tenant.Platform), u.ID); err != nil {
		return err
	}
	if _, err := h.clearance.Forget(ctx, u.ID); err != nil {
		return err
	}
	return h.access.Dismiss(ctx, u)
}

// eachColleague gives the operator's people.
func (h *House) eachColleague(ctx context.Context, yield func(access.User) error) error {
	for before := ids.User(1<<63 - 1); ; {
		page, err := h.access.Users(ctx, scope.Tenant(tenant.Platform), before, 200)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, u := range page {
			if before = u.ID; u.State == access.UserActive {
				if err := yield(u); err != nil {
					return err
				}
			}
		}
	}
}

// untrained counts the operator's people, and those of them without a valid
// attestation, and says whether the policy in force shuts those out.
func (h *House) untrained(ctx context.Context) (all, without int, shut bool, err error) {
	shut = h.policies.Platform(h.Clock.Now()).Document.Training == policy.TrainingRequired
	err = h.eachColleague(ctx, func(u access.User) error {
		if u.ID == ids.User(h.probing.Load()) {
			return nil
		}
		all++
		ok, err := h.attests.Trained(ctx, u.ID)
		if !ok {
			without++
		}
		return err
	})
	return all, without, shut, err
}

// providers are those whose services the operator uses, by their names in the
// register of sub-processors.
func (h *House) providers(_ context.Context, infrastructure bool) ([]string, error) {
	var list []string
	for _, p := range h.supply.Public() {
		if p.Current != nil && p.Current.Entry.Kind != supply.Own && (!infrastructure || p.Current.Entry.Kind == supply.Infrastructure) {
			list = append(list, p.Current.Entry.Name)
		}
	}
	return list, nil
}

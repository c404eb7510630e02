package app

import (
	"context"
	"slices"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/access"
)

// peopleOf gives a customer's active people in some roles, of however many it has:
// those who answer for the account are its oldest.
func (h *House) peopleOf(ctx context.Context, of ids.Tenant, roles ...access.Role) ([]access.User, error) {
	return inRoles(func(before int64, limit int) ([]access.User, error) {
		return h.access.Users(ctx, scope.Tenant(of), ids.User(before), limit)
	}, roles)
}

// answering gives their addresses.
func (h *House) answering(ctx context.Context, of ids.Tenant, roles ...access.Role) ([]address.Address, error) {
	people, err := h.peopleOf(ctx, of, roles...)
	list := make([]address.Address, len(people))
	for i, u := range people {
		list[i] = u.Email
	}
	return list, err
}

func inRoles(page func(before int64, limit int) ([]access.User, error), roles []access.Role) ([]access.User, error) {
	var list []access.User
	err := eachPage(func(u access.User) int64 { return int64(u.ID) }, page, func(u access.User) error {
		if u.State == access.UserActive && slices.Contains(roles, u.Role) {
			list = append(list, u)
		}
		return nil
	})
	return list, err
}

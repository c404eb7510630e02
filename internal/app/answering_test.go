package app

import (
	"testing"

	"mailvow/internal/base/ids"
	"mailvow/internal/protect/access"
)

// TestWhoAnswersIsFoundAmongMany: the owner of an account is its first user, and so
// the last of a list that has the newest first.
func TestWhoAnswersIsFoundAmongMany(t *testing.T) {
	t.Parallel()
	var all []access.User
	for n := 450; n > 0; n-- {
		u := access.User{ID: ids.User(n), Role: access.Viewer, State: access.UserActive}
		switch n {
		case 1:
			u.Role = access.Owner
		case 2:
			u.Role, u.State = access.Owner, access.UserSuspended
		case 300:
			u.Role = access.Admin
		}
		all = append(all, u)
	}
	page := func(before int64, limit int) ([]access.User, error) {
		for i, u := range all {
			if int64(u.ID) < before {
				return all[i:min(len(all), i+limit)], nil
			}
		}
		return nil, nil
	}
	list, err := inRoles(page, []access.Role{access.Owner, access.Admin})
	if err != nil || len(list) != 2 || list[0].ID != 300 || list[1].ID != 1 {
		t.Errorf("%v %v", list, err)
	}
}

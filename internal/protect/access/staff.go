package access

import (
	"maps"
	"slices"

	"mailvow/internal/base/ids"
)

// opensPersonal are the permissions that open what is known of people: mail and its
// records, whom the queue waits for, lists of addresses, customers' users. Making
// a user or a link is among them, because it leads to all the rest.
var opensPersonal = []Permission{
	MessagesRead, MessagesContent, MessagesTranscript, QueueRead, RoutesRead, RoutesManage, SuppressionsRead,
	SuppressionsManage, SubjectsManage, CaughtRead, UsersRead, UsersManage,
}

// Personal reports whether a permission opens personal data.
func (p Permission) Personal() bool { return slices.Contains(opensPersonal, p) }

// ofColleagues are those that the operator's people keep for their own tenant
// when nothing personal is open to them: who works there is no customer's data.
func (p Permission) ofColleagues() bool { return p == UsersRead || p == UsersManage }

// staffing is what binds one of the operator's people beyond their role.
type staffing struct {
	why  string     // nothing personal is open to them, because of this
	only ids.Tenant // what is personal is open of one customer alone
}

// Shut gives the principal with nothing personal open, and the sentence that says
// why. The role stays: what it may hand on is another question.
func (p Principal) Shut(why string) Principal {
	p.staff = staffing{why: why}
	return p
}

// Only gives the principal with what is personal open of one customer alone.
func (p Principal) Only(customer ids.Tenant) Principal {
	p.staff = staffing{only: customer}
	return p
}

// Without gives the principal without some permissions, and the sentence that
// says why. The role stays: what it may hand on is another question.
func (p Principal) Without(why string, perms ...Permission) Principal {
	barred := maps.Clone(p.barred)
	if barred == nil {
		barred = map[Permission]string{}
	}
	for _, perm := range perms {
		if p.grants[perm] != None {
			barred[perm] = why
		}
	}
	p.barred = barred
	return p
}

// WhyNot says why a permission of the role is not held now; "" where that is not so.
func (p Principal) WhyNot(perm Permission) string {
	if why := p.barred[perm]; why != "" {
		return why
	}
	if perm.Personal() {
		return p.staff.why
	}
	return ""
}

// Why says why nothing personal is open to the principal; "" where that is not so.
func (p Principal) Why() string { return p.staff.why }

// reach is how far a permission goes now.
func (p Principal) reach(perm Permission) Reach {
	r := p.grants[perm]
	if p.barred[perm] != "" {
		return None
	}
	if p.staff.why == "" || !perm.Personal() {
		return r
	}
	if perm.ofColleagues() {
		return min(r, Own)
	}
	return None
}

// Permissions lists what the principal may do now, in the order of the closed list.
func (p Principal) Permissions() []Permission {
	return slices.DeleteFunc(p.grants.List(), func(perm Permission) bool { return p.reach(perm) == None })
}

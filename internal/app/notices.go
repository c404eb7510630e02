package app

import (
	"context"
	"strconv"
	"time"

	"mailvow/internal/app/probes"
	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/product/trust/notice"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/ending"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/request"
)

const (
	noticeEvery = 3 * time.Second // notices that were not mailed yet
	learnEvery  = 5 * time.Second // who accepts something by its next use
)

// openNotices makes what tells accounts of a change of the policy.
func (h *House) openNotices() {
	h.notices = notice.New(notice.Config{
		DB: h.db, Stage: h.stage, Nudge: h.evidence.Nudge, IDs: h.ids, Clock: h.Clock, Observe: h.observe, Policies: h.policies,
		Accounts: h.eachCustomer, Contacts: h.accountContacts, Close: h.closeURL, Base: h.publicURL, Officer: h.contacts().Privacy,
		Post: func(ctx context.Context, to address.Address, subject, text string) error {
			return h.postLetter(ctx, request.Letter{To: to, Subject: subject, Text: text})
		},
	})
	h.policies.Published = func(ctx context.Context, v policy.Version, _ []policy.Change) {
		if err := h.notices.Announce(context.WithoutCancel(ctx), v); err != nil {
			h.observe.Log.ErrorContext(ctx, "a policy could not be announced; the platform's is announced later", "tenant", v.Tenant.String(), "number", v.Number, "error", err)
		}
	}
}

// accountContacts are an account's active owners and admins.
func (h *House) accountContacts(ctx context.Context, of ids.Tenant) ([]notice.Contact, error) {
	people, err := h.peopleOf(ctx, of, access.Owner, access.Admin)
	var list []notice.Contact
	for _, u := range people {
		list = append(list, notice.Contact{User: u.ID, Address: u.Email, Owner: u.Role == access.Owner})
	}
	return list, err
}

// closeURL is the page on which an owner closes an account.
func (h *House) closeURL(of ids.Tenant, owner ids.User, until time.Time) (string, error) {
	text, err := h.endings.CloseLink(of, owner, until)
	return h.publicURL() + ending.ClosePath + text, err
}

// owns reports that somebody is an active owner of an account.
func (h *House) owns(ctx context.Context, of ids.Tenant, id ids.User) (bool, error) {
	u, err := h.access.User(ctx, scope.Tenant(of), id)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return u.State == access.UserActive && u.Role == access.Owner, err
}

// canaryContact makes a user of the canary's whom notices are mailed to.
func (h *House) canaryContact(ctx context.Context, c probes.Canary, email address.Address) error {
	_, err := h.access.AddUser(ctx, access.House(), access.NewUser{Tenant: c.Tenant, Email: email, Name: "Canary", Role: access.Admin})
	return err
}

// told hands out what an account was told of changes of the policy, and what it
// accepted.
func (p belongings) told(ctx context.Context, of ids.Tenant, f yield) error {
	list, err := p.House.notices.List(ctx, of)
	for _, n := range list {
		if err == nil {
			err = f(pledge.Record{Category: "notices of changes", ID: strconv.Itoa(n.Number), At: n.Published, Fields: facts("title", n.Title(), "mailed", moment(n.Mailed), "seen", moment(n.Seen), "accepted", moment(n.Accepted), "how", string(n.How))})
		}
	}
	return err
}

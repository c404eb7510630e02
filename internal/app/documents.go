package app

import (
	"context"
	"time"

	"mailvow/internal/app/paper"
	"mailvow/internal/app/stored"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/door/pages"
	"mailvow/internal/product/trust/document"
	"mailvow/internal/product/trust/lawful"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/link"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"
)

// openDocuments makes the papers of this server: they speak of the policy in
// force, of what is stored, and of what the probes saw.
func (h *House) openDocuments() {
	h.documents = document.New(document.Config{
		DB: h.db, Stage: h.stage, Nudge: h.evidence.Nudge, IDs: h.ids, Clock: h.Clock, Links: link.New(h.db, h.vault, h.ids, h.Clock),
		Sign: h.evidence.Ring.SignStatement, Draw: paper.Document, Facts: h.facts,
	})
}

// facts are what a document may say, for the platform or under a customer's policy.
func (h *House) facts(ctx context.Context, of ids.Tenant) (document.Facts, error) {
	now := h.Clock.Now()
	f := document.Facts{
		Server: h.Config.Hostname, URL: h.publicURL(), Region: h.Config.Region, Now: now, Policy: h.policies.For(of, now),
		Operator: document.Operator{Name: h.Config.Operator.Name, Address: h.Config.Operator.Address, Officer: h.Config.Operator.Officer},
		Contacts: h.contacts(), Seen: map[string]document.Seen{}, Cookies: h.cookies(), Subs: h.subProcessors(),
	}
	kept, err := stored.InForce(h.Config, f.Policy.Document)
	if err != nil {
		return f, err
	}
	f.Inventory = kept.Entries()
	lines, err := h.controls.List(ctx, scope.Tenant(of))
	if err != nil {
		return f, fault.Wrap(err, "read what was seen")
	}
	for _, l := range lines {
		f.Seen[l.ID] = document.Seen{Says: l.Says, Status: l.Status, Evidence: l.Evidence, CheckedAt: l.CheckedAt}
	}
	f.Lawful, err = h.lawfulCounts(ctx)
	return f, err
}

// lawfulCounts are what the register of authorities' requests says; it began with
// the first policy, at this server's first start.
func (h *House) lawfulCounts(ctx context.Context) (*document.LawfulCounts, error) {
	r, err := h.Transparency(ctx, scope.Everyone)
	if err != nil {
		return nil, err
	}
	first, err := h.policies.Version(ctx, tenant.Platform, 1)
	c := &document.LawfulCounts{Received: int(r.Total), Customers: int(r.Customers), Since: first.Published}
	for _, y := range r.Years {
		c.Refused += int(y.States[lawful.Refused])
		c.Granted += int(y.States[lawful.Narrowed] + y.States[lawful.Complied])
	}
	return c, err
}

// contacts are where people reach the operator.
func (h *House) contacts() document.Contacts {
	at := func(local string) string { return local + "@" + h.Config.Hostname }
	return document.Contacts{Privacy: at("privacy"), Security: at("security"), Abuse: at("abuse"), Question: at("privacy"), Form: h.publicURL() + "/trust/contact"}
}

// cookies are all that this server's pages store in a browser. The browser suite
// holds every page to it.
func (h *House) cookies() []document.Cookie {
	const local, session = "local storage", "session storage"
	return []document.Cookie{
		{
			Name: httpapi.SessionCookie(h.secureCookies()), Kind: "cookie", Where: "the console, once you sign in", Purpose: "know that it is still you",
			Life: "until you sign out, " + inventory.Span(access.HouseLimits.Absolute) + " at most", Longest: access.HouseLimits.Absolute, Essential: true,
		},
		{Name: "mantine-color-scheme-value", Kind: local, Where: "the console, once you choose light or dark", Purpose: "remember your choice", Life: "until you clear it", Essential: true},
		{Name: "tsr-scroll-restoration-v1_3", Kind: session, Where: "the console and its sign-in", Purpose: "go back to where you had scrolled", Life: "until you close the tab", Essential: true},
		{Name: "tanstack_router_reload:…", Kind: session, Where: "the console, after this server was renewed", Purpose: "load a new part once and not for ever", Life: "until you close the tab", Essential: true},
	}
}

func (h *House) secureCookies() bool { return !h.Dev && h.Config.Listen.HTTPS != "" }

// operatedDocuments are the documents for the command line, which is given whole
// addresses.
type operatedDocuments struct {
	*document.Store
	base func() string
}

// Admit implements admin.Documents.
func (o operatedDocuments) Admit(k document.Kind, life time.Duration) (string, error) {
	path, err := o.Store.Admit(k, life)
	return o.base() + path, err
}

// trustCentre makes the public pages.
func (h *House) trustCentre() (*pages.Trust, error) {
	name := h.Config.Operator.Name
	if name == "" {
		name = h.Config.Hostname
	}
	o := h.Config.Operator
	return pages.NewTrust(pages.TrustParts{
		Papers: h.documents, Inquiries: h.cases, Controls: h.publicControls, Policies: h.publicPolicies, Operator: name, Contacts: h.contacts(), Stored: h.cookies,
		Security: pages.SecurityText{Contacts: o.Security, Disclosure: o.Policy, Languages: o.Language},
		Base:     h.publicURL, Clock: h.Clock, Log: h.observe.For("door/pages").Log,
	})
}

// publicControls are all promises with the worst that was seen of each, and without
// what was seen, which may speak of customers.
func (h *House) publicControls(ctx context.Context) ([]pages.PublicControl, error) {
	lines, err := h.controls.List(ctx, scope.Everyone)
	list := make([]pages.PublicControl, len(lines))
	for i, l := range lines {
		list[i] = pages.PublicControl{ID: l.ID, Says: l.Says, Status: l.Status, Seen: l.CheckedAt, Since: l.Since}
	}
	return list, err
}

// publicPolicies are the platform's versions, newest first, with what each changed.
func (h *House) publicPolicies(ctx context.Context) ([]pages.PublicPolicy, error) {
	versions, err := h.policies.Versions(ctx, tenant.Platform, 0, 100)
	if err != nil {
		return nil, err
	}
	list := make([]pages.PublicPolicy, len(versions))
	var before *policy.Document
	for i := len(versions) - 1; i >= 0; i-- {
		v := versions[i]
		list[i] = pages.PublicPolicy{Number: v.Number, Effective: v.Effective, Published: v.Published, Withdrawn: v.Withdrawn, Note: v.Note, Text: v.Text}
		d, err := policy.Parse([]byte(v.Text))
		if err != nil {
			return nil, err
		}
		if before != nil {
			for _, c := range before.Diff(d) {
				list[i].Changes = append(list[i].Changes, c.Words())
			}
		}
		if v.Withdrawn.IsZero() {
			before = d
		}
	}
	return list, nil
}

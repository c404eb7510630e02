package app

import (
	"context"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/door/admin"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

// Socket is where the server with this data folder listens for the command line.
func Socket(dir string) string { return paths{root: dir}.socket() }

// EvidenceFolder is where the server with this data folder keeps its log, which
// may be read beside it.
func EvidenceFolder(dir string) string { return paths{root: dir}.evidence() }

// openAdmin makes the socket of the command line.
func (h *House) openAdmin(ctx context.Context) error {
	listener, err := admin.Listen(ctx, h.paths().socket())
	if err != nil {
		return err
	}
	operations := &operatorActs{h}
	server := admin.New(admin.Parts{
		Endings:  h.endings,
		Mentions: h.mentions, Queue: h.queue, Domains: h.relay, Tenants: h.tenants, History: seenHistory{heldHistory{h.history, h.holds}, h.sight}, Keys: operations, Subjects: shownSubjects{h.subjects, h}, Holds: h.holds, Eraser: h.eraser, Requests: h.cases, Onward: h.onward, Clock: h.Clock, Controls: operatorControls{h.controls, shownControls{h}}, Bundles: bundles{h}, Reviews: operatedReviews{shownReviews{h}}, Backups: operatedBackups{h}, Retention: h.retention, Policy: h.policies, Supply: h.supply, Endpoints: h.gate, People: operations, Acts: operations, Reads: h.reads,
		Documents: operatedDocuments{h.documents, h.publicURL},
		Assurance: admin.Assurance{Attests: h.attests, Findings: h.findings, Lawful: h.lawful, Grants: h.clearance, User: h.colleague, Patches: shownPatches{h}, Alerts: h.alerts},
		Incidents: operatedIncidents{h.incidents, h},
	}, Version(), h.observe.For("door/admin").Log)
	h.doors.list = append(h.doors.list, door{name: "admin", listener: listener, serve: server.Serve, shut: server.Shutdown})
	return nil
}

// colleague finds one of the operator's people by address.
func (h *House) colleague(ctx context.Context, text string) (ids.User, error) {
	who, err := address.Parse(text)
	if err != nil {
		return 0, fault.Because(fault.Invalid, err, "That is no address.")
	}
	u, err := h.access.UserByEmail(ctx, scope.Tenant(tenant.Platform), who)
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, "None of the operator's people has this address.")
	}
	return u.ID, err
}

// operatorActs is what the command line does that is not one part's own.
type operatorActs struct{ h *House }

// Record implements admin.Acts.
func (o *operatorActs) Record(ctx context.Context, act, target string) error {
	leaf := evidence.Leaf{
		ID: ids.New[ids.Leaf](o.h.ids), At: evidence.On(o.h.Clock.Now()),
		By: evidence.Actor{Role: evidence.ByOperator}, Body: &evidence.Act{Act: act, Target: target},
	}
	err := o.h.db.Change(ctx, "record an act", func(tx *db.Tx) error { return o.h.stage.Stage(ctx, tx, leaf) })
	o.h.evidence.Nudge()
	return err
}

// AddUser implements admin.People.
func (o *operatorActs) AddUser(ctx context.Context, n admin.NewUser) (admin.SignInLink, error) {
	who, err := address.Parse(n.Address)
	if err != nil {
		return admin.SignInLink{}, fault.Because(fault.Invalid, err, "That is no address.")
	}
	if n.Customer == 0 {
		n.Customer = tenant.Platform
	}
	if _, err := o.h.access.AddUser(ctx, access.House(), access.NewUser{Tenant: n.Customer, Email: who, Name: n.Name, Role: n.Role}); err != nil {
		return admin.SignInLink{}, err
	}
	return o.Link(ctx, who)
}

// RotateTenants implements admin.Keys: the platform and every customer.
func (o *operatorActs) RotateTenants(ctx context.Context) (int, error) {
	list, err := o.h.vault.Tenants(ctx)
	if err != nil {
		return 0, err
	}
	for i, t := range list {
		if err := o.h.vault.RotateTenant(ctx, t); err != nil && !fault.Is(err, fault.Gone) {
			return i, fault.Wrap(err, "rotate a customer's key")
		}
	}
	return len(list), nil
}

// Link implements admin.People.
func (o *operatorActs) Link(ctx context.Context, who address.Address) (admin.SignInLink, error) {
	u, err := o.h.access.UserByEmail(ctx, scope.Everyone, who)
	if fault.Is(err, fault.NotFound) {
		return admin.SignInLink{}, fault.New(fault.NotFound, "No user has this address.").WithHint("the first administrator is made by mailvow init, others in the console or by POST /v1/users")
	}
	if err != nil {
		return admin.SignInLink{}, err
	}
	if u.State != access.UserActive {
		return admin.SignInLink{}, fault.New(fault.Conflict, "This user is "+string(u.State)+" and cannot sign in.")
	}
	link, until, err := o.h.access.Link(ctx, access.House(), scope.Everyone, u.ID)
	return admin.SignInLink{User: u.ID, URL: o.h.signInURL(link), Until: until}, err
}

// Package probes shows on the running server that promises hold. A probe acts as
// an outsider does: it sends mail to the doors, speaks to the API, answers as the
// next host or as a customer's endpoint, and looks into the files that the server
// leaves on disk. For that there is one customer of its own, the canary: made at
// the first run, with credentials, a route and destinations that exist only while
// a probe runs, and erased afterwards. A probe that cannot look says so, which
// counts as failing. Which promise is due when, and the record of findings, are
// left to protect/control.
package probes

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/product/trust/attest"
	"mailvow/internal/product/trust/document"
	"mailvow/internal/product/trust/incident"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/backup"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/retain"
	"mailvow/internal/standard/osv"
)

// Server is the running server as probes reach it. What is not a door or a file
// is what a probe needs to make its canary, to know what to look for, and to
// clean up; no function here says whether a promise holds.
type Server struct {
	Hostname string
	// Doors are the open listeners by name: mx, submission, submissions, http, https.
	Doors map[string]string
	// Knock connects to a door.
	Knock func(ctx context.Context, addr string) (net.Conn, error)
	// KnockFrom is Knock from another address of this machine. Places is how many
	// connections a door holds of one address, Pace how many a mail door takes of one
	// in a minute.
	KnockFrom func(ctx context.Context, addr string, from netip.Addr) (net.Conn, error)
	Places    map[string]int
	Pace      int
	// Lend lets the server's couriers reach a listener of the probe's.
	Lend func(netip.AddrPort) (func(), error)
	// SendTo makes the canary's mail to a domain go to an address, until undone.
	SendTo func(tenant ids.Tenant, domain, addr string) (undo func())
	// Folders hold everything that the server writes on this machine.
	Folders []string
	// Dump gives the bytes of every table, for a database that keeps no files in
	// the folders; nil on SQLite. Relations gives the bytes of its files, with an
	// error where the database does not let them be read.
	Dump      func(ctx context.Context, yield func(name string, content []byte) error) error
	Relations func(ctx context.Context, yield func(name string, content []byte) error) error
	// Columns is the real schema; Inventory what is declared.
	Columns   func(context.Context) ([]string, error)
	Inventory *inventory.Inventory
	// Canary makes the canary customer ready, with fresh credentials.
	Canary func(context.Context) (Canary, error)
	// Clear ends the credentials and erases what the canary left, with the traces
	// of these addresses.
	Clear func(context.Context, Canary, []address.Address) error
	// Stored is the sealed form of a message that waits, as it lies in the store.
	Stored func(context.Context, ids.Message) (Ciphertext, error)
	// Records are the sealed rows of a message's record, as they lie in the store.
	Records func(context.Context, ids.Message) ([][]byte, error)
	// KeyUntil is by when the key is destroyed that opens a waiting message;
	// TransitKeys counts such keys, of every customer, and those that are past their
	// time; Opens tries a recorded key with today's key store.
	KeyUntil    func(context.Context, ids.Tenant, Ciphertext) (time.Time, error)
	TransitKeys func(context.Context) (all, overdue int, err error)
	Opens       func(ctx context.Context, tenant ids.Tenant, m ids.Message, wrapped []byte) (bool, error)
	// Erase erases a person of the canary's and gives the certificate; LogKeys are
	// the public keys of the evidence log.
	Erase   func(context.Context, Canary, address.Address) ([]byte, error)
	LogKeys func() []evidence.Key
	// DeleteRecord deletes a message's record as the command line does.
	DeleteRecord func(context.Context, Canary, ids.Message) error
	// Policy puts a policy of the canary's own in force; Export gives every record
	// of a person's.
	Policy func(ctx context.Context, c Canary, text string) (undo func(), err error)
	Export func(ctx context.Context, c Canary, person address.Address, yield func(pledge.Record) error) error
	// Counted writes down what was counted for charts and is only in memory yet.
	Counted func(context.Context) error
	// Floors are what the policy in force for the platform asks of TLS; Below counts
	// sessions at our doors under the floor of their moment. Certificate is one that
	// nobody vouches for.
	Floors      func() policy.TLS
	Below       func() int64
	Certificate func() (*tls.Certificate, error)
	// Purge makes a pass of retention; Periods says where every category stands.
	Purge   func(context.Context) error
	Periods func(context.Context) ([]retain.State, error)
	// Aged leaves a record of a category with the canary as if it came from another
	// time; Keeping is the time before which a customer's records of a category go
	// now. Files counts what is on disk and names what nobody declared.
	Aged    func(ctx context.Context, c Canary, category string, at time.Time) (Aged, error)
	Keeping func(of ids.Tenant, category string) (before time.Time, ruled bool)
	Files   func() (all int, unknown []string, err error)
	// Law says what law keeps a category in the policy in force for the platform, and
	// how long; "" where none does. Custodian is Staff for one of the operator's
	// people who opens what it keeps; Looked counts what a user was shown of a
	// customer's conversations since a time, as it is on record.
	Law       func(category string) string
	Custodian func(ctx context.Context) (Colleague, func(), error)
	Looked    func(ctx context.Context, by ids.User, of ids.Tenant, since time.Time) (int, error)
	// Hashes gives the stored form of every chosen password; Cost checks one.
	Hashes func(context.Context, func(phc string) error) error
	// Person makes a user of the canary's with a chosen password; Pass makes a token
	// of one scope.
	Person func(ctx context.Context, c Canary, email address.Address, role access.Role, password string) error
	Pass   func(context.Context, Canary, access.Scope) (string, error)
	// Staff makes one of the operator's people and signs them in, until undone.
	Staff func(ctx context.Context) (Colleague, func(), error)
	// ReviewLate says that nobody reviewed the operator's own access in time, or "".
	ReviewLate func(context.Context) (string, error)
	// Attests is what people attest; Providers are those whose machines or services
	// the operator uses, by name; Untrained counts the operator's people and those
	// of them without a valid attestation, and says whether the policy in force
	// shuts those out.
	Attests   *attest.Store
	Providers func(ctx context.Context, infrastructure bool) ([]string, error)
	Untrained func(context.Context) (all, without int, shut bool, err error)
	// Contact makes a user of the canary's who is told of changes.
	Contact func(ctx context.Context, c Canary, email address.Address) error
	// Admit makes a link to a document that is not public, and gives its path.
	Admit func(k document.Kind, life time.Duration) (string, error)
	// Supply is the register of sub-processors as a probe reaches it.
	Supply SupplyDesk
	// Region is this server's; Pin puts the canary under another one's name, until
	// undone.
	Region string
	Pin    func(ctx context.Context, c Canary, region string) (undo func(), err error)
	// Parts are what the server is made of; Plant compares it once with a made-up
	// vulnerability record, until undone; Scans says what is wrong with the imported
	// data or "", and how many parts it names; Overdue counts findings past their
	// deadline.
	Parts   []osv.Package
	Plant   func(ctx context.Context, record []byte) (undo func(), err error)
	Scans   func(context.Context) (late, said string, err error)
	Overdue func(context.Context) (int, error)
	// Leaving makes a customer of its own, with credentials and a domain that has the
	// word in it; Leave ends its contract where the probe did not; Ended gives the
	// certificate, or nothing while the contract lives.
	Leaving func(ctx context.Context, word string) (Leaver, error)
	Leave   func(context.Context, ids.Tenant) error
	Ended   func(context.Context, ids.Tenant) ([]byte, error)
	// Backdate moves the end of a contract that was ordered into the past.
	Backdate func(ctx context.Context, of ids.Tenant, by time.Duration) error
	// Alerts tells an endpoint of alerts too, until undone.
	Alerts func(url string, secret []byte) (undo func(), err error)
	// Incidents is the desk of breaches; Drill opens one and sends its notices, and
	// Neighbour makes a second canary customer with one administrator, until undone.
	Incidents *incident.Desk
	Drill     func(ctx context.Context, customers []ids.Tenant) (incident.Incident, error)
	Neighbour func(ctx context.Context, administrator address.Address) (ids.Tenant, func(), error)
	// Backups are this server's. What lies in their place a probe looks at itself.
	Backups *backup.Keeper
	// Throwaway says that this is dev mode: nothing in it is meant to last.
	Throwaway bool
	// Console says whether this process has the console's role, Mail whether it
	// has the mail doors'. OneProcess: the store allows no second process.
	Console, Mail, OneProcess bool
	Clock                     clock.Clock
	// Patience is how long a probe waits for something; half a minute when zero.
	Patience time.Duration

	past recordings
}

// Canary is the probes' customer with what it signs in with.
type Canary struct {
	Tenant     ids.Tenant
	Domain     string
	Username   string
	Password   string
	Token      string
	Credential ids.Credential
	TokenID    ids.Token
}

// Colleague is one of the operator's people who acts for a probe.
type Colleague struct {
	User   ids.User
	Cookie string // "name=value"
}

// Ciphertext is what a message looks like at rest.
type Ciphertext struct {
	Body []byte // sealed bytes of the row
	Key  []byte // the wrapped key
	Row  []byte // the sealed envelope
}

// probe is one promise and how it is shown.
type probe struct {
	id    string
	check func(context.Context) (pledge.Status, string, error)
}

// Promise implements pledge.Probe.
func (p probe) Promise() string { return p.id }

// Check implements pledge.Probe.
func (p probe) Check(ctx context.Context) (pledge.Status, string, error) { return p.check(ctx) }

// All are the probes of this server.
func All(s *Server) []pledge.Probe {
	return []pledge.Probe{
		probe{"ca-rest", s.atRest},
		probe{"cm-encryption", s.encryption},
		probe{"cm-content-transient", s.inboundContentGoes},
		probe{"cm-inbound-http", s.inboundHTTP},
		probe{"cm-inbound-record", s.inboundRecord},
		probe{"cm-redact", s.redact},
		probe{"cm-outbound-policy", s.outboundPolicy},
		probe{"cm-metadata-delete", s.recordDeleted},
		probe{"cm-mgmt-separate", s.managementSeparate},
		probe{"cj-relay", s.relay},
		probe{"cj-hold", s.held},
		probe{"ca-monitoring", s.monitoring},
		probe{"cm-scans", s.scans},
		probe{"mb-patches", s.patched},
		probe{"ca-breach", s.breach},
		probe{"ca-incident", s.procedure},
		probe{"cm-lawful", s.lawful},
		probe{"cm-hoster", s.hoster},
		probe{"ca-training", s.training},
		probe{"ca-audits", s.audits},
		probe{"ca-audit-rights", s.auditRights},
		probe{"ca-soc2", s.providerReports},
		probe{"ca-datacentre", s.dataCentres},
		probe{"cl-authorities", s.authorities},
		probe{"mb-need-to-know", s.needToKnow},
		probe{"mb-vendor-assessment", s.vendors},
		probe{"cl-queue", s.queuedContentGoes},
		probe{"cl-retry", s.retry},
		probe{"cl-dsn", s.notice},
		probe{"cj-retention", s.retention},
		probe{"cl-log14", s.preparedLogs},
		probe{"cl-log12m", s.rawLogs},
		probe{"mb-ret-account", s.account},
		probe{"mb-ret-analytics", s.statistics},
		probe{"mb-ret-logs", s.logs},
		probe{"mb-ret-campaign", s.absent(noCampaigns, "campaign", "subscriber")},
		probe{"mb-ret-finance", s.absent(noBooks, books...)},
		probe{"mb-ret-tickets", s.absent(noTickets, "ticket")},
		probe{"cl-billing-10y", s.absent(noBooks, books...)},
		probe{"cl-minimise", s.minimise},
		probe{"ca-instructions", s.instructions},
		probe{"mb-legal-basis", s.legalBasis},
		probe{"mb-no-sale", s.noSale},
		probe{"ca-ropa", s.record},
		probe{"ca-rbac", s.roles},
		probe{"ca-rights", s.rights("access", "rectification", "portability", "objection", "erasure")},
		probe{"cj-rights", s.rights("access", "rectification", "portability", "objection", "erasure")},
		probe{"mb-rights7", s.rights("access", "rectification", "restriction", "portability", "objection", "withdrawal", "erasure")},
		probe{"cl-rights", s.withoutAccount},
		probe{"mb-ccpa", s.california},
		probe{"mb-erase", s.expired},
		probe{"ca-ddos", s.flood},
		probe{"mb-csrf", s.crossSite},
		probe{"mb-tls", s.handshakes},
		probe{"ca-transit", s.transit},
		probe{"mb-argon2id", s.passwords},
		probe{"mb-certificate", s.certificate},
		probe{"ca-termination", s.terminated},
		probe{"cl-contract-end", s.endsAtOnce},
		probe{"cm-subprocessors", s.subProcessors},
		probe{"cm-regions", s.regions},
		probe{"ca-subprocessor-notice", s.supplyNotice},
		probe{"ca-transfers", s.transfers},
		probe{"cj-vendor-terms", s.agreements},
		probe{"mb-vendor-dpa", s.agreements},
		probe{"cl-vendor-contracts", s.agreements},
		probe{"cj-sharing", s.sharing},
		probe{"cl-no-sharing", s.noSharing},
		probe{"mb-backups", s.backedUp},
		probe{"mb-backup-purge", s.backupsExpire},
		probe{"ca-backup-dr", s.recovery},
		probe{"ca-availability", s.available},
		probe{"cm-dpa", s.agreementSigned},
		probe{"cm-whitepaper", s.securityPaper},
		probe{"cm-contact", s.contact},
		probe{"cm-cookies", s.firstVisit},
		probe{"mb-banner", s.banner},
		probe{"ca-security-contact", s.securityContact},
		probe{"cj-intake", s.boxes},
		probe{"mb-dpo", s.officer},
		probe{"mb-policy-changes", s.policyChanges},
		probe{"mb-policy-accept", s.policyAccepted},
		probe{"mb-children", s.children},
	}
}

// kept and failing are the two common ends.
func kept(evidence string) (pledge.Status, string, error) { return pledge.Kept, evidence, nil }

func failing(evidence string) (pledge.Status, string, error) { return pledge.Failing, evidence, nil }

package access

import "slices"

// Permission is the right to do one sort of thing. Every operation of the API
// names one; the tables below are the only place that says who has it.
type Permission string

// The closed list of permissions.
const (
	SessionOwn         Permission = "session:own" // see and end one's own session
	MessagesSend       Permission = "messages:send"
	MessagesRead       Permission = "messages:read"
	MessagesContent    Permission = "messages:content"    // read bodies
	MessagesTranscript Permission = "messages:transcript" // read SMTP conversations
	MessagesDelete     Permission = "messages:delete"
	OverviewRead       Permission = "overview:read"
	QueueRead          Permission = "queue:read"
	QueueManage        Permission = "queue:manage"
	DomainsRead        Permission = "domains:read"
	DomainsManage      Permission = "domains:manage"
	RoutesRead         Permission = "routes:read"
	RoutesManage       Permission = "routes:manage"
	TokensManage       Permission = "tokens:manage"
	CredentialsManage  Permission = "credentials:manage"
	NetworksManage     Permission = "networks:manage" // credentials that are a network
	UsersRead          Permission = "users:read"
	UsersManage        Permission = "users:manage"
	SuppressionsRead   Permission = "suppressions:read"
	SuppressionsManage Permission = "suppressions:manage"
	SubjectsManage     Permission = "subjects:manage"
	CaughtRead         Permission = "caught:read"
	CaughtManage       Permission = "caught:manage"
	EvidenceRead       Permission = "evidence:read"
	PolicyRead         Permission = "policy:read"      // what is in force, and its versions
	PolicyManage       Permission = "policy:manage"    // publish: the operator the platform's, an owner a narrower one
	ContractEnd        Permission = "contract:end"     // order the end of a contract, and undo it
	ContractExport     Permission = "contract:export"  // fetch everything that is kept of the customer
	PlatformRead       Permission = "platform:read"    // customers, as a list
	PlatformManage     Permission = "platform:manage"  // add and end customers
	AssuranceRead      Permission = "assurance:read"   // attestations and findings
	AssuranceManage    Permission = "assurance:manage" // enter and change them
	GrantsTake         Permission = "grants:take"      // of staff: open personal data for a time and a reason
	IncidentsRead      Permission = "incidents:read"   // breaches: a customer the notices that concern it
	IncidentsManage    Permission = "incidents:manage"
	AuditRead          Permission = "audit:read"    // what auditors sample from: lists of a period, reviews of access, the bundle
	LawfulManage       Permission = "lawful:manage" // the register of authorities' requests, and what they are given
)

// Permissions is the closed list, in the order of the tables in the documents.
var permissions = []Permission{
	SessionOwn, MessagesSend, MessagesRead, MessagesContent, MessagesTranscript, MessagesDelete, OverviewRead,
	QueueRead, QueueManage, DomainsRead, DomainsManage, RoutesRead, RoutesManage, TokensManage, CredentialsManage,
	NetworksManage, UsersRead, UsersManage, SuppressionsRead, SuppressionsManage, SubjectsManage,
	CaughtRead, CaughtManage, EvidenceRead, PolicyRead, PolicyManage, ContractEnd, ContractExport, PlatformRead, PlatformManage,
	AssuranceRead, AssuranceManage, GrantsTake, LawfulManage,
	IncidentsRead, IncidentsManage, AuditRead,
}

// Permissions gives the closed list.
func Permissions() []Permission { return slices.Clone(permissions) }

// Reach says over whose things a permission goes.
type Reach uint8

// The reaches. A permission that is not held has None.
const (
	None Reach = iota
	Own        // those of the holder's own customer
	All        // those of every customer: the operator
)

// Role is what a user is within a tenant.
type Role string

// The closed list of roles. Operator and Custodian exist only in the platform's
// own tenant. A custodian opens the SMTP conversations that a law wants kept, and
// nothing else.
const (
	Operator  Role = "operator"
	Custodian Role = "custodian"
	Owner     Role = "owner"
	Admin     Role = "admin"
	Developer Role = "developer"
	Viewer    Role = "viewer"
	// Auditor is somebody whom a customer or the operator appoints until a date: they
	// see what shows compliance and nothing of anybody's mail.
	Auditor Role = "auditor"
)

// Roles gives the closed list, the mightiest first.
func Roles() []Role {
	return []Role{Operator, Custodian, Owner, Admin, Developer, Viewer, Auditor}
}

// OfPlatform reports that a role exists in the platform's own tenant alone.
func (r Role) OfPlatform() bool { return r == Operator || r == Custodian }

// Scope is what a token may be used for.
type Scope string

// The closed list of scopes.
const (
	ScopeMessagesSend       Scope = "messages:send"
	ScopeMessagesRead       Scope = "messages:read"
	ScopeMessagesContent    Scope = "messages:content"
	ScopeQueueManage        Scope = "queue:manage"
	ScopeDomainsManage      Scope = "domains:manage"
	ScopeRoutesManage       Scope = "routes:manage"
	ScopeTokensManage       Scope = "tokens:manage"
	ScopeSuppressionsManage Scope = "suppressions:manage"
	ScopeUsersManage        Scope = "users:manage"
	ScopeSubjectsManage     Scope = "subjects:manage"
	ScopeEvidenceRead       Scope = "evidence:read"
	ScopePolicyManage       Scope = "policy:manage"
	ScopeContractEnd        Scope = "contract:end"
	ScopePlatformRead       Scope = "platform:read"
	ScopePlatformManage     Scope = "platform:manage"
)

// Scopes gives the closed list.
func Scopes() []Scope {
	return []Scope{
		ScopeMessagesSend, ScopeMessagesRead, ScopeMessagesContent, ScopeQueueManage, ScopeDomainsManage,
		ScopeRoutesManage, ScopeTokensManage, ScopeSuppressionsManage, ScopeUsersManage, ScopeSubjectsManage,
		ScopeEvidenceRead, ScopePolicyManage, ScopeContractEnd, ScopePlatformRead, ScopePlatformManage,
	}
}

// Grants is what somebody may do, and how far it reaches.
type Grants map[Permission]Reach

// roleTable is the permission table's first half. A role has what its line
// names and no more; what a later room adds is a new word in these lines.
var roleTable = map[Role]Grants{
	// The operator runs the platform: what all customers' mail does, not what it
	// says. Bodies and conversations it opens only of its own mail.
	Operator: join(own(permissions...), all(
		MessagesRead, MessagesDelete, OverviewRead, QueueRead, QueueManage, DomainsRead, DomainsManage,
		RoutesRead, RoutesManage, UsersRead, UsersManage, SuppressionsRead, SuppressionsManage,
		SubjectsManage, CaughtRead, CaughtManage, EvidenceRead, ContractEnd, PlatformRead, PlatformManage, LawfulManage,
		IncidentsRead, IncidentsManage, AuditRead)),
	Custodian: join(own(SessionOwn, GrantsTake), all(MessagesTranscript)),
	Owner: own(SessionOwn, MessagesSend, MessagesRead, MessagesContent, MessagesTranscript, MessagesDelete, OverviewRead,
		QueueRead, QueueManage, DomainsRead, DomainsManage, RoutesRead, RoutesManage, TokensManage, CredentialsManage,
		NetworksManage, UsersRead, UsersManage, SuppressionsRead, SuppressionsManage, SubjectsManage,
		CaughtRead, CaughtManage, EvidenceRead, PolicyRead, PolicyManage, ContractEnd, ContractExport, IncidentsRead, AuditRead),
	Admin: own(SessionOwn, MessagesSend, MessagesRead, MessagesContent, MessagesTranscript, MessagesDelete, OverviewRead,
		QueueRead, QueueManage, DomainsRead, DomainsManage, RoutesRead, RoutesManage, TokensManage, CredentialsManage,
		UsersRead, UsersManage, SuppressionsRead, SuppressionsManage, CaughtRead, CaughtManage, EvidenceRead, PolicyRead, IncidentsRead, AuditRead),
	Developer: own(SessionOwn, MessagesSend, MessagesRead, MessagesContent, MessagesTranscript, OverviewRead,
		QueueRead, DomainsRead, RoutesRead, RoutesManage, TokensManage, CredentialsManage,
		SuppressionsRead, CaughtRead, CaughtManage, PolicyRead),
	Viewer:  own(SessionOwn, MessagesRead, OverviewRead, QueueRead, DomainsRead, RoutesRead, SuppressionsRead, PolicyRead),
	Auditor: own(SessionOwn, EvidenceRead, PolicyRead, IncidentsRead, AuditRead),
}

// platformAudit is what an auditor of the platform may besides.
var platformAudit = join(own(AssuranceRead), all(EvidenceRead, AuditRead))

// scopeTable is the second half: what a token with a scope may do.
var scopeTable = map[Scope]Grants{
	ScopeMessagesSend:       own(MessagesSend),
	ScopeMessagesRead:       own(MessagesRead, OverviewRead, QueueRead),
	ScopeMessagesContent:    own(MessagesRead, MessagesContent, MessagesTranscript, CaughtRead),
	ScopeQueueManage:        own(QueueRead, QueueManage, MessagesDelete, CaughtManage),
	ScopeDomainsManage:      own(DomainsRead, DomainsManage),
	ScopeRoutesManage:       own(RoutesRead, RoutesManage),
	ScopeTokensManage:       own(TokensManage, CredentialsManage),
	ScopeSuppressionsManage: own(SuppressionsRead, SuppressionsManage),
	ScopeUsersManage:        own(UsersRead, UsersManage),
	ScopeSubjectsManage:     own(SubjectsManage),
	ScopeEvidenceRead:       own(EvidenceRead, PolicyRead, IncidentsRead, AuditRead),
	ScopePolicyManage:       own(PolicyRead, PolicyManage),
	ScopeContractEnd:        own(ContractEnd, ContractExport),
	ScopePlatformRead:       all(PlatformRead, OverviewRead, QueueRead, DomainsRead, EvidenceRead, AuditRead),
	ScopePlatformManage:     all(PlatformRead, PlatformManage, QueueRead, QueueManage, UsersRead, UsersManage, ContractEnd, IncidentsRead, IncidentsManage),
}

func own(ps ...Permission) Grants { return grant(Own, ps) }
func all(ps ...Permission) Grants { return grant(All, ps) }

func grant(r Reach, ps []Permission) Grants {
	g := Grants{}
	for _, p := range ps {
		g[p] = r
	}
	return g
}

func join(gs ...Grants) Grants {
	sum := Grants{}
	for _, g := range gs {
		for p, r := range g {
			sum[p] = max(sum[p], r)
		}
	}
	return sum
}

// OfRole gives what a role may do; an unknown role may do nothing.
func OfRole(r Role) Grants { return join(roleTable[r]) }

// OfScopes gives what a token with these scopes may do. Every token may see
// whose it is.
func OfScopes(scopes ...Scope) Grants {
	sum := own(SessionOwn)
	for _, s := range scopes {
		sum = join(sum, scopeTable[s])
	}
	return sum
}

// Covers reports whether g holds everything that other holds, as far.
func (g Grants) Covers(other Grants) bool {
	for p, r := range other {
		if g[p] < r {
			return false
		}
	}
	return true
}

// List gives the permissions held, in the order of the closed list.
func (g Grants) List() []Permission {
	var held []Permission
	for _, p := range permissions {
		if g[p] != None {
			held = append(held, p)
		}
	}
	return held
}

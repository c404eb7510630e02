package access

import (
	"context"
	"crypto/subtle"
	"net/netip"
	"sync"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
	"mailvow/internal/standard/scram"
)

// CredentialKind is how a sender shows who it is.
type CredentialKind string

// The kinds.
const (
	PasswordKind CredentialKind = "password"
	NetworkKind  CredentialKind = "network"
)

// Credential lets programs send by SMTP. Its password is shown once.
type Credential struct {
	ID       ids.Credential
	Tenant   ids.Tenant
	Kind     CredentialKind
	Name     string
	Username string       // of a password
	Network  netip.Prefix // of a network
	Created  time.Time
	Used     time.Time // zero: never; to the minute
}

// Sender is who is sending by SMTP.
type Sender struct {
	Tenant     ids.Tenant
	Credential ids.Credential
}

// sealedCredential is what is sealed in a row: a password's verifier or a network.
type sealedCredential struct {
	Name     string          `json:"name"`
	Verifier *scram.Verifier `json:"scram,omitempty"`
	Network  string          `json:"network,omitempty"`
}

func credentialRow(t ids.Tenant, id ids.Credential) sealed.Row {
	return sealed.Row{Tenant: t, Table: "access_credential", ID: int64(id)}
}

// AddCredential makes a username and a password, which is given this once.
func (s *Store) AddCredential(ctx context.Context, in ids.Tenant, name string) (Credential, string, error) {
	name, err := checkName(name)
	if err != nil {
		return Credential{}, "", err
	}
	c := Credential{ID: ids.New[ids.Credential](s.IDs), Tenant: in, Kind: PasswordKind, Name: name, Username: generate("smtp-", 10)}
	password := generate("", passwordBytes)
	verifier, err := newVerifier(password)
	if err != nil {
		return Credential{}, "", fault.Wrap(err, "derive a SCRAM verifier")
	}
	hash, err := s.passwordHash(c.Username, password)
	if err != nil {
		return Credential{}, "", err
	}
	c, err = s.insertCredential(ctx, c, c.Username, hash[:], sealedCredential{Name: name, Verifier: &verifier})
	return c, password, err
}

// AddNetwork makes a network a credential. Without Config.Networks it is Denied;
// a network of more than 65,536 addresses (IPv4) or a /48 (IPv6) is Invalid.
func (s *Store) AddNetwork(ctx context.Context, in ids.Tenant, name string, network netip.Prefix) (Credential, error) {
	if !s.Networks {
		return Credential{}, fault.New(fault.Denied, "This server does not take networks for credentials.").WithHint("Set access.networks in the configuration to allow them.")
	}
	name, err := checkName(name)
	if err != nil {
		return Credential{}, err
	}
	least := 16
	if network.Addr().Is6() {
		least = 48
	}
	if !network.IsValid() || network.Bits() < least || network != network.Masked() || network.Addr().Is4In6() {
		return Credential{}, fault.Field("network", "The network has the form 192.0.2.0/24 or 2001:db8::/64, its host bits are zero, and it is no larger than /16 or /48.")
	}
	c := Credential{ID: ids.New[ids.Credential](s.IDs), Tenant: in, Kind: NetworkKind, Name: name, Network: network}
	c, err = s.insertCredential(ctx, c, nil, nil, sealedCredential{Name: name, Network: network.String()})
	s.networks.forget()
	return c, err
}

func (s *Store) insertCredential(ctx context.Context, c Credential, username, hash any, sc sealedCredential) (Credential, error) {
	blob, err := sealed.Put(s.Vault, vault.Account, credentialRow(c.Tenant, c.ID), sc)
	if err != nil {
		return Credential{}, err
	}
	err = s.DB.Change(ctx, "add a credential", func(tx *db.Tx) error {
		c.Created = tx.Now()
		_, err := tx.Do(ctx, s.set, "add_credential", c.ID, c.Tenant, c.Kind, username, hash, blob, c.Created)
		return err
	})
	return c, fault.Wrap(err, "add a credential")
}

func (s *Store) passwordHash(username, password string) ([16]byte, error) {
	return s.hash("smtp password", username+"\x00"+password)
}

// Credentials lists the scope's credentials, newest first, from before.
func (s *Store) Credentials(ctx context.Context, in scope.Scope, before ids.Credential, limit int) ([]Credential, error) {
	all, own := in.Args()
	var list []Credential
	err := s.set.Each(ctx, "credentials", []any{all, own, from(before), limit}, func(scan func(...any) error) error {
		var c Credential
		var blob []byte
		var used int64
		if err := scan(&c.ID, &c.Tenant, &c.Kind, &c.Username, &blob, &c.Created, &used); err != nil {
			return err
		}
		var sc sealedCredential
		if err := sealed.Get(s.Vault, credentialRow(c.Tenant, c.ID), blob, &sc); err != nil {
			return err
		}
		c.Name, c.Used = sc.Name, moment(used)
		if sc.Network != "" {
			var err error
			if c.Network, err = netip.ParsePrefix(sc.Network); err != nil {
				return fault.Wrap(err, "read a network")
			}
		}
		list = append(list, c)
		return nil
	})
	return list, fault.Wrap(err, "list credentials")
}

// RemoveCredential ends a credential of the scope: on this node at once, on
// others within Limits.Cache.
func (s *Store) RemoveCredential(ctx context.Context, in scope.Scope, id ids.Credential) error {
	all, own := in.Args()
	n, err := s.change(ctx, "remove a credential", "delete_credential", all, own, id)
	s.credentials.forget(id)
	s.networks.forget()
	return mustFind(n, err, "There is no such credential.")
}

// Authenticate says who sends, or Unauthenticated. It computes one keyed hash
// and, for a credential that was used lately, asks no database: a flood of AUTH
// is cheap.
func (s *Store) Authenticate(ctx context.Context, username, password string) (Sender, error) {
	got, err := s.passwordHash(username, password)
	if err != nil {
		return Sender{}, err
	}
	c, err := s.credential(ctx, username)
	if err != nil {
		return Sender{}, err
	}
	if subtle.ConstantTimeCompare(got[:], c.hash[:]) != 1 || !c.known() {
		return Sender{}, wrongCredential()
	}
	return c.sender, s.admit(ctx, c)
}

// Scram gives the verifier for a username, or the zero Verifier for one that does
// not exist: the door then plays the exchange to its end. The sender counts only
// after the client's proof; call Admit then. A suspended customer is Denied.
func (s *Store) Scram(ctx context.Context, username string) (scram.Verifier, Sender, error) {
	c, err := s.credential(ctx, username)
	if err != nil {
		return scram.Verifier{}, Sender{}, err
	}
	if c.known() {
		err = s.Tenants.Active(ctx, c.sender.Tenant)
	}
	return c.verifier, c.sender, err
}

// Admit says who sends, once SCRAM has shown that the username's password is known.
func (s *Store) Admit(ctx context.Context, username string) (Sender, error) {
	c, err := s.credential(ctx, username)
	if err != nil {
		return Sender{}, err
	}
	if !c.known() {
		return Sender{}, wrongCredential()
	}
	return c.sender, s.admit(ctx, c)
}

func wrongCredential() error {
	return fault.New(fault.Unauthenticated, "The username or the password is wrong.")
}

func (s *Store) admit(ctx context.Context, c *verified) error {
	if err := s.Tenants.Active(ctx, c.sender.Tenant); err != nil {
		return err
	}
	now := s.Clock.Now()
	if !c.note(now) {
		return nil
	}
	if _, err := s.change(ctx, "note a credential's use", "used_credential", c.sender.Credential, now); err != nil && !storeResting(err) {
		return err
	}
	return nil
}

// credential reads a username's row, from memory where it is fresh. An unknown
// username gives one that is not known; it is not kept, so that guesses cannot
// push real ones out.
func (s *Store) credential(ctx context.Context, username string) (*verified, error) {
	now := s.Clock.Now()
	if c := s.credentials.get(username, now); c != nil {
		return c, nil
	}
	if !looksGenerated(username, "smtp-", 10) {
		return &verified{}, nil
	}
	c := &verified{until: now.Add(s.Limits.Cache)}
	var hash, blob []byte
	var used int64
	err := s.set.One(ctx, "credential", []any{username}, &c.sender.Credential, &c.sender.Tenant, &hash, &blob, &used)
	if fault.Is(err, fault.NotFound) {
		return &verified{}, nil
	}
	if err != nil {
		return nil, fault.Wrap(err, "find a credential")
	}
	var sc sealedCredential
	if err := sealed.Get(s.Vault, credentialRow(c.sender.Tenant, c.sender.Credential), blob, &sc); err != nil {
		return nil, err
	}
	if len(hash) != len(c.hash) || sc.Verifier == nil {
		return nil, fault.New(fault.Internal, "a credential's row is damaged")
	}
	c.hash, c.verifier, c.used = [16]byte(hash), *sc.Verifier, moment(used)
	s.credentials.put(username, c)
	return c, nil
}

// verified is a credential in memory.
type verified struct {
	sender   Sender
	hash     [16]byte
	verifier scram.Verifier
	until    time.Time
	mu       sync.Mutex
	used     time.Time
}

func (c *verified) known() bool { return c.sender.Tenant != 0 }

// note reports whether "last used" is old enough to be written down again.
func (c *verified) note(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.used) < usedEvery {
		return false
	}
	c.used = now
	return true
}

const maxCredentials = 4096

// credentialCache is bounded; when it is full, any entry may go.
type credentialCache struct {
	mu   sync.Mutex
	each map[string]*verified
}

func newCredentialCache() *credentialCache {
	return &credentialCache{each: map[string]*verified{}}
}

func (k *credentialCache) get(username string, now time.Time) *verified {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.each[username]
	if c != nil && !now.Before(c.until) {
		delete(k.each, username)
		return nil
	}
	return c
}

func (k *credentialCache) put(username string, c *verified) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name := range k.each {
		if len(k.each) < maxCredentials {
			break
		}
		delete(k.each, name)
	}
	k.each[username] = c
}

func (k *credentialCache) forget(id ids.Credential) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, c := range k.each {
		if c.sender.Credential == id {
			delete(k.each, name)
		}
	}
}

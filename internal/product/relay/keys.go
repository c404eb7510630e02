package relay

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base32"
	"strings"
	"sync"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/flow/intake"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
	"mailvow/internal/standard/dkim"
)

var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newToken makes what a customer publishes: random, so that nobody can publish
// it beforehand.
func newToken() string {
	b := make([]byte, 20)
	rand.Read(b)
	return letters.EncodeToString(b)
}

// signingKey is a key as its row keeps it.
type signingKey struct {
	id        ids.Key
	selector  string
	algorithm string
	record    string
	sealed    []byte
}

// sealedKey is what is sealed in the row.
type sealedKey struct {
	PKCS8 []byte `json:"pkcs8"`
}

func keyRow(tenant ids.Tenant, id ids.Key) sealed.Row {
	return sealed.Row{Tenant: tenant, Table: "relay_key", ID: int64(id)}
}

// newKeys makes an RSA-2048 key, which every receiver knows, and an Ed25519 key
// (RFC 8463). Their selectors name the month, so that a later pair fits beside.
func (s *Store) newKeys(d Domain) ([]signingKey, error) {
	big, err := s.NewRSA()
	if err != nil {
		return nil, fault.Wrap(err, "make an RSA key")
	}
	_, small, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fault.Wrap(err, "make an Ed25519 key")
	}
	month := s.Clock.Now().Format("200601")
	var keys []signingKey
	for _, k := range []struct {
		algorithm, selector string
		private             crypto.Signer
	}{{"rsa", "mv" + month + "r", big}, {"ed25519", "mv" + month + "e", small}} {
		made, err := s.newKey(d, k.algorithm, k.selector, k.private)
		if err != nil {
			return nil, err
		}
		keys = append(keys, made)
	}
	return keys, nil
}

func (s *Store) newKey(d Domain, algorithm, selector string, private crypto.Signer) (signingKey, error) {
	k := signingKey{id: ids.New[ids.Key](s.IDs), selector: selector, algorithm: algorithm}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return k, fault.Wrap(err, "write a private key")
	}
	if k.record, err = dkim.Record(private.Public()); err != nil {
		return k, err
	}
	k.sealed, err = sealed.Put(s.Vault, vault.Account, keyRow(d.Tenant, k.id), sealedKey{der})
	clear(der)
	return k, err
}

// keysOf reads a domain's keys.
func (s *Store) keysOf(ctx context.Context, d Domain) ([]signingKey, error) {
	var keys []signingKey
	err := s.set.Each(ctx, "keys", []any{d.ID}, func(scan func(...any) error) error {
		var k signingKey
		var tenant ids.Tenant
		err := scan(&k.id, &tenant, &k.selector, &k.algorithm, &k.record, &k.sealed)
		keys = append(keys, k)
		return err
	})
	return keys, fault.Wrap(err, "read a domain's keys")
}

func (s *Store) open(d Domain, k signingKey) (dkim.Key, error) {
	var plain sealedKey
	if err := sealed.Get(s.Vault, keyRow(d.Tenant, k.id), k.sealed, &plain); err != nil {
		return dkim.Key{}, err
	}
	private, err := x509.ParsePKCS8PrivateKey(plain.PKCS8)
	clear(plain.PKCS8)
	if err != nil {
		return dkim.Key{}, fault.Wrap(err, "read a private key")
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return dkim.Key{}, fault.New(fault.Internal, "a stored key cannot sign")
	}
	return dkim.Key{Domain: d.Name, Selector: k.selector, Private: signer}, nil
}

// Sign gives the DKIM-Signature fields of a message that a customer sends as a
// domain, or nothing where the domain is not the customer's. It fills
// intake.Signer.
func (s *Store) Sign(ctx context.Context, tenant ids.Tenant, domain string, content intake.Content) ([]byte, error) {
	o, err := s.owner(ctx, domain)
	if err != nil || o.tenant != tenant || len(o.keys) == 0 {
		return nil, err
	}
	return dkim.Sign(ctx, content, o.keys, s.Clock.Now(), s.RSA)
}

var _ intake.Signer = (*Store)(nil)

// owner is whose a domain is, with its keys parsed. A domain that is nobody's is
// kept as well, shortly.
type owner struct {
	tenant ids.Tenant
	keys   []dkim.Key
	until  time.Time
}

const (
	maxOwners    = 4096
	ownerLife    = 60 * time.Second
	strangerLife = 5 * time.Second
)

// owners is bounded; when it is full, any entry may go.
type owners struct {
	mu   sync.Mutex
	each map[string]*owner
}

func (k *owners) get(domain string, now time.Time) *owner {
	k.mu.Lock()
	defer k.mu.Unlock()
	o := k.each[domain]
	if o != nil && !now.Before(o.until) {
		delete(k.each, domain)
		return nil
	}
	return o
}

func (k *owners) put(domain string, o *owner) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name := range k.each {
		if len(k.each) < maxOwners {
			break
		}
		delete(k.each, name)
	}
	k.each[domain] = o
}

func (k *owners) forget(domain string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.each, domain)
}

// owner finds whose a domain is; the zero tenant is nobody.
func (s *Store) owner(ctx context.Context, domain string) (*owner, error) {
	domain = strings.ToLower(domain)
	now := s.Clock.Now()
	if o := s.owners.get(domain, now); o != nil {
		return o, nil
	}
	list, err := s.read(ctx, "owner", domain)
	if err != nil {
		return nil, fault.Wrap(err, "find a domain's owner")
	}
	o := &owner{until: now.Add(strangerLife)}
	if len(list) == 1 {
		o.tenant, o.until = list[0].Tenant, now.Add(ownerLife)
		rows, err := s.keysOf(ctx, list[0])
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			key, err := s.open(list[0], row)
			if err != nil {
				return nil, err
			}
			o.keys = append(o.keys, key)
		}
	}
	s.owners.put(domain, o)
	return o, nil
}

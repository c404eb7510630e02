package certificates

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"mailvow/internal/base/fault"
)

// issuer asks an ACME authority (RFC 8555). It is our own and not certmagic's,
// because its connections go through keep/egress and its challenges are answered
// by listeners that are open anyway.
type issuer struct {
	directory *url.URL
	email     string
	client    *acmez.Client
	storage   *storage
}

var _ certmagic.Issuer = (*issuer)(nil)

func newIssuer(c Config, s *storage) (*issuer, error) {
	u, err := url.Parse(c.Directory)
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "The ACME directory is no URL.")
	}
	i := &issuer{directory: u, email: c.Email, storage: s}
	solve := solver{i}
	solvers := map[string]acmez.Solver{acme.ChallengeTypeTLSALPN01: solve}
	if !c.NoHTTP {
		solvers[acme.ChallengeTypeHTTP01] = solve
	}
	if c.NoTLSALPN {
		delete(solvers, acme.ChallengeTypeTLSALPN01)
	}
	i.client = &acmez.Client{
		Client: &acme.Client{
			Directory: c.Directory, HTTPClient: &http.Client{Transport: c.Transport, Timeout: time.Minute}, UserAgent: "Mailvow",
			Logger: c.Observe.For(pkg).Log,
		},
		ChallengeSolvers: solvers,
	}
	return i, nil
}

// IssuerKey implements certmagic.Issuer: certificates of one directory are alike.
func (i *issuer) IssuerKey() string {
	return certmagic.StorageKeys.Safe(i.directory.Host + i.directory.Path)
}

// Issue implements certmagic.Issuer.
func (i *issuer) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	account, err := i.account(ctx)
	if err != nil {
		return nil, fault.Wrap(err, "sign in at the certificate authority")
	}
	order, err := acmez.OrderParametersFromCSR(account, csr)
	if err != nil {
		return nil, fault.Wrap(err, "order a certificate")
	}
	chains, err := i.client.ObtainCertificate(ctx, order)
	if err != nil {
		return nil, fault.Wrap(err, "order a certificate")
	}
	if len(chains) == 0 {
		return nil, fault.New(fault.Unavailable, "The certificate authority gave no certificate.")
	}
	return &certmagic.IssuedCertificate{Certificate: chains[0].ChainPEM, Metadata: chains[0]}, nil
}

// kept is an account as it is stored.
type kept struct {
	Account acme.Account `json:"account"`
	Key     []byte       `json:"key"`
}

func (i *issuer) accountName() string { return "acme/" + i.IssuerKey() + "/account" }

// account loads the account, or makes one; all nodes use the same.
func (i *issuer) account(ctx context.Context) (account acme.Account, err error) {
	if account, err = i.loadAccount(ctx); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return account, err
	}
	if err := i.storage.Lock(ctx, i.accountName()); err != nil {
		return account, err
	}
	defer func() { err = errors.Join(err, i.storage.Unlock(context.WithoutCancel(ctx), i.accountName())) }()
	if account, err = i.loadAccount(ctx); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return account, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return account, err
	}
	account = acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if i.email != "" {
		account.Contact = []string{"mailto:" + i.email}
	}
	if account, err = i.client.NewAccount(ctx, account); err != nil {
		return account, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return account, err
	}
	b, err := json.Marshal(kept{account, der})
	if err != nil {
		return account, err
	}
	return account, i.storage.Store(ctx, i.accountName(), b)
}

func (i *issuer) loadAccount(ctx context.Context) (acme.Account, error) {
	b, err := i.storage.Load(ctx, i.accountName())
	if err != nil {
		return acme.Account{}, err
	}
	var k kept
	if err := json.Unmarshal(b, &k); err != nil {
		return acme.Account{}, fault.Wrap(err, "read the account")
	}
	key, err := x509.ParsePKCS8PrivateKey(k.Key)
	if err != nil {
		return acme.Account{}, fault.Wrap(err, "read the account")
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return acme.Account{}, fault.New(fault.Internal, "the account's key is of another kind")
	}
	k.Account.PrivateKey = private
	return k.Account, nil
}

// solver puts a challenge where every node finds it, since the authority may ask
// any of them.
type solver struct{ *issuer }

func challengeName(kind, name string) string {
	return "acme/challenge/" + kind + "/" + certmagic.StorageKeys.Safe(name)
}

// Present implements acmez.Solver.
func (s solver) Present(ctx context.Context, c acme.Challenge) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return s.storage.Store(ctx, challengeName(c.Type, c.Identifier.Value), b)
}

// CleanUp implements acmez.Solver.
func (s solver) CleanUp(ctx context.Context, c acme.Challenge) error {
	return s.storage.Delete(ctx, challengeName(c.Type, c.Identifier.Value))
}

func (i *issuer) challenge(ctx context.Context, kind, name string) (c acme.Challenge, err error) {
	b, err := i.storage.Load(ctx, challengeName(kind, name))
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(b, &c)
}

// alpn answers TLS-ALPN-01 (RFC 8737 3).
func (i *issuer) alpn(ctx context.Context, name string) (*tls.Certificate, error) {
	c, err := i.challenge(ctx, acme.ChallengeTypeTLSALPN01, name)
	if err != nil {
		return nil, err
	}
	return acmez.TLSALPN01ChallengeCert(c)
}

const wellKnown = "/.well-known/acme-challenge/"

// ServeHTTP answers HTTP-01 (RFC 8555 8.3).
func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	c, err := i.challenge(r.Context(), acme.ChallengeTypeHTTP01, strings.ToLower(host))
	if err != nil || c.Token == "" || r.URL.Path != wellKnown+c.Token {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if _, err := w.Write([]byte(c.KeyAuthorization)); err != nil {
		return // the authority hung up and will ask again
	}
}

package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"sync"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
)

// madeUp makes a certificate for dev mode, known to nobody.
func madeUp(c clock.Clock, names ...string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[0]}, NotBefore: c.Now().Add(-time.Hour), NotAfter: c.Now().AddDate(1, 0, 0),
		DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// fileCertificate is a certificate in files that is read again when they
// change, looked at once a minute at most, so that a renewal needs no restart.
type fileCertificate struct {
	clock     clock.Clock
	chain     string
	key       string
	mu        sync.Mutex
	current   *tls.Certificate
	looked    time.Time
	chainTime time.Time
}

const lookAgain = time.Minute

// newFileCertificate reads the files once; wrong files are an Invalid fault.
func newFileCertificate(c clock.Clock, chain, key string) (*fileCertificate, error) {
	f := &fileCertificate{clock: c, chain: chain, key: key}
	if _, err := f.get(nil); err != nil {
		return nil, fault.Because(fault.Invalid, err, fmt.Sprintf("The certificate in %s and %s cannot be used: %v.", chain, key, err))
	}
	return f, nil
}

func (f *fileCertificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.clock.Now()
	if f.current != nil && now.Sub(f.looked) < lookAgain {
		return f.current, nil
	}
	f.looked = now
	info, err := os.Stat(f.chain)
	if err == nil && f.current != nil && info.ModTime().Equal(f.chainTime) {
		return f.current, nil
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(f.chain, f.key)
	}
	switch {
	case err == nil:
		f.current, f.chainTime = &pair, info.ModTime()
	case f.current == nil:
		return nil, err
	}
	return f.current, nil // a half-written renewal: the old one serves until the next look
}

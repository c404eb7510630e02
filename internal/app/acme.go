package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"

	"mailvow/internal/app/config"
	"mailvow/internal/base/fault"
	"mailvow/internal/door/certificates"
	"mailvow/internal/keep/egress"
)

// acmeDestination declares the certificate authority: the host of its directory.
func acmeDestination(c *config.ACME) egress.Destination {
	d := egress.Destination{Name: "acme", Use: "certificates", Purpose: "get certificates for this server's names", Owner: egress.Operator}
	if u, err := url.Parse(c.Directory); err == nil { // checked with the configuration
		port := u.Port()
		if port == "" {
			port = "443"
		}
		d.Hosts = []string{net.JoinHostPort(u.Hostname(), port)}
	}
	return d
}

// openACME makes the keeper of certificates; Start begins its work.
func (h *House) openACME() (getCertificate, error) {
	c := h.Config.TLS.ACME
	dialer, err := h.gate.To("acme")
	if err != nil {
		return nil, err
	}
	transport := dialer.HTTPTransport()
	if c.Roots != "" {
		pool := x509.NewCertPool()
		pem, err := os.ReadFile(c.Roots)
		if err != nil || !pool.AppendCertsFromPEM(pem) {
			return nil, fault.Because(fault.Invalid, err, fmt.Sprintf("tls.acme.roots: %s holds no certificate that can be read.", c.Roots))
		}
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	h.acme, err = certificates.New(certificates.Config{
		Directory: c.Directory, Email: c.Email, NoHTTP: h.Config.Listen.HTTP == "", NoTLSALPN: h.Config.Listen.HTTPS == "",
		Transport: transport, Names: h.webHosts, PointsHere: h.pointsHere,
		DB: h.db, Vault: h.vault, IDs: h.ids, Clock: h.Clock, Observe: h.observe,
	})
	if err != nil {
		return nil, err
	}
	return h.acme.GetCertificate, nil
}

// answerACME answers HTTP-01 before anything else sees the request.
func (h *House) answerACME(next http.Handler) http.Handler {
	if h.acme == nil {
		return next
	}
	return h.acme.Handler(next)
}

// pointsHere says whether one of a name's addresses is this server's: of an
// interface of this machine, or listed in tls.acme.addresses.
func (h *House) pointsHere(ctx context.Context, name string) (bool, error) {
	found, err := h.resolver.Addresses(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	ours, err := net.InterfaceAddrs()
	if err != nil {
		return false, fault.Wrap(err, "list this machine's addresses")
	}
	mine := map[netip.Addr]bool{}
	for _, a := range ours {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			mine[p.Addr().Unmap()] = true
		}
	}
	for _, a := range h.Config.TLS.ACME.Addresses {
		mine[netip.MustParseAddr(a).Unmap()] = true // checked with the configuration
	}
	for _, a := range found {
		if mine[a.Unmap()] {
			return true, nil
		}
	}
	return false, nil
}

package app

import (
	"crypto/tls"
	"errors"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/reply"
	"mailvow/internal/door/smtpserver"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/protect/policy"
)

// floors are what the policy in force asks of TLS, of the platform with the zero
// tenant and of a customer, whose own can only be higher.
type floors struct {
	policies *policy.Store
	clock    clock.Clock
}

func (f floors) of(t ids.Tenant) policy.TLS { return f.policies.For(t, f.clock.Now()).Document.TLS }

// version is the floor of a door; 0 takes what comes, without TLS too.
func version(l policy.Listener) uint16 {
	switch l {
	case policy.TLS13:
		return tls.VersionTLS13
	case policy.TLS12:
		return tls.VersionTLS12
	case policy.Offered:
	}
	return 0
}

// outbound is what delivery asks of other servers for a customer.
func (f floors) outbound(t ids.Tenant) deliver.Floor {
	said := f.of(t)
	return deliver.Floor{Required: said.Outbound == policy.Required, Verified: said.Outbound == policy.Verified, Version: version(said.Version)}
}

// door is what the platform asks of every handshake at a door.
func (f floors) door(name string) func() uint16 {
	return func() uint16 {
		said := f.of(0)
		switch name {
		case "mx":
			return version(said.MX)
		case "https":
			return version(said.Web)
		}
		return version(said.Submission)
	}
}

// mail judges a session that begins a message (submission) or names a recipient
// (MX) of a customer, or with the zero tenant of the platform. What comes from
// this machine to the submission doors crosses no network and needs no TLS.
func (f floors) mail(peer *smtpserver.Peer, t ids.Tenant) *reply.Reply {
	least := version(f.of(t).MX)
	if peer.Role != smtpserver.MX {
		least = version(f.of(t).Submission)
		if peer.TLSVersion == 0 && peer.IP.IsLoopback() {
			return nil
		}
	}
	if peer.TLSVersion >= least {
		return nil
	}
	no := reply.New(550, "5.7.10", tls.VersionName(least)+" or later is needed here, by the privacy policy in force.")
	if peer.TLSVersion == 0 {
		no = reply.New(530, "5.7.0", "Say STARTTLS first; mail is taken here over "+tls.VersionName(least)+" or later only.")
	}
	return &no
}

// doorMeters count what comes to our doors, by door.
type doorMeters struct {
	sessions *prometheus.CounterVec
	turned   *prometheus.CounterVec
	below    atomic.Int64 // TLS sessions under the floor of their moment
}

func newDoorMeters(r prometheus.Registerer) (*doorMeters, error) {
	m := &doorMeters{
		sessions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailvow_tls_sessions_total", Help: "TLS sessions at our doors, by version.",
		}, []string{"door", "version"}),
		turned: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailvow_http_turned_away_total", Help: "Connections to web doors for which there was no place.",
		}, []string{"door"}),
	}
	return m, fault.Wrap(errors.Join(r.Register(m.sessions), r.Register(m.turned)), "register the metrics of doors")
}

func (m *doorMeters) session(door string, version, floor uint16) {
	m.sessions.WithLabelValues(door, tls.VersionName(version)).Inc()
	if version < floor {
		m.below.Add(1)
	}
}

// serverTLS is the configuration of every listener: TLS 1.2 at least, or what the
// policy asks at the moment of the handshake.
func (h *House) serverTLS(name string, get getCertificate, protocols ...string) *tls.Config {
	floor := h.floors().door(name)
	least := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get, NextProtos: protocols}
	least.VerifyConnection = func(s tls.ConnectionState) error {
		h.doorMeters.session(name, s.Version, floor())
		return nil
	}
	higher := least.Clone()
	higher.MinVersion = tls.VersionTLS13
	least.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if floor() > tls.VersionTLS12 {
			return higher, nil
		}
		return nil, nil //nolint:nilnil // what tls.Config asks for: the one that it has
	}
	return least
}

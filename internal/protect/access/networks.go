package access

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/sealed"
)

const maxNetworks = 1000

// networkCache holds every network that is a credential; there are few.
type networkCache struct {
	mu    sync.Mutex
	list  []trusted
	until time.Time
}

type trusted struct {
	network netip.Prefix
	sender  Sender
}

func (n *networkCache) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.until = time.Time{}
}

// Trusted says whose network an address lies in, the narrowest one. Without
// Config.Networks nobody's.
func (s *Store) Trusted(ctx context.Context, ip netip.Addr) (Sender, bool, error) {
	if !s.Networks {
		return Sender{}, false, nil
	}
	list, err := s.trustedNetworks(ctx)
	if err != nil {
		return Sender{}, false, err
	}
	best := -1
	for i, t := range list {
		if t.network.Contains(ip.Unmap()) && (best < 0 || t.network.Bits() > list[best].network.Bits()) {
			best = i
		}
	}
	if best < 0 {
		return Sender{}, false, nil
	}
	if err := s.Tenants.Active(ctx, list[best].sender.Tenant); err != nil {
		return Sender{}, false, err
	}
	return list[best].sender, true, nil
}

func (s *Store) trustedNetworks(ctx context.Context) ([]trusted, error) {
	now := s.Clock.Now()
	s.networks.mu.Lock()
	list, fresh := s.networks.list, now.Before(s.networks.until)
	s.networks.mu.Unlock()
	if fresh {
		return list, nil
	}
	list = nil
	err := s.set.Each(ctx, "networks", []any{maxNetworks}, func(scan func(...any) error) error {
		var t trusted
		var blob []byte
		if err := scan(&t.sender.Credential, &t.sender.Tenant, &blob); err != nil {
			return err
		}
		var sc sealedCredential
		if err := sealed.Get(s.Vault, credentialRow(t.sender.Tenant, t.sender.Credential), blob, &sc); err != nil {
			return err
		}
		var err error
		t.network, err = netip.ParsePrefix(sc.Network)
		list = append(list, t)
		return fault.Wrap(err, "read a network")
	})
	if err != nil {
		return nil, fault.Wrap(err, "list networks")
	}
	s.networks.mu.Lock()
	defer s.networks.mu.Unlock()
	s.networks.list, s.networks.until = list, now.Add(s.Limits.Cache)
	return list, nil
}

package tenant

import (
	"context"
	"fmt"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
)

// unnamed is the region of a server that was never told its own.
const unnamed = "local"

// EnsurePlatform makes tenant 1 on the first start and pins the store to the
// server's region. A store that was made in another region is a Conflict: nobody's
// data moves because a file says so. One whose region had no name yet gets it.
func (s *Store) EnsurePlatform(ctx context.Context, name, region string) error {
	if err := s.insert(ctx, Tenant{ID: Platform, Name: name, Region: region}); err != nil {
		return err
	}
	p, err := s.Get(ctx, scope.Everyone, Platform)
	if err != nil {
		return err
	}
	if p.Region == unnamed && region != unnamed {
		err := s.db.Change(ctx, "name the region", func(tx *db.Tx) error {
			_, err := tx.Do(ctx, s.set, "name_region", region, tx.Now())
			return err
		})
		if err != nil {
			return fault.Wrap(err, "name the region")
		}
		p.Region = region
	}
	if p.Region != region {
		return fault.New(fault.Conflict, fmt.Sprintf("The data of this server belongs in the region %s, and the configuration says that the server stands in %.60q.", p.Region, region)).
			WithHint("Set region back to " + p.Region + ". A customer goes to another region by an account there and the export from here.")
	}
	s.region = region
	return nil
}

// Region is this server's.
func (s *Store) Region() string { return s.region }

// Pin writes another region on a customer, as a row from elsewhere would have it: the
// probes look whether their own customer is then served. What it is, and that it is
// put back, is the caller's to see to.
func (s *Store) Pin(ctx context.Context, id ids.Tenant, region string) error {
	err := s.db.Change(ctx, "pin a customer", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "pin", id, region, tx.Now())
		return err
	})
	s.Forget(id)
	return fault.Wrap(err, "pin a customer")
}

func (s *Store) foreign(region string) bool { return s.region != "" && region != s.region }

// settles gives the region of a new customer.
func (s *Store) settles(region string) (string, error) {
	if region == "" {
		return s.region, nil
	}
	if s.foreign(region) {
		return "", fault.Field("region", fmt.Sprintf("This server keeps customers of the region %s and no other. Add this one %s.", s.region, s.server(region)))
	}
	return region, nil
}

// stays refuses to move a customer.
func (s *Store) stays(from, to string) error {
	return fault.New(fault.Conflict, fmt.Sprintf("A customer is not moved from one region to another: its data stays in %s. Open an account %s, and take the export there.", from, s.server(to)))
}

// elsewhere is what a customer of another region hears.
func (s *Store) elsewhere(region string) error {
	return fault.New(fault.Denied, fmt.Sprintf("This account belongs to the region %s, and this server serves %s alone. Sign in %s.", region, s.region, s.server(region)))
}

// server says where the customers of a region are served.
func (s *Store) server(region string) string {
	if at := s.Servers[region]; at != "" {
		return "at " + at
	}
	return fmt.Sprintf("at the operator's server in %.60q", region)
}

package vault

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"sync"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// Store is the key store: two copies of every record. Copy a is written first
// and erased last, so that it decides.
type Store struct {
	a, b shelf
	// fixing keeps the mending of a copy apart from a destruction, which it would
	// otherwise undo, and from a record that stands in one copy so far, because
	// the other is being written. Who writes a record holds it for reading.
	fixing sync.RWMutex
}

// shelf is one copy. Names are folder/file; a method that changes something has
// made it durable when it returns.
type shelf interface {
	start(ctx context.Context) error
	// put replaces; with fresh it refuses a name that is taken (Conflict).
	put(ctx context.Context, folder, file string, content []byte, fresh bool) error
	// get gives a NotFound fault if there is no such record.
	get(ctx context.Context, folder, file string) ([]byte, error)
	// erase overwrites and removes; what is not there counts as erased.
	erase(ctx context.Context, folder string, files ...string) error
	// remove takes a file without a secret away in one step, so that a crash
	// leaves it whole or not at all.
	remove(ctx context.Context, folder, file string) error
	// list gives the files of a folder, none if there is no such folder.
	list(ctx context.Context, folder string) ([]string, error)
	// tenants gives the names of the folders of keys.
	tenants(ctx context.Context) ([]string, error)
}

const (
	ending  = "ending"  // destructions under way, one file each
	retired = "retired" // tenant keys that were rotated out, one file each
	gone    = "gone"    // in a tenant's folder: its keys were destroyed for good
)

func folderOf(tenant ids.Tenant) string { return fmt.Sprintf("keys/%016x", uint64(tenant)) }

func fileOfKey(tenant ids.Tenant, id ids.Key) string {
	return fmt.Sprintf("%016x-%016x", uint64(tenant), uint64(id))
}

// start makes the folders, clears what a crash left and finishes destructions.
func (s *Store) start(ctx context.Context) error {
	if err := errors.Join(s.a.start(ctx), s.b.start(ctx)); err != nil {
		return err
	}
	found, err := s.list(ctx, ending)
	if err = errors.Join(err, found.doubt); err != nil {
		return err
	}
	for _, file := range found.names {
		tenant, names, err := s.readEnding(ctx, file)
		if err != nil {
			return err
		}
		if err := s.finish(ctx, tenant, file, names); err != nil {
			return err
		}
	}
	return nil
}

// listing is what both copies hold. doubt says why a copy could not be asked:
// then a name that is missing may exist all the same.
type listing struct {
	names []string
	doubt error
}

func (l listing) has(name string) bool {
	_, ok := slices.BinarySearch(l.names, name)
	return ok
}

func (l listing) find(prefix string) string {
	if i, _ := slices.BinarySearch(l.names, prefix); i < len(l.names) && strings.HasPrefix(l.names[i], prefix) {
		return l.names[i]
	}
	return ""
}

func (s *Store) list(ctx context.Context, folder string) (listing, error) {
	inA, errA := s.a.list(ctx, folder)
	inB, errB := s.b.list(ctx, folder)
	if errA != nil && errB != nil {
		return listing{}, errA
	}
	all := slices.Concat(inA, inB)
	slices.Sort(all)
	return listing{names: slices.Compact(all), doubt: errors.Join(errA, errB)}, nil
}

// keys lists a tenant's records, without those whose destruction has begun.
func (s *Store) keys(ctx context.Context, tenant ids.Tenant) (listing, error) {
	found, err := s.list(ctx, folderOf(tenant))
	if err != nil {
		return found, err
	}
	begun, err := s.list(ctx, ending)
	if err != nil {
		return found, err
	}
	found.doubt = errors.Join(found.doubt, begun.doubt)
	for _, file := range begun.names {
		if !strings.HasPrefix(file, fileOfTenant(tenant)) {
			continue
		}
		_, names, err := s.readEnding(ctx, file)
		if fault.Is(err, fault.NotFound) { // it has ended meanwhile
			return s.keys(ctx, tenant)
		}
		if err != nil {
			return found, err
		}
		found.names = slices.DeleteFunc(found.names, func(n string) bool { return slices.Contains(names, n) })
	}
	return found, nil
}

func fileOfTenant(tenant ids.Tenant) string { return fmt.Sprintf("%016x-", uint64(tenant)) }

// put writes both copies. Until it returns nil nobody may rely on the record.
func (s *Store) put(ctx context.Context, folder, file string, content []byte) error {
	s.fixing.RLock()
	defer s.fixing.RUnlock()
	return s.putBoth(ctx, folder, file, content)
}

// putBoth is put for who holds fixing.
func (s *Store) putBoth(ctx context.Context, folder, file string, content []byte) error {
	if err := s.a.put(ctx, folder, file, content, false); err != nil {
		return err
	}
	return s.b.put(ctx, folder, file, content, false)
}

// putNew is put for a name that only one of several nodes may take.
func (s *Store) putNew(ctx context.Context, folder, file string, content []byte) error {
	s.fixing.RLock()
	defer s.fixing.RUnlock()
	if err := s.a.put(ctx, folder, file, content, true); err != nil {
		return err
	}
	return s.b.put(ctx, folder, file, content, false)
}

// get reads a record from the first copy that is sound, and mends the other.
func (s *Store) get(ctx context.Context, folder, file string, sound func([]byte) error) ([]byte, error) {
	content, bad, err := s.look(ctx, folder, file, sound)
	if bad {
		return s.fix(ctx, folder, file, sound)
	}
	return content, err
}

// look is get without the mending; bad says that copy a needs it.
func (s *Store) look(ctx context.Context, folder, file string, sound func([]byte) error) (content []byte, bad bool, err error) {
	content, errA := s.a.get(ctx, folder, file)
	if errA == nil {
		if errA = sound(content); errA == nil {
			return content, false, nil
		}
	}
	content, errB := s.b.get(ctx, folder, file)
	if errB == nil {
		errB = sound(content)
	}
	switch {
	case errB == nil:
		return content, !fault.Is(errA, fault.Unavailable), nil
	case fault.Is(errA, fault.NotFound):
		return nil, false, errB
	}
	return nil, false, errA
}

// fix writes copy a again from copy b, which it gives, unless a destruction came
// first. That copy a cannot be written, on a full disk, does not make b unsound: the
// next who reads tries again.
func (s *Store) fix(ctx context.Context, folder, file string, sound func([]byte) error) ([]byte, error) {
	s.fixing.Lock()
	defer s.fixing.Unlock()
	content, err := s.b.get(ctx, folder, file)
	if err == nil {
		err = sound(content)
	}
	if err != nil {
		return nil, err
	}
	_ = s.a.put(ctx, folder, file, content, false)
	return content, nil
}

// destroy erases records from both copies. The list of names is durable first,
// so that a crash in between cannot bring a half-erased key back.
func (s *Store) destroy(ctx context.Context, tenant ids.Tenant, act ids.Key, names []string) error {
	s.fixing.Lock()
	defer s.fixing.Unlock()
	file := fileOfKey(tenant, act)
	if err := s.putBoth(ctx, ending, file, encodeEnding(names)); err != nil {
		return err
	}
	return s.finish(ctx, tenant, file, names)
}

func (s *Store) finish(ctx context.Context, tenant ids.Tenant, file string, names []string) error {
	for _, copy := range []shelf{s.b, s.a} {
		if err := copy.erase(ctx, folderOf(tenant), names...); err != nil {
			return err
		}
	}
	return s.remove(ctx, ending, file)
}

func (s *Store) remove(ctx context.Context, folder, file string) error {
	if err := s.b.remove(ctx, folder, file); err != nil {
		return err
	}
	return s.a.remove(ctx, folder, file)
}

const endingMagic = "mailvow-ending-v1"

func encodeEnding(names []string) []byte {
	body := strings.Join(names, "\n")
	return fmt.Appendf(nil, "%s %08x\n%s", endingMagic, crc32.Checksum([]byte(body), castagnoli), body)
}

func decodeEnding(content []byte) ([]string, error) {
	head, body, _ := strings.Cut(string(content), "\n")
	if head != fmt.Sprintf("%s %08x", endingMagic, crc32.Checksum([]byte(body), castagnoli)) {
		return nil, fault.New(fault.Internal, "a list of keys to destroy is damaged")
	}
	if body == "" {
		return nil, nil
	}
	return strings.Split(body, "\n"), nil
}

// readEnding is for who holds fixing, too: a list that ends soon is not mended.
func (s *Store) readEnding(ctx context.Context, file string) (ids.Tenant, []string, error) {
	var tenant, act uint64
	if _, err := fmt.Sscanf(file, "%016x-%016x", &tenant, &act); err != nil {
		return 0, nil, fault.Because(fault.Internal, err, "a stray file lies among the destructions")
	}
	content, _, err := s.look(ctx, ending, file, func(b []byte) error { _, err := decodeEnding(b); return err })
	if err != nil {
		return 0, nil, err
	}
	names, err := decodeEnding(content)
	return ids.Tenant(tenant), names, err
}

// tenants lists everybody who has a folder in either copy.
func (s *Store) tenants(ctx context.Context) ([]ids.Tenant, error) {
	inA, errA := s.a.tenants(ctx)
	inB, errB := s.b.tenants(ctx)
	if err := errors.Join(errA, errB); err != nil {
		return nil, err
	}
	all := slices.Concat(inA, inB)
	slices.Sort(all)
	var found []ids.Tenant
	for _, name := range slices.Compact(all) {
		var tenant uint64
		if _, err := fmt.Sscanf(name, "%016x", &tenant); err != nil || len(name) != 16 {
			continue // not ours
		}
		found = append(found, ids.Tenant(tenant))
	}
	return found, nil
}

// mend gives each copy the records that only the other has, and says how many.
func (s *Store) mend(ctx context.Context) (int, error) {
	tenants, err := s.tenants(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, tenant := range tenants {
		for _, way := range [][2]shelf{{s.a, s.b}, {s.b, s.a}} {
			m, err := s.mendTenant(ctx, tenant, way[0], way[1])
			if n += m; err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (s *Store) mendTenant(ctx context.Context, tenant ids.Tenant, from, to shelf) (n int, err error) {
	s.fixing.Lock()
	defer s.fixing.Unlock()
	alive, err := s.keys(ctx, tenant)
	if err != nil {
		return 0, err
	}
	there, err := to.list(ctx, folderOf(tenant))
	if err != nil {
		return 0, err
	}
	for _, name := range alive.names {
		if slices.Contains(there, name) {
			continue
		}
		content, err := from.get(ctx, folderOf(tenant), name)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return n, err
		}
		if err := to.put(ctx, folderOf(tenant), name, content, false); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

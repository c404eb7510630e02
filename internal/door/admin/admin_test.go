package admin

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/queue"
	"mailvow/internal/product/relay"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/subject"
	"mailvow/internal/protect/tenant"
)

// fakeQueue remembers what it was asked.
type fakeQueue struct {
	Queue
	scope  scope.Scope
	sel    queue.Selection
	filter queue.Filter
	by     queue.Hand
}

func (q *fakeQueue) List(_ context.Context, s scope.Scope, f queue.Filter) ([]queue.Item, error) {
	q.scope, q.filter = s, f
	a, err := address.Parse("someone@example.net")
	return []queue.Item{{ID: 7, Message: 5, Tenant: 3, Recipient: a, State: queue.Held, Why: "asked"}}, err
}

func (q *fakeQueue) Retry(_ context.Context, s scope.Scope, sel queue.Selection, by queue.Hand) (int, error) {
	q.scope, q.sel, q.by = s, sel, by
	return 4, nil
}

func (q *fakeQueue) Fail(context.Context, scope.Scope, queue.Selection, queue.Hand) (int, error) {
	return 0, fault.New(fault.NotFound, "Nothing there.").WithHint("look again")
}

type acts []string

func (a *acts) Record(_ context.Context, act, target string) error {
	*a = append(*a, act+" "+target)
	return nil
}

func start(t *testing.T, path string, p Parts) *Client {
	t.Helper()
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s := New(p, "test", slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.Background(), l) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return Dial(path)
}

func TestOperationsReachTheParts(t *testing.T) {
	t.Parallel()
	q, done := &fakeQueue{}, &acts{}
	c := start(t, filepath.Join(t.TempDir(), "admin.sock"), Parts{Queue: q, Acts: done})
	list, err := Call(t.Context(), c, QueueList, QueueFilter{Customer: 3, State: "held", Domain: "example.net", Limit: 9})
	want := []Item{{ID: 7, Message: 5, Customer: 3, Recipient: "someone@example.net", State: "held", Why: "asked"}}
	if diff := cmp.Diff(want, list); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if q.scope != scope.Tenant(3) || q.filter != (queue.Filter{State: queue.Held, Domain: "example.net", Limit: 9}) {
		t.Errorf("asked %+v in %+v", q.filter, q.scope)
	}
	n, err := Call(t.Context(), c, QueueRetry, Selection{IDs: []ids.Recipient{7}, Reason: "asked"})
	if err != nil || n.Count != 4 || q.scope != scope.Everyone || len(q.sel.IDs) != 1 || q.by != (queue.Hand{Actor: history.ByOperator, Reason: "asked"}) {
		t.Errorf("retry: %+v %v, asked %+v", n, err, q.sel)
	}
	if want := "queue.retry " + ids.Recipient(7).String(); len(*done) != 1 || (*done)[0] != want {
		t.Errorf("evidence has %q, want %q", *done, want)
	}
}

func TestFaultsComeBackWhole(t *testing.T) {
	t.Parallel()
	done := &acts{}
	c := start(t, filepath.Join(t.TempDir(), "admin.sock"), Parts{Queue: &fakeQueue{}, Acts: done})
	_, err := Call(t.Context(), c, QueueFail, Selection{Everything: true})
	text, _ := fault.Public(err)
	if !fault.Is(err, fault.NotFound) || text != "Nothing there." || fault.HintOf(err) != "look again" {
		t.Errorf("%v, %q, %q", err, text, fault.HintOf(err))
	}
	if _, err := Call(t.Context(), c, QueueRetry, Selection{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an empty selection: %v", err)
	}
	if _, err := Call(t.Context(), c, QueueList, QueueFilter{State: "gone"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a wrong state: %v", err)
	}
	for _, err := range []error{
		second(Call(t.Context(), c, DomainAdd, NewDomain{Name: "example.net"})), second(Call(t.Context(), c, MessageShow, MessageRef{})),
		second(Call(t.Context(), c, KeysRotate, Rotation{})),
	} {
		if !fault.Is(err, fault.Unavailable) || fault.HintOf(err) == "" {
			t.Errorf("a part that is not there: %v", err)
		}
	}
	if _, err := Call(t.Context(), c, Op[map[string]string, Count]("queue/retry"), map[string]string{"nonsense": "x"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown field: %v", err)
	}
	if _, err := Call(t.Context(), c, Op[Selection, Count]("queue/none"), Selection{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("an unknown operation: %v", err)
	}
	if len(*done) != 0 {
		t.Errorf("what failed is in the evidence: %q", *done)
	}
}

func second[T any](_ T, err error) error { return err }

func TestTheSocketIsOneServersOwn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), strings.Repeat("a-folder-whose-name-is-long/", 5), "admin.sock")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	c := start(t, path, Parts{})
	if v, err := Call(t.Context(), c, Ping, struct{}{}); err != nil || v.Version != "test" {
		t.Errorf("%+v %v", v, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := Listen(t.Context(), path); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second server: %v", err)
	}
}

func TestADeadServersSocketIsReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "admin.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if _, err := Call(t.Context(), Dial(path), Ping, struct{}{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("nobody answers: %v", err)
	}
	c := start(t, path, Parts{})
	if _, err := Call(t.Context(), c, Ping, struct{}{}); err != nil {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), file); !fault.Is(err, fault.Conflict) {
		t.Errorf("a file in the way: %v", err)
	}
}

// TestStrangersAreTurnedAway connects as another user, on a thread of its own.
func TestStrangersAreTurnedAway(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	dir, err := os.MkdirTemp("", "mailvow-admin-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "admin.sock")
	start(t, path, Parts{})
	for name, mode := range map[string]os.FileMode{dir: 0o755, path: 0o666} { // as if somebody had opened it
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	answer := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its changed user
		nobody, same := uintptr(65534), ^uintptr(0)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, same, nobody, same); errno != 0 {
			answer <- nil
			return
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		}
		if err == nil {
			_, _ = unix.Write(fd, []byte("POST /ping HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"))
			var n int
			if n, err = unix.Read(fd, make([]byte, 64)); n == 0 && err == nil {
				err = http.ErrServerClosed // closed without a word, as it should be
			}
		}
		answer <- err
	}()
	select {
	case err := <-answer:
		if err == nil {
			t.Error("a stranger was answered")
		}
	case <-time.After(30 * time.Second):
		t.Error("no end")
	}
}

type fakeDomains struct {
	Domains
	list []relay.Domain
}

func (d fakeDomains) List(_ context.Context, _ scope.Scope, before ids.Domain, _ int) ([]relay.Domain, error) {
	for i, x := range d.list {
		if x.ID < before {
			return d.list[i : i+1], nil
		}
	}
	return nil, nil
}

func (d fakeDomains) Check(_ context.Context, _ scope.Scope, id ids.Domain) (relay.Domain, []relay.Record, error) {
	return relay.Domain{ID: id}, []relay.Record{{Type: "TXT", Name: "x", OK: true}}, nil
}

func (d fakeDomains) Add(_ context.Context, t ids.Tenant, name string) (relay.Domain, error) {
	return relay.Domain{ID: 1, Tenant: t, Name: name}, nil
}

func (d fakeDomains) Records(context.Context, relay.Domain) ([]relay.Record, error) { return nil, nil }

type fakeTenants []tenant.Tenant

func (f fakeTenants) List(context.Context, scope.Scope, ids.Tenant, int) ([]tenant.Tenant, error) {
	return f, nil
}

func (f fakeTenants) Add(_ context.Context, name, region string) (tenant.Tenant, error) {
	if region != "" {
		return tenant.Tenant{}, fault.Field("region", "elsewhere")
	}
	return tenant.Tenant{ID: 9, Parent: 1, Name: name, Region: "here"}, nil
}

func TestCustomersAreAdded(t *testing.T) {
	t.Parallel()
	c := start(t, filepath.Join(t.TempDir(), "admin.sock"), Parts{Tenants: fakeTenants{}})
	got, err := Call(t.Context(), c, CustomerAdd, NewCustomer{Name: "Acme"})
	if err != nil || got.ID != 9 || got.Name != "Acme" || got.Region != "here" {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := Call(t.Context(), c, CustomerAdd, NewCustomer{Name: "Acme", Region: "away"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("in another region: %v", err)
	}
}

func TestDomainsAreFoundByName(t *testing.T) {
	t.Parallel()
	d := fakeDomains{list: []relay.Domain{{ID: 9, Name: "a.example", Tenant: 3}, {ID: 8, Name: "b.example", Tenant: 3}, {ID: 7, Name: "b.example", Tenant: 4}}}
	c := start(t, filepath.Join(t.TempDir(), "admin.sock"), Parts{Domains: d, Tenants: fakeTenants{{ID: 1}, {ID: 3, Parent: 1}}})
	got, err := Call(t.Context(), c, DomainCheck, DomainRef{Domain: "A.Example"})
	if err != nil || got.ID != 9 || len(got.Records) != 1 {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := Call(t.Context(), c, DomainCheck, DomainRef{Domain: "b.example"}); !fault.Is(err, fault.Conflict) {
		t.Errorf("two customers' domain: %v", err)
	}
	if _, err := Call(t.Context(), c, DomainCheck, DomainRef{Domain: "c.example"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("nobody's domain: %v", err)
	}
	if got, err := Call(t.Context(), c, DomainCheck, DomainRef{Domain: ids.Domain(7).String()}); err != nil || got.ID != 7 {
		t.Errorf("by id: %+v %v", got, err)
	}
	if list, err := Call(t.Context(), c, DomainList, DomainRef{}); err != nil || len(list) != 3 {
		t.Errorf("%+v %v", list, err)
	}
	if got, err := Call(t.Context(), c, DomainAdd, NewDomain{Name: "n.example"}); err != nil || got.Customer != 3 {
		t.Errorf("the only customer: %+v %v", got, err)
	}
}

type fakeSubjects struct{ Subjects }

func (fakeSubjects) Export(_ context.Context, s pledge.Subject, _ evidence.Actor, _ subject.Format, w io.Writer) (int, error) {
	if s.Address.Domain() == "none.example" {
		return 0, fault.New(fault.NotFound, "Nobody.")
	}
	if _, err := io.WriteString(w, "one\n"); err != nil {
		return 0, err
	}
	if s.Address.Domain() == "torn.example" {
		return 1, fault.New(fault.Unavailable, "The store is gone.")
	}
	return 1, nil
}

func TestAStreamIsWholeOrAnError(t *testing.T) {
	t.Parallel()
	c := start(t, filepath.Join(t.TempDir(), "admin.sock"), Parts{Subjects: fakeSubjects{}})
	for address, want := range map[string]fault.Kind{"a@torn.example": fault.Unavailable, "a@none.example": fault.NotFound, "nonsense": fault.Invalid} {
		in := SubjectExportOf{SubjectRef: SubjectRef{Address: address}}
		if err := Stream(t.Context(), c, SubjectExport, in, io.Discard); !fault.Is(err, want) {
			t.Errorf("%s: %v, want %v", address, err, want)
		}
	}
	var b strings.Builder
	if err := Stream(t.Context(), c, SubjectExport, SubjectExportOf{SubjectRef: SubjectRef{Address: "a@b.example"}}, &b); err != nil || b.String() != "one\n" {
		t.Errorf("%q %v", b.String(), err)
	}
}

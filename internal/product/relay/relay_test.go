package relay

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	gomsgauth "github.com/emersion/go-msgauth/dkim"
	godns "github.com/miekg/dns"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/limit"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/standard/dns"
)

const acme, other ids.Tenant = 1001, 1002

type bench struct {
	*Store
	dns   *lab.DNSServer
	clock *lab.Clock
}

func each(t *testing.T, f func(*testing.T, *bench)) {
	t.Helper()
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		clock := lab.NewClock(lab.Epoch)
		config.Clock, config.Wind = clock, func(time.Time) time.Time { return clock.Now() }
		d := lab.OpenDB(t, config, Schema)
		source := ids.NewSource(clock, 1, 0)
		server := lab.DNS(t, "")
		resolver, err := dns.New(dns.Config{Servers: []string{server.Addr}, Dial: (&net.Dialer{}).DialContext, Timeout: 2 * time.Second, Rounds: 1, Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		s := New(Config{SPF: "include:spf.mail.example", ReturnPath: "bounces.mail.example", Shared: []string{"in.mail.example"}},
			Parts{DB: d, Vault: keys.Vault(t, clock, source), IDs: source, Clock: clock, Resolver: resolver, RSA: limit.NewPlaces(2), NewRSA: keys.RSA})
		f(t, &bench{s, server, clock})
	})
}

// publish puts a domain's records into the zone and lets old answers expire.
func (b *bench) publish(t testing.TB, domains ...Domain) {
	t.Helper()
	var zone strings.Builder
	for _, d := range domains {
		records, err := b.Records(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if r.Type == "CNAME" {
				fmt.Fprintf(&zone, "%s. 60 IN CNAME %s.\n", r.Name, r.Value)
				continue
			}
			fmt.Fprintf(&zone, "%s. 60 IN TXT", r.Name)
			for v := r.Value; v != ""; v = v[min(255, len(v)):] {
				fmt.Fprintf(&zone, " %q", v[:min(255, len(v))])
			}
			zone.WriteString("\n")
		}
	}
	b.dns.Set(t, zone.String())
	b.clock.Wind(2 * time.Hour)
}

func (b *bench) add(t testing.TB, tenant ids.Tenant, name string) Domain {
	t.Helper()
	d, err := b.Add(t.Context(), tenant, name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (b *bench) check(t testing.TB, d Domain) State {
	t.Helper()
	b.clock.Wind(2 * time.Hour)
	d, _, err := b.Check(t.Context(), scope.Tenant(d.Tenant), d.ID)
	if err != nil {
		t.Fatal(err)
	}
	return d.State
}

func want(t testing.TB, err error, kind fault.Kind, what string) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("%s: want %v, got %v", what, kind, err)
	}
}

func TestDomainIsShown(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		ann, _ := address.Parse("ann@news.example")
		d := b.add(t, acme, " News.Example. ")
		if d.Name != "news.example" || d.State != Pending {
			t.Fatalf("%+v", d)
		}
		want(t, b.MaySend(ctx, acme, ann), fault.Denied, "before it is shown")
		if b.check(t, d) != Pending {
			t.Error("verified without a record")
		}
		b.publish(t, d)
		got, records, err := b.Check(ctx, scope.Tenant(acme), d.ID)
		if err != nil || got.State != Verified || len(records) != 6 {
			t.Fatalf("%+v %+v %v", got, records, err)
		}
		for _, r := range records {
			if !r.OK || len(r.Found) != 1 {
				t.Errorf("%s at %s: found %q, want %q", r.Purpose, r.Name, r.Found, r.Value)
			}
		}
		if err := b.MaySend(ctx, acme, ann); err != nil {
			t.Error(err)
		}
		want(t, b.MaySend(ctx, other, ann), fault.Denied, "another customer")
		sub, _ := address.Parse("ann@sub.news.example")
		want(t, b.MaySend(ctx, acme, sub), fault.Denied, "a sub-domain needs its own proof")
		for domain, ok := range map[string]bool{"news.example": true, "in.mail.example": true, "sub.news.example": false} {
			if may, err := b.MayReceive(ctx, acme, domain); err != nil || may != ok {
				t.Errorf("receive for %s: %v %v", domain, may, err)
			}
		}
		if err := b.Remove(ctx, scope.Tenant(other), d.ID); !fault.Is(err, fault.NotFound) {
			t.Error("another customer removes it", err)
		}
		if err := b.Remove(ctx, scope.Tenant(acme), d.ID); err != nil {
			t.Fatal(err)
		}
		want(t, b.MaySend(ctx, acme, ann), fault.Denied, "after removal")
	})
}

// TestTokenGone: three looks in a row without the token end a domain; a resolver
// that does not answer ends nothing.
func TestTokenGone(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		d := b.add(t, acme, "news.example")
		b.publish(t, d)
		if b.check(t, d) != Verified {
			t.Fatal("not verified")
		}
		b.dns.Set(t, "news.example. 60 IN TXT \"v=spf1 -all\"\n")
		for i, state := range []State{Verified, Verified, Failed} {
			if got := b.check(t, d); got != state {
				t.Errorf("look %d: %s, want %s", i+1, got, state)
			}
		}
		b.publish(t, d)
		if b.check(t, d) != Verified {
			t.Error("it does not come back")
		}
		b.dns.Fail("_mailvow.news.example", godns.RcodeServerFailure)
		for range 5 {
			if b.check(t, d) != Verified {
				t.Fatal("a failing resolver ended a domain")
			}
		}
	})
}

// TestTwoClaim: a domain is one customer's; it changes hands when the token does.
func TestTwoClaim(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		first, second := b.add(t, acme, "news.example"), b.add(t, other, "news.example")
		if first.Token == second.Token {
			t.Fatal("two customers have one token")
		}
		b.publish(t, first)
		if b.check(t, first) != Verified || b.check(t, second) != Pending {
			t.Fatal("whose is it?")
		}
		both := "_mailvow.news.example. 60 IN TXT \"" + tokenPrefix + first.Token + "\"\n_mailvow.news.example. 60 IN TXT \"" + tokenPrefix + second.Token + "\"\n"
		b.dns.Set(t, both)
		b.clock.Wind(2 * time.Hour)
		_, _, err := b.Check(ctx, scope.Tenant(other), second.ID)
		want(t, err, fault.Conflict, "both tokens are there")
		b.publish(t, second)
		if b.check(t, second) != Verified {
			t.Error("it did not change hands")
		}
		if owns, err := b.Owns(ctx, acme, "news.example"); owns || err != nil {
			t.Error("the former owner still owns it", err)
		}
		_, err = b.Vouch(ctx, first.ID)
		want(t, err, fault.Conflict, "vouching for a domain that is another's")
	})
}

func TestVouch(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		d := b.add(t, acme, "demo.example")
		if got, err := b.Vouch(t.Context(), d.ID); err != nil || got.State != Verified {
			t.Fatal(got, err)
		}
		for range patience + 1 {
			if b.check(t, d) != Verified {
				t.Fatal("looking took a vouched domain away")
			}
		}
	})
}

func TestCheckDue(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		var all []Domain
		for i := range 3 {
			all = append(all, b.add(t, acme, fmt.Sprintf("d%d.example", i)))
		}
		b.publish(t, all...)
		for _, n := range []int{2, 1, 0} {
			if done, err := b.CheckDue(t.Context(), 2); err != nil || done != n {
				t.Errorf("checked %d, want %d: %v", done, n, err)
			}
		}
		b.clock.Wind(again)
		if done, err := b.CheckDue(t.Context(), 10); err != nil || done != 3 {
			t.Error("after a while", done, err)
		}
	})
}

func TestNames(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		for _, bad := range []string{"", "localhost", "http://x.example", "a b.example", "[192.0.2.1]", "x@y.example", "_dmarc.x.example", "-x.example"} {
			_, err := b.Add(t.Context(), acme, bad)
			want(t, err, fault.Invalid, bad)
		}
		if d := b.add(t, acme, "bücher.example"); d.Name != "xn--bcher-kva.example" {
			t.Error(d.Name)
		}
		_, err := b.Add(t.Context(), acme, "BÜCHER.example")
		want(t, err, fault.Conflict, "twice")
	})
}

type content struct{ *bytes.Reader }

// TestSign: both keys sign, and a library that we did not write verifies them by
// the records that we ask for.
func TestSign(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		msg := []byte("From: ann@news.example\r\nTo: bob@example.net\r\n\r\nHello\r\n")
		d := b.add(t, acme, "news.example")
		if fields, err := b.Sign(ctx, acme, "news.example", content{bytes.NewReader(msg)}); err != nil || len(fields) != 0 {
			t.Error("signed before the domain was shown", err)
		}
		if _, err := b.Vouch(ctx, d.ID); err != nil {
			t.Fatal(err)
		}
		if fields, err := b.Sign(ctx, other, "news.example", content{bytes.NewReader(msg)}); err != nil || len(fields) != 0 {
			t.Error("signed for another customer", err)
		}
		fields, err := b.Sign(ctx, acme, "News.example", content{bytes.NewReader(msg)})
		if err != nil {
			t.Fatal(err)
		}
		records, err := b.Records(ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		checks, err := gomsgauth.VerifyWithOptions(bytes.NewReader(append(fields, msg...)), &gomsgauth.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
			for _, r := range records {
				if r.Name == strings.TrimSuffix(name, ".") {
					return []string{r.Value}, nil
				}
			}
			return nil, nil
		}})
		if err != nil || len(checks) != 2 || checks[0].Err != nil || checks[1].Err != nil {
			t.Errorf("%+v %v", checks, err)
		}
	})
}

// TestBounded: names that are nobody's do not fill memory.
func TestBounded(t *testing.T) {
	t.Parallel()
	k := owners{each: map[string]*owner{}}
	for i := range 2 * maxOwners {
		k.put(fmt.Sprint(i), &owner{until: lab.Epoch.Add(time.Hour)})
	}
	if len(k.each) > maxOwners {
		t.Error(len(k.each))
	}
}

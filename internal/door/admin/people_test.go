package admin

import (
	"context"
	"path/filepath"
	"testing"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/protect/access"
)

type onePerson struct {
	asked string
	added NewUser
}

func (p *onePerson) AddUser(_ context.Context, n NewUser) (SignInLink, error) {
	p.added = n
	return SignInLink{User: 8}, nil
}

func (p *onePerson) Link(_ context.Context, who address.Address) (SignInLink, error) {
	p.asked = who.Text()
	return SignInLink{User: 7, URL: "https://mail.example/sign-in?link=x"}, nil
}

// TestALinkIsEvidence: a new sign-in link is an act on a user, named by id.
func TestALinkIsEvidence(t *testing.T) {
	t.Parallel()
	people, done := &onePerson{}, &acts{}
	c := start(t, filepath.Join(t.TempDir(), "admin.sock"), Parts{People: people, Acts: done})
	link, err := Call(t.Context(), c, UserLink, UserRef{Address: "ada@example.net"})
	if err != nil || link.User != 7 || link.URL == "" || people.asked != "ada@example.net" {
		t.Errorf("%+v %v, asked for %q", link, err, people.asked)
	}
	if want := "user.link " + ids.User(7).String(); len(*done) != 1 || (*done)[0] != want {
		t.Errorf("evidence has %q, want %q", *done, want)
	}
	if added, err := Call(t.Context(), c, UserAdd, NewUser{Address: "kim@example.net", Name: "Kim", Role: access.Custodian}); err != nil || added.User != 8 || people.added.Role != access.Custodian {
		t.Errorf("%+v %v, added %+v", added, err, people.added)
	}
	if want := "user.add " + ids.User(8).String(); len(*done) != 2 || (*done)[1] != want {
		t.Errorf("evidence has %q, want %q", *done, want)
	}
	if _, err := Call(t.Context(), c, UserLink, UserRef{Address: "nobody"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("no address: %v", err)
	}
	if _, err := Call(t.Context(), c, KeysRotate, Rotation{Learn: true}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("keys of a server without any: %v", err)
	}
}

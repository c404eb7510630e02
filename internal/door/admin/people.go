package admin

import (
	"context"
	"net/http"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/protect/access"
)

// People are those who sign in.
type People interface {
	// Link makes a one-time sign-in link for the user with an address; NotFound if
	// there is none.
	Link(ctx context.Context, who address.Address) (SignInLink, error)
	// AddUser makes a user and a link with which they sign in first.
	AddUser(ctx context.Context, n NewUser) (SignInLink, error)
}

// The operations on people.
const (
	UserLink Op[UserRef, SignInLink] = "user/link"
	UserAdd  Op[NewUser, SignInLink] = "user/add"
)

// UserRef names a user by address.
type UserRef struct {
	Address string `json:"address"`
}

// NewUser is somebody who shall sign in. Without a customer they are one of the
// operator's people.
type NewUser struct {
	Address  string      `json:"address"`
	Name     string      `json:"name"`
	Role     access.Role `json:"role"`
	Customer ids.Tenant  `json:"customer,omitzero"`
}

// SignInLink signs in once.
type SignInLink struct {
	User  ids.User  `json:"user"`
	URL   string    `json:"sign_in_url"`
	Until time.Time `json:"until"`
}

func (s *Server) people(mux *http.ServeMux, p Parts) {
	act(s, mux, p, UserAdd, func(_ NewUser, out SignInLink) string { return out.User.String() }, func(ctx context.Context, in NewUser) (SignInLink, error) {
		if p.People == nil {
			return SignInLink{}, absent("users")
		}
		return p.People.AddUser(ctx, in)
	})
	act(s, mux, p, UserLink, func(_ UserRef, out SignInLink) string { return out.User.String() }, func(ctx context.Context, in UserRef) (SignInLink, error) {
		if p.People == nil {
			return SignInLink{}, absent("users")
		}
		who, err := address.Parse(in.Address)
		if err != nil {
			return SignInLink{}, fault.Because(fault.Invalid, err, "That is no address.")
		}
		return p.People.Link(ctx, who)
	})
}

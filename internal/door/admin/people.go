package admin

import (
	"context"
	"net/http"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// People are those who sign in.
type People interface {
	// Link makes a one-time sign-in link for the user with an address; NotFound if
	// there is none.
	Link(ctx context.Context, who address.Address) (SignInLink, error)
}

// The operations on people.
const (
	UserLink Op[UserRef, SignInLink] = "user/link"
)

// UserRef names a user by address.
type UserRef struct {
	Address string `json:"address"`
}

// SignInLink signs in once.
type SignInLink struct {
	User  ids.User  `json:"user"`
	URL   string    `json:"sign_in_url"`
	Until time.Time `json:"until"`
}

func (s *Server) people(mux *http.ServeMux, p Parts) {
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

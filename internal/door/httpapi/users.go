package httpapi

import (
	"context"
	"net/http"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/tenant"
)

// User is a person who may sign in.
type User struct {
	ID          string     `json:"id"`
	Customer    string     `json:"customer"`
	Email       string     `json:"email"`
	Name        string     `json:"name"`
	Role        string     `json:"role" enum:"operator,custodian,owner,admin,developer,viewer,auditor"`
	State       string     `json:"state" enum:"active,suspended"`
	HasPassword bool       `json:"has_password"`
	CreatedAt   time.Time  `json:"created_at"`
	LastSeenAt  *time.Time `json:"last_seen_at" doc:"When they last signed in."`
	Until       *time.Time `json:"until" doc:"When an auditor's access ends; null of all others."`
}

type userOut struct{ Body User }

type newUser struct {
	Body struct {
		Email    string    `json:"email" maxLength:"254"`
		Name     string    `json:"name" minLength:"1" maxLength:"200"`
		Role     string    `json:"role" enum:"operator,custodian,owner,admin,developer,viewer,auditor"`
		Password string    `json:"password,omitempty" maxLength:"1024" doc:"Without one, the user signs in by one-time links."`
		Customer string    `json:"customer,omitempty" maxLength:"64" doc:"For the operator: whose user this is."`
		Until    time.Time `json:"until,omitzero" doc:"For an auditor: when the access ends, within a year."`
	}
}

type changeUser struct {
	ByID
	Body struct {
		Email    *string    `json:"email,omitempty" maxLength:"254"`
		Name     *string    `json:"name,omitempty" maxLength:"200"`
		Role     *string    `json:"role,omitempty" enum:"operator,custodian,owner,admin,developer,viewer,auditor"`
		State    *string    `json:"state,omitempty" enum:"active,suspended"`
		Password *string    `json:"password,omitempty" maxLength:"1024"`
		Until    *time.Time `json:"until,omitempty" doc:"For an auditor: another end."`
	}
}

// SignInLink is a one-time way in.
type SignInLink struct {
	Link      string    `json:"link" doc:"The secret, for POST /v1/session. Shown this once."`
	Path      string    `json:"path" doc:"Where the console takes it."`
	ExpiresAt time.Time `json:"expires_at"`
}

type linkOut struct{ Body SignInLink }

func (a *API) userRoutes() {
	register(a, op{id: "list-users", method: http.MethodGet, path: "/v1/users", summary: "List users", tag: "users", needs: access.UsersRead}, a.listUsers)
	register(a, op{id: "create-user", method: http.MethodPost, path: "/v1/users", summary: "Add a user", tag: "users", needs: access.UsersManage, status: http.StatusCreated}, a.createUser)
	register(a, op{id: "get-user", method: http.MethodGet, path: "/v1/users/{id}", summary: "One user", tag: "users", needs: access.UsersRead}, a.getUser)
	register(a, op{id: "change-user", method: http.MethodPatch, path: "/v1/users/{id}", summary: "Change a user", tag: "users", needs: access.UsersManage}, a.changeUser)
	register(a, op{id: "delete-user", method: http.MethodDelete, path: "/v1/users/{id}", summary: "Remove a user", tag: "users", needs: access.UsersManage}, a.deleteUser)
	register(a, op{id: "create-sign-in-link", method: http.MethodPost, path: "/v1/users/{id}/link", summary: "Make a one-time sign-in link; it is shown once", tag: "users", needs: access.UsersManage, status: http.StatusCreated, once: true}, a.createLink)
}

func viewUser(u access.User) User {
	return User{
		ID: u.ID.String(), Customer: u.Tenant.String(), Email: u.Email.Text(), Name: u.Name, Role: string(u.Role), State: string(u.State),
		HasPassword: u.HasPassword, CreatedAt: u.Created.UTC(), LastSeenAt: when(u.Seen), Until: when(u.Until),
	}
}

func (a *API) listUsers(ctx context.Context, who Asker, in *Paging) (*pageOut[User], error) {
	return pageOf(a, listing("users", who), *in, func(before int64, limit int) ([]access.User, error) {
		return a.parts.Access.Users(ctx, who.Scope, ids.User(before), limit)
	}, func(u access.User) int64 { return int64(u.ID) }, viewUser)
}

func (a *API) createUser(ctx context.Context, who Asker, in *newUser) (*userOut, error) {
	to, err := addressAt("email", in.Body.Email)
	if err != nil {
		return nil, err
	}
	whose, err := a.whose(ctx, who, in.Body.Customer)
	if err != nil {
		return nil, err
	}
	u, err := a.parts.Access.AddUser(ctx, who.Principal, access.NewUser{
		Tenant: whose, Email: to, Name: in.Body.Name, Role: access.Role(in.Body.Role), Password: in.Body.Password, Until: in.Body.Until,
	})
	if err != nil {
		return nil, err
	}
	return &userOut{viewUser(u)}, nil
}

// whose gives the customer that something is made for: the asker's own, or one
// that lies in the asker's scope.
func (a *API) whose(ctx context.Context, who Asker, customer string) (ids.Tenant, error) {
	if customer == "" {
		return who.Tenant, nil
	}
	id, err := idAt[ids.Tenant]("customer", customer)
	if err != nil {
		return 0, err
	}
	t, err := a.parts.Tenants.Get(ctx, who.Scope, id)
	return t.ID, err
}

func addressAt(field, s string) (address.Address, error) {
	to, err := address.Parse(s)
	if err != nil {
		text, _ := fault.Public(err)
		return address.Address{}, fault.Field(field, text)
	}
	return to, nil
}

func (a *API) getUser(ctx context.Context, who Asker, in *ByID) (*userOut, error) {
	id, err := idAt[ids.User]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	u, err := a.parts.Access.User(ctx, who.Scope, id)
	if err != nil {
		return nil, err
	}
	return &userOut{viewUser(u)}, nil
}

func (a *API) changeUser(ctx context.Context, who Asker, in *changeUser) (*userOut, error) {
	id, err := idAt[ids.User]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	change := access.UserChange{Name: in.Body.Name, Role: (*access.Role)(in.Body.Role), State: (*access.UserState)(in.Body.State), Password: in.Body.Password, Until: in.Body.Until}
	if in.Body.Email != nil {
		to, err := addressAt("email", *in.Body.Email)
		if err != nil {
			return nil, err
		}
		change.Email = &to
	}
	u, err := a.parts.Access.ChangeUser(ctx, who.Principal, who.Scope, id, change)
	if err != nil {
		return nil, err
	}
	return &userOut{viewUser(u)}, nil
}

func (a *API) deleteUser(ctx context.Context, who Asker, in *ByID) (*nothing, error) {
	id, err := idAt[ids.User]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.parts.Access.RemoveUser(ctx, who.Principal, who.Scope, id)
}

func (a *API) createLink(ctx context.Context, who Asker, in *ByID) (*linkOut, error) {
	id, err := idAt[ids.User]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	link, until, err := a.parts.Access.Link(ctx, who.Principal, who.Scope, id)
	if err != nil {
		return nil, err
	}
	return &linkOut{SignInLink{Link: link, Path: SignInPath(link), ExpiresAt: until.UTC()}}, nil
}

// Customer is the operator or one of its customers.
type Customer struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	State     string     `json:"state" enum:"active,suspended,ended"`
	Region    string     `json:"region"`
	EndsAt    *time.Time `json:"ends_at" doc:"When the contract ends or ended; null: no end is ordered."`
	CreatedAt time.Time  `json:"created_at"`
}

type customerOut struct{ Body Customer }

type newCustomer struct {
	Body struct {
		Name   string `json:"name" minLength:"1" maxLength:"200"`
		Region string `json:"region,omitempty" maxLength:"60" doc:"Where its data is kept: this server's region, which it is if left out. Customers of another region are added at the server there, whose address the refusal says."`
	}
}

type changeCustomer struct {
	ByID
	Body struct {
		Name   *string `json:"name,omitempty" maxLength:"200"`
		State  *string `json:"state,omitempty" enum:"active,suspended" doc:"A contract is ended by POST /v1/termination."`
		Region *string `json:"region,omitempty" maxLength:"60" doc:"A customer stays in its region: another one than it has is refused."`
	}
}

func (a *API) customerRoutes() {
	register(a, op{id: "list-customers", method: http.MethodGet, path: "/v1/customers", summary: "List customers", tag: "customers", needs: access.PlatformRead}, a.listCustomers)
	register(a, op{id: "create-customer", method: http.MethodPost, path: "/v1/customers", summary: "Add a customer", tag: "customers", needs: access.PlatformManage, status: http.StatusCreated}, a.createCustomer)
	register(a, op{id: "get-customer", method: http.MethodGet, path: "/v1/customers/{id}", summary: "One customer", tag: "customers", needs: access.PlatformRead}, a.getCustomer)
	register(a, op{id: "change-customer", method: http.MethodPatch, path: "/v1/customers/{id}", summary: "Rename, suspend or resume a customer", tag: "customers", needs: access.PlatformManage}, a.changeCustomer)
}

func viewCustomer(t tenant.Tenant) Customer {
	return Customer{ID: t.ID.String(), Name: t.Name, State: string(t.State), Region: t.Region, CreatedAt: t.Created.UTC(), EndsAt: when(t.Closes)}
}

func (a *API) listCustomers(ctx context.Context, who Asker, in *Paging) (*pageOut[Customer], error) {
	return pageOf(a, listing("customers", who), *in, func(before int64, limit int) ([]tenant.Tenant, error) {
		return a.parts.Tenants.List(ctx, who.Scope, ids.Tenant(before), limit)
	}, func(t tenant.Tenant) int64 { return int64(t.ID) }, viewCustomer)
}

func (a *API) createCustomer(ctx context.Context, _ Asker, in *newCustomer) (*customerOut, error) {
	t, err := a.parts.Tenants.Add(ctx, in.Body.Name, in.Body.Region)
	if err != nil {
		return nil, err
	}
	return &customerOut{viewCustomer(t)}, nil
}

func (a *API) getCustomer(ctx context.Context, who Asker, in *ByID) (*customerOut, error) {
	id, err := idAt[ids.Tenant]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	t, err := a.parts.Tenants.Get(ctx, who.Scope, id)
	if err != nil {
		return nil, err
	}
	return &customerOut{viewCustomer(t)}, nil
}

func (a *API) changeCustomer(ctx context.Context, who Asker, in *changeCustomer) (*customerOut, error) {
	id, err := idAt[ids.Tenant]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	t, err := a.parts.Tenants.Change(ctx, who.Scope, id, tenant.Change{Name: in.Body.Name, State: (*tenant.State)(in.Body.State), Region: in.Body.Region})
	if err != nil {
		return nil, err
	}
	return &customerOut{viewCustomer(t)}, nil
}

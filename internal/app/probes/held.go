package probes

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/access"
)

// unreviewed is how far off the canary's review is: nobody makes it.
const unreviewed = 300 * time.Millisecond

// held sends mail to a person and to another, holds the one through the API,
// deletes both records and looks for them in what the hold keeps. The review of
// the hold is left to pass.
func (s *Server) held(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		person, neighbour := x.at("held-", x.sinkDomain()), x.at("free-", x.sinkDomain())
		owner, err := x.holdOwner(ctx)
		if err != nil {
			return verdict{}, err
		}
		in := map[string]any{"kind": "person", "address": person.Text(), "ground": "claim", "owner": owner, "review_at": x.Clock.Now().Add(unreviewed)}
		var hold struct {
			ID string `json:"id"`
		}
		if err := x.must(ctx, http.MethodPost, "/v1/holds", in, &hold); err != nil {
			return verdict{}, err
		}
		for _, to := range []address.Address{person, neighbour} {
			if v, err := x.sentAndDeleted(ctx, to); err != nil || v.status != "" {
				return v, err
			}
		}
		kept, status, err := x.heldRecords(ctx, hold.ID)
		if err != nil {
			return verdict{}, err
		}
		switch {
		case status != http.StatusOK || !strings.Contains(kept, person.Text()):
			return bad("the held canary is not in what the hold keeps (%d)", status), nil
		case strings.Contains(kept, neighbour.Text()):
			return bad("the hold keeps the neighbour of the held canary"), nil
		}
		if v, err := x.unreviewed(ctx, hold.ID); err != nil || v.status != "" {
			return v, err
		}
		if err := x.must(ctx, http.MethodPost, "/v1/holds/"+hold.ID+"/release", nil, nil); err != nil {
			return verdict{}, err
		}
		if _, status, err = x.heldRecords(ctx, hold.ID); err != nil || status != http.StatusGone {
			return bad("a released hold still answers %d %v", status, err), nil
		}
		return good("the records of two messages were deleted: the held person's, %d records, stayed in the hold and the other's did not; the hold that nobody reviewed raised an alert; once released it gave nothing any more", strings.Count(kept, "\n")), nil
	})
	return v.end(err)
}

// holdOwner makes the user who answers for the hold.
func (x *scene) holdOwner(ctx context.Context) (string, error) {
	email := x.at("owner-", x.Domain)
	if err := x.Person(ctx, x.Canary, email, access.Viewer, "the owner of the hold "+x.word); err != nil {
		return "", err
	}
	var list struct {
		Items []struct {
			ID    string `json:"id"`
			Email string `json:"email"`
		} `json:"items"`
	}
	if err := x.must(ctx, http.MethodGet, "/v1/users", nil, &list); err != nil {
		return "", err
	}
	for _, u := range list.Items {
		if strings.EqualFold(u.Email, email.Text()) {
			return u.ID, nil
		}
	}
	return "", fault.New(fault.Unavailable, "the canary's user is not in the list of users")
}

// sentAndDeleted sends a message and deletes its record.
func (x *scene) sentAndDeleted(ctx context.Context, to address.Address) (verdict, error) {
	var id ids.Message
	id, err := x.submit(ctx, "submission", x.sender(), to)
	if err != nil {
		return verdict{}, err
	}
	if _, err := x.waitState(ctx, id, "delivered"); err != nil {
		return verdict{}, err
	}
	if err := x.must(ctx, http.MethodDelete, "/v1/messages/"+id.String(), nil, nil); err != nil {
		return verdict{}, err
	}
	if _, status, err := x.message(ctx, id); err != nil || status != http.StatusNotFound {
		return bad("a record outlived its deletion: it answers %d %v", status, err), nil
	}
	return verdict{}, nil
}

// unreviewed waits for the alert.
func (x *scene) unreviewed(ctx context.Context, hold string) (verdict, error) {
	seen := false
	err := x.until(ctx, "the alert about a hold that nobody reviewed", func() (bool, error) {
		var all struct {
			Alerts []struct {
				Kind string `json:"kind"`
				Text string `json:"text"`
			} `json:"alerts"`
		}
		err := x.must(ctx, http.MethodGet, "/v1/overview", nil, &all)
		for _, a := range all.Alerts {
			seen = seen || a.Kind == "hold" && strings.Contains(a.Text, hold)
		}
		return seen, err
	})
	if !seen {
		return bad("nobody reviewed the hold and no alert says so: %v", err), nil
	}
	return verdict{}, err
}

// heldRecords gives what a hold keeps, line by line.
func (x *scene) heldRecords(ctx context.Context, hold string) (string, int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, x.base+"/v1/holds/"+hold+"/records", nil)
	if err != nil {
		return "", 0, fault.Wrap(err, "make a request")
	}
	r.Header.Set("Authorization", "Bearer "+x.Token)
	a, err := x.web.Do(r)
	if err != nil {
		return "", 0, fault.Because(fault.Unavailable, err, "The API does not answer.")
	}
	defer a.Body.Close()
	b, err := io.ReadAll(io.LimitReader(a.Body, 4<<20))
	return string(b), a.StatusCode, fault.Wrap(err, "read what is held")
}

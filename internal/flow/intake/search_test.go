package intake_test

import (
	"testing"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
)

func TestSearch(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		r := newRoad(t, d, clock.Wall{})
		index, err := r.history.OpenIndex(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.start()
		first := r.send("ann@src.test", mail, "bob@dst.test")
		second := r.send("ann@src.test", mail, "Carol@dst.test", "nobody@else.test")
		r.courier.wait(t, 3) // one parcel each, one notice
		r.settled()
		if err := index.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		page, _, err := r.history.Search(t.Context(), scope.Tenant(tenant), history.Query{Direction: history.Notice})
		if err != nil || len(page) != 1 {
			t.Fatalf("notices %+v, %v", page, err)
		}
		mine, notice := first.Message.String()+"@mail.test", page[0].Message.String()+"@mail.test"
		for name, c := range map[string]struct {
			q    history.Query
			want int
		}{
			"by recipient":           {history.Query{Recipient: parse(t, "bob@dst.test")}, 1},
			"in another case":        {history.Query{Recipient: parse(t, "carol@DST.test")}, 1},
			"by sender":              {history.Query{Sender: parse(t, "ann@src.test")}, 2},
			"sender is no recipient": {history.Query{Recipient: parse(t, "bob@dst.test"), Sender: parse(t, "bob@dst.test")}, 0},
			"by domain":              {history.Query{Domain: "dst.test"}, 2},
			"both must match":        {history.Query{Recipient: parse(t, "bob@dst.test"), Domain: "else.test"}, 0},
			"nobody":                 {history.Query{Recipient: parse(t, "zoe@dst.test")}, 0},
			"by state":               {history.Query{State: history.StateMixed}, 1},
			"all, with the notice":   {history.Query{}, 3},
			"by Message-ID":          {history.Query{MessageID: mine}, 1},
			"as the field has it":    {history.Query{MessageID: "<" + mine + ">"}, 1},
			"by a notice's":          {history.Query{MessageID: notice}, 1},
			"as its field has it":    {history.Query{MessageID: "<" + notice + ">"}, 1},
		} {
			page, _, err := r.history.Search(t.Context(), scope.Tenant(tenant), c.q)
			if err != nil || len(page) != c.want {
				t.Errorf("%s: %d found, want %d, %v", name, len(page), c.want, err)
			}
		}
		if page, _, err := r.history.Search(t.Context(), scope.Tenant(tenant+1), history.Query{Sender: parse(t, "ann@src.test")}); err != nil || len(page) != 0 {
			t.Errorf("another customer found %d, %v", len(page), err)
		}
		page, next, err := r.history.Search(t.Context(), scope.Tenant(tenant), history.Query{Limit: 1, Sender: parse(t, "ann@src.test")})
		if err != nil || len(page) != 1 || page[0].Message != second.Message || next == 0 {
			t.Fatalf("first page %+v, next %v, %v", page, next, err)
		}
		page, _, err = r.history.Search(t.Context(), scope.Tenant(tenant), history.Query{Limit: 1, Before: next, Sender: parse(t, "ann@src.test")})
		if err != nil || len(page) != 1 || page[0].Message != first.Message {
			t.Errorf("second page %+v, %v", page, err)
		}
	})
}

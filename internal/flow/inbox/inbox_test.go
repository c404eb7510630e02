package inbox_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/inbox"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/disk"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
)

func TestKeepsShowsForgets(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{inbox.Schema()}, func(t *testing.T, d *db.DB) {
		source := ids.NewSource(clock.Wall{}, 1, 0)
		blobs, err := blob.Folder(disk.Machine{}, t.TempDir(), "test")
		if err != nil {
			t.Fatal(err)
		}
		box := inbox.New(d, keys.Vault(t, clock.Wall{}, source), source, blob.NewDrafts(blobs, 8<<10), blobs)
		to, _ := address.Parse("bob@dst.test")
		for _, content := range []string{"Subject: small\r\n\r\nx\r\n", "Subject: large\r\n\r\n" + strings.Repeat("0123456789\r\n", 5000)} {
			p := &deliver.Parcel{Tenant: 7, Recipients: []deliver.Recipient{{Address: to}}, Content: bytes.NewReader([]byte(content))}
			if err := box.Catch(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			list, err := box.List(t.Context(), scope.Tenant(7), 0, 10)
			if err != nil || len(list) == 0 || list[0].To[0] != "bob@dst.test" || !strings.HasPrefix(content, "Subject: "+list[0].Subject) {
				t.Fatalf("list %+v, %v", list, err)
			}
			_, c, err := box.Open(t.Context(), scope.Tenant(7), list[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(io.NewSectionReader(c, 0, c.Size))
			if err != nil || string(got) != content || c.Close() != nil {
				t.Errorf("read %d bytes of %d, %v", len(got), len(content), err)
			}
			if _, _, err := box.Open(t.Context(), scope.Tenant(8), list[0].ID); !fault.Is(err, fault.NotFound) {
				t.Errorf("another customer opened it: %v", err)
			}
		}
		list, _ := box.List(t.Context(), scope.Everyone, 0, 10)
		if err := box.Delete(t.Context(), scope.Tenant(7), list[0].ID); err != nil {
			t.Fatal(err)
		}
		if err := box.Clear(t.Context(), scope.Tenant(7)); err != nil {
			t.Fatal(err)
		}
		if list, _ := box.List(t.Context(), scope.Everyone, 0, 10); len(list) != 0 {
			t.Errorf("left: %+v", list)
		}
		left := 0
		if err := blobs.List(t.Context(), func(blob.Entry) error { left++; return nil }); err != nil || left != 0 {
			t.Errorf("%d blobs left, %v", left, err)
		}
	})
}

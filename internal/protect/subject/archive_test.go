package subject_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/lab"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/subject"
)

// shelf is a store of records.
type shelf struct {
	pledge.Holder
	has  []pledge.Record
	fail error
}

func (s *shelf) HolderName() string { return "shelf" }

func (s *shelf) Find(context.Context, pledge.Subject) ([]pledge.Trace, error) { return nil, nil }

func (s *shelf) HandOver(_ context.Context, _ pledge.Subject, yield func(pledge.Record) error) error {
	for _, r := range s.has {
		if err := yield(r); err != nil {
			return err
		}
	}
	return s.fail
}

func text(s string) func(context.Context, func([]byte) error) error {
	return func(_ context.Context, yield func([]byte) error) error {
		for len(s) > 0 {
			n := min(7, len(s))
			if err := yield([]byte(s[:n])); err != nil {
				return err
			}
			s = s[n:]
		}
		return nil
	}
}

func ann(t *testing.T) address.Address {
	t.Helper()
	a, err := address.Parse("Ann@persons.example")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func desk(t *testing.T, holders ...pledge.Holder) *subject.Desk {
	t.Helper()
	all, err := inventory.Join(pledge.Declaration{Package: "shelf", Categories: []pledge.Category{
		{Name: "queued mail", About: pledge.Correspondent, What: "letters", Purpose: "deliver them", For: pledge.ToDeliver, Basis: pledge.Contract, Period: pledge.Period{Ceiling: time.Hour, From: "the letter"}, Found: "x", Erasing: pledge.Delete, Source: "who wrote it", Recipients: "who gets it"},
		{Name: "message records", About: pledge.Correspondent, What: "records", Purpose: "show them", For: pledge.ToRecord, Basis: pledge.Contract, Period: pledge.Period{From: "the letter"}, Found: "x", Erasing: pledge.Delete},
		{Name: "diary", About: pledge.Staff, What: "what nobody wrote", Purpose: "none", For: pledge.ToKeepAccounts, Basis: pledge.Consent, Period: pledge.Period{From: "x"}, Found: "x", Erasing: pledge.Delete},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return subject.New(subject.Config{
		Holders: holders, Clock: lab.NewClock(lab.Epoch), Inventory: all, Policy: func(ids.Tenant) string { return "7" }, Name: func(ids.Tenant) string { return "Acme <b>" },
		Handed: func(context.Context, pledge.Subject) ([]string, error) { return []string{"hook.acme.example"}, nil },
	})
}

// unpacked gives the files of an archive.
func unpacked(t *testing.T, d *subject.Desk, who pledge.Subject) map[string]string {
	t.Helper()
	var out bytes.Buffer
	if _, err := d.Export(t.Context(), who, evidence.Actor{Role: evidence.BySubject}, subject.Zip, &out); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(b)
	}
	return files
}

func TestAnArchiveHasEverythingTwiceAndHashes(t *testing.T) {
	t.Parallel()
	const mail = "From: bob@other.example\r\nTo: ann@persons.example\r\n\r\nHello\r\n"
	const notice = "To: eve@acme.example\r\n\r\nann@persons.example and rob@else.example were not reached.\r\n"
	d := desk(t, &shelf{has: []pledge.Record{
		{Category: "message records", ID: "msg_1", At: lab.Epoch, Fields: map[string]string{"sender": "bob@other.example", "subject": "=cmd, from <eve@acme.example>", "reply": "ANN@persons.example is known"}},
		{Category: "queued mail", ID: "rcp_1", At: lab.Epoch, Fields: map[string]string{"recipient": "ann@persons.example", "state": "ready"}, Content: text(mail)},
		{Category: "queued mail", ID: "rcp_2", At: lab.Epoch, Fields: map[string]string{"state": "ready"}, Content: text(notice)},
	}}, &shelf{has: []pledge.Record{{Category: "message records", ID: "msg_2", At: lab.Epoch.Add(time.Second), Fields: map[string]string{"note": "<script>alert(1)</script>"}}}})
	files := unpacked(t, d, pledge.Subject{Scope: scope.Tenant(5), Address: ann(t)})

	if files["mail/rcp-1.eml"] != mail || files["mail/rcp-2.eml"] != strings.NewReplacer("eve@acme.example", "[somebody else]", "rob@else.example", "[somebody else]").Replace(notice) {
		t.Errorf("mail: %q %q", files["mail/rcp-1.eml"], files["mail/rcp-2.eml"])
	}
	var records struct {
		Category, Purpose, Source, Recipients string
		Data                                  []struct {
			ID     string
			Fields map[string]string
		}
	}
	if err := json.Unmarshal([]byte(files["data/message-records.json"]), &records); err != nil {
		t.Fatal(err)
	}
	if len(records.Data) != 2 || records.Purpose != "show them" || records.Data[0].Fields["sender"] != "bob@other.example" || records.Data[0].Fields["reply"] != "ANN@persons.example is known" {
		t.Errorf("records: %+v", records)
	}
	if s := records.Data[0].Fields["subject"]; strings.Contains(s, "eve") {
		t.Errorf("somebody else stands in %q", s)
	}
	rows, err := csv.NewReader(strings.NewReader(files["data/message-records.csv"])).ReadAll()
	if err != nil || len(rows) != 3 || rows[0][2] != "note" || rows[1][5] != "'=cmd, from <[somebody else]>" || rows[2][0] != "msg_2" {
		t.Errorf("CSV: %v %q", err, rows)
	}
	page := files["index.html"]
	for _, want := range []string{"4 records in 2 categories", "Acme &lt;b&gt;", "hook.acme.example", "deliver them", "who wrote it", "who gets it", "diary", "privacy policy 7", "&lt;script&gt;"} {
		if !strings.Contains(page, want) {
			t.Errorf("the index lacks %q", want)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "src=") {
		t.Error("the index has a script, or loads something")
	}
	var manifest struct {
		Records int
		Files   []struct{ Path, SHA256 string }
	}
	if err := json.Unmarshal([]byte(files["manifest.json"]), &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.Records != 4 || len(manifest.Files) != len(files)-1 {
		t.Errorf("the manifest has %d records and %d files of %d", manifest.Records, len(manifest.Files), len(files))
	}
	for _, f := range manifest.Files {
		if sum := sha256.Sum256([]byte(files[f.Path])); hex.EncodeToString(sum[:]) != f.SHA256 {
			t.Errorf("%s has another hash", f.Path)
		}
	}
}

func TestAnArchiveOfNobody(t *testing.T) {
	t.Parallel()
	files := unpacked(t, desk(t, &shelf{}), pledge.Subject{Scope: scope.Tenant(5), Address: ann(t)})
	if len(files) != 2 || !strings.Contains(files["index.html"], "Nothing is held about you.") {
		t.Errorf("it has %d files", len(files))
	}
}

// TestAnArchiveThatBreaksOffOpensNowhere: half a copy is not taken for a whole.
func TestAnArchiveThatBreaksOffOpensNowhere(t *testing.T) {
	t.Parallel()
	s := &shelf{has: []pledge.Record{{Category: "message records", ID: "msg_1", At: lab.Epoch, Fields: map[string]string{"a": "b"}}}}
	a, err := desk(t, s).Prepare(t.Context(), pledge.Subject{Scope: scope.Tenant(5), Address: ann(t)}, evidence.Actor{Role: evidence.BySubject})
	if err != nil {
		t.Fatal(err)
	}
	s.fail = io.ErrUnexpectedEOF
	var out bytes.Buffer
	if _, err := a.Write(t.Context(), &out); err == nil {
		t.Fatal("a store that fails is no fault")
	}
	if _, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len())); err == nil {
		t.Error("half an archive opens")
	}
}

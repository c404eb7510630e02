package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
	"mailvow/internal/product/trust/supply"
)

var update = flag.Bool("update", false, "write the messages of bad files and the handbook's page")

// environOf reads the lines "# env: NAME=value" at the head of a case.
func environOf(file []byte) []string {
	var environ []string
	for line := range strings.Lines(string(file)) {
		if e, ok := strings.CutPrefix(line, "# env: "); ok {
			environ = append(environ, strings.TrimSpace(e))
		}
	}
	return environ
}

func cases(t *testing.T, pattern string, atLeast int) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(files) < atLeast {
		t.Fatalf("%d files match %s: %v", len(files), pattern, err)
	}
	return files
}

func TestGoodFiles(t *testing.T) {
	t.Parallel()
	for _, file := range cases(t, "*.good.yaml", 4) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(filepath.Base(file), b, environOf(b)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestBadFiles reads each testdata/*.bad.yaml and expects exactly the message in
// the .txt beside it.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	for _, file := range cases(t, "*.bad.yaml", 60) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Parse(filepath.Base(file), b, environOf(b))
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want an Invalid fault", file, err)
			continue
		}
		text, _ := fault.Public(err)
		wanted := strings.TrimSuffix(file, ".yaml") + ".txt"
		if *update {
			if err := os.WriteFile(wanted, []byte(text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(wanted)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(strings.TrimSuffix(string(want), "\n"), text); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestTheWholeFileIsRead(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/whole.good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse("whole.good.yaml", b, environOf(b))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Hostname, want.Region, want.Roles = "mail.example.com", "eu-central", []Role{RoleSMTP, RoleDeliver}
	want.Data = Data{
		Dir: "/srv/mailvow", Keys: "/srv/keys", KEK: "/etc/mailvow/kek", Postgres: "postgres://mailvow@db.example.com/mailvow",
		S3:    &S3{Endpoint: "s3.example.net:443", Bucket: "mailvow", Region: "eu-central-1", AccessKey: "access", SecretKey: "secret"},
		Space: Space{10 * limit.GiB, 2 * limit.GiB, 128 * limit.MiB, 256 * limit.MiB}, Inline: 64 * limit.KiB,
	}
	want.Listen = Listen{":25", ":587", ":465", ":80", ":443", "127.0.0.1:9090"}
	want.TLS = TLS{ACME: &ACME{Directory: "https://acme.example.net/directory", Email: "admin@example.com"}}
	want.SMTP.MaxSize, want.SMTP.MaxRecipients, want.SMTP.Timeout, want.SMTP.Proxies = 25*limit.MiB, 500, 90*time.Second, []string{"10.0.0.0/24"}
	want.Delivery.Expiry, want.Delivery.Allow, want.Delivery.Source = 72*time.Hour, []string{"10.20.0.0/16"}, "192.0.2.10"
	want.Delivery.Routes = []StaticRoute{{"*.internal.example.com", Host{"relay.example.net:587", "verified", "u", "open"}}}
	want.DNS.Resolver = "127.0.0.1:53"
	want.Web = Web{"https://mail.example.com", []string{"api.example.com"}}
	want.Observe = Observe{"debug", true, "https://otel.example.com:4318"}
	want.Country = "DE"
	want.SubProcessors = []supply.Entry{{
		Name: "Example Cloud GmbH", Kind: supply.Infrastructure, Purposes: []string{"object store", "database"}, Country: "US", Region: "us-east",
		Uses: []string{"Example Hosting AG"}, Data: []string{"message bodies (sealed)"}, Endpoints: []string{"s3.example.net:443", "db.example.com"},
		Agreement: supply.Agreement{Document: "DPA 2026", Until: "2027-12-31"}, Safeguard: supply.Safeguard{Kind: "standard_clauses", Document: "SCC", Until: "2027-06-30"},
	}, {Name: "Own collector", Kind: supply.Own, Purposes: []string{"traces"}, Country: "DE", Data: []string{"none"}, Endpoints: []string{"otel.example.com:4318"}}}
	want.Policy = Policy{Profile: "gateway"}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheEnvironmentWins(t *testing.T) {
	t.Parallel()
	file := []byte("hostname: mail.example.com\nlisten: {mx: \":25\"}\nsmtp: {timeout: 5m}\n")
	c, err := Parse("mailvow.yaml", file, []string{
		"MAILVOW_HOSTNAME=mx.example.com", "MAILVOW_LISTEN_MX=127.0.0.1:2525", "MAILVOW_SMTP_MAX_SIZE=10MiB", "MAILVOW_SMTP_TIMEOUT=90s",
		"MAILVOW_SMTP_CONNECTIONS=7", "MAILVOW_OBSERVE_JSON=true", "MAILVOW_ROLES=smtp, worker", "MAILVOW_DELIVERY_SMARTHOST_ADDRESS=relay.example.net:25",
		"MAILVOW_DELIVERY_SMARTHOST_PASSWORD=env:MAILVOW_RELAY", "MAILVOW_RELAY=sesame", "MAILVOW_POLICY_PROFILE=relay", "PATH=/bin",
		"MAILVOW_DIR=/x", "MAILVOW_TEST_KEY=MAILVOW_TEST_VALUE",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{
		c.Hostname, c.Listen.MX, c.SMTP.MaxSize, c.SMTP.Timeout, c.SMTP.Connections, c.Observe.JSON, c.Roles,
		*c.Delivery.Smarthost, c.Policy.Profile, c.Data.S3 == nil,
	}
	want := []any{
		"mx.example.com", "127.0.0.1:2525", 10 * limit.MiB, 90 * time.Second, 7, true, []Role{RoleSMTP, RoleWorker},
		Host{Address: "relay.example.net:25", Password: "sesame"}, "relay", true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSecretsStayElsewhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("tight", "postgres://tight\n", 0o600)
	write("open", "postgres://open\n", 0o644)
	write("huge", strings.Repeat("x", maxFile+1), 0o600)
	for _, c := range []struct{ ref, value, message string }{
		{"file:tight", "postgres://tight", ""},
		{"file:" + filepath.Join(dir, "tight"), "postgres://tight", ""},
		{"env:PG", "postgres://env", ""},
		{"postgres://openly", "postgres://openly", ""},
		{"file:open", "", "others may read the secret file DIR/open (mode 0644); run chmod 600 on it"},
		{"file:gone", "", "the file DIR/gone, which a secret refers to, cannot be read"},
		{"file:huge", "", "DIR/huge is larger than 1 MiB; that is no configuration."},
		{"env:NONE", "", "the environment variable NONE, which a secret refers to, is not set"},
	} {
		file := "hostname: mail.example.com\ndata: {postgres: \"" + c.ref + "\"}\n"
		got, err := Parse(filepath.Join(dir, "mailvow.yaml"), []byte(file), []string{"PG=postgres://env"})
		text, _ := fault.Public(err)
		text = strings.TrimPrefix(strings.ReplaceAll(text, dir, "DIR"), "DIR/mailvow.yaml: ")
		if text != c.message {
			t.Errorf("%s: %q, want %q", c.ref, text, c.message)
		}
		if err == nil && (got.Data.Postgres.Reveal() != c.value || got.Data.Postgres.String() != "[secret]") {
			t.Errorf("%s: %q, printed as %q", c.ref, got.Data.Postgres.Reveal(), got.Data.Postgres)
		}
	}
}

func TestLoadSaysWhatIsWrongWithTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "huge"), make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"none": "There is no file DIR/none; mailvow init writes one.",
		"huge": "DIR/huge is larger than 1 MiB; that is no configuration.",
		".":    "DIR cannot be read: is a directory.",
	} {
		_, err := Load(filepath.Join(dir, name), nil)
		text, _ := fault.Public(err)
		if got := strings.ReplaceAll(text, dir, "DIR"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestEverySecretIsHidden: messages show the lines around a mistake, and no
// secret that stands openly there, whichever setting holds it.
func TestEverySecretIsHidden(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, s := range Settings() {
		if s.Kind != kindSecret {
			continue
		}
		seen++
		path := strings.Split(s.Name, ".")
		text := "hostname: mail.example.com\n"
		for i, word := range path {
			text += strings.Repeat("  ", i) + word + ":"
			if i < len(path)-1 {
				text += "\n"
			}
		}
		text += " hunter2secret\n" + strings.Repeat("  ", len(path)-1) + "nonsense: 1\n"
		_, err := Parse("mailvow.yaml", []byte(text), nil)
		if said, _ := fault.Public(err); err == nil || strings.Contains(said, "hunter2secret") || !strings.Contains(said, "nonsense") {
			t.Errorf("%s: %v", s.Name, said)
		}
	}
	if seen < 10 {
		t.Errorf("only %d settings hold secrets", seen)
	}
}

// FuzzParse: whatever the file holds, the answer is a checked configuration or an
// Invalid fault with a text.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		b, _ := os.ReadFile(file)
		f.Add(b)
	}
	f.Add([]byte(Example()))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse("fuzz.yaml", b, nil)
		if err == nil {
			if err := c.Check(); err != nil {
				t.Fatalf("parsed, but %v", err)
			}
			return
		}
		if text, _ := fault.Public(err); text == "" || !fault.Is(err, fault.Invalid) {
			t.Fatalf("no answer for the operator: %v", err)
		}
	})
}

package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailvow/internal/base/fault"
)

const handbook = "../../../docs/handbook/configuration.md"

func TestExampleIsAFile(t *testing.T) {
	t.Parallel()
	c, err := Parse("mailvow.yaml", []byte(Example()), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Hostname = "mail.example.com"
	want.Listen = Listen{MX: ":25", Submission: ":587", HTTP: ":80", Metrics: "127.0.0.1:9090"}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("the example says something else than the defaults (-want +got):\n%s", diff)
	}
}

var turnedOff = regexp.MustCompile(`^( *)#([a-z_]+:|[- ] )`)

// TestEveryLineCanBeTurnedOn takes the # off one line, or one whole entry of a
// list, at a time. The file must stay YAML of known settings; what it then
// asks for (a bucket, an agreement) it may name.
func TestEveryLineCanBeTurnedOn(t *testing.T) {
	t.Parallel()
	lines := strings.Split(Example(), "\n")
	tried := 0
	for i := 0; i < len(lines); i++ {
		m := turnedOff.FindStringSubmatch(lines[i])
		if m == nil {
			continue
		}
		on := append([]string{}, lines...)
		for {
			on[i] = strings.Replace(on[i], "#", "", 1)
			if strings.HasSuffix(m[2], ":") || i+1 == len(lines) || !strings.HasPrefix(lines[i+1], m[1]+"#  ") {
				break
			}
			i++
		}
		tried++
		_, err := Parse("mailvow.yaml", []byte(strings.Join(on, "\n")), []string{"RELAY_PASSWORD=x"})
		if text, _ := fault.Public(err); strings.HasPrefix(text, "mailvow.yaml: [") {
			t.Errorf("line %d: %s", i+1, text)
		}
	}
	if tried < 25 {
		t.Errorf("only %d settings were turned on", tried)
	}
}

// TestEverythingTurnedOn takes every # off, but for the second way to a
// certificate, and reads every setting that exists.
func TestEverythingTurnedOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var on []string
	for line := range strings.Lines(Example()) {
		if turnedOff.MatchString(line) && !strings.Contains(line, "#certificate:") && !strings.Contains(line, "#key:") {
			line = strings.Replace(line, "#", "", 1)
		}
		line = strings.ReplaceAll(line, "/etc/mailvow/s3-access", "secret")
		line = strings.ReplaceAll(line, "/etc/mailvow/s3-secret", "secret")
		line = strings.ReplaceAll(line, "/etc/mailvow/keys-access", "secret")
		line = strings.ReplaceAll(line, "/etc/mailvow/keys-secret", "secret")
		line = strings.ReplaceAll(line, "/etc/mailvow/postgres", "secret")
		line = strings.ReplaceAll(line, `hosts: ["s3.example.net:443"]`, `hosts: ["s3.example.net:443", "otel.example.com:4318"]`)
		on = append(on, line)
	}
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := strings.Join(on, "")
	c, err := Parse(filepath.Join(dir, "mailvow.yaml"), []byte(file), []string{"RELAY_PASSWORD=x"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Data.S3 == nil || c.TLS.ACME == nil || c.Delivery.Smarthost == nil || len(c.Delivery.Routes) != 1 || len(c.SubProcessors) != 1 {
		t.Errorf("a group was not read: %+v", c)
	}
	for _, s := range Settings() {
		name := s.Name[strings.LastIndex(s.Name, ".")+1:]
		if !strings.Contains(file, name+":") {
			t.Errorf("the example does not show %s", s.Name)
		}
		if s.Doc == "" || s.Example == "" && s.Kind != kindGroup && s.Kind != kindGroups {
			t.Errorf("%s has no explanation or no example", s.Name)
		}
	}
}

func TestStartingTurnsSettingsOn(t *testing.T) {
	t.Parallel()
	c, err := Parse("mailvow.yaml", []byte(Starting(map[string]string{
		"hostname": "mx.example.org", "data.dir": "/srv/a b: c#d", "tls.acme.directory": "https://acme.example.net/d", "tls.acme.email": "a@example.org",
		"roles": "smtp, api",
	})), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Hostname != "mx.example.org" || c.Data.Dir != "/srv/a b: c#d" || c.TLS.ACME.Email != "a@example.org" || len(c.Roles) != 2 {
		t.Errorf("%+v", c)
	}
}

func TestHandbookIsFresh(t *testing.T) {
	t.Parallel()
	if *update {
		if err := os.WriteFile(handbook, []byte(Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(handbook)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Reference(), string(b)); diff != "" {
		t.Errorf("docs/handbook/configuration.md is stale; run make generate\n%s", diff)
	}
}

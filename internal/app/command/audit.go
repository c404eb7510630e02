package command

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"

	"mailvow/internal/app/audit"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/protect/evidence"
)

type auditCommands struct {
	Run    auditRun    `cmd:"" default:"withargs" help:"Audit a server; exit 1 if something does not hold."`
	Verify auditVerify `cmd:"" help:"Verify the signature on an audit's report; exit 1 if it does not hold."`
}

type auditRun struct {
	reader
	URL         string   `arg:"" name:"url" help:"The server, such as https://mail.example.com."`
	Dir         string   `help:"The auditor's own folder: every checkpoint that was seen, the auditor's key, the reports." default:"mailvow-audit" env:"MAILVOW_AUDIT_DIR" placeholder:"FOLDER"`
	Key         []string `help:"A verifier key of the log that you have from elsewhere." placeholder:"KEY"`
	Held        []string `help:"A file with a checkpoint that somebody else was shown." placeholder:"FILE" type:"existingfile"`
	Certificate string   `help:"A deletion certificate that must stand in the log." placeholder:"FILE" type:"existingfile"`
	Door        []string `help:"A mail door: mx, submission or submissions, and where. Without any, those of the server's host are tried." placeholder:"NAME=HOST:PORT"`
	CA          string   `name:"ca" help:"Certificates to trust instead of the machine's." placeholder:"FILE" type:"existingfile"`
	Token       string   `help:"A token of a customer of your own, that may send, read and delete messages: a canary is sent." env:"MAILVOW_AUDIT_TOKEN" placeholder:"TOKEN"`
	From        string   `help:"The canary's sender." placeholder:"ADDRESS"`
	To          string   `help:"The canary's recipient; its sender, if it is not given." placeholder:"ADDRESS"`
	Listen      string   `help:"Where to listen for webhooks, as host:port: with --token, mail out, in and erased while it waits is followed to this endpoint of your own. The token needs routes:manage and subjects:manage, too." placeholder:"HOST:PORT"`
	ListenURL   string   `name:"listen-url" help:"By which address the server reaches that endpoint, if not by http://HOST:PORT." placeholder:"URL"`
	Erase       bool     `help:"Then erase that recipient as a person, with all that your customer holds of them, and verify the certificate."`
}

// Run audits.
func (c *auditRun) Run(ctx context.Context, t *Terminal) error {
	config, err := c.config(t)
	if err != nil {
		return usage(err)
	}
	r, err := audit.Run(ctx, config)
	if err != nil {
		return err
	}
	if c.JSON {
		err = t.answer(r)
	} else {
		err = t.say("%s\nWritten to %s.txt and .json.", strings.TrimSuffix(r.Text, "\n"), r.File)
	}
	if err == nil && !r.Passed {
		return errNo
	}
	return err
}

func (c *auditRun) config(t *Terminal) (audit.Config, error) {
	out := audit.Config{URL: c.URL, Dir: c.Dir, Clock: clock.Wall{}, Token: c.Token, From: c.From, To: c.To, Erase: c.Erase, Listen: c.Listen, ListenURL: c.ListenURL, Doors: map[string]string{}}
	if c.Token != "" && c.From == "" {
		return out, fault.Field("from", "With --token, give the canary's sender by --from.")
	}
	if c.Listen != "" && c.Token == "" {
		return out, fault.Field("listen", "With --listen, give the token of a customer of your own by --token.")
	}
	var err error
	if out.Keys, err = parseKeys(c.Key); err != nil {
		return out, err
	}
	for _, name := range c.Held {
		b, err := t.read(name, maxCertificate)
		if err != nil {
			return out, err
		}
		out.Held = append(out.Held, string(b))
	}
	if c.Certificate != "" {
		if out.Certificate, err = t.read(c.Certificate, maxCertificate); err != nil {
			return out, err
		}
	}
	if c.CA != "" {
		b, err := t.read(c.CA, maxCertificate)
		if err != nil {
			return out, err
		}
		out.Roots = x509.NewCertPool()
		if !out.Roots.AppendCertsFromPEM(b) {
			return out, fault.Field("ca", c.CA+" holds no certificate in PEM.")
		}
	}
	for _, d := range c.Door {
		name, addr, _ := strings.Cut(d, "=")
		if (name != "mx" && name != "submission" && name != "submissions") || !strings.Contains(addr, ":") {
			return out, fault.Field("door", "A door has the form mx=host:25, submission=host:587 or submissions=host:465.")
		}
		out.Doors[name] = addr
	}
	return out, nil
}

func parseKeys(texts []string) (keys []evidence.Key, err error) {
	for _, text := range texts {
		k, err := evidence.ParseKey(text)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

type auditVerify struct {
	reader
	File string `arg:"" help:"The report's text; the .json beside it is read, too." type:"existingfile"`
	Key  string `help:"The auditor's public key." required:"" placeholder:"KEY"`
}

// Run verifies.
func (c *auditVerify) Run(t *Terminal) error {
	text, err := t.read(c.File, maxCertificate)
	if err != nil {
		return err
	}
	data, err := t.read(strings.TrimSuffix(c.File, ".txt")+".json", maxCertificate)
	if err != nil {
		return err
	}
	r, err := audit.Verify(text, data, c.Key)
	switch {
	case fault.Is(err, fault.Denied):
		return t.refused(c.JSON, c.File, err)
	case err != nil:
		return usage(err)
	case c.JSON:
		return t.answer(map[string]any{"file": c.File, "valid": true, "url": r.URL, "at": r.At, "passed": r.Passed})
	}
	verdict := "nothing broken"
	if !r.Passed {
		verdict = "something broken"
	}
	return t.say("%s", fmt.Sprintf("The report on %s of %s holds; it found %s.", r.URL, r.At.Format("2006-01-02 15:04 MST"), verdict))
}

package command

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"mailvow/internal/app"
	"mailvow/internal/app/config"
	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
)

type devCommand struct {
	reader
	Dir         string `help:"Keep the data in this folder; without it the folder is thrown away at the end." placeholder:"FOLDER"`
	MX          string `name:"mx" help:"Where mail from outside is taken." default:"127.0.0.1:2525" placeholder:"HOST:PORT"`
	Submission  string `help:"Where customers' mail is taken, STARTTLS." default:"127.0.0.1:2587" placeholder:"HOST:PORT"`
	Submissions string `help:"Where customers' mail is taken, TLS." default:"127.0.0.1:2465" placeholder:"HOST:PORT"`
	HTTP        string `name:"http" help:"API and console." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	Verbose     bool   `help:"Log what happens."`
}

// Run serves until the process is told to stop.
func (c *devCommand) Run(ctx context.Context, t *Terminal) error {
	return app.Dev(ctx, app.DevOptions{
		Dir: c.Dir, MX: c.MX, Submission: c.Submission, Submissions: c.Submissions, HTTP: c.HTTP,
		JSON: c.JSON, Verbose: c.Verbose, Out: t.Out, Err: t.Err,
	})
}

// collectAt is by how many per cent the heap grows before garbage is collected.
// What a server keeps alive is small and what a message leaves behind is not: at
// 200 it does a tenth more work on the same processors for about 20 MB.
const collectAt = 200

type serveCommand struct {
	reader
	Config string `help:"The configuration." env:"MAILVOW_CONFIG" default:"/etc/mailvow/mailvow.yaml" placeholder:"FILE"`
}

// Run serves until the process is told to stop.
func (c *serveCommand) Run(ctx context.Context, t *Terminal) error {
	settings, err := config.Load(c.Config, t.Environ)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	o := app.ServeOptions{Config: settings, Err: t.Err}
	if c.JSON {
		o.Ready = func(doors map[string]string) {
			if err := t.answer(map[string]any{"ready": true, "listen": doors}); err != nil {
				fmt.Fprintln(t.Err, "mailvow:", err)
			}
		}
	}
	return app.Serve(ctx, o)
}

type initCommand struct {
	reader
	Hostname string `help:"The name of this server in the world." required:"" placeholder:"NAME"`
	Admin    string `help:"The first administrator's address." required:"" placeholder:"ADDRESS"`
	Config   string `help:"The file to write." default:"/etc/mailvow/mailvow.yaml" placeholder:"FILE"`
	Data     string `help:"The data folder." default:"/var/lib/mailvow" placeholder:"FOLDER"`
	Keys     string `help:"The folder of the key store; another volume is better." default:"/var/lib/mailvow-keys" placeholder:"FOLDER"`
	KEK      string `name:"kek" help:"The file of the key-encryption key." default:"/etc/mailvow/kek" placeholder:"FILE"`
	Region   string `help:"Where this server stands." default:"local" placeholder:"LABEL"`
	Policy   string `help:"The ready policy to begin with: recommended, relay, inbound, gateway, campaigns or encrypted." default:"recommended" placeholder:"PROFILE"`
	ACME     string `name:"acme" help:"Get certificates from this ACME directory." placeholder:"URL"`
}

// Run writes what a first start needs.
func (c *initCommand) Run(ctx context.Context, t *Terminal) error {
	who, err := address.Parse(c.Admin)
	if err != nil {
		return usage(fault.Because(fault.Invalid, err, fmt.Sprintf("%.80q is no address.", c.Admin)))
	}
	set := map[string]string{
		"hostname": c.Hostname, "region": c.Region, "data.dir": c.Data, "data.keys": c.Keys, "data.kek": c.KEK, "policy.profile": c.Policy,
	}
	if c.ACME != "" {
		set["tls.acme.directory"], set["tls.acme.email"] = c.ACME, who.Text()
		set["listen.https"], set["listen.submissions"] = ":443", ":465"
	}
	first, err := app.Init(ctx, app.InitOptions{Config: c.Config, Settings: set, Admin: who, Environ: t.Environ})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(first)
	}
	return t.say(`Wrote %s and the key %s.
Keep a copy of the key in a safe place: without it nothing that is stored can be read.

Read the configuration, then start the server:
  mailvow config check --config %s
  mailvow serve --config %s

Sign in as %s within 15 minutes, once (mailvow user link makes another link):
  %s`, first.Config, first.KEK, first.Config, first.Config, first.Admin, first.SignIn)
}

type versionCommand struct {
	reader
}

// Run prints the build.
func (c *versionCommand) Run(t *Terminal) error {
	if c.JSON {
		return t.answer(map[string]string{"version": app.Version()})
	}
	return t.say("mailvow %s", app.Version())
}

// Command mailvow is the whole server and its tools.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"mailvow/internal/app"
	"mailvow/internal/app/config"
	"mailvow/internal/base/fault"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		text, _ := fault.Public(err)
		if text == "" {
			text = err.Error()
		}
		fmt.Fprintln(os.Stderr, "mailvow:", text)
		if hint := fault.HintOf(err); hint != "" {
			fmt.Fprintln(os.Stderr, "  ", hint)
		}
		os.Exit(3)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fault.New(fault.Invalid, "usage: mailvow dev | serve --config FILE")
	}
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	if args[0] == "serve" {
		path := flags.String("config", "/etc/mailvow/mailvow.yaml", "")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		c, err := config.Load(*path, os.Environ())
		if err != nil {
			return err
		}
		return app.Serve(ctx, app.ServeOptions{Config: c, Err: os.Stderr})
	}
	o := app.DevOptions{Out: os.Stdout, Err: os.Stderr}
	flags.StringVar(&o.Dir, "dir", "", "")
	flags.StringVar(&o.MX, "mx", "127.0.0.1:2525", "")
	flags.StringVar(&o.Submission, "submission", "127.0.0.1:2587", "")
	flags.StringVar(&o.Submissions, "submissions", "127.0.0.1:2465", "")
	flags.StringVar(&o.HTTP, "http", "127.0.0.1:8080", "")
	flags.BoolVar(&o.JSON, "json", false, "")
	flags.BoolVar(&o.Verbose, "verbose", false, "")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	return app.Dev(ctx, o)
}

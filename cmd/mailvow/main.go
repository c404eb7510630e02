// Command mailvow is the whole server and its tools.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"mailvow/internal/app/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(command.Run(ctx, os.Args[1:], &command.Terminal{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ()}))
}

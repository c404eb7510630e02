package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/base/clock"
)

// ServeOptions are the flags of mailvow serve.
type ServeOptions struct {
	Config *config.Config
	Err    io.Writer // the log
	// Ready is called once every door is open, with the addresses by name.
	Ready func(map[string]string)
}

// stopWait is how long attempts under way may take at the end. Service managers
// wait 90 seconds before they kill.
const stopWait = 60 * time.Second

// Serve runs the roles of this process until ctx ends.
func Serve(ctx context.Context, o ServeOptions) (err error) {
	h, err := Build(ctx, Settings{Config: o.Config, Clock: clock.Wall{}, Log: logHandler(o.Config.Observe, o.Err)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Stop(stopWait)) }()
	if err := h.Start(ctx); err != nil {
		return err
	}
	if o.Ready != nil {
		o.Ready(h.Addresses())
	}
	h.observe.Log.Info("serving")
	<-ctx.Done()
	h.observe.Log.Info("stopping")
	return nil
}

// Addresses are the open doors by name.
func (h *House) Addresses() map[string]string {
	m := map[string]string{}
	for _, d := range h.doors.list {
		m[d.name] = d.listener.Addr().String()
	}
	return m
}

func logHandler(c config.Observe, w io.Writer) slog.Handler {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // checked with the configuration
	}
	options := &slog.HandlerOptions{Level: level}
	if c.JSON {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

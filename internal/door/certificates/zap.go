package certificates

import (
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapTo is a zap logger that writes to ours, through the guard that removes
// personal values.
func zapTo(log *slog.Logger) *zap.Logger { return zap.New(bridge{log: log}) }

type bridge struct {
	log    *slog.Logger
	fields []zapcore.Field
}

// Enabled implements zapcore.Core; the log itself decides what it keeps.
func (bridge) Enabled(zapcore.Level) bool { return true }

// With implements zapcore.Core.
func (b bridge) With(fields []zapcore.Field) zapcore.Core {
	return bridge{b.log, append(append([]zapcore.Field{}, b.fields...), fields...)}
}

// Check implements zapcore.Core.
func (b bridge) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return c.AddCore(e, b)
}

// Write implements zapcore.Core.
func (b bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	m := zapcore.NewMapObjectEncoder()
	for _, f := range append(append([]zapcore.Field{}, b.fields...), fields...) {
		f.AddTo(m)
	}
	args := make([]any, 0, 2*len(m.Fields))
	for k, v := range m.Fields {
		args = append(args, k, v)
	}
	say := b.log.Error
	switch {
	case e.Level < zapcore.InfoLevel:
		say = b.log.Debug
	case e.Level == zapcore.InfoLevel:
		say = b.log.Info
	case e.Level == zapcore.WarnLevel:
		say = b.log.Warn
	}
	say(e.Message, args...)
	return nil
}

// Sync implements zapcore.Core.
func (bridge) Sync() error { return nil }

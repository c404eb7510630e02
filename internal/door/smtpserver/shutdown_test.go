package smtpserver_test

import (
	"context"
	"io"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/door/smtpserver"
)

// TestShutdownLetsAMessageFinish holds that idle clients hear 421 4.3.2 at once
// and a message under way is still taken.
func TestShutdownLetsAMessageFinish(t *testing.T) {
	t.Parallel()
	st := open(t, nil)
	idle, busy := st.client(t), st.client(t)
	idle.want("220", idle.hear())
	busy.want("220", busy.hear())
	busy.want("250", busy.say("EHLO c.example"))
	busy.want("250", busy.say("MAIL FROM:<a@a.example>"))
	busy.want("250", busy.say("RCPT TO:<b@b.example>"))
	busy.want("354", busy.say("DATA"))
	done := make(chan error, 1)
	go func() { done <- st.server.Shutdown(context.Background()) }()
	idle.want("421 4.3.2 The server is stopping", idle.hear())
	if _, err := idle.in.ReadByte(); err != io.EOF {
		t.Errorf("the idle connection goes on: %v", err)
	}
	busy.want("250 2.0.0", busy.say("text\r\n."))
	busy.want("421 4.3.2", busy.hear())
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(st.house.messages()) != 1 {
		t.Error("the message was lost")
	}
}

func TestShutdownCutsAtItsDeadline(t *testing.T) {
	t.Parallel()
	st := open(t, nil)
	c := st.client(t)
	c.want("220", c.hear())
	c.want("250", c.say("EHLO c.example"))
	c.want("250", c.say("MAIL FROM:<a@a.example>"))
	c.want("250", c.say("RCPT TO:<b@b.example>"))
	c.want("354", c.say("DATA"))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := st.server.Shutdown(ctx); !fault.Is(err, fault.Unavailable) {
		t.Errorf("shutdown: %v", err)
	}
	if n := st.house.discarded(); n != 1 {
		t.Errorf("%d bodies discarded", n)
	}
}

// TestDisconnectInData holds that half a message is nothing.
func TestDisconnectInData(t *testing.T) {
	t.Parallel()
	st := open(t, nil)
	for _, command := range []string{"DATA\r\nhalf\r\n", "BDAT 10\r\nhalf", "BDAT 4\r\nhalf"} {
		c := st.client(t)
		c.want("220", c.hear())
		c.want("250", c.say("EHLO c.example"))
		c.want("250", c.say("MAIL FROM:<a@a.example>"))
		c.want("250", c.say("RCPT TO:<b@b.example>"))
		if _, err := io.WriteString(c.Conn, command); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	until(t, "the bodies are discarded", func() bool { return st.house.discarded() == 3 })
	if n := len(st.house.messages()); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// TestShutdownDoesNotWaitForAHandshake holds that a client which connects for
// TLS and says nothing does not hold up the stop.
func TestShutdownDoesNotWaitForAHandshake(t *testing.T) {
	t.Parallel()
	st := open(t, func(c *smtpserver.Config, _ *house) { c.Role = smtpserver.Submissions })
	silent := st.dial(t)
	until(t, "the connection is open", func() bool { return st.count(t, "mailvow_smtp_connections_open", "") == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := st.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(silent); err != nil {
		t.Error(err)
	}
}

// TestServeAfterShutdown holds that a stopped server takes nobody.
func TestServeAfterShutdown(t *testing.T) {
	t.Parallel()
	st := open(t, func(c *smtpserver.Config, _ *house) { c.Role = smtpserver.Submission })
	if err := st.server.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := st.server.Shutdown(context.Background()); err != nil {
		t.Error("a second shutdown: ", err)
	}
}

package probes

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// mail is a message with the scene's word in it as plain text, in
// quoted-printable and in base64.
func (x *scene) mail(from, to address.Address) string {
	return strings.Join([]string{
		"From: " + from.Text(), "To: " + to.Text(), "Subject: canary " + x.word, "Message-ID: <" + x.word + "@" + x.Domain + ">",
		"MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=part", "",
		"--part", "Content-Type: text/plain", "", x.body(),
		"--part", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable", "", x.body() + "=C3=A9",
		"--part", "Content-Type: text/plain", "Content-Transfer-Encoding: base64", "", base64.StdEncoding.EncodeToString([]byte(x.body())),
		"--part--", "",
	}, "\r\n")
}

// body stands in the body alone, never in a header.
func (x *scene) body() string { return "sings" + x.word }

// client is an SMTP client of the plainest sort.
type client struct {
	*textproto.Conn
	extensions string
}

// dial opens a mail door; implicit begins with TLS.
func (s *Server) dial(ctx context.Context, door string, implicit bool) (*client, error) {
	addr := s.Doors[door]
	if addr == "" {
		return nil, fault.New(fault.Unavailable, "the door "+door+" is closed")
	}
	conn, err := s.Knock(ctx, addr)
	if err != nil {
		return nil, err
	}
	if implicit {
		conn = tls.Client(conn, s.tls())
	}
	c := &client{Conn: textproto.NewConn(conn)}
	if _, _, err = c.ReadResponse(220); err == nil {
		err = c.hello()
	}
	if err != nil {
		c.Close()
		return nil, fault.Wrap(err, "greet the door "+door)
	}
	if implicit || !strings.Contains(c.extensions, "STARTTLS") {
		return c, nil
	}
	if err := c.ask(220, "STARTTLS"); err != nil {
		c.Close()
		return nil, err
	}
	c.Conn = textproto.NewConn(tls.Client(conn, s.tls()))
	return c, c.hello()
}

// tls is the probe's side: it reaches the listener by its address and does not
// ask who vouches for the certificate.
func (s *Server) tls() *tls.Config {
	return &tls.Config{ServerName: s.Hostname, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // see above
}

func (c *client) hello() error {
	if err := c.PrintfLine("EHLO canary.invalid"); err != nil {
		return fault.Wrap(err, "greet")
	}
	_, text, err := c.ReadResponse(250)
	c.extensions = text
	return fault.Wrap(err, "greet")
}

func (c *client) ask(code int, format string, args ...any) error {
	_, err := c.say(code, format, args...)
	return err
}

func (c *client) say(code int, format string, args ...any) (string, error) {
	if err := c.PrintfLine(format, args...); err != nil {
		return "", fault.Wrap(err, "speak SMTP")
	}
	_, text, err := c.ReadResponse(code)
	if err != nil {
		word, _, _ := strings.Cut(format, " ")
		return text, fault.Because(fault.Unavailable, err, "The answer to "+word+" was not the one expected.")
	}
	return text, nil
}

// submit hands a message over and gives the identifier that the server named.
func (x *scene) submit(ctx context.Context, door string, from, to address.Address) (ids.Message, error) {
	return x.hand(ctx, door, from, x.mail(from, to), to)
}

// hand is submit with the words of a message, for one recipient or several.
func (x *scene) hand(ctx context.Context, door string, from address.Address, mail string, to ...address.Address) (ids.Message, error) {
	c, err := x.dial(ctx, door, door == "submissions")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if door != "mx" {
		token := base64.StdEncoding.EncodeToString([]byte("\x00" + x.Username + "\x00" + x.Password))
		if err := c.ask(235, "AUTH PLAIN %s", token); err != nil {
			return 0, err
		}
	}
	lines := []string{"MAIL FROM:<" + from.Text() + ">"}
	for _, a := range to {
		lines = append(lines, "RCPT TO:<"+a.Text()+">")
	}
	for _, line := range lines {
		if err := c.ask(250, "%s", line); err != nil {
			return 0, err
		}
	}
	if err := c.ask(354, "DATA"); err != nil {
		return 0, err
	}
	answer, err := c.say(250, "%s.", mail)
	if err != nil {
		return 0, err
	}
	_ = c.PrintfLine("QUIT") // the message is accepted, whatever follows
	for word := range strings.FieldsSeq(answer) {
		if id, err := ids.Parse[ids.Message](word); err == nil {
			return id, nil
		}
	}
	return 0, fault.New(fault.Unavailable, "the server's answer names no message")
}

// arrive sends a message from outside to the canary's endpoint.
func (x *scene) arrive(ctx context.Context) (ids.Message, error) {
	stranger, err := address.Parse("friend@stranger.invalid")
	if err != nil {
		return 0, err
	}
	return x.submit(ctx, "mx", stranger, x.inbound())
}

// post sends a message by HTTP.
func (x *scene) post(ctx context.Context) (ids.Message, error) {
	var out struct {
		ID string `json:"id"`
	}
	in := map[string]any{
		"from": x.sender().Text(), "to": []string{x.outward().Text()}, "subject": "canary " + x.word, "text": x.body(),
	}
	if err := x.must(ctx, http.MethodPost, "/v1/messages", in, &out); err != nil {
		return 0, err
	}
	id, err := ids.Parse[ids.Message](out.ID)
	return id, fault.Wrap(err, fmt.Sprintf("read the identifier %q", out.ID))
}

package smtpserver_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"strconv"
	"strings"
	"testing"

	"mailvow/internal/door/smtpserver"
	"mailvow/internal/standard/scram"
)

// secure opens a submission over TLS and says EHLO.
func secure(t *testing.T, st *site) (*client, *tls.Conn) {
	t.Helper()
	conn := tls.Client(st.dial(t), tlsClient())
	c := &client{t, conn, bufio.NewReader(conn)}
	c.want("220", c.hear())
	c.want("250", c.say("EHLO c.example"))
	return c, conn
}

func openSubmissions(t *testing.T) *site {
	return open(t, func(c *smtpserver.Config, h *house) {
		c.Role = smtpserver.Submissions
		c.Limits.AuthFailureRate = smtpserver.Rate{Count: -1}
		v, err := scram.NewVerifier(password, []byte("salt and pepper."), 4096)
		if err != nil {
			t.Fatal(err)
		}
		h.scram = v
	})
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func (c *client) challenge(text string) string {
	c.Helper()
	got := c.say(text)
	c.want("334 ", got)
	b, err := base64.StdEncoding.DecodeString(got[4:])
	if err != nil {
		c.Fatal(err)
	}
	return string(b)
}

// signIn plays SCRAM's client and gives the last reply.
func (c *client) signIn(mechanism, header, channel, username, secret string) string {
	c.Helper()
	bare := "n=" + username + ",r=abcdefghijklmnop"
	server := c.challenge("AUTH " + mechanism + " " + encode(header+bare))
	fields := map[string]string{}
	for field := range strings.SplitSeq(server, ",") {
		fields[field[:1]] = field[2:]
	}
	salt, _ := base64.StdEncoding.DecodeString(fields["s"])
	rounds, _ := strconv.Atoi(fields["i"])
	salted, err := pbkdf2.Key(sha256.New, secret, salt, rounds, 32)
	if err != nil {
		c.Fatal(err)
	}
	without := "c=" + encode(header+channel) + ",r=" + fields["r"]
	key := sign(salted, "Client Key")
	stored := sha256.Sum256(key)
	auth := bare + "," + server + "," + without
	proof := make([]byte, 32)
	subtle.XORBytes(proof, key, sign(stored[:], auth))
	answer := c.say(encode(without + ",p=" + base64.StdEncoding.EncodeToString(proof)))
	if !strings.HasPrefix(answer, "334 ") {
		return answer
	}
	if want := encode("v=" + base64.StdEncoding.EncodeToString(sign(sign(salted, "Server Key"), auth))); answer[4:] != want {
		c.Fatalf("the server's proof is %s", answer)
	}
	return c.say("")
}

func sign(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func TestScramOverTheWire(t *testing.T) {
	t.Parallel()
	st := openSubmissions(t)
	for _, secret := range []string{password, "wrong"} {
		want := map[bool]string{true: "235 2.7.0", false: "535 5.7.8"}[secret == password]
		c, _ := secure(t, st)
		c.want(want, c.signIn("SCRAM-SHA-256", "n,,", "", user, secret))
		c, conn := secure(t, st)
		state := conn.ConnectionState()
		channel, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		if err != nil {
			t.Fatal(err)
		}
		c.want(want, c.signIn("SCRAM-SHA-256-PLUS", "p=tls-exporter,,", string(channel), user, secret))
	}
	if log := st.log.String(); strings.Contains(log, password) || strings.Contains(log, user) || !strings.Contains(log, "reason=auth") {
		t.Errorf("the log:\n%s", log)
	}
	if st.count(t, "mailvow_smtp_auth_total", "ok") != 2 || st.count(t, "mailvow_smtp_auth_total", "failed") != 2 {
		t.Error("the exchanges were not counted")
	}
	st.house.mu.Lock()
	if proved := st.house.proved; len(proved) != 2 || proved[0] != user {
		t.Errorf("proofs were reported for %q", proved)
	}
	st.house.mu.Unlock()
	c, _ := secure(t, st)
	c.want("535 5.7.8", c.signIn("SCRAM-SHA-256-PLUS", "p=tls-exporter,,", strings.Repeat("x", 32), user, password))
	if got := c.say("AUTH SCRAM-SHA-256 " + encode("y,,n="+user+",r=abcdefghijklm")); !strings.HasPrefix(got, "535 5.7.8 Somebody took SCRAM-SHA-256-PLUS out") {
		t.Errorf("a downgrade: %s", got)
	}
}

// TestScramDoesNotTellWhoExists holds that a name without a verifier looks like
// any other, each time the same.
func TestScramDoesNotTellWhoExists(t *testing.T) {
	t.Parallel()
	st := openSubmissions(t)
	salts := map[string]bool{}
	for range 2 {
		c, _ := secure(t, st)
		server := c.challenge("AUTH SCRAM-SHA-256 " + encode("n,,n=nobody,r=abcdefghijklm"))
		salts[server[strings.Index(server, ",s="):]] = true
		c.want("501", c.say("*"))
		c.want("535 5.7.8 The user name or the password is wrong.", c.signIn("SCRAM-SHA-256", "n,,", "", "nobody", password))
	}
	if len(salts) != 1 {
		t.Errorf("the salt of a name changes: %v", salts)
	}
}

package smtp

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"mailvow/internal/base/fault"
)

// auth signs in with AUTH PLAIN (RFC 4616), if credentials are set. Nothing of
// it enters the record.
func (c *Client) auth(ctx context.Context) error {
	if c.opts.Username == "" {
		return nil
	}
	if c.tls == "" && !c.opts.AuthInClear {
		return &Broken{Stage: StageAuth, Err: fault.New(fault.Unavailable, "The host wants a password and offers no TLS.")}
	}
	if !slices.Contains(c.ext.Auth, "PLAIN") {
		return &Broken{Stage: StageAuth, Err: fault.New(fault.Unavailable, "The host does not offer AUTH PLAIN.")}
	}
	token := base64.StdEncoding.EncodeToString([]byte("\x00" + c.opts.Username + "\x00" + c.opts.Password))
	r, err := c.command(ctx, StageAuth, "AUTH PLAIN "+token)
	clear(c.out)
	if err != nil {
		return err
	}
	if r.Code != 235 {
		return &Broken{Stage: StageAuth, Reply: &r}
	}
	return nil
}

const hexDigits = "0123456789ABCDEF"

// appendORcpt writes ORCPT=type;address. A UTF-8 address keeps its octets for a
// peer with SMTPUTF8 (RFC 6533 3: utf-8-addr-xtext is for the others).
func appendORcpt(out []byte, orcpt string, utf8 bool) []byte {
	kind, addr, ok := strings.Cut(orcpt, ";")
	if !ok || kind == "" || !clean(kind) {
		return out
	}
	out = append(append(append(out, " ORCPT="...), kind...), ';')
	if !strings.EqualFold(kind, "utf-8") {
		return append(out, EncodeXtext(addr)...)
	}
	for _, r := range addr {
		switch {
		case r > ' ' && r < 0x7f && r != '+' && r != '=' && r != '\\', r >= 0x80 && utf8:
			out = append(out, string(r)...)
		default:
			out = appendEmbedded(out, r)
		}
	}
	return out
}

// appendEmbedded writes \x{HEX}, the EmbeddedUnicodeChar of RFC 6533 3.
func appendEmbedded(out []byte, r rune) []byte {
	out = append(out, `\x{`...)
	started := false
	for shift := 20; shift >= 0; shift -= 4 {
		d := r >> shift & 15
		if started = started || d != 0 || shift <= 4; started {
			out = append(out, hexDigits[d])
		}
	}
	return append(out, '}')
}

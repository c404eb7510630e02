package smtp

import (
	"bytes"
	"strings"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
)

// Path is the reverse-path of MAIL or the forward-path of RCPT.
type Path struct {
	Address address.Address
	// Postmaster is the one forward-path without a domain (RFC 5321 4.5.1); the
	// server's own domain goes with it.
	Postmaster bool
}

// cutPath splits keyword:<path> parameters. Spaces after the colon are accepted,
// because many clients write them.
func cutPath(arg []byte, keyword string) (path, rest []byte, err error) {
	if len(arg) < len(keyword) || !strings.EqualFold(string(arg[:len(keyword)]), keyword) {
		return nil, nil, fault.Field(BlameSyntax, "The command has the form "+form(keyword)+".")
	}
	arg = bytes.TrimLeft(arg[len(keyword):], " ")
	if len(arg) == 0 || arg[0] != '<' {
		return nil, nil, fault.Field(BlameSyntax, "The address stands in angle brackets: "+form(keyword)+".")
	}
	end := pathEnd(arg)
	if end < 0 {
		return nil, nil, fault.Field(BlameSyntax, "The angle bracket of the address does not close.")
	}
	rest = arg[end+1:]
	if len(rest) > 0 && rest[0] != ' ' {
		return nil, nil, fault.Field(BlameSyntax, "A space must follow the address before its parameters.")
	}
	return arg[1:end], bytes.Trim(rest, " "), nil
}

func form(keyword string) string {
	if keyword == "FROM:" {
		return "MAIL FROM:<address>"
	}
	return "RCPT TO:<address>"
}

// pathEnd finds the closing bracket; inside a quoted local part it does not
// count.
func pathEnd(arg []byte) int {
	quoted := false
	for i := 1; i < len(arg); i++ {
		switch c := arg[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			return i
		}
	}
	return -1
}

// parsePath reads what stands between the brackets. A source route is accepted
// and dropped (RFC 5321 4.1.1.3, appendix C).
func parsePath(path []byte, utf8 bool) (address.Address, error) {
	if !utf8 && !ascii(path) {
		return address.Address{}, fault.Field(BlameUTF8, "The address has characters beyond ASCII; the command MAIL must then ask for SMTPUTF8.")
	}
	if len(path) > 0 && path[0] == '@' {
		colon := bytes.IndexByte(path, ':')
		if colon < 0 {
			return address.Address{}, fault.Field(BlamePath, "The source route does not end in a colon; leave it out.")
		}
		path = path[colon+1:]
	}
	a, err := address.Parse(string(path))
	if err != nil {
		text, _ := fault.Public(err)
		return address.Address{}, fault.Field(BlamePath, text)
	}
	return a, nil
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

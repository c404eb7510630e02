// Package smtp is the language of RFC 5321 and its extensions: command lines,
// paths, parameters, delivery status requests (RFC 3461), chunks (RFC 3030) and
// the end of data. It reads what a peer sends strictly where leniency has let
// one message become two (line ends, the end of data, parameters), and says what
// is wrong in a sentence that the peer may read. It does no input or output of
// its own on the server's side; sessions, limits and replies are left to
// door/smtpserver, the sending side to the client in this package.
package smtp

import "strings"

// Extensions is a set of ESMTP extensions.
type Extensions uint32

// The extensions that the house knows.
const (
	Pipelining   Extensions = 1 << iota // RFC 2920
	Size                                // RFC 1870
	EightBitMIME                        // RFC 6152
	UTF8                                // SMTPUTF8, RFC 6531
	Chunking                            // RFC 3030
	Enhanced                            // ENHANCEDSTATUSCODES, RFC 2034
	DSN                                 // RFC 3461
	StartTLS                            // RFC 3207
	Auth                                // RFC 4954
	Limits                              // RFC 9422
	RequireTLS                          // RFC 8689
	BinaryMIME                          // RFC 3030
	lastExtension
)

var keywords = map[string]Extensions{
	"PIPELINING": Pipelining, "SIZE": Size, "8BITMIME": EightBitMIME, "SMTPUTF8": UTF8, "CHUNKING": Chunking,
	"ENHANCEDSTATUSCODES": Enhanced, "DSN": DSN, "STARTTLS": StartTLS, "AUTH": Auth, "LIMITS": Limits,
	"REQUIRETLS": RequireTLS, "BINARYMIME": BinaryMIME,
}

// Extension finds an extension by its EHLO keyword, in any case; 0 if the house
// does not know it.
func Extension(keyword string) Extensions { return keywords[strings.ToUpper(keyword)] }

// Has reports whether every extension of x is in the set.
func (e Extensions) Has(x Extensions) bool { return e&x == x }

// Keyword is the EHLO keyword of a set with one member, else "".
func (e Extensions) Keyword() string {
	for k, x := range keywords {
		if x == e {
			return k
		}
	}
	return ""
}

// Each calls f for each member, in the order of the constants.
func (e Extensions) Each(f func(Extensions)) {
	for x := Extensions(1); x < lastExtension; x <<= 1 {
		if e&x != 0 {
			f(x)
		}
	}
}

// What a fault of this package blames: the Field of its fault.Error. A door
// chooses the reply code by it.
const (
	BlameSyntax    = "syntax"    // the command does not have its form: 501 5.5.4
	BlamePath      = "path"      // the address is wrong: 501 5.1.3 or 5.1.7
	BlameUTF8      = "utf8"      // an address beyond ASCII without SMTPUTF8: 553 5.6.7
	BlameParameter = "parameter" // a parameter that was offered has a wrong value: 501 5.5.4
	BlameUnknown   = "unknown"   // a parameter that was not offered: 555 5.5.4
)

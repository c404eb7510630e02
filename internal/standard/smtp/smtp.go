// The server's side is the language of RFC 5321 without input or output of its
// own: command lines, paths, parameters, requests for delivery status (RFC
// 3461), chunks (RFC 3030), the end of data. It reads strictly where leniency
// lets one message become two, and says what is wrong in a sentence that the
// peer may read. Sessions, limits and replies are left to door/smtpserver.
package smtp

import "strings"

// Offers is a set of ESMTP extensions.
type Offers uint32

// The extensions that the house knows.
const (
	OfferPipelining   Offers = 1 << iota // RFC 2920
	OfferSize                            // RFC 1870
	OfferEightBitMIME                    // RFC 6152
	OfferUTF8                            // SMTPUTF8, RFC 6531
	OfferChunking                        // RFC 3030
	OfferEnhanced                        // ENHANCEDSTATUSCODES, RFC 2034
	OfferDSN                             // RFC 3461
	OfferStartTLS                        // RFC 3207
	OfferAuth                            // RFC 4954
	OfferLimits                          // RFC 9422
	OfferRequireTLS                      // RFC 8689
	OfferBinaryMIME                      // RFC 3030
	lastOffer
)

var keywords = map[string]Offers{
	"PIPELINING": OfferPipelining, "SIZE": OfferSize, "8BITMIME": OfferEightBitMIME, "SMTPUTF8": OfferUTF8, "CHUNKING": OfferChunking,
	"ENHANCEDSTATUSCODES": OfferEnhanced, "DSN": OfferDSN, "STARTTLS": OfferStartTLS, "AUTH": OfferAuth, "LIMITS": OfferLimits,
	"REQUIRETLS": OfferRequireTLS, "BINARYMIME": OfferBinaryMIME,
}

// OfferOf finds an extension by its EHLO keyword, in any case; 0 if the house
// does not know it.
func OfferOf(keyword string) Offers { return keywords[strings.ToUpper(keyword)] }

// Has reports whether every extension of x is in the set.
func (o Offers) Has(x Offers) bool { return o&x == x }

// Keyword is the EHLO keyword of a set with one member, else "".
func (o Offers) Keyword() string {
	for k, x := range keywords {
		if x == o {
			return k
		}
	}
	return ""
}

// Each calls f for each member, in the order of the constants.
func (o Offers) Each(f func(Offers)) {
	for x := Offers(1); x < lastOffer; x <<= 1 {
		if o&x != 0 {
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

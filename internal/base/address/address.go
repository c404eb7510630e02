// Package address is a mailbox address (RFC 5321 4.1.2, RFC 6531). It promises
// that an address prints itself redacted, so that no log line holds one by
// accident, and that two spellings of one mailbox compare equal by Canonical.
// Whether a mailbox exists, and display names, are left to others.
package address

import (
	"log/slog"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"mailvow/internal/base/fault"
)

// Address is one mailbox. The zero Address is the null reverse-path <>.
type Address struct {
	local  string // unquoted
	domain string // A-labels in lower case, or an address literal with its brackets
}

const (
	maxLocal  = 64  // octets, RFC 5321 4.5.3.1.1
	maxDomain = 255 // octets, RFC 5321 4.5.3.1.2
	maxPath   = 254 // octets of the whole address, RFC 5321 4.5.3.1.3 less the brackets
)

// domains lets what is out there in DNS pass (underscores included) and still
// refuses what no resolver takes.
var domains = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.BidiRule())

// Parse reads local@domain. The local part may be quoted; the domain may be an
// IDN or an address literal. It refuses control characters anywhere, so that an
// address can never end a line.
func Parse(s string) (Address, error) {
	if !utf8.ValidString(s) {
		return Address{}, fault.New(fault.Invalid, "The address is not valid UTF-8.")
	}
	local, domain, err := split(s)
	if err != nil {
		return Address{}, err
	}
	domain, err = Domain(domain)
	if err != nil {
		return Address{}, err
	}
	a := Address{local: local, domain: domain}
	if len(a.Text()) > maxPath {
		return Address{}, fault.New(fault.Invalid, "The address is longer than 254 octets.")
	}
	return a, nil
}

// Domain brings a domain into the form that addresses keep and compare:
// A-labels in lower case without a trailing dot, or an address literal.
func Domain(s string) (string, error) {
	if strings.HasPrefix(s, "[") {
		return literal(s)
	}
	ascii, err := domains.ToASCII(strings.TrimSuffix(s, "."))
	if err != nil || ascii == "" || len(ascii) > maxDomain || !looksLikeDomain(ascii) {
		return "", fault.New(fault.Invalid, "The part after @ is no domain.")
	}
	return ascii, nil
}

func looksLikeDomain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

// literal reads [192.0.2.1] or [IPv6:2001:db8::1] (RFC 5321 4.1.3).
func literal(s string) (string, error) {
	inner, ok := strings.CutSuffix(strings.TrimPrefix(s, "["), "]")
	bare := inner
	if len(inner) > 5 && strings.EqualFold(inner[:5], "IPv6:") {
		bare = inner[5:]
	}
	ip, err := netip.ParseAddr(bare)
	if !ok || err != nil || ip.Zone() != "" || (ip.Is6() != (bare != inner)) {
		return "", fault.New(fault.Invalid, "The address literal is wrong; it has the form [192.0.2.1] or [IPv6:2001:db8::1].")
	}
	if ip.Is6() {
		return "[IPv6:" + ip.String() + "]", nil
	}
	return "[" + ip.String() + "]", nil
}

func split(s string) (local, domain string, err error) {
	if strings.HasPrefix(s, `"`) {
		return splitQuoted(s)
	}
	local, domain, ok := strings.Cut(s, "@")
	if !ok || strings.Contains(domain, "@") {
		return "", "", fault.New(fault.Invalid, "An address has the form local@domain.")
	}
	if local == "" || len(local) > maxLocal {
		return "", "", fault.New(fault.Invalid, "The part before @ must have 1 to 64 octets.")
	}
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" {
			return "", "", fault.New(fault.Invalid, "The part before @ has a dot at its edge or two in a row.")
		}
	}
	for _, r := range local {
		if r != '.' && !isAtext(r) {
			return "", "", fault.New(fault.Invalid, "The part before @ holds a character that must stand in quotation marks.")
		}
	}
	return composed(local), domain, nil
}

func splitQuoted(s string) (local, domain string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case r == '"':
			if i >= len(s) || s[i] != '@' || b.Len() == 0 || b.Len() > maxLocal {
				return "", "", fault.New(fault.Invalid, "A quoted local part must be followed by @ and have 1 to 64 octets.")
			}
			return composed(b.String()), s[i+1:], nil
		case r == '\\':
			if i >= len(s) {
				return "", "", fault.New(fault.Invalid, "The quoted part does not end.")
			}
			r, n = utf8.DecodeRuneInString(s[i:])
			i += n
			if r < ' ' || r > '~' {
				return "", "", fault.New(fault.Invalid, "The quoted part holds a control character.")
			}
			b.WriteRune(r)
		case r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0):
			return "", "", fault.New(fault.Invalid, "The quoted part holds a control character.")
		default:
			b.WriteRune(r)
		}
	}
	return "", "", fault.New(fault.Invalid, "The quoted part does not end.")
}

// isAtext reports RFC 5322 3.2.3 atext, with RFC 6531's UTF-8.
func isAtext(r rune) bool {
	if r >= 0xa0 {
		return true
	}
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || (r < 0x80 && strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r))
}

// IsNull reports the null reverse-path.
func (a Address) IsNull() bool { return a.domain == "" }

// Local is the part before @ as given, without quotation.
func (a Address) Local() string { return a.local }

// Domain is the part after @: A-labels in lower case, or a literal.
func (a Address) Domain() string { return a.domain }

// Text is the whole address as SMTP writes it between the angle brackets. This
// is personal data: it goes into envelopes and sealed rows, never into a log.
func (a Address) Text() string {
	if a.IsNull() {
		return ""
	}
	return quoteLocal(a.local) + "@" + a.domain
}

func quoteLocal(local string) string {
	plain := local != "" && local[0] != '.' && local[len(local)-1] != '.' && !strings.Contains(local, "..")
	for _, r := range local {
		plain = plain && (r == '.' || isAtext(r))
	}
	if plain {
		return local
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range local {
		if r == '"' || r == '\\' {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}

// Canonical is the form under which a mailbox is hashed and compared: local
// part in NFC and lower case, domain in A-labels. Sub-addresses are kept: "a-b"
// and "a+b" are other mailboxes than "a". Version 1, see docs/formats/lookup.md.
func (a Address) Canonical() string {
	if a.IsNull() {
		return ""
	}
	return composed(strings.ToLower(a.local)) + "@" + a.domain
}

// composed is NFC. ASCII is in it already, and norm's frame is so large that the
// stack of a young goroutine is copied for it.
func composed(s string) string {
	if isASCII(s) {
		return s
	}
	return norm.NFC.String(s)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// NeedsUTF8 reports whether the address can travel only with SMTPUTF8.
func (a Address) NeedsUTF8() bool { return !isASCII(a.local) }

// String is redacted: the first letter and the domain's last label.
func (a Address) String() string {
	if a.IsNull() {
		return "<>"
	}
	r, _ := utf8.DecodeRuneInString(a.local)
	tld := a.domain
	if i := strings.LastIndexByte(tld, '.'); i >= 0 {
		tld = tld[i+1:]
	}
	return string(r) + "…@…" + tld
}

// LogValue keeps a logged address redacted even inside other values.
func (a Address) LogValue() slog.Value { return slog.StringValue(a.String()) }

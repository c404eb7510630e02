package smtp

import (
	"bytes"
	"strconv"
	"strings"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
)

// MailCommand is what MAIL says.
type MailCommand struct {
	Sender     address.Address // zero for <>
	Size       int64           // bytes as declared, 0 if not
	EightBit   bool            // BODY=8BITMIME
	Binary     bool            // BODY=BINARYMIME
	UTF8       bool            // SMTPUTF8
	RequireTLS bool
	Ret        string // FULL, HDRS or ""
	EnvID      string // decoded
}

// RcptCommand is what RCPT says.
type RcptCommand struct {
	Path
	Notify string // NEVER, or a list of SUCCESS, FAILURE, DELAY in this order; "" if not given
	ORcpt  string // type;address, the address decoded
}

// Bounds of RFC 3461 4.2 and 4.4, in octets.
const (
	maxEnvID = 100
	maxORcpt = 500
)

// ParseMail reads the argument of MAIL, with the parameters of the offered
// extensions. Faults blame a field: see the Blame constants.
func ParseMail(arg []byte, offered Offers) (MailCommand, error) {
	var m MailCommand
	path, rest, err := cutPath(arg, "FROM:")
	if err != nil {
		return m, err
	}
	if err := eachParameter(rest, func(name, value string, has bool) error { return m.set(name, value, has, offered) }); err != nil {
		return m, err
	}
	if len(path) > 0 {
		m.Sender, err = parsePath(path, m.UTF8)
	}
	return m, err
}

// set takes one parameter of MAIL.
func (m *MailCommand) set(name, value string, has bool, offered Offers) error {
	switch {
	case name == "SIZE" && offered.Has(OfferSize):
		n, err := parseSize(value)
		m.Size = n
		return err
	case name == "BODY" && offered.Has(OfferEightBitMIME):
		return m.setBody(value, offered)
	case name == "SMTPUTF8" && offered.Has(OfferUTF8):
		m.UTF8 = true
		return bare(name, has)
	case name == "REQUIRETLS" && offered.Has(OfferRequireTLS):
		m.RequireTLS = true
		return bare(name, has)
	case name == "RET" && offered.Has(OfferDSN):
		m.Ret = strings.ToUpper(value)
		if m.Ret != "FULL" && m.Ret != "HDRS" {
			return fault.Field(BlameParameter, "RET is FULL or HDRS.")
		}
		return nil
	case name == "ENVID" && offered.Has(OfferDSN):
		var err error
		if m.EnvID, err = DecodeXtext(value); err != nil || value == "" || len(value) > maxEnvID {
			return fault.Field(BlameParameter, "ENVID holds 1 to 100 characters of xtext (RFC 3461 section 4).")
		}
		return nil
	case name == "AUTH" && offered.Has(OfferAuth):
		// RFC 4954 5: the identity somebody else claims; we go by our own AUTH.
		if _, err := decodeXtext(value); err != nil || value == "" {
			return fault.Field(BlameParameter, "AUTH holds an address in xtext, or <>.")
		}
		return nil
	}
	return notOffered("MAIL", name)
}

func (m *MailCommand) setBody(value string, offered Offers) error {
	switch v := strings.ToUpper(value); {
	case v == "7BIT":
		return nil
	case v == "8BITMIME":
		m.EightBit = true
		return nil
	case v == "BINARYMIME" && offered.Has(OfferBinaryMIME):
		m.Binary = true
		return nil
	}
	return fault.Field(BlameParameter, "BODY is 7BIT or 8BITMIME here; encode binary content in base64.")
}

// ParseRcpt reads the argument of RCPT. utf8 says whether MAIL asked for
// SMTPUTF8.
func ParseRcpt(arg []byte, offered Offers, utf8 bool) (RcptCommand, error) {
	var r RcptCommand
	path, rest, err := cutPath(arg, "TO:")
	if err != nil {
		return r, err
	}
	if err := eachParameter(rest, func(name, value string, _ bool) error { return r.set(name, value, offered, utf8) }); err != nil {
		return r, err
	}
	switch {
	case len(path) == 0:
		return r, fault.Field(BlamePath, "A recipient cannot be empty.")
	case strings.EqualFold(string(path), "postmaster"):
		r.Postmaster = true
		return r, nil
	}
	r.Address, err = parsePath(path, utf8)
	return r, err
}

// set takes one parameter of RCPT.
func (r *RcptCommand) set(name, value string, offered Offers, utf8 bool) (err error) {
	switch {
	case name == "NOTIFY" && offered.Has(OfferDSN):
		r.Notify, err = ParseNotify(value)
		return err
	case name == "ORCPT" && offered.Has(OfferDSN):
		r.ORcpt, err = parseORcpt(value, utf8)
		return err
	}
	return notOffered("RCPT", name)
}

func notOffered(verb, name string) error {
	return fault.Field(BlameUnknown, "The parameter "+name+" of "+verb+" is not offered here; leave it out. EHLO lists what is offered.")
}

func bare(name string, has bool) error {
	if has {
		return fault.Field(BlameParameter, name+" takes no value.")
	}
	return nil
}

func parseSize(value string) (int64, error) {
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil || len(value) > 20 || value[0] == '+' {
		return 0, fault.Field(BlameParameter, "SIZE is the number of octets in digits.")
	}
	return int64(n), nil
}

// eachParameter calls f for each keyword[=value] (RFC 5321 4.1.2), the name in
// capitals. A parameter may stand once.
func eachParameter(rest []byte, f func(name, value string, has bool) error) error {
	var seen [12]string
	count := 0
	for len(rest) > 0 {
		word := rest
		if i := bytes.IndexByte(rest, ' '); i >= 0 {
			word, rest = rest[:i], bytes.TrimLeft(rest[i+1:], " ")
		} else {
			rest = nil
		}
		name, value, has := strings.Cut(string(word), "=")
		name = strings.ToUpper(name)
		if !keywordOK(name) || has && !valueOK(value) {
			return fault.Field(BlameParameter, "A parameter has the form KEYWORD or KEYWORD=value, without spaces or control characters.")
		}
		if count == len(seen) {
			return fault.Field(BlameParameter, "The command has too many parameters.")
		}
		for _, s := range seen[:count] {
			if s == name {
				return fault.Field(BlameParameter, "The parameter "+name+" stands twice.")
			}
		}
		seen[count] = name
		count++
		if err := f(name, value, has); err != nil {
			return err
		}
	}
	return nil
}

func keywordOK(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !(c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' && i > 0) {
			return false
		}
	}
	return name != "" && len(name) <= 40
}

func valueOK(value string) bool {
	for i := range len(value) {
		if c := value[i]; c <= ' ' || c == '=' || c == 0x7f {
			return false
		}
	}
	return value != ""
}

package smtp

import (
	"strconv"
	"strings"

	"mailvow/internal/base/reply"
)

// Extensions are what a server offered in its answer to EHLO (RFC 5321 4.1.1.1).
type Extensions struct {
	ESMTP      bool // it knows EHLO
	Pipelining bool // RFC 2920
	EightBit   bool // RFC 6152
	SMTPUTF8   bool // RFC 6531
	DSN        bool // RFC 3461
	StartTLS   bool // RFC 3207
	RequireTLS bool // RFC 8689
	Chunking   bool // RFC 3030
	Enhanced   bool // RFC 2034
	HasSize    bool // RFC 1870
	Size       int64
	Auth       []string // mechanisms in upper case, RFC 4954
	MailMax    int      // RFC 9422: transactions per connection, 0 if not said
	RcptMax    int      // RFC 9422: recipients per transaction, 0 if not said
}

func parseExtensions(r reply.Reply) Extensions {
	e := Extensions{ESMTP: true}
	for i, line := range strings.Split(r.Text, "\n") {
		if i == 0 {
			continue // the peer's name and a greeting
		}
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		e.take(strings.ToUpper(word), strings.TrimSpace(rest))
	}
	return e
}

func (e *Extensions) take(word, rest string) {
	switch word {
	case "PIPELINING":
		e.Pipelining = true
	case "8BITMIME":
		e.EightBit = true
	case "SMTPUTF8":
		e.SMTPUTF8 = true
	case "DSN":
		e.DSN = true
	case "STARTTLS":
		e.StartTLS = true
	case "REQUIRETLS":
		e.RequireTLS = true
	case "CHUNKING":
		e.Chunking = true
	case "ENHANCEDSTATUSCODES":
		e.Enhanced = true
	case "SIZE":
		n, err := strconv.ParseInt(rest, 10, 64)
		e.HasSize = true
		if err == nil && n > 0 {
			e.Size = n
		}
	case "AUTH":
		e.Auth = append(e.Auth, strings.Fields(strings.ToUpper(rest))...)
	case "LIMITS":
		e.limits(rest)
	}
}

// limits reads RFC 9422's name=value list; unknown names are ignored.
func (e *Extensions) limits(rest string) {
	for _, pair := range strings.Fields(rest) {
		name, value, _ := strings.Cut(pair, "=")
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			continue
		}
		switch strings.ToUpper(name) {
		case "MAILMAX":
			e.MailMax = n
		case "RCPTMAX":
			e.RcptMax = n
		}
	}
}

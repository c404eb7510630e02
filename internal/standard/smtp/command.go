package smtp

import "bytes"

// Verb is an SMTP command.
type Verb uint8

// The verbs. Foreign is the first word of another protocol's request, which
// somebody made a browser or a script send here.
const (
	Unknown Verb = iota
	Helo
	Ehlo
	Mail
	Rcpt
	Data
	Bdat
	Rset
	Noop
	Quit
	Vrfy
	Expn
	Help
	STARTTLS
	AUTH
	Foreign
)

var verbs = [...]string{"", "HELO", "EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "VRFY", "EXPN", "HELP", "STARTTLS", "AUTH", ""}

// String is the verb as it stands on the wire, or "" for Unknown and Foreign.
func (v Verb) String() string {
	if int(v) < len(verbs) {
		return verbs[v]
	}
	return ""
}

// Command is one command line. Arg points into the line it was read from.
type Command struct {
	Verb Verb
	Arg  []byte // what follows the verb, without the spaces around it
}

// ParseCommand reads one line without its CRLF. It does not allocate.
func ParseCommand(line []byte) Command {
	word, arg := line, []byte(nil)
	if i := bytes.IndexByte(line, ' '); i >= 0 {
		word, arg = line[:i], bytes.Trim(line[i+1:], " ")
	}
	return Command{Verb: verbOf(word), Arg: arg}
}

func verbOf(word []byte) Verb {
	if len(word) < 3 || len(word) > 8 {
		return Unknown
	}
	var upper [8]byte
	for i, c := range word {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper[i] = c
	}
	switch string(upper[:len(word)]) {
	case "MAIL":
		return Mail
	case "RCPT":
		return Rcpt
	case "DATA":
		return Data
	case "BDAT":
		return Bdat
	case "EHLO":
		return Ehlo
	case "HELO":
		return Helo
	case "QUIT":
		return Quit
	case "RSET":
		return Rset
	case "NOOP":
		return Noop
	case "STARTTLS":
		return STARTTLS
	case "AUTH":
		return AUTH
	}
	return rareVerb(string(upper[:len(word)]))
}

func rareVerb(upper string) Verb {
	switch upper {
	case "VRFY":
		return Vrfy
	case "EXPN":
		return Expn
	case "HELP":
		return Help
	case "GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "CONNECT", "PATCH", "TRACE", "HOST:":
		return Foreign
	}
	return Unknown
}

package smtpserver

import (
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"mailvow/internal/base/limit"
)

// Limits bounds what peers may take. A zero field means the default; a negative
// one means no limit.
type Limits struct {
	Connections           int  // at once, in total
	ConnectionsPerAddress int  // at once; an address is an IPv4 address or an IPv6 /64
	ConnectionRate        Rate // per address
	MessageRate           Rate // per address; who is known is not counted
	AuthFailureRate       Rate // per address
	Addresses             int  // how many addresses are remembered

	Errors      int         // refused commands per connection
	Recipients  int         // per message: RCPTMAX
	Messages    int         // per connection: MAILMAX
	MessageSize limit.Bytes // of one message
	CommandLine int         // octets with CRLF, at most 12288
	DataLine    limit.Bytes // one line of a message; RFC 5322 2.1.1 asks senders for 998

	Session time.Duration // one connection
	Command time.Duration // waiting for the next octets
	Data    time.Duration // one message
	// Stress takes the place of Command when four fifths of all connections are in
	// use, so that idle ones make room.
	Stress time.Duration
}

// Rate is so many in a period, all of which may come at once.
type Rate struct {
	Count int
	Per   time.Duration
}

func (r Rate) limiter() *rate.Limiter {
	if r.Count <= 0 || r.Per <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Every(r.Per/time.Duration(r.Count)), r.Count)
}

const maxCommandLine = 12288 // octets; the longest that an extension asks for (RFC 4954 section 4)

// DefaultLimits are those of a server on the open network.
func DefaultLimits(role Role) Limits {
	l := Limits{
		Connections: 2000, ConnectionsPerAddress: 50, Addresses: 65536,
		ConnectionRate: Rate{600, time.Minute}, MessageRate: Rate{6000, time.Minute}, AuthFailureRate: Rate{10, 10 * time.Minute},
		Errors: 20, Recipients: 1000, Messages: 10000, MessageSize: 25 * limit.MiB, CommandLine: 2048, DataLine: limit.MiB,
		Session: 2 * time.Hour, Command: 5 * time.Minute, Data: 30 * time.Minute, Stress: 10 * time.Second,
	}
	if role != MX {
		l.CommandLine = maxCommandLine
	}
	return l
}

func orDefault[T int | limit.Bytes | time.Duration](v *T, d T) {
	switch {
	case *v == 0:
		*v = d
	case *v < 0:
		*v = 0
	}
}

func (r *Rate) orDefault(d Rate) {
	switch {
	case *r == (Rate{}):
		*r = d
	case r.Count < 0:
		*r = Rate{}
	}
}

// line is the parameters of LIMITS (RFC 9422 section 4).
func (l *Limits) line() string {
	line := ""
	if l.Recipients > 0 {
		line += " RCPTMAX=" + strconv.Itoa(l.Recipients)
	}
	if l.Messages > 0 {
		line += " MAILMAX=" + strconv.Itoa(l.Messages)
	}
	return line
}

// orDefaults fills in the defaults; in its result zero means no limit.
func (l Limits) orDefaults(d Limits) Limits {
	orDefault(&l.Connections, d.Connections)
	orDefault(&l.ConnectionsPerAddress, d.ConnectionsPerAddress)
	orDefault(&l.Addresses, d.Addresses)
	l.ConnectionRate.orDefault(d.ConnectionRate)
	l.MessageRate.orDefault(d.MessageRate)
	l.AuthFailureRate.orDefault(d.AuthFailureRate)
	orDefault(&l.Errors, d.Errors)
	orDefault(&l.Recipients, d.Recipients)
	orDefault(&l.Messages, d.Messages)
	orDefault(&l.MessageSize, d.MessageSize)
	orDefault(&l.CommandLine, d.CommandLine)
	orDefault(&l.DataLine, d.DataLine)
	orDefault(&l.Session, d.Session)
	orDefault(&l.Command, d.Command)
	orDefault(&l.Data, d.Data)
	orDefault(&l.Stress, d.Stress)
	if l.Addresses <= 0 {
		l.Addresses = d.Addresses
	}
	return l
}

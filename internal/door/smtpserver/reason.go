package smtpserver

// Reason is why something was refused: the label of the metric and of the log
// line. The list is closed.
type Reason uint8

// The reasons.
const (
	becauseConnections Reason = iota // too many in total
	becauseAddressConnections
	becauseConnectionRate
	becauseMessageRate
	becauseAuthRate
	becauseProxy      // no PROXY header from a network that must send one
	becausePeer       // the backend refused the peer
	becauseStopping   // we are stopping
	becauseTimeout    // of a command, a message or the session
	becauseErrors     // too many errors
	becauseForeign    // another protocol
	becauseLine       // bare CR, bare LF, NUL or too long, in a command
	becauseSyntax     // of a command or its parameters
	becauseSequence   // a command out of order
	becauseUnknown    // an unknown command
	becauseDisabled   // a command that is not offered
	becauseTLS        // no TLS, or it failed
	becauseInjection  // octets after STARTTLS
	becauseAuth       // who is asking is not known
	becauseSender     // refused by the backend
	becauseRecipient  // refused by the backend
	becauseRecipients // too many
	becauseMessages   // too many in one connection
	becauseSize
	becauseBareLF
	becauseBareCR
	becauseNUL
	becauseLongLine
	becauseChunk   // a malformed BDAT
	becauseStore   // the body could not be written
	becauseContent // refused by the backend at the end
	becausePanic   // a defect of ours
	reasonCount
)

var reasonNames = [reasonCount]string{
	"connections", "address_connections", "connection_rate", "message_rate", "auth_rate", "proxy", "peer", "stopping",
	"timeout", "errors", "foreign_protocol", "line", "syntax", "sequence", "unknown_command", "disabled_command", "tls",
	"starttls_injection", "auth", "sender", "recipient", "recipients", "messages", "size", "bare_lf", "bare_cr", "nul",
	"long_line", "chunk", "store", "content", "panic",
}

// String is the reason as metrics and logs carry it.
func (r Reason) String() string {
	if r < reasonCount {
		return reasonNames[r]
	}
	return "other"
}

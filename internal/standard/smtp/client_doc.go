// Package smtp speaks SMTP (RFC 5321). Its client, in the client files, opens a
// session on a connection that it is given, sends any number of messages over
// it and keeps what was said, AUTH excepted. It promises never to send a byte
// sequence that a lax server could take for the end of a message, and to tell
// what became of every recipient, also when the connection breaks. Where to
// connect, what to try again and what an answer means is left to flow/deliver.
package smtp

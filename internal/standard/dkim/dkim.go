// Package dkim signs messages with DomainKeys Identified Mail (RFC 6376,
// RFC 8463) and writes the records that publish the keys. It reads a message
// once, streaming, whatever its size and however many keys sign it. Where keys
// are kept, which domain signs, and verifying are left to others.
//
// The libraries that sign were measured and not taken: one reads the body into
// memory per key, the other stamps the machine's own time and cannot be told how
// many RSA signatures may run at once. Both verify our signatures in the tests.
package dkim

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"io"
	"strconv"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
)

// Content is a message with CRLF line ends.
type Content interface {
	io.ReaderAt
	Size() int64
}

// Key signs for a domain. Private is an *rsa.PrivateKey or an ed25519.PrivateKey.
type Key struct {
	Domain   string // d=, A-labels
	Selector string // s=
	Private  crypto.Signer
}

// MaxHeader is the longest header section that is signed.
const MaxHeader = 4 * limit.MiB

// signed are the fields that a signature covers (RFC 6376 5.4.1). Those marked
// are named once more than they occur, so that nobody can add another one.
var signed = []struct {
	name string
	over bool
}{
	{"from", true}, {"subject", true}, {"to", true}, {"cc", true}, {"reply-to", true}, {"date", true},
	{"message-id", false}, {"in-reply-to", false}, {"references", false}, {"sender", false},
	{"mime-version", false}, {"content-type", false}, {"content-transfer-encoding", false},
	{"list-id", false}, {"list-unsubscribe", false}, {"list-unsubscribe-post", false},
}

// Sign gives one DKIM-Signature field per key, with CRLF, to stand before the
// content. The body is read and hashed once. Each RSA signature takes a place.
// A message without a From field, or with a header section over MaxHeader, is an
// Invalid fault.
func Sign(ctx context.Context, content Content, keys []Key, at time.Time, rsaPlaces limit.Places) ([]byte, error) {
	header, bodyAt, err := readHeader(content)
	if err != nil {
		return nil, err
	}
	covered := cover(splitFields(header))
	if !covered.from {
		return nil, fault.New(fault.Invalid, "The message has no From field, so it cannot be signed.")
	}
	bodyHash, err := hashBody(content, bodyAt)
	if err != nil {
		return nil, fault.Wrap(err, "hash the body for DKIM")
	}
	var out []byte
	for _, k := range keys {
		if out, err = appendSignature(ctx, out, k, covered, bodyHash, at, rsaPlaces); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func hashBody(content Content, at int64) ([]byte, error) {
	h := sha256.New()
	body := &relaxedBody{w: h, out: make([]byte, 0, outSize+4)}
	src := io.NewSectionReader(content, at, content.Size()-at)
	if _, err := io.CopyBuffer(struct{ io.Writer }{body}, struct{ io.Reader }{src}, make([]byte, 32<<10)); err != nil {
		return nil, err
	}
	if err := body.Close(); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

// readHeader gives the header section, the last field's CRLF included, and where
// the body starts. A message without an empty line has no body.
func readHeader(content Content) (header []byte, bodyAt int64, err error) {
	size := content.Size()
	for n := int64(8 << 10); ; n *= 4 {
		n = min(n, size, int64(MaxHeader)+4)
		buf := make([]byte, n)
		if _, err := content.ReadAt(buf, 0); err != nil && err != io.EOF {
			return nil, 0, fault.Wrap(err, "read the header for DKIM")
		}
		if bytes.HasPrefix(buf, []byte("\r\n")) {
			return nil, 2, nil
		}
		if i := bytes.Index(buf, []byte("\r\n\r\n")); i >= 0 {
			return buf[:i+2], int64(i) + 4, nil
		}
		if n == size {
			return buf, size, nil
		}
		if n > int64(MaxHeader) {
			return nil, 0, fault.New(fault.Invalid, "The header section is longer than "+MaxHeader.String()+", so it cannot be signed.")
		}
	}
}

// splitFields cuts a header section into its fields, folded lines together.
func splitFields(header []byte) [][]byte {
	var fields [][]byte
	for len(header) > 0 {
		end := 0
		for {
			i := bytes.IndexByte(header[end:], '\n')
			if i < 0 {
				end = len(header)
				break
			}
			end += i + 1
			if end >= len(header) || header[end] != ' ' && header[end] != '\t' {
				break
			}
		}
		fields = append(fields, header[:end])
		header = header[end:]
	}
	return fields
}

// covering is what a signature covers: the value of h= and the relaxed fields.
type covering struct {
	names string
	hash  []byte // relaxed fields, in the order of names
	from  bool
}

func cover(fields [][]byte) covering {
	byName := map[string][][]byte{}
	for _, f := range fields {
		if name, _, ok := bytes.Cut(f, []byte(":")); ok {
			key := strings.ToLower(string(bytes.TrimRight(name, " \t")))
			byName[key] = append(byName[key], f)
		}
	}
	var c covering
	var names []string
	for _, s := range signed {
		found := byName[s.name]
		for i := len(found) - 1; i >= 0; i-- { // the last one first, RFC 6376 5.4.2
			c.hash = relaxHeader(c.hash, found[i])
			names = append(names, s.name)
		}
		if s.over {
			names = append(names, s.name)
		}
	}
	c.from = len(byName["from"]) > 0
	c.names = foldList(names)
	return c
}

// foldList joins names by colons into lines that fit.
func foldList(names []string) string {
	var b strings.Builder
	line := 3
	for i, n := range names {
		if i > 0 {
			b.WriteByte(':')
			line++
		}
		if line+len(n) > 72 {
			b.WriteString("\r\n\t")
			line = 1
		}
		b.WriteString(n)
		line += len(n)
	}
	return b.String()
}

func appendSignature(ctx context.Context, out []byte, k Key, c covering, bodyHash []byte, at time.Time, places limit.Places) ([]byte, error) {
	algorithm, err := algorithmOf(k.Private)
	if err != nil {
		return nil, err
	}
	field := []byte("DKIM-Signature: v=1; a=" + algorithm + "; c=relaxed/relaxed;\r\n\td=" + k.Domain + "; s=" + k.Selector +
		"; t=" + strconv.FormatInt(at.Unix(), 10) + ";\r\n\th=" + c.names +
		";\r\n\tbh=" + base64.StdEncoding.EncodeToString(bodyHash) + ";\r\n\tb=")
	canonical := relaxHeader(append([]byte(nil), c.hash...), field)
	digest := sha256.Sum256(bytes.TrimSuffix(canonical, []byte("\r\n"))) // RFC 6376 3.7: the last one without CRLF
	signature, err := signDigest(ctx, k.Private, digest[:], places)
	if err != nil {
		return nil, err
	}
	out = append(out, field...)
	text := base64.StdEncoding.EncodeToString(signature)
	for len(text) > 70 {
		out = append(append(out, text[:70]...), "\r\n\t"...)
		text = text[70:]
	}
	return append(append(out, text...), '\r', '\n'), nil
}

func algorithmOf(private crypto.Signer) (string, error) {
	switch private.(type) {
	case *rsa.PrivateKey:
		return "rsa-sha256", nil
	case ed25519.PrivateKey:
		return "ed25519-sha256", nil
	}
	return "", fault.New(fault.Internal, "a DKIM key is neither RSA nor Ed25519")
}

func signDigest(ctx context.Context, private crypto.Signer, digest []byte, places limit.Places) ([]byte, error) {
	opts := crypto.SignerOpts(crypto.Hash(0)) // RFC 8463 section 3: Ed25519 signs the digest itself
	if _, ok := private.(*rsa.PrivateKey); ok {
		if err := places.Take(ctx); err != nil {
			return nil, fault.Wrap(err, "wait for a place to sign")
		}
		defer places.Leave()
		opts = crypto.SHA256
	}
	signature, err := private.Sign(rand.Reader, digest, opts)
	return signature, fault.Wrap(err, "sign with a DKIM key")
}

// Record gives the text of the TXT record at selector._domainkey.domain that
// publishes a key (RFC 6376 3.6.1, RFC 8463 section 4).
func Record(public crypto.PublicKey) (string, error) {
	switch p := public.(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(p)
		if err != nil {
			return "", fault.Wrap(err, "write the DKIM record")
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(p), nil
	}
	return "", fault.New(fault.Internal, "a DKIM key is neither RSA nor Ed25519")
}

package evidence

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// maxCertificate bounds a certificate in bytes.
const maxCertificate = 128 << 10

const certificateFormat = "mailvow deletion certificate v1"

// Certificate is a deletion certificate: the leaf of the erasure, and what it
// takes to show that the leaf stands in the log. Everything it says about the
// erasure it says in the leaf, so that there is nothing in it that the
// signature does not cover. Format: docs/formats/certificate.md.
type Certificate struct {
	Checkpoint string          `json:"checkpoint"`
	Format     string          `json:"format"`
	Proof      []Digest        `json:"inclusion_proof"`
	Leaf       json.RawMessage `json:"leaf"`
	LeafIndex  int64           `json:"leaf_index"`
	PublicKey  string          `json:"public_key"`
	Salt       *Salt           `json:"subject_salt,omitempty"` // in the person's copy only
}

// JSON gives the file: indented for people, with a line end.
func (c Certificate) JSON() ([]byte, error) {
	flat, err := canonical(c)
	if err != nil {
		return nil, fault.Wrap(err, "encode a certificate")
	}
	var out bytes.Buffer
	if err := json.Indent(&out, flat, "", "  "); err != nil {
		return nil, fault.Wrap(err, "encode a certificate")
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// Certificate makes the certificate of the erasure at index from the newest
// checkpoint. A salt that is not this erasure's is an Invalid fault.
func (r *Reader) Certificate(ctx context.Context, index int64, salt *Salt) (Certificate, error) {
	cp, err := r.Checkpoint(ctx)
	if err != nil {
		return Certificate{}, err
	}
	in, err := r.Prove(ctx, cp, index)
	if err != nil {
		return Certificate{}, err
	}
	leaf, err := ParseLeaf(in.Leaf)
	if err != nil {
		return Certificate{}, err
	}
	erasure, ok := leaf.Body.(*Erasure)
	if !ok {
		return Certificate{}, fault.New(fault.Invalid, "That entry is no erasure, so there is no certificate of it.")
	}
	if salt != nil && salt.commitment() != erasure.Subject.Salt {
		return Certificate{}, fault.New(fault.Invalid, "The salt does not belong to that erasure.")
	}
	key := cp.By[len(cp.By)-1]
	if cp, err = cp.signedBy(key); err != nil {
		return Certificate{}, err
	}
	return Certificate{
		Checkpoint: cp.Text, Format: certificateFormat, Proof: in.Proof,
		Leaf: in.Leaf, LeafIndex: index, PublicKey: key.String(), Salt: salt,
	}, nil
}

// CertificateCheck is what the verifier knows beforehand; all of it is optional.
type CertificateCheck struct {
	Trusted []Key            // the signing key must be one of these
	Address *address.Address // the erased person must be this one
}

// CertificateReport is what a certificate says, all of it verified.
type CertificateReport struct {
	Certificate    ids.Certificate `json:"certificate"`
	Of             Of              `json:"of,omitempty"`      // nothing: a person
	Customer       ids.Tenant      `json:"customer,omitzero"` // whose data it was
	Leaf           ids.Leaf        `json:"leaf"`
	At             Time            `json:"at"`
	OrderedBy      Role            `json:"ordered_by"`
	Reason         string          `json:"reason"`
	Policy         string          `json:"policy"`
	Categories     []Counted       `json:"categories"`
	Reached        []string        `json:"reached"`
	Follows        []Follow        `json:"follows"`
	Log            string          `json:"log"` // the log's name
	LogSize        int64           `json:"log_size"`
	LeafIndex      int64           `json:"leaf_index"`
	PublicKey      string          `json:"public_key"`
	KeyTrusted     bool            `json:"key_trusted"`     // the key was in CertificateCheck.Trusted
	SubjectMatches bool            `json:"subject_matches"` // an address was given and is the erased one
}

// VerifyCertificate verifies a certificate from its bytes alone. Without trusted
// keys it shows that nothing was changed since the key in it signed; whose key
// that is, the reader must compare (KeyTrusted is false). A certificate that is
// not one is an Invalid fault, one that does not hold a Denied one.
func VerifyCertificate(data []byte, check CertificateCheck) (CertificateReport, error) {
	c, leaf, erasure, err := parseCertificate(data)
	if err != nil {
		return CertificateReport{}, err
	}
	key, err := ParseKey(c.PublicKey)
	if err != nil {
		return CertificateReport{}, err
	}
	trusted := slices.ContainsFunc(check.Trusted, func(k Key) bool { return k.text == key.text })
	if len(check.Trusted) > 0 && !trusted {
		return CertificateReport{}, denied("is signed by a key that is not among the trusted ones")
	}
	cp, err := ParseCheckpoint([]byte(c.Checkpoint), key)
	if err != nil {
		return CertificateReport{}, err
	}
	if !cp.onlySignature() {
		return CertificateReport{}, denied("has a checkpoint with something unsigned in it")
	}
	if c.LeafIndex < 0 || c.LeafIndex >= cp.Size || len(c.Proof) > 63 {
		return CertificateReport{}, denied("points outside its log")
	}
	if err := tlog.CheckRecord(hashes(c.Proof), cp.Size, tlog.Hash(cp.Root), c.LeafIndex, tlog.RecordHash(c.Leaf)); err != nil {
		return CertificateReport{}, denied("does not prove that its leaf stands in the log")
	}
	matches, err := checkSubject(erasure.Subject, c.Salt, check.Address)
	if erasure.Of == OfCustomer {
		matches, err = checkCustomer(erasure.Subject, c.Salt, leaf.Tenant, check.Address)
	}
	if err != nil {
		return CertificateReport{}, err
	}
	return CertificateReport{
		Certificate: erasure.Certificate, Of: erasure.Of, Customer: leaf.Tenant, Leaf: leaf.ID, At: leaf.At, OrderedBy: leaf.By.Role,
		Reason: erasure.Reason, Policy: erasure.Policy, Categories: erasure.Categories,
		Reached: erasure.Reached, Follows: erasure.Follows,
		Log: cp.Origin, LogSize: cp.Size, LeafIndex: c.LeafIndex, PublicKey: c.PublicKey,
		KeyTrusted: trusted, SubjectMatches: matches,
	}, nil
}

// parseCertificate accepts the bytes that JSON writes, up to the spaces between
// the tokens.
func parseCertificate(data []byte) (Certificate, Leaf, *Erasure, error) {
	fail := func(err error) (Certificate, Leaf, *Erasure, error) {
		return Certificate{}, Leaf{}, nil, fault.Because(fault.Invalid, err, "The file is not a deletion certificate of docs/formats/certificate.md.")
	}
	if len(data) > maxCertificate {
		return fail(nil)
	}
	var flat bytes.Buffer
	if err := json.Compact(&flat, data); err != nil {
		return fail(err)
	}
	var c Certificate
	if err := decode(flat.Bytes(), &c); err != nil {
		return fail(err)
	}
	leaf, err := ParseLeaf(c.Leaf)
	if err != nil {
		return fail(err)
	}
	erasure, ok := leaf.Body.(*Erasure)
	again, err := canonical(c)
	if err != nil || !ok || c.Format != certificateFormat || c.Proof == nil || !bytes.Equal(again, flat.Bytes()) {
		return fail(err)
	}
	return c, leaf, erasure, nil
}

func checkSubject(s SubjectHash, salt *Salt, a *address.Address) (bool, error) {
	if salt != nil && salt.commitment() != s.Salt {
		return false, denied("has a salt that is not the one of its leaf")
	}
	if a == nil {
		return false, nil
	}
	if salt == nil {
		return false, fault.New(fault.Invalid, "This copy of the certificate has no salt; only the person's own copy can be compared with an address.")
	}
	if HashSubject(*salt, *a) != s {
		return false, denied("is about another address")
	}
	return true, nil
}

// checkCustomer is checkSubject of a customer, whose number the leaf bears.
func checkCustomer(s SubjectHash, salt *Salt, customer ids.Tenant, a *address.Address) (bool, error) {
	switch {
	case a != nil:
		return false, fault.New(fault.Invalid, "The certificate is about a customer and not about a person.")
	case customer == 0:
		return false, denied("does not say which customer it is about")
	case salt == nil:
		return false, nil
	case HashCustomer(*salt, customer) != s:
		return false, denied("is about another customer")
	}
	return true, nil
}

func denied(what string) error { return fault.New(fault.Denied, "The certificate "+what+".") }

package evidence

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"mailvow/internal/base/fault"
)

// certified is a log with an erasure in it and the person's certificate.
func certified(t testing.TB, b *bench) (cert []byte, check CertificateCheck) {
	t.Helper()
	ada := mustAddress(t, "Ada.Lovelace@example.com")
	salt := b.salt()
	for range 5 {
		b.act()
	}
	id := b.put(b.erasure(salt, ada))
	for range 3 {
		b.act()
	}
	b.integrate()
	c, err := b.log.Certify(b.t.Context(), id, &salt)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = c.JSON(); err != nil {
		t.Fatal(err)
	}
	return cert, CertificateCheck{Trusted: b.ring.Keys(), Address: &ada}
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	cert, check := certified(t, newBench(t))
	report, err := VerifyCertificate(cert, check)
	if err != nil {
		t.Fatalf("%v\n%s", err, cert)
	}
	if !report.KeyTrusted || !report.SubjectMatches || report.OrderedBy != ByOperator || report.LeafIndex != 5 || report.LogSize != 9 || len(report.Categories) != 2 || report.Categories[1].Why == "" {
		t.Errorf("%+v", report)
	}
	report, err = VerifyCertificate(cert, CertificateCheck{})
	if err != nil || report.KeyTrusted || report.SubjectMatches {
		t.Errorf("without knowing anything: %+v %v", report, err)
	}
	upper := mustAddress(t, "ADA.lovelace@EXAMPLE.com")
	if _, err := VerifyCertificate(cert, CertificateCheck{Address: &upper}); err != nil {
		t.Errorf("another spelling of the address: %v", err)
	}
	bob := mustAddress(t, "bob@example.com")
	if _, err := VerifyCertificate(cert, CertificateCheck{Address: &bob}); !fault.Is(err, fault.Denied) {
		t.Errorf("another person: %v", err)
	}
	other := newBench(t)
	other.random = &stream{seed: "other"}
	other.disk = newTestDisk()
	if err := other.open(); err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyCertificate(cert, CertificateCheck{Trusted: other.ring.Keys()}); !fault.Is(err, fault.Denied) {
		t.Errorf("another log's key: %v", err)
	}
}

// TestCopyWithoutSalt is the controller's copy: it proves the act and nobody's
// address can be compared with it.
func TestCopyWithoutSalt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := mustAddress(t, "ada@example.com")
	salt := b.salt()
	id := b.put(b.erasure(salt, ada))
	plain := b.act()
	b.integrate()
	c, err := b.log.Certify(t.Context(), id, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := c.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte(base64.StdEncoding.EncodeToString(salt[:]))) {
		t.Error("the salt is in the controller's copy")
	}
	if _, err := VerifyCertificate(data, CertificateCheck{}); err != nil {
		t.Error(err)
	}
	if _, err := VerifyCertificate(data, CertificateCheck{Address: &ada}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	wrong := b.salt()
	if _, err := b.log.Certify(t.Context(), id, &wrong); !fault.Is(err, fault.Invalid) {
		t.Error("a certificate with a wrong salt was made", err)
	}
	if _, err := b.log.Certify(t.Context(), plain, nil); !fault.Is(err, fault.Invalid) {
		t.Error("a certificate of an act that is no erasure was made", err)
	}
}

// TestTamperedValue changes every value in a certificate, one at a time.
func TestTamperedValue(t *testing.T) {
	t.Parallel()
	for _, withAddress := range []bool{true, false} {
		cert, check := certified(t, newBench(t))
		if !withAddress {
			check = CertificateCheck{}
		}
		var tree any
		d := json.NewDecoder(bytes.NewReader(cert))
		d.UseNumber()
		if err := d.Decode(&tree); err != nil {
			t.Fatal(err)
		}
		if data, err := canonical(tree); err != nil {
			t.Fatal(err)
		} else if _, err := VerifyCertificate(data, check); err != nil {
			t.Fatal("the certificate does not survive being read and written", err)
		}
		values := 0
		eachValue(tree, func(path string, set func(any), was any) {
			for _, other := range otherValues(was) {
				set(other)
				data, err := canonical(tree)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := VerifyCertificate(data, check); err == nil {
					t.Errorf("%s may be %v instead of %v", path, other, was)
				}
			}
			set(was)
			values++
		})
		if values < 30 {
			t.Errorf("only %d values were changed", values)
		}
	}
}

func eachValue(v any, f func(path string, set func(any), was any)) {
	var walk func(path string, v any)
	visit := func(path string, set func(any), v any) {
		switch v.(type) {
		case map[string]any, []any:
			f(path, set, v)
			walk(path, v)
		default:
			f(path, set, v)
		}
	}
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				visit(path+"."+k, func(n any) { v[k] = n }, e)
			}
		case []any:
			for i, e := range v {
				visit(fmt.Sprintf("%s[%d]", path, i), func(n any) { v[i] = n }, e)
			}
		}
	}
	walk("", v)
}

// otherValues gives wrong values near the right one, and of other types.
func otherValues(v any) []any {
	out := []any{nil, true, json.Number("-1"), "", []any{}, map[string]any{}}
	switch v := v.(type) {
	case json.Number:
		n, _ := v.Int64()
		return append(out, json.Number(fmt.Sprint(n+1)), json.Number(fmt.Sprint(n)+".0"), fmt.Sprint(n))
	case string:
		return append(out, v+"x", v+" ", strings.ToUpper(v)+"x", "x"+v)
	case []any:
		if len(v) > 0 {
			return append(out[:4:4], append(v[:len(v):len(v)], v[0]), v[1:])
		}
		return append(out[:4:4], []any{"x"})
	case map[string]any:
		more := map[string]any{"x": "y"}
		for k, e := range v {
			more[k] = e
		}
		return append(out, more)
	}
	return out
}

// TestTamperedByte changes every byte of the file, also the spare bits of base64.
// The short run takes every eleventh.
func TestTamperedByte(t *testing.T) {
	t.Parallel()
	cert, _ := certified(t, newBench(t))
	for i, was := range cert {
		if testing.Short() && i%11 != 0 {
			continue
		}
		for _, other := range []byte{was ^ 1, was ^ 4, was ^ 32, was + 1} {
			if unicode.IsSpace(rune(was)) && unicode.IsSpace(rune(other)) || other == was {
				continue
			}
			changed := bytes.Clone(cert)
			changed[i] = other
			if _, err := VerifyCertificate(changed, CertificateCheck{}); err == nil {
				t.Errorf("byte %d may be %q instead of %q: …%s…", i, other, was, cert[max(0, i-30):i+1])
			}
		}
	}
}

// TestNoPersonInTheLog plants an address and looks for it, and for the salt, in
// every byte that the log wrote, raw, in base64 and in hexadecimal.
func TestNoPersonInTheLog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cert, check := certified(t, b)
	var c Certificate
	if err := json.Unmarshal(cert, &c); err != nil {
		t.Fatal(err)
	}
	text, _ := b.export()
	var all bytes.Buffer
	for p, f := range b.disk.now {
		all.WriteString(p)
		all.Write(f.data)
	}
	all.WriteString(text)
	all.Write(cert[:bytes.Index(cert, []byte("subject_salt"))])
	haystack := bytes.ToLower(all.Bytes())
	for _, needle := range []string{"lovelace", check.Address.Text(), check.Address.Canonical(), string(c.Salt[:]), fmt.Sprintf("%x", c.Salt[:])} {
		for _, form := range []string{needle, base64.StdEncoding.EncodeToString([]byte(needle))[:len(needle)], base64.RawStdEncoding.EncodeToString([]byte(needle))} {
			if bytes.Contains(haystack, bytes.ToLower([]byte(form))) {
				t.Errorf("%q is in the log", form)
			}
		}
	}
	if !bytes.Contains(haystack, []byte("queue content")) {
		t.Error("the search finds nothing at all")
	}
	for p, f := range b.disk.now {
		if strings.HasPrefix(p, "/evidence/") && bytes.Contains(f.data, []byte("PRIVATE")) {
			t.Errorf("%s holds a private key", p)
		}
	}
}

func FuzzVerifyCertificate(f *testing.F) {
	cert, _ := certified(f, newBench(f))
	f.Add(cert)
	f.Add([]byte(`{"checkpoint":"","format":"mailvow deletion certificate v1","inclusion_proof":[],"leaf":{},"leaf_index":0,"public_key":""}`))
	var flat bytes.Buffer
	if err := json.Compact(&flat, cert); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := VerifyCertificate(data, CertificateCheck{})
		var c bytes.Buffer
		if err == nil && (json.Compact(&c, data) != nil || !bytes.Equal(c.Bytes(), flat.Bytes())) {
			// Only who holds the private key, or makes another, comes here.
			if bytes.Contains(data, []byte("mail.example.com/evidence")) {
				t.Fatalf("another certificate verifies: %s", data)
			}
		}
	})
}

func FuzzParseCheckpoint(f *testing.F) {
	b := newBench(f)
	cp, err := b.log.Reader().Checkpoint(b.t.Context())
	if err != nil {
		f.Fatal(err)
	}
	keys := b.ring.Keys()
	f.Add([]byte(cp.Text))
	f.Add([]byte("x\n0\n" + Digest{}.String() + "\n\n— x AAAA\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := ParseCheckpoint(data, keys...); err == nil && c.Root != cp.Root {
			t.Fatalf("another checkpoint verifies: %q", data)
		}
		_, _ = headOf(string(data))
	})
}

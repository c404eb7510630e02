package scram_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
	"testing"

	"mailvow/internal/base/fault"
	"mailvow/internal/standard/scram"
)

// The example of RFC 7677 section 3.
const (
	first  = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
	ours   = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	middle = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	last   = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	proof  = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
)

func verifier(t *testing.T, password string) scram.Verifier {
	t.Helper()
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	v, err := scram.NewVerifier(password, salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestExampleOfTheRFC(t *testing.T) {
	t.Parallel()
	x := scram.NewExchange(nil, false)
	name, err := x.First(first)
	if err != nil || name != "user" {
		t.Fatalf("%q, %v", name, err)
	}
	if got := x.Challenge(verifier(t, "pencil"), ours); got != middle {
		t.Errorf("challenge %q", got)
	}
	if got, err := x.Final(last); err != nil || got != proof {
		t.Errorf("final %q, %v", got, err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		password, last string
		kind           fault.Kind
	}{
		"password": {"crayon", last, fault.Unauthenticated},
		"nonce":    {"pencil", strings.Replace(last, "hvYD", "hvYX", 1), fault.Unauthenticated},
		"binding":  {"pencil", strings.Replace(last, "biws", "eSws", 1), fault.Unauthenticated},
		"no proof": {"pencil", "c=biws", fault.Invalid},
		"short":    {"pencil", "c=biws,r=x,p=AAAA", fault.Invalid},
	} {
		x := scram.NewExchange(nil, false)
		if _, err := x.First(first); err != nil {
			t.Fatal(err)
		}
		x.Challenge(verifier(t, c.password), ours)
		if _, err := x.Final(c.last); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, message := range []string{"", "n", "n,,", "n,,n=user", "n,,n=,r=abcdefgh1", "n,,n=a=b,r=abcdefgh1", "n,x,n=a,r=abcdefgh1", "p=tls-unique,,n=a,r=abcdefgh1", "p=tls-exporter,,n=a,r=abcdefgh1", "n,,m=ext,n=a,r=abcdefgh1", "n,,n=a,r=short"} {
		if _, err := scram.NewExchange([]byte("b"), false).First(message); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", message, err)
		}
	}
	if _, err := scram.NewExchange([]byte("b"), false).First("y,,n=a,r=abcdefgh1"); !fault.Is(err, fault.Denied) {
		t.Errorf("a downgrade: %v", err)
	}
}

func TestChannelBinding(t *testing.T) {
	t.Parallel()
	for _, same := range []bool{true, false} {
		x := scram.NewExchange([]byte("this connection"), true)
		bare := "n=us=3Der=2C,r=abcdefghij"
		if name, err := x.First("p=tls-exporter,," + bare); err != nil || name != "us=er," {
			t.Fatalf("%q, %v", name, err)
		}
		v := verifier(t, "pencil")
		challenge := x.Challenge(v, "1234")
		channel := "this connection"
		if !same {
			channel = "another connection"
		}
		without := "c=" + base64.StdEncoding.EncodeToString([]byte("p=tls-exporter,,"+channel)) + ",r=abcdefghij1234"
		_, err := x.Final(without + ",p=" + clientProof("pencil", v, bare+","+challenge+","+without))
		if same && err != nil || !same && !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("same=%v: %v", same, err)
		}
	}
}

// clientProof is the client's side of RFC 5802 section 3.
func clientProof(password string, v scram.Verifier, auth string) string {
	salted := hmacOf([]byte(password), append(append([]byte(nil), v.Salt...), 0, 0, 0, 1))
	u := salted
	for range v.Iterations - 1 {
		u = hmacOf([]byte(password), u)
		next := make([]byte, len(u))
		subtle.XORBytes(next, salted, u)
		salted = next
	}
	key := hmacOf(salted, []byte("Client Key"))
	stored := sha256.Sum256(key)
	out := make([]byte, len(key))
	subtle.XORBytes(out, key, hmacOf(stored[:], []byte(auth)))
	return base64.StdEncoding.EncodeToString(out)
}

func hmacOf(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}

func FuzzExchange(f *testing.F) {
	f.Add(first, last)
	f.Add("p=tls-exporter,a=x,n=a,r=abcdefgh1", "c=,r=,p=")
	f.Fuzz(func(t *testing.T, first, last string) {
		for _, plus := range []bool{false, true} {
			x := scram.NewExchange([]byte("b"), plus)
			if _, err := x.First(first); err != nil {
				continue
			}
			x.Challenge(scram.Verifier{Salt: []byte("s"), Iterations: 4096, StoredKey: make([]byte, 32)}, "n")
			if _, err := x.Final(last); err == nil {
				t.Error("accepted without the password")
			}
		}
	})
}

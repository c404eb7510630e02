package document

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/protect/evidence"
)

// forms are the forms of a document that its note covers, in their order.
var forms = []string{"json", "markdown", "pdf"}

// noteText is the note below its first line (docs/formats/document.md).
func noteText(p *Paper, key evidence.Key, files map[string][]byte) string {
	number := "copy"
	if p.Number > 0 {
		number = itoa(p.Number)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "server %s\ndocument %s %s\nat %s\npolicy %s\nkey %s\n", p.Server, p.Kind, number, p.Date.UTC().Format(time.RFC3339), p.Policy, key)
	for _, f := range forms {
		fmt.Fprintf(&b, "%s sha256 %s\n", f, digestOf(files[f]))
	}
	return b.String()
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Signed is what a document's note says, all of it verified.
type Signed struct {
	Server     string    `json:"server"`
	Document   Kind      `json:"document"`
	Number     int       `json:"number"` // zero: a copy that was made on request
	At         time.Time `json:"at"`
	Policy     string    `json:"policy"`
	Form       string    `json:"form"` // of the file: json, markdown or pdf
	PublicKey  string    `json:"public_key"`
	KeyTrusted bool      `json:"key_trusted"`
}

// Verify verifies a document in one of its forms by its detached note. Without
// trusted keys it shows that nothing was changed since the key that the note names
// signed; whose key that is, the reader must compare. A note that is not one is an
// Invalid fault; what does not hold is a Denied one.
func Verify(note, file []byte, trusted []evidence.Key) (Signed, error) {
	keys := trusted
	if len(keys) == 0 {
		key, err := evidence.ParseKey(lineOf(string(note), "key "))
		if err != nil {
			return Signed{}, fault.New(fault.Invalid, "The file is not a document's note (docs/formats/document.md).")
		}
		keys = []evidence.Key{key}
	}
	text, by, err := evidence.OpenStatement(note, keys...)
	if err != nil {
		return Signed{}, err
	}
	s, digests, err := parseNote(text)
	if err != nil {
		return s, err
	}
	if s.PublicKey != by.String() {
		return s, fault.New(fault.Denied, "The note names another key than the one that signed it.")
	}
	s.KeyTrusted = slices.ContainsFunc(trusted, func(k evidence.Key) bool { return k.String() == by.String() })
	i := slices.Index(digests, digestOf(file))
	if i < 0 {
		return s, fault.New(fault.Denied, "The document is not the one that the note is about: it was changed, or belongs to another note.")
	}
	s.Form = forms[i]
	return s, nil
}

// lineOf is what follows a word at the beginning of a line.
func lineOf(text, word string) string {
	for line := range strings.SplitSeq(text, "\n") {
		if rest, is := strings.CutPrefix(line, word); is {
			return rest
		}
	}
	return ""
}

// parseNote reads the lines; what it accepts it would write the same way.
func parseNote(text string) (s Signed, digests []string, err error) {
	bad := fault.New(fault.Invalid, "The note does not have the lines of docs/formats/document.md.")
	lines := strings.Split(text, "\n")
	if len(lines) != 6+len(forms) || lines[len(lines)-1] != "" {
		return s, nil, bad
	}
	var number, at, document string
	for i, x := range []struct {
		word string
		into *string
	}{{"server ", &s.Server}, {"document ", &document}, {"at ", &at}, {"policy ", &s.Policy}, {"key ", &s.PublicKey}} {
		rest, is := strings.CutPrefix(lines[i], x.word)
		if !is || rest == "" {
			return s, nil, bad
		}
		*x.into = rest
	}
	kind, number, ok := strings.Cut(document, " ")
	s.Document = Kind(kind)
	if s.Number, err = strconv.Atoi(number); number == "copy" {
		s.Number, err = 0, nil
	} else if err != nil || s.Number < 1 || itoa(s.Number) != number {
		return s, nil, bad
	}
	s.At, err = time.Parse(time.RFC3339, at)
	if err != nil || !ok || s.At.UTC().Format(time.RFC3339) != at {
		return s, nil, bad
	}
	for i, f := range forms {
		d, is := strings.CutPrefix(lines[5+i], f+" sha256 ")
		if !is {
			return s, nil, bad
		}
		digests = append(digests, d)
	}
	return s, digests, nil
}

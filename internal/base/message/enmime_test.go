package message_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jhillyerd/enmime/v2"

	"mailvow/internal/base/message"
)

// Where the two parsers see different leaves, and why.
var enmimeDiffers = map[string]string{
	"bad-header-start.raw":                      refused,
	"erroneous.raw":                             refused,
	"multipart-wo-boundary.raw":                 refused,
	"ctype-invalid-characters.raw":              refused,
	"multi-malformed.raw":                       refused,
	"intermediate-boundaries.msg":               refused,
	"malformedHeader-noheader.msg":              refused,
	"malformedHeaderStartsBody-noheader.msg":    refused,
	"msg_19.txt":                                refused,
	"msg_25.txt":                                refused,
	"msg_33.txt":                                refused,
	"msg_38.txt":                                refused,
	"msg_41.txt":                                refused,
	"msg_47.txt":                                refused,
	"mime-bad-content-transfer-encoding.raw":    "plain text under base64: enmime gives nothing, we give what RFC 2045 6.8 makes of it; both list the defect",
	"mime-bad-content-type.raw":                 "application/pdf with broken parameters: the type still stands there, so we keep it",
	"mime-blank-media-name.raw":                 "application/pdf with an empty parameter: the type still stands there, so we keep it",
	"qp-utf8-header-no-break.raw":               "no empty line before the body: enmime loses the first part, we find it",
	"chardet-detection.raw":                     charsetGuess,
	"chardet-fail.raw":                          charsetGuess,
	"chardet-success-big-5.raw":                 charsetGuess,
	"infinite.msg":                              charsetGuess,
	"empty-ctype-bad-content.raw":               "no readable type: the two line ends at the end are content, enmime cuts them off",
	"extra-base64-character.raw":                "one base64 character too many: enmime gives nothing, we give the whole text before it",
	"multi-frag.msg":                            "a bad boundary after base64 data: enmime stops at the first fault, RFC 2045 6.8 says to skip what is outside the alphabet",
	"hdr-fakeout.msg":                           keptText,
	"basic-plain-with-bad-header-separator.msg": keptText,
	"msg_35.txt":                                keptText,
	"misplaced-boundary.msg":                    "RFC 2046 5.1.1: a boundary stands at the start of a line; enmime cuts the text at one in the middle",
	"very-very-long-boundary.msg":               "a boundary of 7 kB: the suite it is from expects the part to be found, enmime does not",
	"msg_14.txt":                                "type \"text\" without subtype is read as text/plain (RFC 2045 5.2)",
}

const (
	refused      = "enmime refuses the whole message; we give what there is, with defects"
	charsetGuess = "no charset, or us-ascii with other octets: enmime guesses by statistics, we take UTF-8 or else windows-1252, so that the same bytes always read the same"
)

// leaf is what both parsers must agree on: what it is and what it holds.
type leaf struct{ kind, content string }

// TestAgreesWithEnmime compares the leaves of every message of the suite, in
// order: text, HTML and files, with their content.
func TestAgreesWithEnmime(t *testing.T) {
	t.Parallel()
	same, known := 0, 0
	for _, file := range suiteFiles(t) {
		name := filepath.Base(file)
		if filepath.Ext(file) == ".golden" {
			continue // written by enmime's encoder, compared in its own way
		}
		raw := readFile(t, file)
		diff := leavesDiff(t, raw)
		why, listed := enmimeDiffers[name]
		switch {
		case diff == "" && listed:
			t.Errorf("%s agrees now; take it off the list (%s)", name, why)
		case diff == "":
			same++
		case listed:
			known++
		default:
			t.Errorf("%s: %s", name, diff)
		}
	}
	t.Logf("%d messages: the same leaves; %d differ for the reasons listed", same, known)
}

func leavesDiff(t *testing.T, raw []byte) string {
	t.Helper()
	env, err := enmime.ReadEnvelope(bytes.NewReader(raw))
	if err != nil {
		return "enmime refuses: " + err.Error()
	}
	var theirs, ours []leaf
	enmimeLeaves(env.Root, &theirs)
	ourLeaves(t, parse(t, raw).Root, &ours)
	for i := range max(len(ours), len(theirs)) {
		switch {
		case i >= len(ours):
			return fmt.Sprintf("enmime has a leaf more: %q", theirs[i])
		case i >= len(theirs):
			return fmt.Sprintf("we have a leaf more: %q", ours[i])
		case ours[i].kind != theirs[i].kind && theirs[i].kind != "": // enmime leaves a missing type empty
			return fmt.Sprintf("leaf %d is %s, enmime says %s", i+1, ours[i].kind, theirs[i].kind)
		case ours[i].content != theirs[i].content:
			return fmt.Sprintf("leaf %d (%s): %s", i+1, ours[i].kind, firstDiff(theirs[i].content, ours[i].content))
		}
	}
	return ""
}

func enmimeLeaves(p *enmime.Part, out *[]leaf) {
	if p.FirstChild == nil && strings.HasPrefix(strings.ToLower(p.ContentType), "multipart/") && len(p.Content) == 0 {
		return // a multipart without parts has no leaf
	}
	if p.FirstChild == nil {
		*out = append(*out, leaf{strings.ToLower(p.ContentType), same(p.ContentType, p.Content)})
		return
	}
	for c := p.FirstChild; c != nil; c = c.NextSibling {
		enmimeLeaves(c, out)
	}
}

// ourLeaves takes an enclosed message as one leaf, as enmime does.
func ourLeaves(t *testing.T, p *message.Part, out *[]leaf) {
	t.Helper()
	if !p.IsMultipart() {
		content := readAll(t, p.Decoded())
		if p.Type.Major() == "text" {
			content = readAll(t, p.Text())
		}
		*out = append(*out, leaf{p.Type.Value, same(p.Type.Value, content)})
		return
	}
	for _, c := range p.Children {
		ourLeaves(t, c, out)
	}
}

// same brings texts into one form: line ends and the white space at the end are
// a matter of taste between the two.
func same(mediaType string, b []byte) string {
	if m := strings.ToLower(mediaType); m != "" && !strings.HasPrefix(m, "text/") && !strings.HasPrefix(m, "message/") {
		return string(b)
	}
	return strings.TrimRight(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(b)), "\n \t")
}

package smtpserver_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailvow/internal/lab"
)

type endings struct {
	Inbound  []string `json:"inbound"`
	Outbound []string `json:"outbound"`
	Ours     []string `json:"added_by_us"`
}

func readEndings(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(lab.Suite(t, "smtp-smuggling"), "eod_sequences.json"))
	if err != nil {
		t.Fatal(err)
	}
	var e endings
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	return append(append(e.Inbound, e.Outbound...), e.Ours...)
}

// TestNoSequenceMakesTwoMessages sends a second message hidden behind every
// known false end of data, whole and torn into single octets.
func TestNoSequenceMakesTwoMessages(t *testing.T) {
	t.Parallel()
	for _, sequence := range readEndings(t) {
		for _, torn := range []bool{false, true} {
			t.Run(fmt.Sprintf("%q torn=%v", sequence, torn), func(t *testing.T) {
				t.Parallel()
				st := open(t, nil)
				conn := st.dial(t)
				hidden := "Subject: one\r\n\r\nfirst" + sequence + "MAIL FROM:<evil@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\nSubject: two\r\n\r\nsecond\r\n.\r\nQUIT\r\n"
				text := "EHLO c.example\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n" + hidden
				step := len(text)
				if torn {
					step = 1
				}
				for i := 0; i < len(text); i += step {
					if _, err := io.WriteString(conn, text[i:i+step]); err != nil {
						t.Fatal(err)
					}
				}
				answers, err := io.ReadAll(conn)
				if err != nil {
					t.Fatal(err)
				}
				got := st.house.messages()
				if len(got) > 1 {
					t.Fatalf("became %d messages:\n%s", len(got), answers)
				}
				for _, m := range got {
					if !strings.Contains(m.body, "second") {
						t.Errorf("the message ended early: %q", m.body)
					}
				}
				if len(got) == 0 && !strings.Contains(string(answers), "550 5.6.0") {
					t.Errorf("no message and no named refusal:\n%s", answers)
				}
			})
		}
	}
}

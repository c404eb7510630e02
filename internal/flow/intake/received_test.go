package intake

import (
	"strings"
	"testing"

	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/queue"
)

func TestReceivedNamesAnAddressAsALiteral(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{"192.0.2.1": "from there ([192.0.2.1])", "2001:db8::1": "from there ([IPv6:2001:db8::1])"} {
		s := &Submission{Direction: history.Inbound, Peer: deliver.Peer{IP: ip, Name: "there", Protocol: "ESMTP"}}
		if got := string((&Intake{Hostname: "mail.test"}).received(s, &arrival{Envelope: &queue.Envelope{}})); !strings.Contains(got, want) {
			t.Errorf("%s: %q", ip, got)
		}
	}
}

func TestClipCutsNoCharacter(t *testing.T) {
	t.Parallel()
	for n, want := range []string{"", "a", "a", "aä", "aä", "aä", "aä€"} {
		if got := clip("aä€", n); got != want {
			t.Errorf("cut at %d: %q, want %q", n, got, want)
		}
	}
}

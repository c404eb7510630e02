package webhook_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	upstream "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"mailvow/internal/lab"
	"mailvow/internal/standard/webhook"
)

type vector struct {
	Name, Secret, ID, Payload, Signature string
	Timestamp                            int64
	Valid                                bool
}

func (v vector) header() http.Header {
	h := http.Header{}
	h.Set(webhook.HeaderID, v.ID)
	h.Set(webhook.HeaderTimestamp, strconv.FormatInt(v.Timestamp, 10))
	h.Set(webhook.HeaderSignature, v.Signature)
	return h
}

func TestVectors(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(lab.Suite(t, "standard-webhooks"), "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 10 {
		t.Fatalf("%d vectors", len(vectors))
	}
	for _, v := range vectors {
		secret, err := webhook.ParseSecret(v.Secret)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(v.Timestamp, 0)
		err = webhook.Verify(v.header(), []byte(v.Payload), at, secret)
		if (err == nil) != v.Valid {
			t.Errorf("%s: %v", v.Name, err)
		}
		if !v.Valid || len(v.Signature) > 60 {
			continue
		}
		s, err := webhook.NewSigner(v.ID, at, secret)
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(v.Payload) {
			_, _ = s.Write([]byte{v.Payload[i]})
		}
		if got := s.Signature(); got != v.Signature {
			t.Errorf("%s: signature %s", v.Name, got)
		}
		if webhook.Verify(v.header(), []byte(v.Payload), at.Add(6*time.Minute), secret) == nil {
			t.Errorf("%s: an old webhook passes", v.Name)
		}
		if webhook.Verify(v.header(), []byte(v.Payload), at.Add(-6*time.Minute), secret) == nil {
			t.Errorf("%s: a webhook from the future passes", v.Name)
		}
	}
}

func TestTheirLibraryAcceptsOurs(t *testing.T) {
	t.Parallel()
	old, current := webhook.NewSecret(), webhook.NewSecret()
	now := time.Now()
	s, err := webhook.NewSigner("rcp_1", now, current, old)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"type":"message.received"}`)
	_, _ = s.Write(body)
	h := http.Header{}
	s.SetHeader(h, "rcp_1", now)
	for _, secret := range [][]byte{old, current} {
		wh, err := upstream.NewWebhook(webhook.FormatSecret(secret))
		if err != nil {
			t.Fatal(err)
		}
		if err := wh.Verify(body, h); err != nil {
			t.Error(err)
		}
	}
	if err := webhook.Verify(h, body, now, old); err != nil {
		t.Error(err)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "whsec_", "whsec_AAAA", "whsec_!!!", "whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="} {
		if _, err := webhook.ParseSecret(bad); err == nil {
			t.Errorf("%q is taken for a secret", bad)
		}
	}
	if _, err := webhook.NewSigner("a.b", time.Now(), webhook.NewSecret()); err == nil {
		t.Error("an id with a full stop is signed")
	}
}

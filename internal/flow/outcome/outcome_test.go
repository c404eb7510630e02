package outcome_test

import (
	"testing"

	"mailvow/internal/base/reply"
	"mailvow/internal/flow/outcome"
)

func TestFromReply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code     int
		enhanced string
		kind     outcome.Kind
		class    outcome.Class
	}{
		{250, "2.0.0", outcome.Delivered, outcome.NoClass},
		{450, "4.2.0", outcome.Deferred, outcome.Soft},
		{421, "", outcome.Deferred, outcome.Soft},
		{550, "5.1.1", outcome.Failed, outcome.Hard},
		{550, "", outcome.Failed, outcome.Hard},
		{550, "5.7.1", outcome.Failed, outcome.Soft},
		{552, "5.2.2", outcome.Failed, outcome.Soft},
		{554, "", outcome.Failed, outcome.Soft},
	} {
		o := outcome.FromReply("mx.example", reply.New(c.code, c.enhanced, "words"))
		if o.Kind != c.kind || o.Class != c.class {
			t.Errorf("%d %s: %v class %d, want %v class %d", c.code, c.enhanced, o.Kind, o.Class, c.kind, c.class)
		}
		if o.By == "" || o.Reply.Code == 0 {
			t.Errorf("%d: an outcome without evidence: %+v", c.code, o)
		}
	}
}

func TestEveryKindHasAName(t *testing.T) {
	t.Parallel()
	for k := outcome.Delivered; k <= outcome.Cancelled; k++ {
		if k.String() == "" {
			t.Errorf("kind %d has no name", k)
		}
	}
	if outcome.Deferred.Final() || outcome.Unknown.Final() || !outcome.Failed.Final() {
		t.Error("final kinds are wrong")
	}
}

package audit

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/protect/evidence"
)

// customer sends a canary, reads its record, deletes it, sees it gone, and looks
// for the deletion in the log.
func (a *auditor) customer(ctx context.Context, visit *evidence.Visit) {
	var sent struct {
		ID string `json:"id"`
	}
	word := rand.Text()
	status, err := a.call(ctx, http.MethodPost, "/v1/messages", map[string]any{
		"from": a.From, "to": []string{a.To}, "subject": "Audit " + word, "text": "This is the canary of an audit. It may be thrown away.\n",
	}, &sent)
	a.good("customer.sent", err == nil && status == http.StatusAccepted, "a canary was accepted as "+sent.ID, refusal("it was not accepted", status, err))
	if err != nil || status != http.StatusAccepted {
		return
	}
	path := "/v1/messages/" + sent.ID
	var record struct {
		ID string `json:"id"`
	}
	status, err = a.call(ctx, http.MethodGet, path, nil, &record)
	a.good("customer.record", err == nil && status == http.StatusOK && record.ID == sent.ID, "its record can be read", refusal("its record cannot be read", status, err))
	var gone struct {
		Receipt struct {
			Leaf string `json:"leaf"`
		} `json:"receipt"`
	}
	status, err = a.call(ctx, http.MethodDelete, path, nil, &gone)
	a.good("customer.deleted", err == nil && status == http.StatusOK, "it was deleted", refusal("it was not deleted", status, err))
	if err != nil || status != http.StatusOK {
		return
	}
	status, err = a.call(ctx, http.MethodGet, path, nil, nil)
	a.good("customer.gone", err == nil && status == http.StatusNotFound, "its record is gone", refusal("its record can still be read", status, err))
	if visit != nil {
		a.deletionLogged(ctx, visit, gone.Receipt.Leaf)
	}
	if a.Erase {
		a.erased(ctx, visit)
	}
}

// erased erases the canary's recipient as a person, and verifies the certificate
// with the address and against the log.
func (a *auditor) erased(ctx context.Context, visit *evidence.Visit) {
	var certificate json.RawMessage
	status, err := a.call(ctx, http.MethodPost, "/v1/subjects/erase", map[string]string{"address": a.To, "reason": "audit"}, &certificate)
	a.good("customer.erased", err == nil && status == http.StatusOK, "the canary's recipient was erased", refusal("it was not erased", status, err))
	if err == nil && status == http.StatusOK {
		a.certified(ctx, "customer.certified", visit, certificate, a.To)
	}
}

// deletionLogged waits until the deletion stands in the log, as the server said.
func (a *auditor) deletionLogged(ctx context.Context, visit *evidence.Visit, leaf string) {
	seen, found, end := visit.Seen, int64(-1), a.Clock.Now().Add(a.Patience)
	for {
		v, err := a.visit(ctx, seen, func(index int64, l evidence.Leaf) error {
			if _, ok := l.Body.(*evidence.Act); ok && l.ID.String() == leaf {
				found = index
			}
			return nil
		})
		if err != nil {
			a.contradiction(err)
			a.saw("customer.evidence", Broken, words(err))
			return
		}
		seen = v.Seen
		if err := a.folder.remember(seen, a.Clock.Now()); err != nil {
			a.saw("customer.evidence", Broken, words(err))
			return
		}
		a.report.log(v)
		if found >= 0 || !a.Clock.Now().Before(end) {
			break
		}
		if clock.Sleep(ctx, a.Clock, 500*time.Millisecond) != nil {
			break
		}
	}
	a.good("customer.evidence", found >= 0, fmt.Sprintf("the deletion is entry %d of the log", found+1), "the log does not hold the deletion "+leaf)
}

func refusal(what string, status int, err error) string {
	if err != nil {
		return what + ": " + words(err)
	}
	return fmt.Sprintf("%s (HTTP %d)", what, status)
}

// call asks the API as the auditor's customer.
func (a *auditor) call(ctx context.Context, method, path string, in, out any) (int, error) {
	head := http.Header{"Authorization": {"Bearer " + a.Token}}
	var body bytes.Buffer
	if in != nil {
		head.Set("Content-Type", "application/json")
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return 0, fault.Wrap(err, "write a request")
		}
	}
	got, err := a.ask(ctx, method, path, head, &body)
	if err != nil {
		return 0, err
	}
	if out != nil && got.status < 300 {
		if err := json.Unmarshal(got.body, out); err != nil {
			return got.status, fault.Because(fault.Unavailable, err, "the answer is no JSON")
		}
	}
	return got.status, nil
}

package probes

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/product/trust/attest"
)

// scans looks whether the newest scan of either kind is within its period and no
// finding is past its deadline: the imported data is the automated one, an attested
// penetration test the manual one.
func (s *Server) scans(ctx context.Context) (pledge.Status, string, error) {
	overdue, err := s.Overdue(ctx)
	if err != nil {
		return pledge.Failing, "", err
	}
	if overdue > 0 {
		return failing(fmt.Sprintf("%d findings are past their deadline: mailvow finding list", overdue))
	}
	late, said, err := s.Scans(ctx)
	if err != nil {
		return pledge.Failing, "", err
	}
	if late != "" && !s.Throwaway {
		return failing(late)
	}
	status, manual, err := s.attested(ctx, attest.PenetrationTest, "penetration tests", "enter one with its report: mailvow attestation add penetration_test --of NAME")
	switch {
	case err != nil || status == pledge.Failing:
		return status, manual, err
	case late != "" || status == pledge.NotApplicable:
		return pledge.NotApplicable, "dev mode is scanned by nobody; no finding is past its deadline", nil
	}
	return kept(said + "; " + manual + "; no finding is past its deadline")
}

// patched plants a record that names a real part in its version, and looks for the
// finding; then at the data that was really imported.
func (s *Server) patched(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		if len(x.Parts) == 0 {
			return bad("the binary does not say what it is made of"), nil
		}
		part := x.Parts[0]
		id := "CANARY-" + x.word
		record, err := json.Marshal(map[string]any{
			"id": id, "modified": x.Clock.Now().UTC().Format(time.RFC3339), "summary": "a probe of this server",
			"affected": []any{map[string]any{
				"package": map[string]string{"ecosystem": string(part.Ecosystem), "name": part.Name},
				"ranges":  []any{map[string]any{"type": "SEMVER", "events": []any{map[string]string{"introduced": "0"}, map[string]string{"last_affected": part.Version}}}},
			}},
		})
		if err != nil {
			return verdict{}, fault.Wrap(err, "write a record")
		}
		c, err := x.permitted(ctx)
		if err != nil {
			return verdict{}, err
		}
		before, err := x.raised(ctx, c, id)
		if err != nil || before {
			return bad("a finding on a record that nobody imported is there already"), err
		}
		undo, err := x.Plant(ctx, record)
		if err != nil {
			return verdict{}, err
		}
		x.undo = append(x.undo, undo)
		after, err := x.raised(ctx, c, id)
		if err != nil || !after {
			return bad("a record that names %s %s raised no finding", part.Name, part.Version), err
		}
		return x.dataFresh(ctx, part.Name+" "+part.Version)
	})
	return v.end(err)
}

// raised looks for a finding whose title names a record.
func (x *scene) raised(ctx context.Context, c Colleague, id string) (bool, error) {
	status, answer, err := x.as(ctx, c, http.MethodGet, "/v1/findings?limit=200", nil)
	if err == nil && status != http.StatusOK {
		err = fault.New(fault.Unavailable, fmt.Sprintf("the register of findings answered %d", status))
	}
	return strings.Contains(answer, id), err
}

// dataFresh says what the data is that was really imported.
func (x *scene) dataFresh(ctx context.Context, planted string) (verdict, error) {
	shown := fmt.Sprintf("a planted record that names %s raised a finding; %d parts are compared", planted, len(x.Parts))
	late, said, err := x.Scans(ctx)
	switch {
	case err != nil:
		return verdict{}, err
	case late != "" && !x.Throwaway:
		return bad("%s, but %s", shown, late), nil
	case late != "":
		return good("%s; in dev mode nobody imports data", shown), nil
	}
	return good("%s; %s", shown, said), nil
}

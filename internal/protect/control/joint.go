package control

import (
	"context"
	"slices"
	"strings"

	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
)

// joint is a promise whose proof is that of other promises: it is as good as the
// worst of them.
type joint struct {
	id      string
	of      []string
	control *Control
}

// joined are the promises that say in the catalogue that others prove them.
func (x *Control) joined() []pledge.Probe {
	return []pledge.Probe{
		joint{"mb-organisation", []string{"ca-training", "ca-audits", "ca-incident"}, x},
	}
}

// Promise implements pledge.Probe.
func (j joint) Promise() string { return j.id }

// Check implements pledge.Probe. It acts on nothing: what it joins are the
// findings of probes that do.
func (j joint) Check(ctx context.Context) (pledge.Status, string, error) {
	lines, err := j.control.List(ctx, scope.Everyone)
	if err != nil {
		return pledge.Failing, "", err
	}
	status, absent := pledge.NotApplicable, false
	var parts []string
	for _, id := range j.of {
		i := slices.IndexFunc(lines, func(l Line) bool { return l.ID == id })
		if i < 0 {
			return pledge.Failing, "the catalogue has no " + id, nil
		}
		s := lines[i].Status
		parts = append(parts, id+" "+strings.ReplaceAll(string(s), "_", " "))
		if absent = absent || s == pledge.NotApplicable; worse(s, status) {
			status = s
		}
	}
	if absent && !worse(status, pledge.Attested) && status != pledge.Attested {
		status = pledge.NotApplicable
	}
	return status, "as " + strings.Join(parts, ", "), nil
}

package audit

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"
)

// logged is what the log says of the platform's policy: the digest of each
// version's text.
type logged struct {
	From     int64                   `json:"from"` // entries before this one were not read for it
	Versions map[int]evidence.Digest `json:"versions"`
}

// note reads an entry for the policy.
func (l *logged) note(x evidence.Leaf) {
	change, is := x.Body.(*evidence.PolicyChange)
	if !is || x.Tenant != tenant.Platform {
		return
	}
	if number, err := strconv.Atoi(change.Version); err == nil {
		l.Versions[number] = change.Digest
	}
}

// policies reads what was remembered of the log's policies; from is where reading
// goes on when there is nothing.
func (f *folder) policies(from int64) (logged, error) {
	l := logged{From: from, Versions: map[int]evidence.Digest{}}
	text, err := os.ReadFile(filepath.Join(f.server, "policies.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err != nil || l.Versions == nil {
		return l, fault.Because(fault.Invalid, err, "What the auditor remembers of the policies (policies.json) cannot be read.")
	}
	return l, nil
}

func (f *folder) keepPolicies(l logged) error {
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return fault.Wrap(err, "write the policies that were seen")
	}
	return replace(filepath.Join(f.server, "policies.json"), append(text, '\n'))
}

// version is one as the trust centre publishes it.
type version struct {
	Number    int       `json:"number"`
	Effective time.Time `json:"effective"`
	Published time.Time `json:"published"`
	Withdrawn time.Time `json:"withdrawn"`
	Text      string    `json:"text"`
}

// policy reads the published policy, holds each version against the log, and
// keeps the one in force, to hold what is seen against it.
func (a *auditor) policy(ctx context.Context, visit *evidence.Visit) *evidence.Visit {
	const id = "policy.published"
	got, err := a.get(ctx, "/trust/policy.json")
	var shown struct {
		Versions []version `json:"versions"`
	}
	if err == nil && got.status == http.StatusOK {
		err = json.Unmarshal(got.body, &shown)
	}
	if err != nil || got.status != http.StatusOK || len(shown.Versions) == 0 {
		a.saw(id, Unseen, refusal("no policy is published at /trust/policy.json", got.status, err))
		return visit
	}
	visit = a.awaitPolicies(ctx, visit, shown.Versions)
	var wrong []string
	var unknown int
	published := map[int]bool{}
	for _, v := range shown.Versions {
		published[v.Number] = true
		digest, known := a.logged.Versions[v.Number]
		switch {
		case known && digest != evidence.DigestOf([]byte(v.Text)):
			wrong = append(wrong, fmt.Sprintf("version %d has another text than the one in the log", v.Number))
		case !known && a.logged.From == 0:
			wrong = append(wrong, fmt.Sprintf("version %d does not stand in the log", v.Number))
		case !known:
			unknown++
		}
	}
	for _, n := range slices.Sorted(maps.Keys(a.logged.Versions)) {
		if !published[n] {
			wrong = append(wrong, fmt.Sprintf("version %d stands in the log and is not published any more", n))
		}
	}
	switch {
	case a.report.Log == nil:
		a.saw(id, Unseen, "there is no log to hold the published policy against")
	case len(wrong) > 0:
		a.saw(id, Broken, strings.Join(wrong, "; "))
	case unknown > 0:
		a.saw(id, Unseen, fmt.Sprintf("%d versions were logged before this folder began to keep them", unknown))
	default:
		a.saw(id, Holds, fmt.Sprintf("all %d published versions have the text whose digest stands in the log, and none is missing", len(shown.Versions)))
	}
	a.inForce(shown.Versions)
	return visit
}

// awaitPolicies waits for versions that are published and not in the log yet: an
// entry is signed a moment after the act.
func (a *auditor) awaitPolicies(ctx context.Context, visit *evidence.Visit, list []version) *evidence.Visit {
	end := a.Clock.Now().Add(a.Patience)
	for visit != nil && a.logged.From == 0 && slices.ContainsFunc(list, func(v version) bool { _, known := a.logged.Versions[v.Number]; return !known }) {
		if !a.Clock.Now().Before(end) || clock.Sleep(ctx, a.Clock, 200*time.Millisecond) != nil {
			break
		}
		next, err := a.visit(ctx, visit.Seen, nil)
		if err == nil {
			err = a.folder.remember(next.Seen, a.Clock.Now())
		}
		if err != nil {
			a.contradiction(err)
			break
		}
		visit = next
		a.report.log(visit)
	}
	return visit
}

// inForce keeps the version that holds now.
func (a *auditor) inForce(list []version) {
	now := a.Clock.Now()
	var newest version
	for _, v := range list {
		if v.Number > newest.Number && v.Withdrawn.IsZero() && !v.Effective.After(now) {
			newest = v
		}
	}
	recommended, err := policy.FindProfile(policy.Recommended)
	if err == nil {
		var d *policy.Document
		if d, err = policy.Parse([]byte(newest.Text)); err == nil && newest.Number > 0 {
			a.said = d.Over(recommended)
			return
		}
	}
	a.saw("policy.in_force", Unseen, "the policy in force cannot be read: "+words(err))
}

// floor is what the published policy says of a door; "" where nothing is known.
func (a *auditor) floor(door string) policy.Listener {
	switch {
	case a.said == nil:
		return ""
	case door == "https":
		return a.said.TLS.Web
	case door == "mx":
		return a.said.TLS.MX
	}
	return a.said.TLS.Submission
}

// keepsFloor holds a door against the published policy. try makes a handshake and
// says whether the door was reached.
func (a *auditor) keepsFloor(door string, oldRefused bool, try func(lowest, highest uint16) (tls.ConnectionState, bool, error)) {
	id, floor := "policy.tls."+door, a.floor(door)
	switch floor {
	case policy.Offered:
		a.saw(id, Holds, "the published policy says that TLS is offered, and it is")
	case policy.TLS12:
		a.good(id, oldRefused, "the published policy says TLS 1.2 or later, and nothing older is spoken", "the published policy says TLS 1.2 or later, and older is spoken")
	case policy.TLS13:
		_, reached, err := try(tls.VersionTLS12, tls.VersionTLS12)
		if !reached {
			a.saw(id, Unseen, "the door did not answer again")
			return
		}
		a.good(id, oldRefused && err != nil, "the published policy says TLS 1.3, and nothing older is spoken", "the published policy says TLS 1.3, and TLS 1.2 is spoken")
	}
}

package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/keep/db"
	"mailvow/internal/product/trust/finding"
	"mailvow/internal/product/trust/patch"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
	"mailvow/internal/standard/osv"
	console "mailvow/web/console"
)

// openPatches reads what this binary is made of.
func (h *House) openPatches() error {
	parts, err := patch.Parts(console.Lock)
	if err != nil {
		return err
	}
	h.patches = patch.New(patch.Config{DB: h.db, Clock: h.Clock, Parts: parts, Register: scanned{h}, Recorded: h.recordImport})
	return nil
}

// scansSince is since when vulnerability data must be, by the policy in force.
func (h *House) scansSince() time.Time {
	now := h.Clock.Now()
	if d := h.policies.Platform(now).Document.Scans; d.Given() {
		return d.Before(now)
	}
	return now.AddDate(0, -1, 0)
}

// startPatches compares the parts of this build with the data that is there.
func (h *House) startPatches() {
	if !h.has(config.RoleWorker) {
		return
	}
	h.parts.Go("compare the parts of this build with vulnerability data", func(ctx context.Context) error {
		if _, err := h.patches.Compare(ctx); err != nil && ctx.Err() == nil {
			h.observe.Log.Warn("compare with vulnerability data; the next import or start will", "error", err)
		}
		return nil
	})
}

func (h *House) recordImport(ctx context.Context, act string) error {
	leaf := evidence.Leaf{
		ID: ids.New[ids.Leaf](h.ids), At: evidence.On(h.Clock.Now()), By: evidence.Actor{Role: evidence.ByOperator}, Body: &evidence.Act{Act: act},
	}
	err := h.db.Change(ctx, "record an import", func(tx *db.Tx) error { return h.stage.Stage(ctx, tx, leaf) })
	h.evidence.Nudge()
	return err
}

// scanned joins the comparison with the register of findings.
type scanned struct{ h *House }

// Raise implements patch.Register.
func (s scanned) Raise(ctx context.Context, n patch.Named) (bool, error) {
	detail := n.Summary
	if detail == "" {
		detail = "See osv.dev/vulnerability/" + n.ID
	}
	_, changed, err := s.h.findings.Raise(ctx, finding.Weakness{
		Tenant: tenant.Platform, Source: finding.Vulnerability, Severity: finding.Severity(n.Severity),
		Title: clip(n.ID+" names "+n.Part.Name+" "+n.Part.Version, 200), Detail: detail, Marker: clip(n.Marker(), 300),
	})
	return changed, err
}

func clip(s string, most int) string { return strings.ToValidUTF8(s[:min(len(s), most)], "") }

// Settle implements patch.Register.
func (s scanned) Settle(ctx context.Context, standing []string) error {
	own := scope.Tenant(tenant.Platform)
	list, err := s.h.findings.Pending(ctx, own)
	for _, w := range list {
		if err != nil || w.Source != finding.Vulnerability || slices.Contains(standing, w.Marker) {
			continue
		}
		_, err = s.h.findings.Move(ctx, own, w.ID, finding.Move{To: finding.Mended, Reason: "No part of this build is named any more."}, evidence.Actor{Role: evidence.BySystem})
	}
	return err
}

// ImportVulnerabilities reads a file that the server's own user can read.
func (h *House) ImportVulnerabilities(ctx context.Context, path string) (_ patch.Data, err error) {
	if !filepath.IsAbs(path) {
		return patch.Data{}, fault.Field("path", "Give the whole path of the file.")
	}
	f, err := os.Open(path)
	if err != nil {
		return patch.Data{}, fault.Because(fault.Invalid, err, "The server cannot read this file.").WithHint("put it where the user whom the server runs as may read it")
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return patch.Data{}, fault.Because(fault.Invalid, err, "This is no file.")
	}
	return h.patches.Import(ctx, f, info.Size())
}

// plantForProbe compares once with a record that a probe made up, and undoes what
// came of it.
func (h *House) plantForProbe(ctx context.Context, record []byte) (func(), error) {
	var planted []osv.Record
	if err := osv.Read(bytes.NewReader(record), int64(len(record)), func(r *osv.Record) error { planted = append(planted, *r); return nil }); err != nil {
		return nil, err
	}
	if _, err := h.patches.Compare(ctx, planted...); err != nil {
		return nil, err
	}
	return func() {
		ctx, own := context.WithoutCancel(ctx), scope.Tenant(tenant.Platform)
		list, err := h.findings.Pending(ctx, own)
		for _, w := range list {
			if strings.HasPrefix(w.Marker, "osv "+planted[0].ID+" ") {
				err = errors.Join(err, h.findings.Drop(ctx, own, w.ID))
			}
		}
		if err != nil {
			h.observe.Log.Warn("take back what a probe planted", "error", err)
		}
	}, nil
}

// shownPatches implements httpapi.Patches and admin.Patches.
type shownPatches struct{ h *House }

var _ httpapi.Patches = shownPatches{}

// State implements httpapi.Patches.
func (s shownPatches) State(ctx context.Context) (patch.Data, string, error) {
	d, err := s.h.patches.State(ctx)
	return d, d.Late(s.h.scansSince()), err
}

// Import implements httpapi.Patches.
func (s shownPatches) Import(ctx context.Context, r io.ReaderAt, size int64) (patch.Data, error) {
	return s.h.patches.Import(ctx, r, size)
}

// ImportFile implements admin.Patches.
func (s shownPatches) ImportFile(ctx context.Context, path string) (patch.Data, error) {
	return s.h.ImportVulnerabilities(ctx, path)
}

// Bill implements httpapi.Patches.
func (s shownPatches) Bill() patch.BOM { return patch.Bill(Version(), s.h.patches.Parts) }

// Bill is what this binary is made of, for who has no server.
func Bill() (patch.BOM, error) {
	parts, err := patch.Parts(console.Lock)
	return patch.Bill(Version(), parts), err
}

// scansForProbe says what is wrong with the imported data, and what it says.
func (h *House) scansForProbe(ctx context.Context) (late, said string, err error) {
	d, err := h.patches.State(ctx)
	return d.Late(h.scansSince()), fmt.Sprintf("vulnerability data of %s with %d records names %d of %d parts", d.Published.Format(time.DateOnly), d.Records, len(d.Named), d.Parts), err
}

// overdueFindings counts findings past their deadline.
func (h *House) overdueFindings(ctx context.Context) (int, error) {
	list, err := h.findings.Overdue(ctx, scope.Tenant(tenant.Platform))
	return len(list), err
}

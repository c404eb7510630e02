package app

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strconv"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/keep/db"
	"mailvow/internal/product/trust/bundle"
	"mailvow/internal/product/trust/document"
	"mailvow/internal/product/trust/sample"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

// bundles implements admin.Bundles.
type bundles struct{ h *House }

// shownBundles implements httpapi.Bundles.
type shownBundles struct{ bundles }

var _ httpapi.Bundles = shownBundles{}

// Bundle implements httpapi.Bundles.
func (s shownBundles) Bundle(ctx context.Context, in scope.Scope, by access.Principal) (func(io.Writer) error, error) {
	return s.bundles.Bundle(ctx, in, actor(by))
}

// Sample implements httpapi.Bundles and admin.Bundles.
func (b bundles) Sample(ctx context.Context, in scope.Scope, list sample.List, from, to time.Time) ([]sample.Row, bool, error) {
	return sample.Draw(ctx, b.h.evidence.Reader(), in, list, from, to)
}

// Bundle gathers what an auditor of a scope takes home. What it holds is read
// before it is written, but for the log, which is streamed: a fault comes before the
// first byte.
func (b bundles) Bundle(ctx context.Context, in scope.Scope, by evidence.Actor) (func(io.Writer) error, error) {
	h := b.h
	m := bundle.Manifest{Server: h.Config.Hostname, At: h.Clock.Now().UTC().Truncate(time.Microsecond)}
	if id, one := in.ID(); one && id != tenant.Platform {
		m.Customer = id
	} else {
		in = scope.Everyone
	}
	var files []bundle.File
	whole := func(name string, data []byte) {
		files = append(files, bundle.File{Name: name, Write: func(w io.Writer) error {
			_, err := io.Copy(w, bytes.NewReader(data))
			return err
		}})
	}
	whole("README.txt", []byte(bundleText))
	for _, gather := range []func(context.Context, scope.Scope, *bundle.Manifest, func(string, []byte)) error{b.findings, b.policies, b.documents, b.lists} {
		if err := gather(ctx, in, &m, whole); err != nil {
			return nil, err
		}
	}
	if err := b.enter(ctx, &m, by); err != nil {
		return nil, err
	}
	files = append(files, bundle.File{Name: bundle.LogFile, Write: func(w io.Writer) error { return h.evidence.Reader().Export(ctx, w) }})
	return func(w io.Writer) error { return bundle.Write(w, m, files, h.evidence.Ring.SignStatement) }, nil
}

const bundleText = `What this server says of itself, for auditors.

    mailvow evidence verify THIS.zip

verifies it with no server at hand: the signature on manifest.json, each file,
the evidence log entry by entry, and that policies and findings are those whose
digests the log holds. Give the operator's public key, which you have from
elsewhere, by --key.

log.jsonl       the evidence log with all its checkpoints
findings.json   what the probes last saw, with the time of each look
mapping.json    what GDPR, ISO 27001, SOC 2 and HIPAA ask, and what answers it
assessment.json the findings as OSCAL assessment results
policies/       every version of the policy that the server obeys
lists/          of the last twelve months, to sample from: changes, access that
                was given, who joined and left, incidents, probes that failed
documents/      every published document, with the note that signs it

A log proves that its entries were not changed, never that there are no others.
`

func (b bundles) findings(ctx context.Context, in scope.Scope, _ *bundle.Manifest, whole func(string, []byte)) error {
	seen, err := b.h.controls.Findings(ctx, in)
	if err != nil {
		return err
	}
	list := make([]pledge.Finding, len(seen))
	for i, f := range seen {
		list[i] = f.Finding
	}
	mapping, err := b.h.controls.Map(ctx, in, "")
	if err != nil {
		return err
	}
	assessment, err := shownControls(b).Assessment(ctx, in)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		what any
	}{{bundle.FindingsFile, list}, {"mapping.json", mapping}, {"assessment.json", assessment}} {
		data, err := json.MarshalIndent(f.what, "", "  ")
		if err != nil {
			return fault.Wrap(err, "write "+f.name)
		}
		whole(f.name, append(data, '\n'))
	}
	return nil
}

// policies are the platform's versions and, for a customer, its own.
func (b bundles) policies(ctx context.Context, _ scope.Scope, m *bundle.Manifest, whole func(string, []byte)) error {
	for _, of := range []ids.Tenant{tenant.Platform, m.Customer} {
		if of == 0 {
			continue
		}
		for before := 0; ; {
			page, err := b.h.policies.Versions(ctx, of, before, 100)
			if err != nil {
				return err
			}
			for _, v := range page {
				whose := of
				if of == tenant.Platform {
					whose = 0
				}
				whole(bundle.PolicyFile(whose, v.Number), []byte(v.Text))
				before = v.Number
			}
			if len(page) == 0 || before <= 1 {
				break
			}
		}
	}
	return nil
}

func (b bundles) documents(ctx context.Context, _ scope.Scope, _ *bundle.Manifest, whole func(string, []byte)) error {
	versions, err := b.h.documents.Versions(ctx, "")
	if err != nil {
		return err
	}
	for _, v := range versions {
		sort, err := document.SortOf(v.Kind)
		if err != nil || !sort.Public {
			continue
		}
		i, err := b.h.documents.Get(ctx, v.Kind, v.Number)
		if err != nil {
			return err
		}
		name := "documents/" + string(v.Kind) + "-" + strconv.Itoa(v.Number)
		whole(name+".md", i.Markdown)
		whole(name+".json", i.JSON)
		whole(name+".note", i.Note)
	}
	return nil
}

// lists are those of the last twelve months.
func (b bundles) lists(ctx context.Context, in scope.Scope, m *bundle.Manifest, whole func(string, []byte)) error {
	m.From, m.To = m.At.AddDate(-1, 0, 0), m.At
	for _, list := range sample.Lists() {
		rows, more, err := b.Sample(ctx, in, list, m.From, m.To)
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := sample.CSV(&out, rows); err != nil {
			return err
		}
		if more {
			out.WriteString("# there are more; ask for a shorter period\n")
		}
		whole("lists/"+string(list)+".csv", out.Bytes())
	}
	return nil
}

// enter puts on record that a bundle was made and waits until the log holds it, and
// with it all that was staged before.
func (b bundles) enter(ctx context.Context, m *bundle.Manifest, by evidence.Actor) error {
	h := b.h
	leaf := evidence.Leaf{ID: ids.New[ids.Leaf](h.ids), At: evidence.On(m.At), By: by, Tenant: m.Customer, Body: &evidence.Act{Act: bundle.Act}}
	err := h.db.Change(ctx, "record a bundle", func(tx *db.Tx) error { return h.stage.Stage(ctx, tx, leaf) })
	if err != nil {
		return err
	}
	h.evidence.Nudge()
	m.Entry = leaf.ID
	_, err = h.evidence.Await(ctx, leaf.ID)
	return err
}

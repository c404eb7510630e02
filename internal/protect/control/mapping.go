package control

import (
	"context"
	_ "embed" // the mapping
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
)

//go:embed mapping.yaml
var mapping []byte

// Standard is what promises are mapped to.
type Standard string

// The standards.
const (
	GDPR  Standard = "gdpr"
	ISO   Standard = "iso27001" // ISO/IEC 27001:2022, Annex A
	SOC2  Standard = "soc2"     // Trust services criteria of 2017
	HIPAA Standard = "hipaa"    // 45 CFR 164
)

// Standards is the closed list.
func Standards() []Standard { return []Standard{GDPR, ISO, SOC2, HIPAA} }

// Mapped is one control, article, criterion or safeguard of a standard: which
// promises answer it, and what they leave.
type Mapped struct {
	Standard Standard `yaml:"-" json:"standard"`
	Ref      string   `yaml:"ref" json:"ref"`     // "Art. 5(1)(c)", "8.24"
	About    string   `yaml:"about" json:"about"` // in our own words
	By       []string `yaml:"by" json:"-"`
	Gap      string   `yaml:"gap" json:"gap,omitempty"`
}

// Gap is the status of a control that no promise can answer.
const Gap pledge.Status = "gap"

// MapLine is a control with how the promises stand that answer it.
type MapLine struct {
	Mapped
	Status   pledge.Status `json:"status"` // the worst of its promises', or gap
	Promises []Standing    `json:"promises"`
}

// Standing is a promise and its newest status.
type Standing struct {
	ID     string        `json:"id"`
	Status pledge.Status `json:"status"`
}

// Mapping reads the mapping that comes with the server.
func Mapping() ([]Mapped, error) {
	var file map[Standard][]Mapped
	if err := yaml.UnmarshalWithOptions(mapping, &file, yaml.Strict()); err != nil {
		return nil, fault.Because(fault.Internal, err, "")
	}
	var list []Mapped
	for _, s := range Standards() {
		for _, m := range file[s] {
			m.Standard = s
			list = append(list, m)
		}
	}
	return list, nil
}

// Map gives the controls of one standard, or with "" of all, as far as the scope
// sees their promises. An unknown standard is a NotFound fault.
func (x *Control) Map(ctx context.Context, s scope.Scope, of Standard) ([]MapLine, error) {
	if of != "" && !slices.Contains(Standards(), of) {
		return nil, fault.New(fault.NotFound, "There is no mapping to "+string(of)+"; there is one to gdpr, iso27001, soc2 and hipaa.")
	}
	lines, err := x.List(ctx, s)
	if err != nil {
		return nil, err
	}
	status := map[string]pledge.Status{}
	for _, l := range lines {
		status[l.ID] = l.Status
	}
	var list []MapLine
	for _, m := range x.Mapping {
		if of == "" || m.Standard == of {
			list = append(list, standing(m, status))
		}
	}
	return list, nil
}

func standing(m Mapped, status map[string]pledge.Status) MapLine {
	l := MapLine{Mapped: m, Status: Gap, Promises: []Standing{}}
	for i, id := range m.By {
		s := status[id]
		if s == "" { // a promise that there is not
			s = pledge.Failing
		}
		l.Promises = append(l.Promises, Standing{id, s})
		if i == 0 || worse(s, l.Status) {
			l.Status = s
		}
	}
	return l
}

// orientation is a promise that follows from a mapping and from the findings on
// the promises it names.
type orientation struct {
	id        string
	standards []Standard
	control   *Control
	// whole asks that each control is shown in part at least: a law or a standard
	// is not kept while nothing is known of one of its parts.
	whole bool
}

// mapped are the promises that are about a standard.
func (x *Control) mapped() []pledge.Probe {
	return []pledge.Probe{
		orientation{"cm-standards", []Standard{ISO, SOC2}, x, false},
		orientation{"ca-gdpr", []Standard{GDPR}, x, true},
		orientation{"ca-iso", []Standard{ISO}, x, true},
	}
}

// follows reports whether a probe joins the findings of others.
func follows(p pledge.Probe) bool {
	switch p.(type) {
	case orientation, joint:
		return true
	}
	return false
}

// Promise implements pledge.Probe.
func (o orientation) Promise() string { return o.id }

// Check implements pledge.Probe. It acts on nothing: what it joins are the
// findings of probes that do.
func (o orientation) Check(ctx context.Context) (pledge.Status, string, error) {
	var controls, gaps, whole int
	var wrong, unseen []string
	for _, s := range o.standards {
		lines, err := o.control.Map(ctx, scope.Everyone, s)
		if err != nil {
			return pledge.Failing, "", err
		}
		if len(lines) == 0 {
			wrong = append(wrong, "nothing is mapped to "+string(s))
		}
		for _, l := range lines {
			controls++
			name := string(s) + " " + l.Ref
			switch {
			case len(l.By) == 0 && l.Gap == "":
				wrong = append(wrong, name+" names neither a promise nor a gap")
			case l.Status == Gap:
				gaps++
			case l.Status == pledge.Failing:
				wrong = append(wrong, name+" rests on "+strings.Join(with(l, pledge.Failing), ", "))
			case len(with(l, pledge.NotYet)) == len(l.Promises):
				unseen = append(unseen, name)
			case l.Status != pledge.NotYet:
				whole++
			}
		}
	}
	said := fmt.Sprintf("of %d controls %d rest on promises that are all shown, %d on promises that are shown in part, %d on promises that nothing shows yet, and %d are stated gaps",
		controls, whole, controls-whole-gaps-len(unseen)-len(wrong), len(unseen), gaps)
	switch {
	case len(wrong) > 0:
		return pledge.Failing, fmt.Sprintf("%d of %d controls are not kept: %s", len(wrong), controls, some(wrong)), nil
	case o.whole && len(unseen) > 0:
		return pledge.NotYet, said + "; not shown yet: " + some(unseen), nil
	}
	return pledge.Kept, said + "; none rests on a promise that fails", nil
}

// with are the promises of a line that have a status.
func with(l MapLine, s pledge.Status) []string {
	var list []string
	for _, p := range l.Promises {
		if p.Status == s {
			list = append(list, p.ID)
		}
	}
	return list
}

// some names a few of many.
func some(list []string) string {
	const few = 8
	if len(list) <= few {
		return strings.Join(list, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(list[:few], "; "), len(list)-few)
}

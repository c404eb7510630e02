// Package policy is the privacy policy as a document that the server obeys: one
// for the platform, and for each customer who wants it one that is narrower. It
// promises that a document which parses does not contradict itself; that a
// customer's can never loosen what the platform promised, whatever is changed on
// either side and in whatever order; that every version is dated, numbered and
// stays readable; and that a version holds from its date and not before. Doing
// what it says is left to those who ask it: retention, the record, the doors.
package policy

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/plain"
)

// Document is everything that a policy can say. A part that is left out says
// nothing: the platform's inherits the recommended profile's, a customer's the
// platform's. The doc tags are its handbook.
type Document struct {
	Retention     map[string]Keeping  `yaml:"retention,omitzero" json:"retention,omitempty" doc:"How long each category of the inventory is kept: at_most for privacy, at_least where a law asks for it."`
	Record        Record              `yaml:"record,omitempty" json:"record" doc:"What the record of a message holds of each field, by direction."`
	TLS           TLS                 `yaml:"tls,omitempty" json:"tls" doc:"The least that is taken for TLS."`
	Places        Among               `yaml:"places,omitzero" json:"places,omitzero" doc:"The regions in which data may be."`
	Purposes      Among               `yaml:"purposes,omitzero" json:"purposes,omitzero" doc:"The purposes for which data is processed on the customer's instruction. What is not here does not run, save what a law demands by name."`
	SubProcessors Among               `yaml:"sub_processors,omitzero" json:"sub_processors,omitzero" doc:"The sub-processors that may be given data, by name."`
	Notice        Notices             `yaml:"notice,omitempty" json:"notice" doc:"How long before a change takes effect its notice goes out."`
	Breach        Breach              `yaml:"breach,omitempty" json:"breach" doc:"From awareness of a breach until its notices."`
	Rights        Rights              `yaml:"rights,omitempty" json:"rights" doc:"From receipt of a person's request until its answer, where the law gives longer."`
	Termination   Termination         `yaml:"termination,omitempty" json:"termination" doc:"What happens at a contract's end."`
	Backups       Backups             `yaml:"backups,omitempty" json:"backups" doc:"Encrypted backups."`
	Tracking      Tracked             `yaml:"tracking,omitempty" json:"tracking" doc:"Whether opens and clicks of recipients may be observed."`
	Staff         Staff               `yaml:"staff,omitempty" json:"staff,omitempty" doc:"How the operator's people reach personal data: role or grant."`
	Training      Training            `yaml:"training,omitempty" json:"training,omitempty" doc:"Whether the operator's people need a valid attestation of training and screening to open personal data: advised or required."`
	Preview       Switch              `yaml:"preview,omitempty" json:"preview,omitempty" doc:"Whether content may be shown in console and API: allowed or off."`
	Answers       Size                `yaml:"answers,omitzero" json:"answers,omitzero" doc:"How much of an endpoint's answer is kept with the record."`
	Visible       Visible             `yaml:"visible,omitempty" json:"visible" doc:"Which roles may see content, records and conversations, and how far back."`
	Findings      map[string]Deadline `yaml:"findings,omitempty" json:"findings,omitempty" doc:"Within which time a finding is mended, by severity: critical, high, medium, low."`
	Scans         Deadline            `yaml:"scans,omitzero" json:"scans,omitzero" doc:"How old vulnerability data and the newest scan may be."`
}

// Record is a policy per direction.
type Record struct {
	Inbound  map[string]Redaction `yaml:"inbound,omitempty" json:"inbound,omitempty" doc:"Of mail that arrives."`
	Outbound map[string]Redaction `yaml:"outbound,omitempty" json:"outbound,omitempty" doc:"Of mail that the customer sends."`
}

// TLS are floors.
type TLS struct {
	MX         Listener `yaml:"mx,omitempty" json:"mx,omitempty" doc:"Mail from other servers: offered, 1.2 or 1.3."`
	Submission Listener `yaml:"submission,omitempty" json:"submission,omitempty" doc:"Mail from customers: 1.2 or 1.3."`
	Web        Listener `yaml:"web,omitempty" json:"web,omitempty" doc:"API and console: 1.2 or 1.3."`
	Outbound   Outgoing `yaml:"outbound,omitempty" json:"outbound,omitempty" doc:"Mail to other servers: opportunistic, required or verified."`
	Version    Listener `yaml:"version,omitempty" json:"version,omitempty" doc:"The least version towards other servers: 1.2 or 1.3."`
}

// Notices are times before a change.
type Notices struct {
	Policy       Notice `yaml:"policy,omitzero" json:"policy,omitzero" doc:"Before a policy that loosens anything."`
	SubProcessor Notice `yaml:"sub_processor,omitzero" json:"sub_processor,omitzero" doc:"Before a new sub-processor gets data; in it customers may object."`
}

// Breach are the three clocks (GDPR Art. 33, 34).
type Breach struct {
	Customer  Deadline `yaml:"customer,omitzero" json:"customer,omitzero" doc:"Each customer concerned is told."`
	Authority Deadline `yaml:"authority,omitzero" json:"authority,omitzero" doc:"The authority is told; GDPR Art. 33 gives 72 hours."`
	Persons   Deadline `yaml:"persons,omitzero" json:"persons,omitzero" doc:"Persons at high risk are told."`
}

// Rights are a person's (GDPR Art. 12(3)).
type Rights struct {
	Answer Deadline `yaml:"answer,omitzero" json:"answer,omitzero" doc:"A request is answered."`
}

// Termination is the contract's end.
type Termination struct {
	Return Notice   `yaml:"return,omitzero" json:"return,omitzero" doc:"How long a customer may still export after the end."`
	Delete Deadline `yaml:"delete,omitzero" json:"delete,omitzero" doc:"Everything is deleted; what a law keeps stays apart."`
}

// Backups are copies.
type Backups struct {
	Every Deadline `yaml:"every,omitzero" json:"every,omitzero" doc:"The newest is not older than this."`
	Keep  Deadline `yaml:"keep,omitzero" json:"keep,omitzero" doc:"The oldest is gone after this."`
	Drill Deadline `yaml:"drill,omitzero" json:"drill,omitzero" doc:"The last restore that was tried and held is not older than this."`
}

// Visible is what of mail's traces is shown to whom.
type Visible struct {
	Content       Among    `yaml:"content,omitzero" json:"content,omitzero" doc:"The roles that may open messages while they are here."`
	Conversations Among    `yaml:"conversations,omitzero" json:"conversations,omitzero" doc:"The roles that may open SMTP conversations."`
	Records       Among    `yaml:"records,omitzero" json:"records,omitzero" doc:"The roles that may search and open records of messages."`
	Back          Deadline `yaml:"back,omitzero" json:"back,omitzero" doc:"How far back records are shown; without it, as long as they are kept."`
}

// Tracked is what may be observed.
type Tracked struct {
	Opens  Tracking `yaml:"opens,omitempty" json:"opens,omitempty" doc:"A pixel: allowed, consent or off."`
	Clicks Tracking `yaml:"clicks,omitempty" json:"clicks,omitempty" doc:"Rewritten links: allowed, consent or off."`
}

// maxDocument bounds a document's text in octets.
const maxDocument = 64 << 10

// Parse reads a document. What is wrong with it stands in the Invalid fault, with
// the line where the text itself is at fault.
func Parse(text []byte) (*Document, error) {
	if len(text) > maxDocument {
		return nil, fault.New(fault.Invalid, "A policy has at most 64 KiB of text.")
	}
	d := &Document{}
	if err := plain.Decode(text, d, yaml.CustomUnmarshaler(unmarshalKeeping)); err != nil {
		return nil, fault.New(fault.Invalid, "The policy cannot be read: "+err.Error())
	}
	return d, d.check()
}

// unmarshalKeeping takes the short form too: 90d is {at_most: 90d}.
func unmarshalKeeping(k *Keeping, b []byte) error {
	type long Keeping
	text := strings.Trim(strings.TrimSpace(string(b)), `"'`)
	if text == "" || strings.ContainsAny(text, ":{\n") {
		return yaml.UnmarshalWithOptions(b, (*long)(k), yaml.Strict(), yaml.DisallowUnknownField())
	}
	return k.AtMost.UnmarshalText([]byte(text))
}

// Text writes the document as YAML.
func (d *Document) Text() ([]byte, error) {
	text, err := yaml.Marshal(d)
	return text, fault.Wrap(err, "write a policy")
}

// named is a setting with where it stands: "tls.mx".
type named struct {
	path    string
	setting Setting
	put     func(Setting) // sets it in the document that was walked
	entry   bool          // of a map: it is there because somebody wrote it
}

// settings lists those that the document gives, by path.
func (d *Document) settings() []named {
	var list []named
	walk("", reflect.ValueOf(d).Elem(), func(n named) {
		if n.setting.Given() {
			list = append(list, n)
		}
	})
	slices.SortFunc(list, byName)
	return list
}

var settingType = reflect.TypeFor[Setting]()

// walk meets every setting under a value: fields of structs by their names in
// the text, entries of maps by their keys.
func walk(path string, v reflect.Value, f func(named)) {
	switch {
	case v.Type().Implements(settingType):
		f(named{path: path, setting: v.Interface().(Setting), put: func(s Setting) { v.Set(reflect.ValueOf(s)) }})
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			walk(join(path, name), v.Field(i), f)
		}
	case v.Kind() == reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			f(named{
				path: join(path, key.String()), setting: v.MapIndex(key).Interface().(Setting), entry: true,
				put: func(s Setting) { v.SetMapIndex(key, reflect.ValueOf(s)) },
			})
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// check names everything in the document that contradicts itself.
func (d *Document) check() error {
	var wrong []error
	walk("", reflect.ValueOf(d).Elem(), func(n named) {
		if n.entry && !n.setting.Given() {
			wrong = append(wrong, fmt.Errorf("%s says nothing; leave it out", n.path))
		} else if why := n.setting.wrong(); n.setting.Given() && why != "" {
			wrong = append(wrong, fmt.Errorf("%s %s", n.path, why))
		}
	})
	for _, severity := range slices.Sorted(maps.Keys(d.Findings)) {
		if !slices.Contains([]string{"critical", "high", "medium", "low"}, severity) {
			wrong = append(wrong, fmt.Errorf("findings.%s: a severity is critical, high, medium or low", severity))
		}
	}
	return refused(wrong)
}

// Known are the words that a document may use, as the server has them.
type Known struct {
	Categories []string // of the inventory, those that may have a period
	Fields     []string // of the record
	Roles      []string
	Purposes   []string
}

// CheckAgainst names what the document says about things that there are not.
func (d *Document) CheckAgainst(k Known) error {
	var wrong []error
	unknown := func(path, kind string, list, names []string) {
		for _, name := range names {
			if !slices.Contains(list, name) {
				wrong = append(wrong, fmt.Errorf("%s: there is no %s %.60q; there are: %s", path, kind, name, strings.Join(list, ", ")))
			}
		}
	}
	unknown("retention", "category", k.Categories, slices.Sorted(maps.Keys(d.Retention)))
	unknown("record.inbound", "field", k.Fields, slices.Sorted(maps.Keys(d.Record.Inbound)))
	unknown("record.outbound", "field", k.Fields, slices.Sorted(maps.Keys(d.Record.Outbound)))
	unknown("purposes", "purpose", k.Purposes, d.Purposes)
	unknown("visible.content", "role", k.Roles, d.Visible.Content)
	unknown("visible.conversations", "role", k.Roles, d.Visible.Conversations)
	unknown("visible.records", "role", k.Roles, d.Visible.Records)
	return refused(wrong)
}

// refused joins what is wrong into one Invalid fault, or nil.
func refused(wrong []error) error {
	if len(wrong) == 0 {
		return nil
	}
	return fault.New(fault.Invalid, "The policy cannot hold: "+strings.ReplaceAll(errors.Join(wrong...).Error(), "\n", "; ")+".")
}

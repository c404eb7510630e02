package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/plain"
)

// Said is one setting as people read and write it.
type Said struct {
	Path  string // "tls.mx"
	Value string // as in the text: "offered"
	Words string // "TLS offered"
}

// obeyed are the settings that a part of this server acts on; a path stands for
// all below it. What is not here is on record, and said to be no more than that.
var obeyed = []string{"termination", "retention", "purposes", "record", "visible", "tls", "notice.policy", "staff", "training", "findings", "scans", "notice.sub_processor", "sub_processors", "breach", "places", "preview"}

// Obeyed reports whether a part of this server acts on a setting.
func Obeyed(path string) bool {
	return slices.ContainsFunc(obeyed, func(o string) bool { return path == o || strings.HasPrefix(path, o+".") })
}

// Says lists what the document says, by path.
func (d *Document) Says() ([]Said, error) {
	var list []Said
	for _, n := range d.settings() {
		value, err := valueOf(n.setting)
		if err != nil {
			return nil, fault.Because(fault.Internal, err, "")
		}
		list = append(list, Said{n.path, value, n.setting.words()})
	}
	return list, nil
}

// valueOf writes a setting on one line.
func valueOf(s Setting) (string, error) {
	if k, is := s.(Keeping); is && !k.AtLeast.set {
		return k.AtMost.String(), nil
	}
	text, err := yaml.MarshalWithOptions(s, yaml.Flow(true))
	return strings.Trim(strings.TrimSpace(string(text)), `"`), err
}

// maxSettings bounds the settings of one call.
const maxSettings = 200

// From makes a document of settings by their paths, as a form has them. An empty
// value leaves its setting out.
func From(settings map[string]string) (*Document, error) {
	if len(settings) > maxSettings {
		return nil, fault.Field("settings", "That is more settings than there are.")
	}
	tree := map[string]any{}
	for _, path := range slices.Sorted(maps.Keys(settings)) {
		if strings.TrimSpace(settings[path]) == "" {
			continue
		}
		var value any
		if err := plain.Decode([]byte(settings[path]), &value); err != nil {
			return nil, fault.Field("settings", fmt.Sprintf("The value of %.60q cannot be read: %v", path, err))
		}
		if err := plant(tree, strings.Split(path, "."), value); err != nil {
			return nil, err
		}
	}
	text, err := yaml.Marshal(tree)
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "The settings cannot be read.")
	}
	return Parse(text)
}

// With gives the document with single settings changed, by their paths; an empty
// value takes its setting out.
func (d *Document) With(settings map[string]string) (*Document, error) {
	said, err := d.Says()
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, s := range said {
		all[s.Path] = s.Value
	}
	maps.Copy(all, settings)
	return From(all)
}

func plant(tree map[string]any, path []string, value any) error {
	for _, name := range path[:len(path)-1] {
		next, ok := tree[name].(map[string]any)
		if !ok {
			if tree[name] != nil {
				return fault.Field("settings", fmt.Sprintf("%.60q is a setting and cannot hold others.", name))
			}
			next = map[string]any{}
			tree[name] = next
		}
		tree = next
	}
	last := path[len(path)-1]
	if _, group := tree[last].(map[string]any); group {
		return fault.Field("settings", fmt.Sprintf("%.60q holds other settings and has no value.", last))
	}
	tree[last] = value
	return nil
}

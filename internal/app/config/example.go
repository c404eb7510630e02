package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"mailvow/internal/base/limit"
)

// Example writes a commented mailvow.yaml from the types and their defaults. A
// setting with a default is shown with it; the others are shown with an example
// and turned off by a # with no space after it, so that taking the # away turns
// them on.
func Example() string { return Starting(nil) }

// Starting is the example with settings turned on, by their dotted name:
// {"hostname": "mail.example.org", "tls.acme.email": "me@example.org"}.
func Starting(values map[string]string) string {
	w := exampleWriter{values: values}
	w.b.WriteString(exampleHead)
	w.section(reflect.ValueOf(Default()).Elem(), "", "")
	return w.b.String()
}

const exampleHead = `# mailvow.yaml
#
# A line that begins with # and a space is an explanation; a line that begins with #
# and no space is a setting that is off: take its # away to turn it on. Sizes carry
# their unit (25MiB), durations too (30s, 5m, 12h, 90d). Passwords and keys are kept
# in a file of mode 0600 (file:PATH) or in the environment (env:NAME). Every setting
# can be given by the environment as well: MAILVOW_LISTEN_MX is listen.mx.
# "mailvow config check" says whether the file is right before the server reads it.
`

type exampleWriter struct {
	b      strings.Builder
	values map[string]string
}

func (w *exampleWriter) section(v reflect.Value, path, indent string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := yamlName(f)
		if name == "" {
			continue
		}
		if indent == "" {
			w.b.WriteString("\n")
		}
		w.doc(f, indent)
		w.setting(v.Field(i), f, path+name, indent)
	}
}

func (w *exampleWriter) doc(f reflect.StructField, indent string) {
	for _, line := range wrapDoc(f.Tag.Get("doc"), 86-len(indent)) {
		w.b.WriteString(indent + "# " + line + "\n")
	}
}

// setting writes one setting. The head of a group is always on: without a
// setting below it, it says nothing.
func (w *exampleWriter) setting(v reflect.Value, f reflect.StructField, path, indent string) {
	name := yamlName(f)
	switch {
	case v.Kind() == reflect.Pointer:
		v = reflect.New(v.Type().Elem()).Elem()
		fallthrough
	case v.Kind() == reflect.Struct:
		fmt.Fprintf(&w.b, "%s%s:\n", indent, name)
		w.section(v, path+".", indent+"  ")
	case isEntries(v.Type()):
		fmt.Fprintf(&w.b, "%s%s:\n", indent, name)
		w.entry(v.Type().Elem(), indent+"  ")
	default:
		mark, text := "", ""
		if given, ok := w.values[path]; ok {
			text = quote(v.Type(), given)
		} else if set := valueText(v); set != "" {
			text = quote(v.Type(), set)
		} else {
			mark, text = "#", exampleText(v.Type(), f)
			if f.Tag.Get("start") != "" {
				mark = ""
			}
		}
		fmt.Fprintf(&w.b, "%s%s%s: %s\n", indent, mark, name, text)
	}
}

// entry writes one example entry of a list, turned off as a whole: its
// explanations stand behind its lines.
func (w *exampleWriter) entry(t reflect.Type, indent string) {
	lines := entryLines(t, "")
	width := 0
	for _, l := range lines {
		width = max(width, len(l[0]))
	}
	for i, l := range lines {
		lead := "  "
		if i == 0 {
			lead = "- "
		}
		fmt.Fprintf(&w.b, "%s#%s%-*s # %s\n", indent, lead, width, l[0], l[1])
	}
}

func entryLines(t reflect.Type, indent string) [][2]string {
	var lines [][2]string
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type.Kind() == reflect.Struct {
			lines = append(lines, [2]string{indent + yamlName(f) + ":", f.Tag.Get("doc")})
			lines = append(lines, entryLines(f.Type, indent+"  ")...)
			continue
		}
		lines = append(lines, [2]string{indent + yamlName(f) + ": " + exampleText(f.Type, f), f.Tag.Get("doc")})
	}
	return lines
}

// isEntries reports a list of groups, such as sub_processors.
func isEntries(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}

// valueText is a default as it is written, or "" if there is none.
func valueText(v reflect.Value) string {
	if v.IsZero() {
		return ""
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		return durationText(x)
	case limit.Bytes:
		return x.String()
	}
	if v.Kind() == reflect.Slice {
		words := make([]string, v.Len())
		for i := range words {
			words[i] = v.Index(i).String()
		}
		return strings.Join(words, ", ")
	}
	return fmt.Sprint(v.Interface())
}

// durationText writes whole days from two on as days.
func durationText(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := strings.TrimSuffix(d.String(), "m0s")
	if s != d.String() {
		s += "m"
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func exampleText(t reflect.Type, f reflect.StructField) string {
	text := f.Tag.Get("example")
	if text == "" && t.Kind() == reflect.Bool {
		text = "true"
	}
	return quote(t, text)
}

// quote writes a value so that YAML reads it as that value.
func quote(t reflect.Type, text string) string {
	if t.Kind() == reflect.Slice {
		words := strings.Split(text, ",")
		for i, w := range words {
			words[i] = quote(t.Elem(), strings.TrimSpace(w))
		}
		return "[" + strings.Join(words, ", ") + "]"
	}
	if t.Kind() == reflect.String && (text == "" || strings.ContainsAny(text, `:#"'\*&!|>%@{}[],`+"`")) {
		return fmt.Sprintf("%q", text)
	}
	return text
}

func wrapDoc(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

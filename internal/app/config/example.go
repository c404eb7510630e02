package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"mailvow/internal/base/limit"
)

// Example writes a commented mailvow.yaml from the types and their defaults.
// Settings with a default are shown with it, the others with an example, turned
// off by a # before them.
func Example() string {
	var b strings.Builder
	b.WriteString("# mailvow.yaml. Sizes and durations carry their unit. Every setting can also be given\n# by the environment: listen.mx is MAILVOW_LISTEN_MX. Passwords and keys are best kept\n# in files of mode 0600 (file:PATH) or in the environment (env:NAME).\n")
	write(&b, reflect.ValueOf(Default()).Elem(), "", false)
	return b.String()
}

func write(b *strings.Builder, v reflect.Value, indent string, off bool) {
	for i := range v.NumField() {
		f, field := v.Type().Field(i), v.Field(i)
		name := yamlName(f)
		if name == "" {
			continue
		}
		if indent == "" {
			b.WriteString("\n")
		}
		for _, line := range wrapDoc(f.Tag.Get("doc"), 90-len(indent)) {
			b.WriteString(indent + "# " + line + "\n")
		}
		writeField(b, field, name, f.Tag.Get("example"), indent, off)
	}
}

func writeField(b *strings.Builder, field reflect.Value, name, example, indent string, off bool) {
	mark := ""
	if off {
		mark = "# "
	}
	switch {
	case field.Kind() == reflect.Struct:
		if name == "listen" || name == "dns" || name == "web" || name == "tls" {
			off, mark = true, "# " // nothing below has a default
		}
		b.WriteString(indent + mark + name + ":\n")
		write(b, field, indent+"  ", off)
	case field.Kind() == reflect.Pointer:
		b.WriteString(indent + "# " + name + ":\n")
		write(b, reflect.New(field.Type().Elem()).Elem(), indent+"  ", true)
	case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct:
		b.WriteString(indent + "# " + name + ":\n" + indent + "# -\n")
		write(b, reflect.New(field.Type().Elem()).Elem(), indent+"  ", true)
	default:
		text, set := valueText(field)
		if !set && (!off || text == "") {
			mark, text = "# ", quoteExample(field, example)
		}
		if off {
			mark, text = "# ", quoteExample(field, example)
		}
		if name == "hostname" {
			mark = ""
		}
		b.WriteString(strings.TrimRight(indent+mark+name+": "+text, " ") + "\n")
	}
}

// valueText is a default in YAML, and whether there is one.
func valueText(v reflect.Value) (string, bool) {
	switch x := v.Interface().(type) {
	case time.Duration:
		return durationText(x), x != 0
	case limit.Bytes:
		return x.String(), x != 0
	case []Role:
		words := make([]string, len(x))
		for i, r := range x {
			words[i] = string(r)
		}
		return "[" + strings.Join(words, ", ") + "]", len(x) > 0
	case Secret:
		return "", false
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), v.String() != ""
	case reflect.Int:
		return fmt.Sprint(v.Int()), v.Int() != 0
	case reflect.Bool:
		return fmt.Sprint(v.Bool()), v.Bool()
	}
	return "", false
}

func durationText(d time.Duration) string {
	s := d.String()
	s = strings.TrimSuffix(s, "0s")
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func quoteExample(v reflect.Value, example string) string {
	if v.Kind() == reflect.Slice {
		return "[" + quoteWords(example) + "]"
	}
	if v.Type() == reflect.TypeFor[Secret]() && example == "" {
		return "file:secret"
	}
	if strings.Contains(example, ":") || strings.HasPrefix(example, "*") {
		return `"` + example + `"`
	}
	return example
}

func quoteWords(list string) string {
	words := strings.Split(list, ", ")
	for i, w := range words {
		words[i] = `"` + w + `"`
	}
	return strings.Join(words, ", ")
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

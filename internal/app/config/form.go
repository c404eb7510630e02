package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"mailvow/internal/base/plain"
)

// form refuses what is no plain YAML of known kinds of value, with line and
// source. Unknown settings are left to the decoder.
func form(b []byte) error {
	doc, err := plain.Parse(b)
	if err != nil || doc == nil || doc.Body == nil {
		return err
	}
	if err := values(doc.Body, reflect.TypeFor[Config](), ""); err != nil {
		return plain.Formatted(err)
	}
	return nil
}

// values checks that each value reads as its setting's kind, so that the message
// can name the setting and the line.
func values(n ast.Node, t reflect.Type, path string) error {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if _, null := n.(*ast.NullNode); null {
		return nil
	}
	switch {
	case t.Kind() == reflect.Struct:
		return group(n, t, path)
	case isEntries(t):
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			return plain.At(n, path+" is a list of groups; begin each with a dash")
		}
		for i, entry := range list.Values {
			if err := group(entry, t.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case t.Kind() == reflect.Slice:
		if _, ok := n.(*ast.SequenceNode); !ok {
			return plain.At(n, path+" is a list; write [one, two]")
		}
	default:
		scalar, ok := n.(ast.ScalarNode)
		if !ok {
			return plain.At(n, path+" is one value, no group or list")
		}
		if err := setText(reflect.New(t).Elem(), fmt.Sprint(scalar.GetValue())); err != nil {
			return plain.At(n, path+": "+err.Error())
		}
	}
	return nil
}

func group(n ast.Node, t reflect.Type, path string) error {
	fields, ok := n.(ast.MapNode)
	if !ok {
		if path == "" {
			path = "a configuration"
		}
		return plain.At(n, path+" is a group of settings; write each as name: value on a line of its own")
	}
	for pairs := fields.MapRange(); pairs.Next(); {
		f, known := fieldNamed(t, pairs.Key().GetToken().Value)
		if !known {
			continue
		}
		if err := values(pairs.Value(), f.Type, strings.TrimPrefix(path+"."+yamlName(f), ".")); err != nil {
			return err
		}
	}
	return nil
}

func fieldNamed(t reflect.Type, name string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); name != "" && yamlName(f) == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

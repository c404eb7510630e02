package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"mailvow/internal/base/limit"
)

// Setting is one setting as the handbook shows it.
type Setting struct {
	Name    string `json:"name"`             // dotted: listen.mx; entries of a list are sub_processors[].name
	Kind    string `json:"kind"`             // what is written: size, duration, text, …
	Default string `json:"default,omitzero"` // as it is written, or ""
	Example string `json:"example,omitzero"`
	Doc     string `json:"doc"`
}

// Settings lists everything that a file can say, in the order of the file.
func Settings() []Setting {
	list := settings(reflect.TypeFor[Config](), "")
	defaults := map[string]string{}
	collect(reflect.ValueOf(Default()).Elem(), "", defaults)
	for i := range list {
		list[i].Default = defaults[list[i].Name]
	}
	return list
}

func settings(t reflect.Type, path string) []Setting {
	var list []Setting
	for i := range t.NumField() {
		f := t.Field(i)
		name := yamlName(f)
		if name == "" {
			continue
		}
		under := f.Type
		if under.Kind() == reflect.Pointer {
			under = under.Elem()
		}
		s := Setting{Name: path + name, Kind: kindOf(f.Type), Doc: f.Tag.Get("doc")}
		switch {
		case isEntries(f.Type):
			list = append(append(list, s), settings(under.Elem(), path+name+"[].")...)
		case under.Kind() == reflect.Struct:
			list = append(append(list, s), settings(under, path+name+".")...)
		default:
			s.Example = exampleText(f.Type, f)
			list = append(list, s)
		}
	}
	return list
}

func collect(v reflect.Value, path string, into map[string]string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := yamlName(f)
		switch {
		case name == "":
		case f.Type.Kind() == reflect.Struct:
			collect(v.Field(i), path+name+".", into)
		case f.Type.Kind() != reflect.Pointer && !isEntries(f.Type):
			if text := valueText(v.Field(i)); text != "" {
				into[path+name] = quote(f.Type, text)
			}
		}
	}
}

const kindGroup, kindGroups, kindSecret = "group", "list of groups", "secret"

func kindOf(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[limit.Bytes]():
		return "size"
	case reflect.TypeFor[Secret]():
		return kindSecret
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Struct:
		return kindGroup
	case reflect.Slice:
		if isEntries(t) {
			return kindGroups
		}
		return "list of words"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "number"
	}
	return "text"
}

const referenceHead = `# Configuration

This page is written by ` + "`mailvow config reference`" + ` from the types that read the file; a test
fails when it is stale. ` + "`mailvow config example`" + ` prints a commented file to start from, and
` + "`mailvow config check`" + ` reads a file as the server would and says what is wrong, with line and
source.

- The file is YAML without anchors, aliases, tags and duplicate keys. A setting that does
  not exist is an error.
- A size carries its unit: ` + "`25MiB`, `256KiB`, `5GB`" + `. So does a duration: ` + "`30s`, `5m`, `12h`, `90d`" + `.
- A secret is a reference, ` + "`file:PATH`" + ` (mode 0600, relative to the configuration) or ` + "`env:NAME`" + `.
  A value given openly works too and is never printed.
- Every setting but those in lists of groups can be given by the environment, which wins
  over the file: ` + "`listen.mx`" + ` is ` + "`MAILVOW_LISTEN_MX`" + `; words of a list are separated by commas. A
  variable that begins with ` + "`MAILVOW_`" + ` and sets nothing is an error.
`

// Reference is the page of the handbook about this file, in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	b.WriteString("\n## At the top\n")
	all := Settings()
	table(&b, all, "")
	for _, s := range all {
		switch s.Kind {
		case kindGroup:
			fmt.Fprintf(&b, "\n## %s\n\n%s\n", s.Name, s.Doc)
			table(&b, all, s.Name+".")
		case kindGroups:
			fmt.Fprintf(&b, "\n## %s\n\n%s Each entry:\n", s.Name, s.Doc)
			table(&b, all, s.Name+"[].")
		}
	}
	return b.String()
}

// table writes the settings that stand directly in a group.
func table(b *strings.Builder, all []Setting, group string) {
	b.WriteString("\n| setting | what it says | written as | default | example |\n|---|---|---|---|---|\n")
	for _, s := range all {
		name, in := strings.CutPrefix(s.Name, group)
		if in && !strings.Contains(name, ".") && s.Kind != kindGroup && s.Kind != kindGroups {
			fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", s.Name, s.Doc, s.Kind, code(s.Default), code(s.Example))
		}
	}
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

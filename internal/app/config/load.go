package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
	"mailvow/internal/base/plain"
)

// Secret is a value that is kept elsewhere: file:PATH or env:NAME. A value given
// openly is taken too, and never printed.
type Secret string

// String hides the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "[secret]"
}

// Reveal gives the value itself.
func (s Secret) Reveal() string { return string(s) }

// maxFile bounds a configuration or secret file.
const maxFile = 1 << 20

// Load reads a file, applies the environment and checks the whole. The error's
// public text names file, line, and what to do.
func Load(path string, environ []string) (*Config, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	c, err := Parse(path, b, environ)
	return c, fault.Wrap(err, "load configuration")
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.New(fault.NotFound, fmt.Sprintf("There is no file %s; mailvow init writes one.", path))
	}
	if err == nil && info.Size() > maxFile {
		return nil, fault.New(fault.Invalid, fmt.Sprintf("%s is larger than 1 MiB; that is no configuration.", path))
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, fmt.Sprintf("%s cannot be read: %v.", path, errors.Unwrap(err)))
	}
	return b, nil
}

// Parse reads a configuration from memory. name stands in messages.
func Parse(name string, b []byte, environ []string) (*Config, error) {
	invalid := func(text string) error {
		return fault.New(fault.Invalid, name+": "+openSecret.ReplaceAllString(strings.TrimSpace(text), "$1 [secret]"))
	}
	if err := form(b); err != nil {
		return nil, invalid(err.Error())
	}
	if err := former(b); err != nil {
		return nil, invalid(err.Error())
	}
	c := Default()
	if err := plain.Decode(b, c, yaml.CustomUnmarshaler(unmarshalDuration), yaml.CustomUnmarshaler(unmarshalBytes)); err != nil {
		return nil, invalid(err.Error())
	}
	if err := strangers(b, environ); err != nil {
		return nil, invalid(err.Error())
	}
	if err := override(reflect.ValueOf(c).Elem(), "MAILVOW", environ); err != nil {
		return nil, invalid(err.Error())
	}
	if err := resolve(reflect.ValueOf(c).Elem(), filepath.Dir(name), environ); err != nil {
		return nil, invalid(err.Error())
	}
	if err := c.Check(); err != nil {
		return nil, invalid(err.Error())
	}
	return c, nil
}

// formerly are the groups of settings that the policy or the register took over.
var formerly = regexp.MustCompile(`(?m)^(record|retention|outside)[ \t]*:`)

// former sends who still writes what the privacy policy says now to where it
// is said.
func former(b []byte) error {
	found := formerly.FindSubmatchIndex(b)
	if found == nil {
		return nil
	}
	line, group := bytes.Count(b[:found[0]], []byte("\n"))+1, string(b[found[2]:found[3]])
	if group == "outside" {
		return fmt.Errorf("[%d:1] outside is called sub_processors now, and its entries say more; see mailvow config reference", line)
	}
	return fmt.Errorf("[%d:1] %s: %s is said by the privacy policy now, in versions and for each customer. Take the group out of this file, "+
		"write what it said into the policy's %s, and put that in force with: mailvow policy publish", line, group, formerWords[group], group)
}

var formerWords = map[string]string{"record": "what a record does not hold", "retention": "how long something is kept"}

// openSecret finds a secret that stands openly in a line of the file, because
// messages show the lines around a mistake.
var openSecret = regexp.MustCompile(`(\b(?:` + strings.Join(secretNames(), "|") + `) *:)[ \t]+["']?[^ "'\[\n].*`)

// secretNames are the last words of the settings that hold secrets.
func secretNames() []string {
	var names []string
	for _, s := range settings(reflect.TypeFor[Config](), "") {
		if name := s.Name[strings.LastIndex(s.Name, ".")+1:]; s.Kind == kindSecret && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func unmarshalDuration(d *time.Duration, b []byte) error {
	text := strings.Trim(strings.TrimSpace(string(b)), `"'`)
	v, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		v = time.Duration(n) * 24 * time.Hour
		if n > maxDays {
			err = strconv.ErrRange
		}
	}
	if err != nil || v < 0 {
		return fmt.Errorf("%.40q is no duration; write a number and a unit, such as 90s, 5m, 12h or 30d", text)
	}
	*d = v
	return nil
}

// maxDays is what a time.Duration holds, about 290 years.
const maxDays = 106_000

func unmarshalBytes(size *limit.Bytes, b []byte) error {
	v, err := limit.ParseBytes(strings.Trim(strings.TrimSpace(string(b)), `"'`))
	if err != nil {
		text, _ := fault.Public(err)
		return errors.New(text)
	}
	*size = v
	return nil
}

// override sets fields from the environment: MAILVOW_LISTEN_MX sets listen.mx.
// Lists of words are separated by commas; lists of entries have no variable.
func override(v reflect.Value, prefix string, environ []string) error {
	for i := range v.NumField() {
		field, name := v.Field(i), yamlName(v.Type().Field(i))
		if name == "" {
			continue
		}
		key := prefix + "_" + strings.ToUpper(name)
		if field.Kind() == reflect.Pointer && anyUnder(environ, key+"_") {
			if field.IsNil() {
				field.Set(reflect.New(field.Type().Elem()))
			}
			field = field.Elem()
		}
		if field.Kind() == reflect.Struct {
			if err := override(field, key, environ); err != nil {
				return err
			}
			continue
		}
		if text, ok := lookup(environ, key); ok {
			if err := setText(field, text); err != nil {
				return fmt.Errorf("the environment variable %s: %w", key, err)
			}
		}
	}
	return nil
}

// ours are the variables with our prefix that are no settings.
var ours = []string{"MAILVOW_CONFIG", "MAILVOW_DIR", "MAILVOW_SUITES"}

// strangers refuses a variable with our prefix that sets nothing: a mistyped
// setting would be ignored silently. A name that the file refers to as env:NAME
// is a secret's.
func strangers(file []byte, environ []string) error {
	known := map[string]bool{}
	for _, s := range settings(reflect.TypeFor[Config](), "") {
		known["MAILVOW_"+strings.ToUpper(strings.ReplaceAll(s.Name, ".", "_"))] = true
	}
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		switch {
		case !strings.HasPrefix(name, "MAILVOW_"), known[name], slices.Contains(ours, name), strings.HasPrefix(name, "MAILVOW_TEST_"):
		case strings.Contains(string(file), "env:"+name), slices.ContainsFunc(environ, func(o string) bool { return strings.HasSuffix(o, "=env:"+name) }):
		case strings.HasPrefix(name, "MAILVOW_RECORD_"), strings.HasPrefix(name, "MAILVOW_RETENTION_"):
			return fmt.Errorf("the environment variable %.80s is no setting any more: the privacy policy says it now, see mailvow policy publish", name)
		default:
			return fmt.Errorf("the environment variable %.80s is no setting; see mailvow config reference", name)
		}
	}
	return nil
}

func yamlName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if name == "-" {
		return ""
	}
	return name
}

func anyUnder(environ []string, prefix string) bool {
	for _, e := range environ {
		if strings.HasPrefix(e, prefix) {
			return true
		}
	}
	return false
}

func lookup(environ []string, key string) (string, bool) {
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, key+"="); ok {
			return v, true
		}
	}
	return "", false
}

func setText(field reflect.Value, text string) error {
	switch field.Interface().(type) {
	case time.Duration:
		return unmarshalDuration(field.Addr().Interface().(*time.Duration), []byte(text))
	case limit.Bytes:
		return unmarshalBytes(field.Addr().Interface().(*limit.Bytes), []byte(text))
	}
	switch field.Kind() {
	case reflect.String:
		field.SetString(text)
	case reflect.Bool:
		v, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%.40q is neither true nor false", text)
		}
		field.SetBool(v)
	case reflect.Int:
		v, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%.40q is no whole number", text)
		}
		field.SetInt(int64(v))
	case reflect.Slice:
		if field.Type().Elem().Kind() != reflect.String {
			return fmt.Errorf("a list of entries cannot be given by the environment; write it in the file")
		}
		words := strings.Split(text, ",")
		list := reflect.MakeSlice(field.Type(), len(words), len(words))
		for i, w := range words {
			list.Index(i).SetString(strings.TrimSpace(w))
		}
		field.Set(list)
	default:
		return fmt.Errorf("this setting cannot be given by the environment")
	}
	return nil
}

// resolve replaces references of secrets by what they refer to.
func resolve(v reflect.Value, dir string, environ []string) error {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return resolve(v.Elem(), dir, environ)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if err := resolve(v.Field(i), dir, environ); err != nil {
				return err
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if err := resolve(v.Index(i), dir, environ); err != nil {
				return err
			}
		}
	case reflect.String:
		if v.Type() != reflect.TypeFor[Secret]() {
			return nil
		}
		value, err := secret(v.String(), dir, environ)
		if err != nil {
			return err
		}
		v.SetString(value)
	}
	return nil
}

func secret(ref, dir string, environ []string) (string, error) {
	if name, ok := strings.CutPrefix(ref, "env:"); ok {
		v, found := lookup(environ, name)
		if !found || v == "" {
			return "", fmt.Errorf("the environment variable %s, which a secret refers to, is not set", name)
		}
		return v, nil
	}
	path, ok := strings.CutPrefix(ref, "file:")
	if !ok {
		return ref, nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("the file %s, which a secret refers to, cannot be read", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("others may read the secret file %s (mode %04o); run chmod 600 on it", path, info.Mode().Perm())
	}
	b, err := readFile(path)
	return strings.TrimRight(string(b), "\r\n"), err
}

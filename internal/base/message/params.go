package message

import (
	"net/url"
	"sort"
	"strconv"
	"strings"
)

// Param is one parameter. Value is UTF-8 where RFC 2231 says so, else the octets
// as given.
type Param struct {
	Name  string // lower case, without the marks of RFC 2231
	Value string
}

// ContentType is a Content-Type or Content-Disposition: a value and parameters.
type ContentType struct {
	Value  string // lower case: "text/plain", "attachment"
	Params []Param
}

// Major is the part of a media type before the slash.
func (c ContentType) Major() string {
	major, _, _ := strings.Cut(c.Value, "/")
	return major
}

// Param returns a parameter's value.
func (c ContentType) Param(name string) (string, bool) {
	for _, p := range c.Params {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

// maxParams bounds the parameters of one field.
const maxParams = 200

// ParseParams reads a value with parameters (RFC 2045 5.1, RFC 2231) as
// leniently as mail needs: comments, missing quotes and semicolons, spaces in
// values. The first of two parameters with one name counts. The kinds of defect
// met are returned, each once.
func ParseParams(s string) (ContentType, []DefectKind) {
	r := paramReader{s: s}
	ct := ContentType{Value: r.value()}
	for n := 0; n < maxParams && r.next(); n++ {
	}
	ct.Params = r.join()
	return ct, r.defects
}

type rawParam struct {
	name, value string
	extended    bool // value is percent-encoded
	section     int  // of a continuation; -1 if whole
}

type paramReader struct {
	s       string
	pos     int
	params  []rawParam
	defects []DefectKind
}

func (r *paramReader) note(k DefectKind) {
	for _, d := range r.defects {
		if d == k {
			return
		}
	}
	r.defects = append(r.defects, k)
}

// value reads up to the first semicolon and drops comments. A name=value that
// stands there already is left for next.
func (r *paramReader) value() string {
	var b strings.Builder
	for r.pos < len(r.s) {
		c := r.s[r.pos]
		if c == ';' {
			break
		}
		if c == '(' {
			r.comment()
			continue
		}
		if c == '=' && b.Len() > 0 {
			// The semicolon is missing: "text/plain charset=utf-8".
			text := b.String()
			i := strings.LastIndexAny(strings.TrimRight(text, " \t"), " \t")
			if i < 0 {
				i = 0
			}
			r.note(DefectParameter)
			r.pos -= len(text) - i
			if r.pos < 0 || !strings.HasPrefix(r.s[r.pos:], text[i:]) {
				r.pos = len(r.s)
			}
			return strings.ToLower(strings.TrimSpace(text[:i]))
		}
		b.WriteByte(c)
		r.pos++
	}
	return strings.ToLower(strings.Trim(b.String(), " \t\"',"))
}

func (r *paramReader) comment() {
	depth := 0
	for ; r.pos < len(r.s); r.pos++ {
		switch r.s[r.pos] {
		case '\\':
			r.pos++
		case '(':
			depth++
		case ')':
			depth--
			if depth == 0 {
				r.pos++
				return
			}
		}
	}
	r.pos = min(r.pos, len(r.s))
}

func (r *paramReader) space() {
	for r.pos < len(r.s) {
		switch c := r.s[r.pos]; c {
		case ' ', '\t', ';', ',':
			r.pos++
		case '(':
			r.comment()
		default:
			return
		}
	}
}

// next reads one parameter. It reports false at the end.
func (r *paramReader) next() bool {
	r.space()
	if r.pos >= len(r.s) {
		return false
	}
	start := r.pos
	for r.pos < len(r.s) && r.s[r.pos] != '=' && r.s[r.pos] != ';' {
		r.pos++
	}
	name := strings.ToLower(strings.TrimSpace(r.s[start:r.pos]))
	if r.pos >= len(r.s) || r.s[r.pos] == ';' {
		r.note(DefectParameter)
		return true
	}
	r.pos++
	for r.pos < len(r.s) && (r.s[r.pos] == ' ' || r.s[r.pos] == '\t') {
		r.pos++
	}
	var value string
	if r.pos < len(r.s) && r.s[r.pos] == '"' {
		value = r.quoted()
	} else {
		value = r.bare()
	}
	if name == "" {
		r.note(DefectParameter)
		return true
	}
	r.add(name, value)
	return true
}

func (r *paramReader) quoted() string {
	var b strings.Builder
	r.pos++
	for r.pos < len(r.s) {
		c := r.s[r.pos]
		switch {
		case c == '\\' && r.pos+1 < len(r.s) && (r.s[r.pos+1] == '"' || r.s[r.pos+1] == '\\'):
			// Only these two are taken as quoted pairs: in C:\dir\file the
			// backslash was meant.
			r.pos++
			b.WriteByte(r.s[r.pos])
		case c == '"':
			r.pos++
			return b.String()
		default:
			b.WriteByte(c)
		}
		r.pos++
	}
	r.note(DefectParameter)
	return b.String()
}

// bare reads a value without quotes up to the semicolon. If it holds spaces and
// a further name=, the semicolon between was forgotten.
func (r *paramReader) bare() string {
	end := strings.IndexByte(r.s[r.pos:], ';')
	if end < 0 {
		end = len(r.s)
	} else {
		end += r.pos
	}
	v := r.s[r.pos:end]
	if i := strings.IndexAny(v, " \t("); i >= 0 {
		rest := strings.TrimLeft(v[i:], " \t")
		name, _, eq := strings.Cut(rest, "=")
		name = strings.TrimSpace(name)
		switch {
		case strings.HasPrefix(rest, "("):
			end = r.pos + i
		case eq && name != "" && !strings.ContainsAny(name, " \t\"?"):
			r.note(DefectParameter)
			end = r.pos + i
		case rest != "":
			r.note(DefectParameter)
		}
	}
	v = strings.TrimSpace(r.s[r.pos:end])
	r.pos = end
	return v
}

// add splits the marks of RFC 2231 off a name: name*, name*0, name*0*.
func (r *paramReader) add(name, value string) {
	p := rawParam{name: name, value: value, section: -1}
	if base, ok := strings.CutSuffix(p.name, "*"); ok && base != "" {
		p.name, p.extended = base, true
	}
	if base, number, ok := strings.Cut(p.name, "*"); ok && base != "" {
		if n, err := strconv.Atoi(number); err == nil && n >= 0 && n < 10000 {
			p.name, p.section = base, n
		}
	}
	r.params = append(r.params, p)
}

// join puts continuations together and drops what is given twice. The extended
// form of a name wins over its plain one (RFC 6266 4.3, as everybody writes).
func (r *paramReader) join() []Param {
	var out []Param
	seen := map[string]bool{}
	for _, p := range r.params {
		if seen[p.name] {
			continue
		}
		seen[p.name] = true
		out = append(out, Param{Name: p.name, Value: r.pick(p.name)})
	}
	return out
}

func (r *paramReader) pick(name string) string {
	var plain, extended *rawParam
	var sections []rawParam
	for i := range r.params {
		p := &r.params[i]
		switch {
		case p.name != name:
		case p.section >= 0:
			sections = append(sections, *p)
		case p.extended && extended == nil:
			extended = p
		case !p.extended && plain == nil:
			plain = p
		default:
			r.note(DefectDuplicateParameter)
		}
	}
	switch {
	case extended != nil:
		return decodeExtended(extended.value)
	case len(sections) > 0:
		return r.continued(sections)
	}
	return plain.value
}

// continued joins name*0, name*1 … in the order of their numbers (RFC 2231 3).
// The charset stands in the first; it holds for the octets of all, so that a
// character split between two comes out whole.
func (r *paramReader) continued(sections []rawParam) string {
	sort.SliceStable(sections, func(i, j int) bool { return sections[i].section < sections[j].section })
	var octets strings.Builder
	charset, marked := "", false
	for i, p := range sections {
		if i > 0 && p.section == sections[i-1].section {
			r.note(DefectDuplicateParameter)
			continue
		}
		v := p.value
		if p.extended {
			if i == 0 {
				charset, v = splitExtended(v)
			}
			marked = true
			v = percent(v)
		}
		octets.WriteString(v)
	}
	if !marked {
		return octets.String()
	}
	return decodeCharset(charset, octets.String())
}

func decodeExtended(v string) string {
	charset, rest := splitExtended(v)
	return decodeCharset(charset, percent(rest))
}

// splitExtended takes charset'language' off (RFC 2231 4).
func splitExtended(v string) (charset, rest string) {
	charset, after, ok := strings.Cut(v, "'")
	if !ok {
		return "", v
	}
	_, rest, ok = strings.Cut(after, "'")
	if !ok {
		return "", v
	}
	return charset, rest
}

// percent decodes %XX and lets everything else stand.
func percent(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0 {
			b.WriteByte(byte(unhex(s[i+1])<<4 | unhex(s[i+2])))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

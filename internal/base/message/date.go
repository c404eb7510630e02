package message

import (
	"strconv"
	"strings"
	"time"
)

// months and zones after RFC 5322 3.3 and 4.3, with the zones that mail of
// other continents uses and that have one meaning there.
var months = map[string]time.Month{
	"jan": time.January, "feb": time.February, "mar": time.March, "apr": time.April, "may": time.May, "jun": time.June,
	"jul": time.July, "aug": time.August, "sep": time.September, "oct": time.October, "nov": time.November, "dec": time.December,
}

var zones = map[string]int{ // minutes east of UTC
	"ut": 0, "utc": 0, "gmt": 0, "z": 0, "est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360, "pst": -480, "pdt": -420,
	"cet": 60, "cest": 120, "met": 60, "mest": 120, "wet": 0, "west": 60, "eet": 120, "eest": 180, "bst": 60, "msk": 180, "jst": 540, "hkt": 480, "akst": -540, "akdt": -480, "hst": -600,
}

// Date reads the Date field. ok is false if there is none or it makes no sense.
func (h *Header) Date() (t time.Time, ok bool) {
	f, ok := h.Get("Date")
	if !ok {
		return time.Time{}, false
	}
	return ParseDate(f.Value())
}

type dateReader struct {
	year, day       int
	month           time.Month
	hour, min, sec  int
	zone            int
	hasTime, hasDay bool
	hasYear, hasTZ  bool
	pm, am          bool
}

// ParseDate reads a date as mail has it: RFC 5322, its obsolete forms, asctime,
// RFC 3339 and what broken clocks write. A date without zone is taken as UTC.
func ParseDate(s string) (time.Time, bool) {
	if len(s) > 200 {
		return time.Time{}, false
	}
	if t, err := time.Parse(time.RFC3339, strings.TrimSpace(s)); err == nil {
		return t, true
	}
	var d dateReader
	for _, token := range strings.FieldsFunc(dropComments(s), func(r rune) bool { return r == ' ' || r == '\t' || r == ',' || r == '"' }) {
		d.token(token)
	}
	return d.time()
}

func dropComments(s string) string {
	if strings.IndexByte(s, '(') < 0 {
		return s
	}
	var b strings.Builder
	r := paramReader{s: s}
	for r.pos < len(s) {
		if s[r.pos] == '(' {
			r.comment()
			b.WriteByte(' ')
			continue
		}
		b.WriteByte(s[r.pos])
		r.pos++
	}
	return b.String()
}

func (d *dateReader) token(t string) {
	lower := strings.ToLower(t)
	switch {
	case !d.hasTime && (strings.Contains(t, ":") || strings.Count(t, ".") == 2 && d.month != 0):
		d.clock(t)
	case (t[0] == '+' || t[0] == '-') && d.hasTime && len(t) > 1:
		d.offset(t)
	case strings.Contains(t, "-") && strings.Count(t, "-") == 2:
		for part := range strings.SplitSeq(t, "-") {
			if part != "" {
				d.token(part)
			}
		}
	case t[0] >= '0' && t[0] <= '9':
		d.number(t)
	default:
		d.word(lower)
	}
}

func (d *dateReader) word(w string) {
	w = strings.Trim(w, ".")
	if len(w) >= 3 {
		if m, ok := months[w[:3]]; ok && d.month == 0 && !(w[:3] == "mar" && w == "mart") {
			d.month = m
			return
		}
	}
	if z, ok := zones[w]; ok && d.hasTime && !d.hasTZ {
		d.zone, d.hasTZ = z*60, true
		return
	}
	d.pm, d.am = d.pm || w == "pm", d.am || w == "am"
	// "GMT+0200", "UTC-5".
	if i := strings.IndexAny(w, "+-"); i > 0 && d.hasTime {
		if _, ok := zones[w[:i]]; ok {
			d.offset(w[i:])
		}
	}
}

func (d *dateReader) number(t string) {
	n, err := strconv.Atoi(strings.TrimRight(t, "."))
	switch {
	case err != nil:
	case len(t) <= 2 && !d.hasDay && n >= 1 && n <= 31:
		d.day, d.hasDay = n, true
	case !d.hasYear && len(t) <= 4:
		// RFC 5322 4.3: 00 to 49 are 20xx, 50 to 99 and three digits are 19xx.
		switch {
		case len(t) <= 2 && n < 50:
			n += 2000
		case len(t) <= 3:
			n += 1900
		}
		d.year, d.hasYear = n, true
	}
}

func (d *dateReader) clock(t string) {
	// "23:59:59+0100": the zone sticks to the time.
	if i := strings.IndexAny(t, "+-"); i > 0 {
		defer d.offset(t[i:])
		t = t[:i]
	}
	t = strings.ReplaceAll(t, ".", ":")
	parts := strings.Split(t, ":")
	var v [3]int
	for i := range min(len(parts), 3) {
		n, err := strconv.Atoi(parts[i])
		if err != nil || n < 0 || n > 60 {
			return
		}
		v[i] = n
	}
	if len(parts) >= 2 && v[0] < 25 && v[1] < 60 {
		d.hour, d.min, d.sec, d.hasTime = v[0], v[1], min(v[2], 59), true
	}
}

func (d *dateReader) offset(t string) {
	sign := 1
	if t[0] == '-' {
		sign = -1
	}
	t = strings.ReplaceAll(t[1:], ":", "")
	n, err := strconv.Atoi(t)
	if d.hasTZ || err != nil || n < 0 || len(t) > 4 {
		return
	}
	h, m := n/100, n%100
	if len(t) <= 2 {
		h, m = n, 0
	}
	if h <= 24 && m < 60 {
		d.zone, d.hasTZ = sign*(h*3600+m*60), true
	}
}

func (d *dateReader) time() (time.Time, bool) {
	if d.month == 0 || !d.hasDay || !d.hasYear || d.year < 1900 {
		return time.Time{}, false
	}
	switch {
	case d.pm && d.hour < 12:
		d.hour += 12
	case d.am && d.hour == 12:
		d.hour = 0
	}
	loc := time.UTC
	if d.zone != 0 {
		loc = time.FixedZone("", d.zone)
	}
	t := time.Date(d.year, d.month, d.day, d.hour, d.min, d.sec, 0, loc)
	// time.Date rolls 31 February over into March.
	return t, t.Day() == d.day || d.hour >= 24
}

package policy

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Span is a time as people and laws write it: 14d, 12mo, 10y, 72h, or at once. It
// goes by the calendar, so that ten years are ten years whatever leap days lie in
// them. The zero value says nothing.
type Span struct {
	months, days, hours int
	set                 bool
}

// Immediately is the span of nothing: at once.
var Immediately = Span{set: true}

// longest is the longest span in months that is taken: more is a slip of the pen.
const longest = 100 * 12

var spanUnits = []struct {
	suffix string
	months int
	days   int
	hours  int
	most   int
}{
	{"mo", 1, 0, 0, longest}, {"y", 12, 0, 0, longest / 12}, {"w", 0, 7, 0, longest * 4}, {"d", 0, 1, 0, longest * 30}, {"h", 0, 0, 1, longest * 30 * 24},
}

// ParseSpan reads one number with one unit: h, d, w, mo or y; or the words "at once".
func ParseSpan(text string) (Span, error) {
	text = strings.TrimSpace(text)
	if text == "at once" {
		return Immediately, nil
	}
	for _, u := range spanUnits {
		number, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || n > u.most {
			break
		}
		return Span{months: n * u.months, days: n * u.days, hours: n * u.hours, set: true}, nil
	}
	return Span{}, fmt.Errorf("%.40q is no time; write a number with h, d, w, mo or y, such as 72h, 30d or 7y, or: at once", text)
}

// Given reports whether the span says anything.
func (s Span) Given() bool { return s.set }

// IsZero is for the writers of YAML and JSON: what says nothing is left out.
func (s Span) IsZero() bool { return !s.set }

// Before is the moment that lies this span before another.
func (s Span) Before(t time.Time) time.Time {
	return addMonths(t, -s.months).AddDate(0, 0, -s.days).Add(-time.Duration(s.hours) * time.Hour)
}

// After is the moment that lies this span after another.
func (s Span) After(t time.Time) time.Time {
	return addMonths(t, s.months).AddDate(0, 0, s.days).Add(time.Duration(s.hours) * time.Hour)
}

// addMonths stays in the month: a month after January 31 is the last of February,
// where time.AddDate would say March 3.
func addMonths(t time.Time, months int) time.Time {
	if months == 0 {
		return t
	}
	first := time.Date(t.Year(), t.Month()+time.Month(months), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}

// shortest and longest bound the span in hours, whatever months it meets.
func (s Span) shortest() int { return s.months*28*24 + s.days*24 + s.hours + s.months/12*29*24 }

func (s Span) longestHours() int {
	years, rest := s.months/12, s.months%12
	return years*366*24 + rest*31*24 + s.days*24 + s.hours
}

// Longest is the span at its longest, whatever months it meets.
func (s Span) Longest() time.Duration { return time.Duration(s.longestHours()) * time.Hour }

// notLonger reports that s is for certain not longer than t. Months compare with
// months and days with days; a span of the one and of the other only where no
// calendar can turn them round.
func (s Span) notLonger(t Span) bool {
	if s.months == t.months {
		return s.days*24+s.hours <= t.days*24+t.hours
	}
	if s.days == t.days && s.hours == t.hours {
		return s.months <= t.months
	}
	return s.longestHours() <= t.shortest()
}

// String is the text that ParseSpan reads.
func (s Span) String() string {
	switch {
	case !s.set:
		return ""
	case s.months != 0 && s.months%12 == 0:
		return strconv.Itoa(s.months/12) + "y"
	case s.months != 0:
		return strconv.Itoa(s.months) + "mo"
	case s.days != 0:
		return strconv.Itoa(s.days) + "d"
	case s.hours != 0:
		return strconv.Itoa(s.hours) + "h"
	}
	return "at once"
}

// Words is the span for a person: "12 months".
func (s Span) Words() string {
	text := s.String()
	for _, u := range []struct{ suffix, one, many string }{
		{"mo", "month", "months"}, {"y", "year", "years"}, {"d", "day", "days"}, {"h", "hour", "hours"},
	} {
		number, ok := strings.CutSuffix(text, u.suffix)
		if _, err := strconv.Atoi(number); !ok || err != nil {
			continue
		}
		if number == "1" {
			return "1 " + u.one
		}
		return number + " " + u.many
	}
	return text
}

// MarshalText implements encoding.TextMarshaler.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Span) UnmarshalText(text []byte) error {
	v, err := ParseSpan(string(text))
	*s = v
	return err
}

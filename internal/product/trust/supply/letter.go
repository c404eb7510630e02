package supply

import (
	"fmt"
	"strings"
	"time"
)

// Letter is what a customer's contacts are mailed.
type Letter struct{ Subject, Text string }

// letter says what version i changes.
func (s *Store) letter(all []Version, i int) Letter {
	v, before := &all[i], &Entry{}
	for j := i - 1; j >= 0; j-- {
		if all[j].Withdrawn.IsZero() {
			if !all[j].Removed {
				before = &all[j].Entry
			}
			break
		}
	}
	day := v.Effective.UTC().Format(time.DateOnly)
	var b strings.Builder
	subject := "A change at our sub-processor " + v.Entry.Name + " on " + day
	switch {
	case v.Removed:
		subject = v.Entry.Name + " is no longer our sub-processor"
		fmt.Fprintf(&b, "%s gets no data from us any more, from %s on.\n", v.Entry.Name, day)
	case before.Name == "":
		subject = "A new sub-processor from " + day + ": " + v.Entry.Name
		fmt.Fprintf(&b, "From %s on %s shall process data for us:\n\n", day, v.Entry.Name)
	default:
		fmt.Fprintf(&b, "From %s on this changes at our sub-processor %s:\n\n", day, v.Entry.Name)
	}
	if !v.Removed {
		for _, c := range diff(before, &v.Entry) {
			if c.Field != "endpoints" {
				fmt.Fprintf(&b, "- %s\n", c.Words())
			}
		}
	}
	if v.Note != "" {
		fmt.Fprintf(&b, "\n%s\n", v.Note)
	}
	if v.Effective.After(v.Announced) {
		fmt.Fprintf(&b, `
Until then you may object: in the console under Sub-processors, or by the API. The
change does not take effect before we have answered you.
`)
	}
	return Letter{subject, b.String()}
}

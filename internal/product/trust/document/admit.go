package document

import (
	"context"
	"hash/fnv"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/protect/link"
	"mailvow/internal/protect/tenant"
)

// admitted is a link to a document that is not public.
func admitted(life time.Duration) link.Purpose {
	return link.Purpose{Name: "document.admit", Life: life}
}

// code is a kind as a link bears it.
func code(k Kind) int64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(k)) // a hash never fails
	return int64(h.Sum32())
}

// AdmitPath is where links to documents lead that are not public.
const AdmitPath = "/trust/admitted/"

// MaxAdmitted is how long such a link may live.
const MaxAdmitted = 365 * 24 * time.Hour

// Admit makes a link with which somebody gets a document that is not public, for a
// time. Its path is given.
func (s *Store) Admit(k Kind, life time.Duration) (string, error) {
	if _, err := SortOf(k); err != nil {
		return "", err
	}
	if life < time.Minute || life > MaxAdmitted {
		return "", fault.Field("days", "A link lives up to a year.")
	}
	text, err := s.Links.Make(admitted(life), tenant.Platform, code(k))
	return AdmitPath + text, fault.Wrap(err, "make a link to a document")
}

// Admitted gives the document that a link is for: the newest published version,
// or where there is none a signed copy.
func (s *Store) Admitted(ctx context.Context, text string) (Issue, error) {
	l, err := s.Links.Read(ctx, admitted(MaxAdmitted), text)
	if err != nil {
		return Issue{}, err
	}
	for _, x := range sorts() {
		if len(l.Subject) == 1 && code(x.Kind) == l.Subject[0] {
			out, err := s.Get(ctx, x.Kind, 0)
			if fault.Is(err, fault.NotFound) {
				return s.copyFor(ctx, text, x.Kind)
			}
			return out, err
		}
	}
	return Issue{}, fault.New(fault.NotFound, "This link leads nowhere.")
}

// A copy is the same for a while for whoever has a link, so that its file and its
// note are of one making.
const (
	copyFor   = time.Hour
	maxCopies = 64
)

type madeCopy struct {
	Issue
	until time.Time
}

func (s *Store) copyFor(ctx context.Context, link string, k Kind) (Issue, error) {
	now := s.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, has := s.copies[link]; has && now.Before(c.until) {
		return c.Issue, nil
	}
	i, err := s.Copy(ctx, k, tenant.Platform)
	if err != nil {
		return i, err
	}
	if len(s.copies) >= maxCopies {
		clear(s.copies)
	}
	s.copies[link] = madeCopy{i, now.Add(copyFor)}
	return i, nil
}

package probes

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
)

// minimise compares the real schema with what is declared.
func (s *Server) minimise(ctx context.Context) (pledge.Status, string, error) {
	real, err := s.Columns(ctx)
	if err != nil {
		return pledge.Failing, "", err
	}
	if extra := s.Inventory.Undeclared(pledge.Column, real); len(extra) > 0 {
		return failing("stored without purpose and period: " + strings.Join(extra, ", "))
	}
	if len(real) < 50 {
		return failing(fmt.Sprintf("only %d columns were found", len(real)))
	}
	for _, e := range s.Inventory.Entries() {
		if e.About != pledge.Nobody && (e.Purpose == "" || e.Period.From == "" && e.Period.Ceiling == 0) {
			return failing(e.Name + " has no purpose or no period")
		}
	}
	return kept(fmt.Sprintf("%d columns of the real schema are all in the inventory, each with a category that has purpose, legal basis and period", len(real)))
}

// passwords makes a person with a chosen password, signs in, and looks at how
// every chosen password is stored.
func (s *Server) passwords(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		person, password := x.at("person-", x.Domain), "a canary sings "+rand.Text()
		if err := s.Person(ctx, x.Canary, person, access.Viewer, password); err != nil {
			return verdict{}, err
		}
		count, seen := 0, false
		err := s.Hashes(ctx, func(phc string) error {
			count++
			if strings.Contains(phc, password) {
				seen = true
			}
			if !houseCost(phc) {
				return fault.New(fault.Invalid, "a stored password is not Argon2id with 64 MiB, 3 passes and 4 lanes at least")
			}
			return nil
		})
		if err != nil {
			return bad("%v", err), nil
		}
		if count == 0 || seen {
			return bad("%d hashes were looked at; the canary's password in the clear: %v", count, seen), nil
		}
		in := map[string]string{"email": person.Text(), "password": password}
		status, err := x.call(ctx, http.MethodPost, "/v1/session", in, nil)
		if err != nil || status >= 300 {
			return bad("the right password does not sign in (%d) %v", status, err), nil
		}
		in["password"] = password + "!"
		if status, err = x.call(ctx, http.MethodPost, "/v1/session", in, nil); err != nil || status < 400 {
			return bad("a wrong password signs in (%d) %v", status, err), nil
		}
		if len(x.Password) < 20 || len(x.Token) < 32 {
			return bad("a generated secret is shorter than 20 letters"), nil
		}
		return good("%d stored passwords are Argon2id with the set cost; the right one signs in and a wrong one does not; SMTP and API secrets are generated, %d and %d letters", count, len(x.Password), len(x.Token)), nil
	})
	return v.end(err)
}

// houseCost reads the PHC form without the server's own code.
func houseCost(phc string) bool {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != "v=19" || len(parts[4]) < 16 || len(parts[5]) < 22 {
		return false
	}
	var memory, passes, lanes int
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &lanes); err != nil {
		return false
	}
	return memory >= 64<<10 && passes >= 3 && lanes >= 4
}

// certificate erases a canary person and verifies the certificate as a stranger
// would, from its bytes and the log's public key.
func (s *Server) certificate(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		id, err := x.submit(ctx, "submission", x.sender(), x.outward())
		if err != nil {
			return verdict{}, err
		}
		if _, err := x.waitState(ctx, id, "delivered"); err != nil {
			return verdict{}, err
		}
		person := x.outward()
		text, err := s.Erase(ctx, x.Canary, person)
		if err != nil {
			return verdict{}, err
		}
		report, err := evidence.VerifyCertificate(text, evidence.CertificateCheck{Trusted: s.LogKeys(), Address: &person})
		if err != nil || !report.SubjectMatches {
			return bad("the certificate does not verify: %v", err), nil
		}
		if strings.Contains(strings.ToLower(string(text)), strings.ToLower(x.word)) {
			return bad("the certificate names the person"), nil
		}
		if report.Categories == nil || erasedIn(report, "message records") == 0 {
			return bad("the certificate counts no erased record"), nil
		}
		for _, at := range []string{`"leaf"`, `"checkpoint"`} {
			changed := bytes.Clone(text)
			i := bytes.Index(changed, []byte(at)) + len(at) + 40
			changed[i] ^= 1
			if _, err := evidence.VerifyCertificate(changed, evidence.CertificateCheck{Trusted: s.LogKeys(), Address: &person}); err == nil {
				return bad("a changed certificate verifies"), nil
			}
		}
		stranger, err := address.Parse("somebody@else.invalid")
		if err != nil {
			return verdict{}, err
		}
		if _, err := evidence.VerifyCertificate(text, evidence.CertificateCheck{Address: &stranger}); err == nil {
			return bad("the certificate verifies for another person"), nil
		}
		return good("a person was erased; the certificate verifies from its bytes alone at entry %d of a log of %d, for that person and no other; changed, it does not", report.LeafIndex, report.LogSize), nil
	})
	return v.end(err)
}

func erasedIn(r evidence.CertificateReport, category string) int64 {
	for _, c := range r.Categories {
		if c.Category == category {
			return c.Erased
		}
	}
	return 0
}

// managementSeparate looks for the console at a process that takes mail.
func (s *Server) managementSeparate(ctx context.Context) (pledge.Status, string, error) {
	if s.OneProcess {
		return pledge.NotApplicable, "SQLite allows one process, which does everything; with PostgreSQL the console can run apart", nil
	}
	if !s.Mail {
		return pledge.NotApplicable, "this process takes no mail; ask one that does", nil
	}
	for _, door := range []string{"http", "https"} {
		if s.Doors[door] == "" {
			continue
		}
		serves, err := s.servesConsole(ctx, door)
		if err != nil {
			return pledge.Failing, "", err
		}
		if serves {
			return failing("this process takes mail and serves the console at its door " + door)
		}
	}
	return kept("this process takes mail; no door of its serves the console")
}

func (s *Server) servesConsole(ctx context.Context, door string) (bool, error) {
	base := door + "://" + s.Hostname
	t := &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return s.Knock(ctx, s.Doors[door]) },
		TLSClientConfig: s.tls(),
	}
	defer t.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/", nil)
	if err != nil {
		return false, fault.Wrap(err, "make a request")
	}
	a, err := t.RoundTrip(r)
	if err != nil {
		return false, fault.Because(fault.Unavailable, err, "The web door does not answer.")
	}
	defer a.Body.Close()
	page, err := io.ReadAll(io.LimitReader(a.Body, 1<<20))
	if err != nil {
		return false, fault.Wrap(err, "read the web door's answer")
	}
	return a.StatusCode < 300 && strings.Contains(strings.ToLower(string(page)), "<html"), nil
}

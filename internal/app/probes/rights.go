package probes

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/standard/webhook"
)

// canaryPerson is a person of whom something is in every store: mail that was
// delivered and mail that waits, mail of theirs that an endpoint took, a route
// that names them, a user, an address that nothing is sent to.
type canaryPerson struct {
	*scene
	who     address.Address
	other   address.Address // somebody else in the same mail
	waiting ids.Message
	notes   []string // what each right showed
	// stopped, where set, looks at one thing more that stops while processing is
	// halted and goes on afterwards; it says what is wrong, or "".
	stopped func(ctx context.Context, halted bool) (string, error)
}

// looks asks stopped.
func (p *canaryPerson) looks(ctx context.Context, halted bool) (string, error) {
	if p.stopped == nil {
		return "", nil
	}
	return p.stopped(ctx, halted)
}

// seeded are the categories in which the person is found before they ask.
var seeded = []string{"conversations", "message records", "queued mail", "routes", "searched subjects", "users"}

// person makes a canary person.
func (x *scene) person(ctx context.Context) (*canaryPerson, error) {
	p := &canaryPerson{scene: x, who: x.at("person-", x.Domain), other: x.at("other-", x.sinkDomain())}
	x.persons = append(x.persons, p.who, p.other)
	x.undo = append(x.undo, x.SendTo(x.Tenant, x.Domain, x.sink.listener.Addr().String()))
	route := map[string]any{"recipient": p.who.Text(), "webhook": map[string]string{"url": "http://" + x.endpoint.listener.Addr().String() + "/person"}}
	if err := x.must(ctx, http.MethodPost, "/v1/routes", route, nil); err != nil {
		return p, err
	}
	if err := x.Person(ctx, x.Canary, p.who, access.Viewer, "a canary sings "+x.word); err != nil {
		return p, err
	}
	sent, err := p.send(ctx, p.who, p.other)
	if err == nil {
		_, err = x.waitState(ctx, sent, "delivered")
	}
	if err != nil {
		return p, err
	}
	took, err := x.submit(ctx, "mx", p.who, x.inbound())
	if err == nil {
		_, err = x.waitState(ctx, took, "delivered")
	}
	if err != nil {
		return p, err
	}
	x.sink.refuseMail("451 4.3.2 not now")
	if p.waiting, err = p.send(ctx, p.who); err == nil {
		_, err = x.waitState(ctx, p.waiting, "deferred")
	}
	return p, err
}

// send writes to the person, and perhaps to somebody else too.
func (p *canaryPerson) send(ctx context.Context, to ...address.Address) (ids.Message, error) {
	var out struct {
		ID string `json:"id"`
	}
	var list []string
	for _, a := range to {
		list = append(list, a.Text())
	}
	in := map[string]any{"from": p.sender().Text(), "to": list, "subject": "canary " + p.word, "text": p.body()}
	if err := p.must(ctx, http.MethodPost, "/v1/messages", in, &out); err != nil {
		return 0, err
	}
	id, err := ids.Parse[ids.Message](out.ID)
	return id, fault.Wrap(err, "read an identifier")
}

// held are the categories in which the person is found now.
func (p *canaryPerson) held(ctx context.Context) (map[string]int, error) {
	var out struct {
		Findings []struct {
			Category string `json:"category"`
			Count    int    `json:"count"`
		} `json:"findings"`
	}
	err := p.must(ctx, http.MethodPost, "/v1/subjects/find", map[string]string{"address": p.who.Text()}, &out)
	found := map[string]int{}
	for _, f := range out.Findings {
		found[f.Category] += f.Count
	}
	return found, err
}

// ask enters a request that the person made to the customer, accepts it, and says
// how many mails the person had before.
func (p *canaryPerson) ask(ctx context.Context, kind string, more map[string]any) (requested, int, error) {
	before := len(p.letters(p.who))
	var r requested
	if err := p.must(ctx, http.MethodPost, "/v1/requests", map[string]string{"address": p.who.Text(), "kind": kind}, &r); err != nil {
		return r, before, err
	}
	if _, err := p.mailed(ctx, p.who, before, "/privacy/case/"); err != nil {
		return r, before, fault.Wrap(err, "confirm to the person that "+kind+" is seen to")
	}
	before = len(p.letters(p.who))
	r, err := p.decide(ctx, r.ID, more)
	if err == nil && r.State != "answered" {
		err = fault.New(fault.Unavailable, "the request for "+kind+" is "+r.State)
	}
	return r, before, err
}

// rights shows the rights of a person on a person of whom something is in every
// store.
func (s *Server) rights(kinds ...string) func(context.Context) (pledge.Status, string, error) {
	return func(ctx context.Context) (pledge.Status, string, error) {
		v, err := on(ctx, s, func(x *scene) (verdict, error) {
			p, err := x.person(ctx)
			if err != nil {
				return verdict{}, fault.Wrap(err, "make a canary person")
			}
			found, err := p.held(ctx)
			if err != nil {
				return verdict{}, err
			}
			for _, c := range seeded {
				if found[c] == 0 {
					return bad("the person is in %s and is not found there: %v", c, found), nil
				}
			}
			acts := map[string]func(context.Context) (verdict, error){
				"access": p.access, "portability": p.portability, "rectification": p.rectification, "restriction": p.halted("restriction", "subject.restricted"),
				"objection": p.halted("objection", "subject.objected"), "withdrawal": p.halted("withdrawal", "subject.objected"), "erasure": p.erasure,
			}
			for _, k := range kinds {
				if v, err := acts[k](ctx); err != nil || v.status != "" {
					return v, fault.Wrap(err, k)
				}
			}
			return good("a person who is in %s asked: %s", strings.Join(slices.Sorted(maps.Keys(found)), ", "), strings.Join(p.notes, "; ")), nil
		})
		return v.end(err)
	}
}

func (p *canaryPerson) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

// access fetches the archive by the mailed link and compares it with what is held.
func (p *canaryPerson) access(ctx context.Context) (verdict, error) {
	_, before, err := p.ask(ctx, "access", nil)
	if err != nil {
		return verdict{}, err
	}
	a, v, err := p.archive(ctx, before)
	if err != nil || v.status != "" {
		return v, err
	}
	found, err := p.held(ctx)
	if err != nil {
		return verdict{}, err
	}
	for c := range found {
		if len(a.categories[c]) == 0 {
			return bad("%s is held and not in the archive", c), nil
		}
	}
	mail := ""
	for name, text := range a.files {
		if strings.HasSuffix(name, ".eml") {
			mail += text
		} else if strings.Contains(text, p.other.Text()) {
			return bad("%s names somebody else", name), nil
		}
	}
	if !strings.Contains(mail, p.body()) {
		return bad("the mail that waits is not in the archive"), nil
	}
	p.note("access gave one archive with all %d categories, each as JSON and CSV with purpose, basis, period, source and recipients, the waiting mail, and no other recipient", len(a.categories))
	return verdict{}, nil
}

func (p *canaryPerson) archive(ctx context.Context, before int) (archived, verdict, error) {
	b, err := p.result(ctx, p.who, before, "zip")
	if err != nil {
		return archived{}, verdict{}, err
	}
	a, why := takenApart(b)
	if why != "" {
		return a, bad("%s", why), nil
	}
	return a, verdict{}, nil
}

// portability fetches the copy for programs.
func (p *canaryPerson) portability(ctx context.Context) (verdict, error) {
	_, before, err := p.ask(ctx, "portability", nil)
	if err != nil {
		return verdict{}, err
	}
	b, err := p.result(ctx, p.who, before, "jsonl")
	if err != nil {
		return verdict{}, err
	}
	categories := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		var r struct {
			Category string `json:"category"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return bad("the portable copy is not JSON"), nil //nolint:nilerr // it is the finding
		}
		categories[r.Category] = true
	}
	for _, c := range seeded {
		if !categories[c] {
			return bad("the portable copy lacks %s", c), nil
		}
	}
	p.note("portability gave them as JSON lines")
	return verdict{}, nil
}

// rectification corrects the person's name, and who got the data is told.
func (p *canaryPerson) rectification(ctx context.Context) (verdict, error) {
	name := "Corrected " + p.word
	r, _, err := p.ask(ctx, "rectification", map[string]any{"field": "name", "value": name})
	if err != nil {
		return verdict{}, err
	}
	var users json.RawMessage
	if err := p.must(ctx, http.MethodGet, "/v1/users", nil, &users); err != nil {
		return verdict{}, err
	}
	if !strings.Contains(string(users), name) {
		return bad("the corrected name is not on record"), nil
	}
	p.note("a wrong name was corrected")
	return p.travelled(ctx, r.ID, "subject.corrected")
}

// halted stops processing and lets it go on again.
func (p *canaryPerson) halted(kind, event string) func(context.Context) (verdict, error) {
	return func(ctx context.Context) (verdict, error) {
		r, _, err := p.ask(ctx, kind, nil)
		if err != nil {
			return verdict{}, err
		}
		id, err := p.send(ctx, p.who)
		if err != nil {
			return verdict{}, err
		}
		var m shown
		late := p.until(ctx, "mail to the person to be stopped", func() (bool, error) {
			var err error
			m, _, err = p.message(ctx, id)
			return slices.ContainsFunc(m.Timeline, func(e happened) bool { return e.Kind == "suppressed" }), err
		})
		if late != nil {
			return bad("after %s mail to the person is %s: %v", kind, m.State, late), nil
		}
		if m, _, err := p.message(ctx, p.waiting); err != nil || m.State != "held" {
			return bad("after %s the mail that waits is %s %v", kind, m.State, err), nil
		}
		found, err := p.held(ctx)
		if err != nil || found["message records"] == 0 {
			return bad("after %s nothing is stored any more %v", kind, err), nil
		}
		if why, err := p.looks(ctx, true); err != nil || why != "" {
			return bad("after %s %s", kind, why), err
		}
		if v, err := p.travelled(ctx, r.ID, event); err != nil || v.status != "" {
			return v, err
		}
		if err := p.must(ctx, http.MethodPost, "/v1/subjects/restrict", map[string]any{"address": p.who.Text(), "on": false}, nil); err != nil {
			return verdict{}, err
		}
		if _, err := p.waitState(ctx, p.waiting, "deferred"); err != nil {
			return bad("after the restriction was lifted the mail that waits does not go on: %v", err), nil
		}
		if why, err := p.looks(ctx, false); err != nil || why != "" {
			return bad("after the restriction was lifted %s", why), err
		}
		p.note("%s stopped mail to the person and held what waited, and storage stayed", kind)
		return verdict{}, nil
	}
}

// travelled waits until the endpoint that got the person's data was told, and
// looks at what it was told.
func (p *canaryPerson) travelled(ctx context.Context, id, event string) (verdict, error) {
	var r requested
	err := p.until(ctx, "the endpoint to be told", func() (bool, error) {
		err := p.must(ctx, http.MethodGet, "/v1/requests/"+id, nil, &r)
		return len(r.Told) == 1 && r.Told[0].State == "acknowledged", err
	})
	if err != nil || r.Told[0].Event != event {
		return bad("the request says of who was told %+v: %v", r.Told, err), nil
	}
	secret, err := webhook.ParseSecret(p.secret)
	if err != nil {
		return verdict{}, err
	}
	for _, got := range p.endpoint.arrived() {
		var e struct {
			Type string `json:"type"`
			Data struct {
				Address string `json:"address"`
			} `json:"data"`
		}
		if json.Unmarshal(got.body, &e) != nil || e.Type != event {
			continue
		}
		if err := webhook.Verify(got.header, got.body, got.at, secret); err != nil {
			return bad("the signature of %s does not hold: %v", event, err), nil
		}
		if e.Data.Address == p.who.Text() {
			p.note("the endpoint that had the person's mail got a signed %s and acknowledged it", event)
			return verdict{}, nil
		}
	}
	return bad("the endpoint that had the person's mail got no %s", event), nil
}

// erasure erases the person and looks for them.
func (p *canaryPerson) erasure(ctx context.Context) (verdict, error) {
	r, before, err := p.ask(ctx, "erasure", nil)
	if err != nil {
		return verdict{}, err
	}
	paper, err := p.result(ctx, p.who, before, "")
	if err != nil {
		return verdict{}, err
	}
	report, err := evidence.VerifyCertificate(paper, evidence.CertificateCheck{Trusted: p.LogKeys(), Address: &p.who})
	if err != nil || !report.SubjectMatches {
		return bad("the certificate behind the mailed link does not verify: %v", err), nil
	}
	for _, c := range []string{"message records", "queued mail", "users", "routes"} {
		if erasedIn(report, c) == 0 {
			return bad("the certificate counts nothing erased from %s", c), nil
		}
	}
	if v, err := p.travelled(ctx, r.ID, "subject.erased"); err != nil || v.status != "" {
		return v, err
	}
	left, err := p.held(ctx)
	if err != nil {
		return verdict{}, err
	}
	delete(left, "requests of persons") // the proof that they were answered
	if len(left) > 0 {
		return bad("after the erasure the person is found in %s", strings.Join(slices.Sorted(maps.Keys(left)), ", ")), nil
	}
	p.sink.refuseMail("")
	if text, err := p.opened(ctx, p.waiting); err != nil || strings.Contains(text, p.who.Text()) || !strings.Contains(text, "cancelled") {
		return bad("the record of the mail that waited names the person, or the mail was not withdrawn %v", err), nil
	}
	all, _ := p.sink.messages()
	all = slices.DeleteFunc(all, func(m taken) bool { return !strings.Contains(m.data, p.body()) })
	if len(all) != 1 {
		return bad("the next host took %d of the canary's mails, and only the first was to be delivered", len(all)), nil
	}
	p.note("erasure left nothing in any store but the request itself, and the certificate verifies")
	return verdict{}, nil
}

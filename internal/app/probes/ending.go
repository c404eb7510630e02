package probes

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/evidence"
)

// Leaver is a customer that a probe makes to end its contract.
type Leaver struct {
	Canary
	Name string
}

// terminated ends the contract of a customer with mail in the queue, which waives
// the days that it would have, and then looks for it with everything in hand that
// lies on this machine.
func (s *Server) terminated(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) { return x.leaves(ctx, "", waives) })
	return v.end(err)
}

// endsAtOnce does the same under a policy that deletes when the contract ends.
func (s *Server) endsAtOnce(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		v, err := x.leaves(ctx, "termination: {delete: at once}", orders)
		if v.status == pledge.Kept {
			v.evidence += "; hosted mailboxes, calendars and contacts do not exist yet: seen on what there is"
		}
		return v, err
	})
	return v.end(err)
}

// stays is what a customer who is about to leave has on this machine.
type stays struct {
	message ids.Message
	sealed  Ciphertext
	pieces  map[string][]byte
	keys    int
}

// orders ends the contract as its owner does.
func orders(ctx context.Context, y *scene, l Leaver) (verdict, error) {
	return verdict{}, y.must(ctx, http.MethodPost, "/v1/termination", map[string]any{"confirm": l.Name}, nil)
}

// waives ends the contract, and then waives the days that the policy gives.
func waives(ctx context.Context, y *scene, l Leaver) (verdict, error) {
	if _, err := orders(ctx, y, l); err != nil {
		return verdict{}, err
	}
	if v, err := y.closed(ctx); err != nil || v.status != "" {
		return v, err
	}
	return verdict{}, y.must(ctx, http.MethodPost, "/v1/termination", map[string]any{"confirm": l.Name, "delete_at_once": true}, nil)
}

// leaves makes a customer with mail in the queue, lets it end the contract under some
// terms, and looks for what is left of it.
func (x *scene) leaves(ctx context.Context, terms string, end func(context.Context, *scene, Leaver) (verdict, error)) (verdict, error) {
	l, err := x.Leaving(ctx, x.word)
	if err != nil {
		return verdict{}, fault.Wrap(err, "make a customer who leaves")
	}
	y := *x
	y.Canary = l.Canary
	x.undo = append(x.undo, x.SendTo(l.Tenant, y.sinkDomain(), x.sink.listener.Addr().String()), func() {
		x.SendTo(x.Tenant, "nobody.invalid", "")() // the scene's mail is the canary's again
		if err := x.Leave(context.WithoutCancel(ctx), l.Tenant); err != nil && !fault.Is(err, fault.NotFound) {
			return // the customer stays, and shows in the list of customers
		}
	})
	if terms != "" {
		if err := y.under(ctx, terms); err != nil {
			return verdict{}, err
		}
		x.undo = append(x.undo, y.undo[len(y.undo)-1])
	}
	if err := y.addRoute(ctx); err != nil {
		return verdict{}, err
	}
	was, v, err := y.fill(ctx)
	if err != nil || v.status != "" {
		return v, err
	}
	if v, err := end(ctx, &y, l); err != nil || v.status != "" {
		return v, err
	}
	return y.gone(ctx, was)
}

// fill leaves a message in the queue and fetches the export.
func (x *scene) fill(ctx context.Context) (was stays, v verdict, err error) {
	x.sink.refuseMail("451 4.3.0 later")
	if was.message, err = x.submit(ctx, "submission", x.sender(), x.outward()); err != nil {
		return was, v, err
	}
	if _, err = x.waitState(ctx, was.message, "deferred"); err != nil {
		return was, v, err
	}
	if was.sealed, err = x.Stored(ctx, was.message); err != nil {
		return was, v, err
	}
	was.pieces = cut("ciphertext", was.sealed.Body)
	maps.Copy(was.pieces, cut("wrapped key", was.sealed.Key))
	maps.Copy(was.pieces, cut("sealed envelope", was.sealed.Row))
	if err = x.keyFiles(func(path string, content []byte) {
		was.keys++
		maps.Copy(was.pieces, cut(filepath.Base(path), content))
	}); err != nil {
		return was, v, err
	}
	if was.keys == 0 && x.OneProcess {
		return was, bad("no key of the customer was found while it lived: the probe does not look where they are"), nil
	}
	files, err := x.exported(ctx)
	switch {
	case err != nil:
	case !strings.Contains(files["message-records.jsonl"], x.outward().Text()):
		v = bad("the export does not hold the record of the message that waits")
	case !strings.Contains(files["queued-mail/"+was.message.String()+".eml"], x.body()):
		v = bad("the export does not hold the message that waits")
	}
	return was, v, err
}

// keyFiles gives the customer's records in a key store that is a folder.
func (x *scene) keyFiles(yield func(path string, content []byte)) error {
	mark := fmt.Sprintf("%c%016x%c", filepath.Separator, uint64(x.Tenant), filepath.Separator)
	for _, folder := range x.Folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.Contains(path, mark) {
				return nil //nolint:nilerr // what is gone meanwhile is not there
			}
			if b, err := os.ReadFile(path); err == nil && len(b) >= 32 {
				yield(path, b)
			}
			return nil
		})
		if err != nil {
			return fault.Because(fault.Unavailable, err, "The key store cannot be looked into.")
		}
	}
	return nil
}

// exported fetches the archive and gives its files.
func (x *scene) exported(ctx context.Context) (map[string]string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, x.base+"/v1/termination/export", nil)
	if err != nil {
		return nil, fault.Wrap(err, "make a request")
	}
	r.Header.Set("Authorization", "Bearer "+x.Token)
	a, err := x.web.Do(r)
	if err != nil {
		return nil, fault.Because(fault.Unavailable, err, "The API does not answer.")
	}
	defer a.Body.Close()
	b, err := io.ReadAll(io.LimitReader(a.Body, 16<<20))
	if err != nil {
		return nil, fault.Wrap(err, "read the export")
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, fault.Because(fault.Unavailable, err, fmt.Sprintf("The export is no archive; its status is %d.", a.StatusCode))
	}
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, fault.Wrap(err, "open the export")
		}
		text, err := io.ReadAll(io.LimitReader(r, 4<<20))
		if err != nil {
			return nil, fault.Wrap(err, "read the export")
		}
		files[f.Name] = string(text)
	}
	return files, nil
}

// closed knocks at every door by which mail comes and goes.
func (x *scene) closed(ctx context.Context) (verdict, error) {
	in := map[string]any{"from": x.sender().Text(), "to": []string{x.outward().Text()}, "text": x.body()}
	status, err := x.call(ctx, http.MethodPost, "/v1/messages", in, nil)
	if err != nil || status != http.StatusForbidden {
		return bad("a closed account sends by HTTP: %d", status), err
	}
	if _, err := x.submit(ctx, "submission", x.sender(), x.outward()); err == nil {
		return bad("a closed account sends by SMTP"), nil
	}
	c, err := x.dial(ctx, "mx", false)
	if err != nil {
		return verdict{}, err
	}
	defer c.Close()
	if err := c.ask(250, "MAIL FROM:<friend@stranger.invalid>"); err != nil {
		return verdict{}, err
	}
	if text, err := c.say(550, "RCPT TO:<%s>", x.inbound().Text()); err != nil || !strings.Contains(text, "closed") {
		return bad("mail to a closed account is answered %q", text), nil
	}
	return verdict{}, nil
}

// gone waits for the certificate, verifies it, and looks for the customer.
func (x *scene) gone(ctx context.Context, was stays) (verdict, error) {
	var text []byte
	err := x.until(ctx, "the contract to end", func() (done bool, err error) {
		text, err = x.Ended(ctx, x.Tenant)
		return len(text) > 0, err
	})
	if err != nil {
		return verdict{}, err
	}
	r, v := x.certified(text)
	if v.status != "" {
		return v, nil
	}
	if status, err := x.call(ctx, http.MethodGet, "/v1/termination", nil, nil); err != nil || status != http.StatusUnauthorized {
		return bad("the token of a customer that is gone is answered %d %v", status, err), nil
	}
	if open, err := x.Opens(ctx, x.Tenant, was.message, was.sealed.Key); err != nil || open {
		return bad("the recorded key of a message still opens: %v", err), nil
	}
	left := 0
	if err := x.keyFiles(func(string, []byte) { left++ }); err != nil || left > 0 {
		return bad("%d keys of the customer are still in the key store: %v", left, err), nil
	}
	seen, total, err := x.search(ctx, was.pieces)
	if err != nil {
		return verdict{}, err
	}
	if len(seen) > 0 {
		return bad("after the end of the contract sealed bytes of the customer are still in %v", seen), nil
	}
	return good("a customer with mail in the queue fetched an export of it and ended the contract: %d categories are in the certificate, which verifies by the log's key; the token is refused, none of %d keys is in the key store, the message's recorded key opens no more, and none of %d pieces of ciphertext and keys is in %d bytes of %s",
		len(r.Categories), was.keys, len(was.pieces), total, x.places(ctx, was.pieces)), nil
}

func (x *scene) certified(text []byte) (evidence.CertificateReport, verdict) {
	check := evidence.CertificateCheck{Trusted: x.LogKeys()}
	r, err := evidence.VerifyCertificate(text, check)
	switch {
	case err != nil:
		return r, bad("the certificate does not verify: %v", err)
	case r.Of != evidence.OfCustomer || r.Customer != x.Tenant || !r.SubjectMatches:
		return r, bad("the certificate is about somebody else")
	case erasedIn(r, "message records") == 0 || erasedIn(r, "users")+erasedIn(r, "machine credentials") == 0 || erasedIn(r, "keys") == 0:
		return r, bad("the certificate counts no records, credentials or keys: %+v", r.Categories)
	case strings.Contains(strings.ToLower(string(text)), strings.ToLower(x.word)):
		return r, bad("the certificate names somebody")
	}
	changed := bytes.Clone(text)
	changed[bytes.Index(changed, []byte(`"leaf"`))+60] ^= 1
	if _, err := evidence.VerifyCertificate(changed, check); err == nil {
		return r, bad("a changed certificate verifies")
	}
	return r, verdict{}
}

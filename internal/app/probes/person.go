package probes

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
)

// stranger is a browser in a network of its own, which no other stranger shares.
func (x *scene) stranger() *http.Client {
	var b [3]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	from := netip.AddrFrom4([4]byte{127, b[0], b[1], b[2] | 1})
	door := x.Doors["http"]
	if https := x.Doors["https"]; https != "" {
		door = https
	}
	transport := &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return x.KnockFrom(ctx, door, from) },
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, //nolint:gosec // as openWeb
	}
	x.undo = append(x.undo, transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// page opens a public page, or sends its form, and gives the answer.
func (x *scene) page(ctx context.Context, by *http.Client, path string, form url.Values) (int, []byte, http.Header, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, x.base+path, body)
	if err != nil {
		return 0, nil, nil, fault.Wrap(err, "make a request")
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Sec-GPC", "1") // the person says that nothing of theirs may be sold or shared
	a, err := by.Do(r)
	if err != nil {
		return 0, nil, nil, fault.Because(fault.Unavailable, err, "The public pages do not answer.")
	}
	defer a.Body.Close()
	b, err := io.ReadAll(io.LimitReader(a.Body, 32<<20))
	return a.StatusCode, b, a.Header, fault.Wrap(err, "read a page")
}

// letter is a mail as the person reads it.
type letter struct{ subject, text string }

// letters are the person's mails, as the next host took them.
func (x *scene) letters(person address.Address) []letter {
	var list []letter
	all, _ := x.sink.messages()
	for _, m := range all {
		if !strings.EqualFold(m.to, person.Text()) {
			continue
		}
		read, err := mail.ReadMessage(strings.NewReader(m.data))
		if err != nil {
			continue
		}
		body := read.Body
		if strings.EqualFold(read.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
			body = quotedprintable.NewReader(read.Body)
		}
		text, err := io.ReadAll(body)
		if err == nil {
			list = append(list, letter{read.Header.Get("Subject"), string(text)})
		}
	}
	return list
}

// mailed waits for a mail after the first so many that has a link to a path, and
// gives the link's path.
func (x *scene) mailed(ctx context.Context, person address.Address, after int, path string) (string, error) {
	find := regexp.MustCompile(regexp.QuoteMeta(path) + `[A-Za-z0-9_-]+`)
	link := ""
	err := x.until(ctx, "a mail with a link to "+path, func() (bool, error) {
		list := x.letters(person)
		for _, l := range list[min(after, len(list)):] {
			if link = find.FindString(l.text); link != "" {
				return true, nil
			}
		}
		return false, nil
	})
	return link, err
}

// requested is a request as its customer sees it.
type requested struct {
	ID          string     `json:"id"`
	State       string     `json:"state"`
	Address     string     `json:"address"`
	Kind        string     `json:"kind"`
	Received    time.Time  `json:"received_at"`
	ConfirmBy   *time.Time `json:"confirm_by"`
	ConfirmedAt *time.Time `json:"confirmed_at"`
	Shares      []struct {
		State    string    `json:"state"`
		Standing string    `json:"standing"`
		Due      time.Time `json:"due_at"`
	} `json:"shares"`
	Told []struct {
		Event string `json:"event"`
		State string `json:"state"`
		Host  string `json:"host"`
	} `json:"told"`
}

// requests are those about a person.
func (x *scene) requests(ctx context.Context, person address.Address) ([]requested, error) {
	var list struct {
		Items []requested `json:"items"`
	}
	err := x.must(ctx, http.MethodGet, "/v1/requests", nil, &list)
	return slices.DeleteFunc(list.Items, func(r requested) bool { return !strings.EqualFold(r.Address, person.Text()) }), err
}

// decide accepts a request of the person and gives it as it is then.
func (x *scene) decide(ctx context.Context, id string, more map[string]any) (requested, error) {
	in := map[string]any{"decision": "accept"}
	for k, v := range more {
		in[k] = v
	}
	var r requested
	err := x.must(ctx, http.MethodPost, "/v1/requests/"+id+"/decide", in, &r)
	return r, err
}

// proved goes the way of a person without an account: page, mailed link, proof. It
// gives the person's page and the case.
func (x *scene) proved(ctx context.Context, by *http.Client, person address.Address, kind, law string) (string, requested, error) {
	before := len(x.letters(person))
	status, _, _, err := x.page(ctx, by, "/privacy", url.Values{"address": {person.Text()}, "kind": {kind}, "law": {law}})
	if err != nil || status != http.StatusOK {
		return "", requested{}, fault.New(fault.Unavailable, fmt.Sprintf("the public page answered %d %v", status, err))
	}
	proof, err := x.mailed(ctx, person, before, "/privacy/confirm/")
	if err != nil {
		return "", requested{}, err
	}
	return x.followed(ctx, by, person, proof, url.Values{}, kind)
}

// byMail goes the way of a person who writes to the officer and makes a request of
// the mail by the link that comes back.
func (x *scene) byMail(ctx context.Context, by *http.Client, person address.Address, kind, law string) (requested, error) {
	box, err := address.Parse("privacy@" + x.Hostname)
	if err != nil {
		return requested{}, fault.Wrap(err, "write to the officer")
	}
	before := len(x.letters(person))
	if _, err := x.submit(ctx, "mx", person, box); err != nil {
		return requested{}, err
	}
	link, err := x.mailed(ctx, person, before, "/privacy/choose/")
	if err != nil {
		return requested{}, err
	}
	_, r, err := x.followed(ctx, by, person, link, url.Values{"kind": {kind}, "law": {law}}, kind)
	return r, err
}

// followed sends the form behind a mailed link and gives the person's page and the
// case that it opened.
func (x *scene) followed(ctx context.Context, by *http.Client, person address.Address, link string, form url.Values, kind string) (string, requested, error) {
	status, page, _, err := x.page(ctx, by, link, form)
	if err != nil || status != http.StatusOK {
		return "", requested{}, fault.New(fault.Unavailable, fmt.Sprintf("the mailed link answered %d %v", status, err))
	}
	list, err := x.requests(ctx, person)
	for _, r := range list {
		if err == nil && r.Kind == kind && r.State == "open" {
			return string(page), r, nil
		}
	}
	return string(page), requested{}, fault.New(fault.Unavailable, fmt.Sprintf("the proved request is not among the customer's %d %v", len(list), err))
}

// result fetches what a mailed link leads to.
func (x *scene) result(ctx context.Context, person address.Address, after int, form string) ([]byte, error) {
	to, err := x.mailed(ctx, person, after, "/privacy/result/")
	if err != nil {
		return nil, err
	}
	status, b, _, err := x.page(ctx, x.stranger(), to, url.Values{"form": {form}})
	if err == nil && status != http.StatusOK {
		err = fault.New(fault.Unavailable, fmt.Sprintf("the result answered %d", status))
	}
	return b, err
}

// archived is an archive taken apart: its files, and of each category the records
// of the JSON file.
type archived struct {
	files      map[string]string
	categories map[string][]map[string]any
}

// takenApart reads an archive as a stranger would and says what is wrong with it.
func takenApart(b []byte) (archived, string) {
	a := archived{files: map[string]string{}, categories: map[string][]map[string]any{}}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return a, "the archive does not open"
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return a, f.Name + " does not open"
		}
		text, err := io.ReadAll(io.LimitReader(r, 32<<20))
		r.Close()
		if err != nil {
			return a, f.Name + " is damaged"
		}
		a.files[f.Name] = string(text)
	}
	var manifest struct {
		Files []struct{ Path, SHA256 string } `json:"files"`
	}
	if err := json.Unmarshal([]byte(a.files["manifest.json"]), &manifest); err != nil || len(manifest.Files) != len(a.files)-1 {
		return a, fmt.Sprintf("the manifest names %d of %d files", len(manifest.Files), len(a.files)-1)
	}
	for _, f := range manifest.Files {
		if sum := sha256.Sum256([]byte(a.files[f.Path])); hex.EncodeToString(sum[:]) != f.SHA256 {
			return a, f.Path + " is not what the manifest says"
		}
	}
	if page := a.files["index.html"]; !strings.Contains(page, "<h1>") || strings.Contains(page, "<script") {
		return a, "there is no index to read"
	}
	for name, text := range a.files {
		if strings.HasPrefix(name, "data/") && strings.HasSuffix(name, ".json") {
			if why := a.category(name, text); why != "" {
				return a, why
			}
		}
	}
	return a, ""
}

// category compares a category's JSON with its CSV.
func (a *archived) category(name, text string) string {
	var c struct {
		Category string           `json:"category"`
		Purpose  string           `json:"purpose"`
		Basis    string           `json:"legal_basis"`
		Period   string           `json:"period"`
		Source   string           `json:"source"`
		Got      string           `json:"recipients"`
		Data     []map[string]any `json:"data"`
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return name + " is no JSON"
	}
	for what, value := range map[string]string{"purpose": c.Purpose, "legal basis": c.Basis, "period": c.Period, "source": c.Source, "recipients": c.Got} {
		if value == "" {
			return c.Category + " is handed over without its " + what
		}
	}
	rows, err := csv.NewReader(strings.NewReader(a.files[strings.TrimSuffix(name, ".json")+".csv"])).ReadAll()
	if err != nil || len(rows) != len(c.Data)+1 {
		return fmt.Sprintf("%s has %d records in JSON and %d in CSV", c.Category, len(c.Data), len(rows)-1)
	}
	for i, r := range c.Data {
		fields, _ := r["fields"].(map[string]any)
		for at, column := range rows[0] {
			want, has := fields[column]
			plain := strings.NewReplacer("\r\n", "\n") // as a reader of CSV gives line ends
			if got := strings.TrimPrefix(rows[i+1][at], "'"); has && got != plain.Replace(strings.TrimPrefix(fmt.Sprint(want), "'")) {
				return c.Category + ": JSON and CSV differ in " + column
			}
		}
	}
	a.categories[c.Category] = c.Data
	return ""
}

package audit

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// web looks at what a browser is given before anybody has signed in.
func (a *auditor) web(ctx context.Context) {
	page, err := a.get(ctx, "/")
	if err != nil {
		a.saw("web.headers", Unseen, words(err))
		return
	}
	a.headers(page.header)
	a.cookies(page.header)
	a.thirdParties(string(page.body))
	a.securityTxt(ctx)
}

func (a *auditor) headers(h http.Header) {
	var missing []string
	need := func(name string, ok bool) {
		if !ok {
			missing = append(missing, name)
		}
	}
	policy := h.Get("Content-Security-Policy")
	need("Content-Security-Policy with default-src and no inline scripts", strings.Contains(policy, "default-src '") && !inlineScripts(policy))
	need("X-Content-Type-Options: nosniff", h.Get("X-Content-Type-Options") == "nosniff")
	need("frame-ancestors or X-Frame-Options", strings.Contains(policy, "frame-ancestors") || h.Get("X-Frame-Options") != "")
	if a.base.Scheme == "https" {
		need("Strict-Transport-Security", strings.Contains(h.Get("Strict-Transport-Security"), "max-age="))
	}
	a.good("web.headers", len(missing) == 0, "the security headers of the first page are there", "the first page lacks "+strings.Join(missing, ", "))
}

func inlineScripts(policy string) bool {
	for directive := range strings.SplitSeq(policy, ";") {
		name, sources, _ := strings.Cut(strings.TrimSpace(directive), " ")
		if (name == "script-src" || name == "default-src") && strings.Contains(sources, "'unsafe-") {
			return true
		}
	}
	return false
}

func (a *auditor) cookies(h http.Header) {
	set := (&http.Response{Header: h}).Cookies()
	if len(set) == 0 {
		a.saw("web.cookies", Holds, "the first page sets no cookie")
		return
	}
	var weak []string
	for _, c := range set {
		if !c.HttpOnly || c.SameSite == http.SameSiteDefaultMode || c.SameSite == http.SameSiteNoneMode || (a.base.Scheme == "https" && !c.Secure) {
			weak = append(weak, c.Name)
		}
	}
	a.good("web.cookies", len(weak) == 0, "cookies are HttpOnly, SameSite and Secure", "without HttpOnly, SameSite or Secure: "+strings.Join(weak, ", "))
}

// foreign finds what a page loads from elsewhere.
var foreign = regexp.MustCompile(`(?i)<(?:script|link|img|iframe|source|video|audio|object|embed)\b[^>]*\b(?:src|href|data)\s*=\s*["']?(?:https?:)?//([^/"'> ]+)`)

func (a *auditor) thirdParties(page string) {
	var hosts []string
	for _, m := range foreign.FindAllStringSubmatch(page, 32) {
		if !strings.EqualFold(m[1], a.base.Host) {
			hosts = append(hosts, m[1])
		}
	}
	a.good("web.third_parties", len(hosts) == 0, "the first page loads nothing from other hosts", "the first page loads from "+strings.Join(hosts, ", "))
}

// securityTxt reads RFC 9116 where there is one.
func (a *auditor) securityTxt(ctx context.Context) {
	got, err := a.get(ctx, "/.well-known/security.txt")
	if err != nil || got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
		a.saw("web.security_txt", Unseen, "there is no security.txt")
		return
	}
	var contact bool
	var expires time.Time
	for line := range strings.Lines(string(got.body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch strings.ToLower(name) {
		case "contact":
			contact = true
		case "expires":
			expires, _ = time.Parse(time.RFC3339, strings.TrimSpace(value))
		}
	}
	a.good("web.security_txt", contact && expires.After(a.Clock.Now()), "security.txt names a contact and is valid until "+expires.Format(time.DateOnly), "security.txt has no Contact, or its Expires is over (RFC 9116 2.5)")
}

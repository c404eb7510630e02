package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
	"mailvow/internal/product/trust/supply"
	"mailvow/internal/protect/policy"
)

// Default is what a file does not say.
func Default() *Config {
	return &Config{
		Region: "local",
		Roles:  []Role{RoleSMTP, RoleDeliver, RoleAPI, RoleConsole, RoleWorker},
		Data: Data{
			Dir: "/var/lib/mailvow", Keys: "/var/lib/mailvow-keys", KEK: "/etc/mailvow/kek", Inline: 256 * limit.KiB,
			Space: Space{Alert: 5 * limit.GiB, NoNew: limit.GiB, ReadOnly: 64 * limit.MiB, Reserve: 256 * limit.MiB},
		},
		SMTP:     SMTP{MaxSize: 50 * limit.MiB, MaxRecipients: 1000, Connections: 2000, PerAddress: 50, PerMinute: 300, MessagesPerMinute: 6000, Timeout: 5 * time.Minute},
		Delivery: Delivery{Expiry: 5 * 24 * time.Hour, Couriers: 256, PerSite: 40},
		Observe:  Observe{Level: "info"},
		Policy:   Policy{Profile: policy.Recommended},
	}
}

func (c *Config) checkPolicy() error {
	if _, err := policy.FindProfile(c.Policy.Profile); err != nil {
		text, _ := fault.Public(err)
		return fmt.Errorf("policy.profile: %s", text)
	}
	return nil
}

// checkOperator holds what is printed in documents and in security.txt, of which
// each line is a field (RFC 9116 2.2).
func (c *Config) checkOperator() error {
	o := c.Operator
	for name, text := range map[string]string{"name": o.Name, "address": o.Address, "officer": o.Officer, "disclosure": o.Policy} {
		if len(text) > 300 || strings.ContainsFunc(text, unicode.IsControl) {
			return fmt.Errorf("operator.%s: write one line of at most 300 characters", name)
		}
	}
	for _, s := range append(slices.Clone(o.Security), o.Policy) {
		u, err := url.Parse(s)
		if s != "" && (err != nil || !slices.Contains([]string{"https", "mailto", "tel"}, u.Scheme) || strings.ContainsFunc(s, unicode.IsSpace) || len(s) > 300) {
			return fmt.Errorf("operator: %.80q is no contact; write one such as https://example.com/security or mailto:security@example.com", s)
		}
	}
	for _, l := range o.Language {
		if len(l) < 2 || len(l) > 35 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return fmt.Errorf("operator.languages: %.40q is no language; write one such as en", l)
		}
	}
	return nil
}

// Check finds what cannot be meant. Each message names the setting and says
// what to write.
func (c *Config) Check() error {
	for _, check := range []func() error{c.checkNames, c.checkRegions, c.checkListen, c.checkData, c.checkTLS, c.checkSMTP, c.checkDelivery, c.checkPolicy, c.checkOperator, c.checkAlerts, c.checkBackup, c.checkSubProcessors} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkNames() error {
	if c.Hostname == "" {
		return fmt.Errorf("hostname is missing; write the name that this server's MX record has")
	}
	if d, err := address.Domain(c.Hostname); err != nil || strings.HasPrefix(d, "[") || !strings.Contains(d, ".") && d != "localhost" {
		return fmt.Errorf("hostname %.80q is no host name; write one such as mail.example.com", c.Hostname)
	}
	for _, r := range c.Roles {
		if !slices.Contains([]Role{RoleSMTP, RoleDeliver, RoleAPI, RoleConsole, RoleWorker}, r) {
			return fmt.Errorf("roles: %.40q is no role; there are smtp, deliver, api, console and worker", string(r))
		}
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Observe.Level) {
		return fmt.Errorf("observe.level: %.40q is no level; there are debug, info, warn and error", c.Observe.Level)
	}
	if c.DNS.Resolver != "" {
		if err := hostPort(c.DNS.Resolver, false); err != nil {
			return fmt.Errorf("dns.resolver: %w", err)
		}
	}
	for _, d := range c.Domains.Shared {
		if _, err := address.Domain(d); err != nil {
			return fmt.Errorf("domains.shared: %.80q is no domain", d)
		}
	}
	if s := c.Domains.SPF; s != "" && !strings.HasPrefix(s, "include:") && !strings.HasPrefix(s, "ip4:") && !strings.HasPrefix(s, "ip6:") && !strings.HasPrefix(s, "a:") {
		return fmt.Errorf("domains.spf: %.80q is no SPF mechanism; write one such as include:spf.mail.example.com or ip4:192.0.2.10", s)
	}
	if c.Web.URL != "" {
		if u, err := url.Parse(c.Web.URL); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
			return fmt.Errorf("web.url: %.80q is no address; write one such as https://mail.example.com", c.Web.URL)
		}
	}
	return nil
}

// checkRegions holds the names of regions, which are labels and no sentences.
func (c *Config) checkRegions() error {
	label := func(setting, s string) error {
		if s == "" || len(s) > 60 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" {
			return fmt.Errorf("%s: %.60q is no region; write a label such as eu-central", setting, s)
		}
		return nil
	}
	if err := label("region", c.Region); err != nil {
		return err
	}
	for _, s := range c.RegionNames {
		if err := label("region_names", s); err != nil {
			return err
		}
	}
	for i, r := range c.Regions {
		if err := label(fmt.Sprintf("regions[%d].region", i), r.Region); err != nil {
			return err
		}
		if r.Region == c.Region || slices.Contains(c.RegionNames, r.Region) {
			return fmt.Errorf("regions[%d].region: %s is this server's own", i, r.Region)
		}
		if u, err := url.Parse(r.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return fmt.Errorf("regions[%d].url: %.80q is no address; write one such as https://us.mail.example.com", i, r.URL)
		}
	}
	return nil
}

func (c *Config) checkListen() error {
	doors := [][2]string{
		{"mx", c.Listen.MX}, {"submission", c.Listen.Submission}, {"submissions", c.Listen.Submissions},
		{"http", c.Listen.HTTP}, {"https", c.Listen.HTTPS}, {"metrics", c.Listen.Metrics},
	}
	for i, d := range doors {
		if d[1] == "" {
			continue
		}
		if err := hostPort(d[1], true); err != nil {
			return fmt.Errorf("listen.%s: %w", d[0], err)
		}
		for _, other := range doors[:i] {
			if other[1] != "" && sameAddress(other[1], d[1]) {
				return fmt.Errorf("listen.%s and listen.%s are the same address %s; give each its own", other[0], d[0], d[1])
			}
		}
	}
	return nil
}

// sameAddress reports that two listeners cannot both be had: the same port on
// the same host, or on every host. Port 0 is a free one each time.
func sameAddress(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	every := func(host string) bool {
		ip, err := netip.ParseAddr(host)
		return host == "" || err == nil && ip.IsUnspecified()
	}
	return portA == portB && portA != "0" && (hostA == hostB || every(hostA) || every(hostB))
}

// hostPort checks the form; emptyHost allows :25.
func hostPort(s string, emptyHost bool) error {
	host, port, err := net.SplitHostPort(s)
	n, e := strconv.Atoi(port)
	if err != nil || e != nil || n < 0 || n > 65535 || (host == "" && !emptyHost) {
		return fmt.Errorf("%.80q is no host:port", s)
	}
	return nil
}

func (c *Config) checkData() error {
	s := c.Data.Space
	if s.Alert < s.NoNew || s.NoNew < s.ReadOnly {
		return fmt.Errorf("data.space: alert must not be below no_new_mail, nor no_new_mail below read_only")
	}
	if s.Reserve < 2*s.ReadOnly {
		return fmt.Errorf("data.space: reserve must be twice read_only at least, so that something can be written once it is released")
	}
	if c.Data.Dir == "" || c.Data.Keys == "" || c.Data.KEK == "" {
		return fmt.Errorf("data.dir, data.keys and data.kek must not be empty; leave them out for the usual places")
	}
	for _, k := range [][2]string{{"data.keys", c.Data.Keys}, {"data.kek", c.Data.KEK}} {
		if below, err := filepath.Rel(c.Data.Dir, k[1]); err == nil && below != ".." && !strings.HasPrefix(below, "../") {
			return fmt.Errorf("%s lies in the data folder; keep keys apart, so that a copy of the data opens nothing", k[0])
		}
	}
	for _, b := range []struct {
		name   string
		bucket *S3
	}{{"data.s3", c.Data.S3}, {"data.keys_s3", (*S3)(c.Data.KeysS3)}} {
		if err := c.checkBucket(b.name, b.bucket); err != nil {
			return err
		}
	}
	if a, b := c.Data.S3, c.Data.KeysS3; a != nil && b != nil && a.Endpoint == b.Endpoint && a.Bucket == b.Bucket {
		return fmt.Errorf("data.s3 and data.keys_s3 are the same bucket; keep keys apart, so that a copy of the data opens nothing")
	}
	if c.Data.Inline > limit.MiB {
		return fmt.Errorf("data.inline is more than 1MiB; larger messages belong in the blob store")
	}
	return nil
}

func (c *Config) checkBucket(name string, b *S3) error {
	if b == nil {
		return nil
	}
	if err := hostPort(b.Endpoint, false); err != nil {
		return fmt.Errorf("%s.endpoint: %w", name, err)
	}
	if b.Bucket == "" || b.AccessKey == "" || b.SecretKey == "" {
		return fmt.Errorf("%s needs bucket, access_key and secret_key", name)
	}
	return nil
}

func (c *Config) checkTLS() error {
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		return fmt.Errorf("tls: certificate and key go together; give both files or neither")
	}
	if c.TLS.ACME != nil {
		u, err := url.Parse(c.TLS.ACME.Directory)
		if err != nil || u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("tls.acme.directory: %.80q is no https address", c.TLS.ACME.Directory)
		}
		if c.Listen.HTTP == "" && c.Listen.HTTPS == "" {
			return fmt.Errorf("tls.acme needs listen.http or listen.https, since the authority asks there")
		}
		for _, a := range c.TLS.ACME.Addresses {
			if _, err := netip.ParseAddr(a); err != nil {
				return fmt.Errorf("tls.acme.addresses: %.60q is no address", a)
			}
		}
		if c.TLS.Certificate != "" {
			return fmt.Errorf("tls: give either acme or certificate and key")
		}
	}
	if c.Listen.HTTPS != "" && c.TLS.ACME == nil && c.TLS.Certificate == "" {
		return fmt.Errorf("listen.https needs a certificate: set tls.acme, or tls.certificate and tls.key")
	}
	if c.Listen.Submissions != "" && c.TLS.ACME == nil && c.TLS.Certificate == "" {
		return fmt.Errorf("listen.submissions needs a certificate: set tls.acme, or tls.certificate and tls.key")
	}
	return nil
}

func (c *Config) checkSMTP() error {
	s := c.SMTP
	if s.MaxSize < 64*limit.KiB || s.MaxSize > 2*limit.GiB {
		return fmt.Errorf("smtp.max_size must lie between 64KiB and 2GiB (RFC 5321 asks for 64K at least)")
	}
	if s.MaxRecipients < 100 {
		return fmt.Errorf("smtp.max_recipients must be 100 at least (RFC 5321 4.5.3.1.8)")
	}
	if s.Connections < 1 || s.PerAddress < 1 || s.PerMinute < 1 || s.MessagesPerMinute < 1 || s.Timeout < 10*time.Second {
		return fmt.Errorf("smtp: connections, per_address, per_minute and messages_per_minute must be 1 at least, timeout 10s at least")
	}
	return prefixes("smtp.proxies", s.Proxies)
}

func prefixes(setting string, list []string) error {
	for _, p := range list {
		if _, err := netip.ParsePrefix(p); err != nil {
			return fmt.Errorf("%s: %.60q is no network; write one such as 10.0.0.0/24", setting, p)
		}
	}
	return nil
}

func (c *Config) checkDelivery() error {
	d := c.Delivery
	if d.Expiry < time.Hour || d.Expiry > 30*24*time.Hour {
		return fmt.Errorf("delivery.expiry must lie between 1h and 720h (RFC 5321 4.5.4.1: 4 to 5 days)")
	}
	if d.Couriers < 1 || d.PerSite < 1 {
		return fmt.Errorf("delivery.couriers and delivery.per_site must be 1 at least")
	}
	hosts := map[string]*Host{}
	if d.Smarthost != nil {
		hosts["delivery.smarthost"] = d.Smarthost
	}
	for i := range d.Routes {
		name := fmt.Sprintf("delivery.routes[%d]", i)
		if _, err := address.Domain(strings.TrimPrefix(d.Routes[i].Domain, "*.")); err != nil {
			return fmt.Errorf("%s.domain: %.80q is no domain", name, d.Routes[i].Domain)
		}
		hosts[name+".host"] = &d.Routes[i].Host
	}
	for name, h := range hosts {
		if err := hostPort(h.Address, false); err != nil {
			return fmt.Errorf("%s.address: %w", name, err)
		}
		if !slices.Contains([]string{"", "opportunistic", "verified", "plain"}, h.TLS) {
			return fmt.Errorf("%s.tls: %.40q is no policy; there are opportunistic, verified and plain", name, h.TLS)
		}
	}
	if d.Source != "" {
		if _, err := netip.ParseAddr(d.Source); err != nil {
			return fmt.Errorf("delivery.source: %.60q is no address", d.Source)
		}
	}
	return prefixes("delivery.allow", d.Allow)
}

func (c *Config) checkSubProcessors() error {
	names := map[string]bool{}
	for i := range c.SubProcessors {
		e := &c.SubProcessors[i]
		if err := e.Check(); err != nil {
			text, field := fault.Public(err)
			return fmt.Errorf("sub_processors[%d].%s: %s", i, field, text)
		}
		if names[strings.ToLower(e.Name)] {
			return fmt.Errorf("sub_processors[%d]: the name %.60q stands twice", i, e.Name)
		}
		names[strings.ToLower(e.Name)] = true
	}
	if c.Country != "" && !supply.IsCountry(c.Country) {
		return fmt.Errorf("country: %.40q is no country; write its two letters, such as DE", c.Country)
	}
	if c.Observe.OTLP != "" {
		if u, err := url.Parse(c.Observe.OTLP); err != nil || u.Host == "" {
			return fmt.Errorf("observe.otlp: %.80q is no address", c.Observe.OTLP)
		}
	}
	return nil
}

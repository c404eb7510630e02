package config

import (
	"fmt"
	"net/url"

	"mailvow/internal/base/address"
	"mailvow/internal/standard/webhook"
)

func (c *Config) checkAlerts() error {
	for _, text := range c.Alerts.Mail {
		if _, err := address.Parse(text); err != nil {
			return fmt.Errorf("alerts.mail: %.60q is no address", text)
		}
	}
	w := c.Alerts.Webhook
	if w.URL == "" && w.Secret.Reveal() == "" {
		return nil
	}
	if u, err := url.Parse(w.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return fmt.Errorf("alerts.webhook.url is no http or https address")
	}
	if _, err := webhook.ParseSecret(w.Secret.Reveal()); err != nil {
		return fmt.Errorf("alerts.webhook.secret is none: write whsec_ and the Base64 of 24 bytes or more")
	}
	return nil
}

package stored

import (
	"strings"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/protect/inventory"
)

// InForce is the inventory with the periods of a configuration.
func InForce(c *config.Config) (*inventory.Inventory, error) {
	all, err := Inventory()
	if err != nil {
		return nil, err
	}
	from := map[string]string{}
	if k, ok := all.Category("queued mail"); ok && c.Delivery.Expiry > 0 {
		from[k.Name] = strings.ReplaceAll(k.Period.From, "the queue's expiry", inventory.Span(c.Delivery.Expiry))
	}
	return all.With(map[string]time.Duration{
		"message records": c.Retention.History, "searched subjects": c.Retention.History, "conversations": c.Retention.Conversations,
	}, from)
}

package stored

import (
	"strings"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/protect/backup"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/policy"
)

// InForce is the inventory with the periods of a configuration and of a policy.
func InForce(c *config.Config, said *policy.Document) (*inventory.Inventory, error) {
	all, err := Inventory()
	if err != nil {
		return nil, err
	}
	from := map[string]string{}
	if k, ok := all.Category("queued mail"); ok && c.Delivery.Expiry > 0 {
		from[k.Name] = strings.ReplaceAll(k.Period.From, "the queue's expiry", inventory.Span(c.Delivery.Expiry))
	}
	periods := map[string]time.Duration{}
	for category, k := range said.Retention {
		if k.AtMost.Given() && k.AtMost != policy.Immediately {
			periods[category] = k.AtMost.Longest()
		}
	}
	if records, set := periods["message records"]; set { // what is found by them goes with them
		periods["searched subjects"] = records
	}
	if keep := said.Backups.Keep; keep.Given() && keep.Span != policy.Immediately {
		periods[backup.Category] = min(keep.Longest(), backup.LongestKept)
	}
	return all.With(periods, from)
}

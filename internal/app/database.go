package app

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/egress"
)

// databaseHosts are the host:port entries of PostgreSQL's address; sockets of
// this machine are none.
func (h *House) databaseHosts() ([]string, error) {
	dsn := h.Config.Data.Postgres.Reveal()
	if dsn == "" {
		return nil, nil
	}
	c, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, fault.New(fault.Invalid, "data.postgres is no PostgreSQL address; write one such as postgres://mailvow@db.example.com/mailvow.")
	}
	var hosts []string
	add := func(host string, port uint16) {
		if host != "" && !strings.HasPrefix(host, "/") {
			hosts = append(hosts, net.JoinHostPort(host, strconv.Itoa(int(port))))
		}
	}
	add(c.Host, c.Port)
	for _, f := range c.Fallbacks {
		add(f.Host, f.Port)
	}
	return hosts, nil
}

// databaseDestination declares PostgreSQL's hosts, where there are any.
func (h *House) databaseDestination() ([]egress.Destination, error) {
	hosts, err := h.databaseHosts()
	if err != nil || len(hosts) == 0 {
		return nil, err
	}
	return []egress.Destination{{Name: "database", Use: "database", Purpose: "keep rows", Region: h.Config.Data.PostgresRegion, Owner: egress.Operator, Hosts: hosts}}, nil
}

// dialDatabase opens PostgreSQL's connections through the gate.
func (h *House) dialDatabase(ctx context.Context, network, addr string) (net.Conn, error) {
	if network == "unix" {
		return egress.Socket(ctx, addr)
	}
	dialer, err := h.gate.To("database")
	if err != nil {
		return nil, fmt.Errorf("the database is not declared: %w", err)
	}
	return dialer.Dial(ctx, network, addr)
}

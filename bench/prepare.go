package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the data folder's database

	"mailvow/internal/app/stored"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/disk"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/tenant"
)

// prepare makes a data folder in which 127.0.0.1 may send as benchDomain without
// AUTH, which the generator does not know. mailvow dev makes the customer and
// the domain; the rest is done while no server runs. Unsigned mail comes from a
// domain without keys, as if another server signed. It gives the customer.
func prepare(ctx context.Context, binary, data string, signed bool) (ids.Tenant, error) {
	customer, err := demoCustomer(ctx, binary, data)
	if err != nil {
		return 0, err
	}
	// A server keeps its keys apart, and this one has another name, which the
	// evidence log bears.
	err = errors.Join(os.Rename(filepath.Join(data, "keystore"), data+"-keys"), os.Rename(filepath.Join(data, "kek"), data+"-kek"),
		os.RemoveAll(filepath.Join(data, "evidence")), os.RemoveAll(filepath.Join(data+"-keys", "evidence")))
	if err != nil {
		return 0, err
	}
	if err := allowNetwork(ctx, data, customer); err != nil {
		return 0, fmt.Errorf("allow 127.0.0.1 to send: %w", err)
	}
	if signed {
		return customer, nil
	}
	file, err := sql.Open("sqlite", filepath.Join(data, "db", "mailvow.db"))
	if err != nil {
		return 0, err
	}
	_, err = file.ExecContext(ctx, "delete from relay_key")
	return customer, errors.Join(err, file.Close())
}

// demoCustomer starts mailvow dev until it is ready and says whose its
// credentials are.
func demoCustomer(ctx context.Context, binary, data string) (customer ids.Tenant, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	anywhere := "127.0.0.1:0"
	cmd := exec.CommandContext(ctx, binary, "dev", "--json", "--dir", data,
		"--mx", anywhere, "--submission", anywhere, "--submissions", anywhere, "--http", anywhere)
	var log bytes.Buffer
	cmd.Stderr = &log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	var ready struct{ Ready bool }
	failed := json.NewDecoder(out).Decode(&ready)
	cancel()
	_ = cmd.Wait() // interrupted by us
	if failed != nil || !ready.Ready {
		return 0, fmt.Errorf("mailvow dev did not become ready: %w\n%s", failed, log.String())
	}
	return newest(ctx, data)
}

// newest is the customer that was made last: the demo.
func newest(_ context.Context, data string) (customer ids.Tenant, err error) {
	file, err := sql.Open("sqlite", filepath.Join(data, "db", "mailvow.db"))
	if err != nil {
		return 0, err
	}
	err = file.QueryRow("select max(tenant) from relay_domain where name = $1", benchDomain).Scan(&customer)
	return customer, errors.Join(err, file.Close())
}

func allowNetwork(ctx context.Context, data string, customer ids.Tenant) error {
	d, err := db.Open(ctx, db.Config{Dir: filepath.Join(data, "db"), Clock: clock.Wall{}}, stored.Schemas()...)
	if err != nil {
		return err
	}
	defer d.Close()
	kek, err := vault.LoadKEKFile(data + "-kek")
	if err != nil {
		return err
	}
	source := ids.NewSource(clock.Wall{}, d.Node(), 0)
	v, err := vault.Open(ctx, vault.Config{KEK: kek, Store: vault.Folder(disk.Machine{}, data+"-keys"), Clock: clock.Wall{}, IDs: source})
	if err != nil {
		return err
	}
	defer v.Close()
	store := access.New(access.Config{
		DB: d, Vault: v, IDs: source, Clock: clock.Wall{}, Tenants: tenant.New(d, v, source, clock.Wall{}), Limits: access.HouseLimits,
		Passwords: access.NewPasswords(access.HouseCost, 1), Networks: true,
	})
	_, err = store.AddNetwork(ctx, customer, "bench", netip.MustParsePrefix("127.0.0.1/32"))
	return err
}

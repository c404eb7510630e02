-- Where mail to a customer's addresses goes.

-- migration: 1
create table inbound_route (
  id       int primary key,
  tenant   int not null,
  domain   text not null,               -- A-labels
  hash     blob not null,               -- of the pattern
  sealed   blob not null,               -- pattern, URL and the secret that signs
  created  int not null,
  changed  int not null,
  unique (tenant, hash)
);
create index inbound_route_hash on inbound_route (hash);
create index inbound_route_domain on inbound_route (domain);

-- query: add
insert into inbound_route (id, tenant, domain, hash, sealed, created, changed)
values ($1, $2, $3, $4, $5, $6, $6) on conflict (tenant, hash) do nothing

-- query: taken
select count(*) from inbound_route where hash = $1 and tenant <> $2

-- query: get
select id, tenant, hash, sealed, created from inbound_route where id = $3 and ($1 = 1 or tenant = $2)

-- query: list
select id, tenant, hash, sealed, created from inbound_route
where ($1 = 1 or tenant = $2) and id < $3 order by id desc limit $4

-- A recipient has at most three patterns: itself, its sub-addresses, its domain.
-- query: match
select id, tenant, hash, sealed, created from inbound_route where hash in ($1, $2, $3) order by id

-- query: of_person
select id, tenant, hash, sealed, created from inbound_route where ($1 = 1 or tenant = $2) and hash in ($3, $4) order by id

-- query: of_domain
select distinct tenant from inbound_route where domain = $1 limit 100

-- query: change
update inbound_route set sealed = $4, changed = $5 where id = $3 and ($1 = 1 or tenant = $2)

-- query: delete
delete from inbound_route where id = $3 and ($1 = 1 or tenant = $2)

-- query: drop_tenant
delete from inbound_route where tenant = $1

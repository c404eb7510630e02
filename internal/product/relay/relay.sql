-- The domains that customers send as and receive for, and their DKIM keys.

-- migration: 1
create table relay_domain (
  id       int primary key,
  tenant   int not null,
  name     text not null,              -- A-labels
  token    text not null,              -- what the customer publishes; no secret
  state    text not null check (state in ('pending', 'verified', 'failed')),
  misses   int not null,               -- checks in a row that did not find the token
  vouched  int not null,               -- 1: the operator's word stands for the token
  checked  int not null,               -- 0: never
  created  int not null,
  unique (tenant, name)
);
-- Two customers may claim a domain, but it can be only one's.
create unique index relay_domain_owner on relay_domain (name) where state = 'verified';
create index relay_domain_checked on relay_domain (checked);
create table relay_key (
  id         int primary key,
  domain     int not null,
  tenant     int not null,
  selector   text not null,
  algorithm  text not null check (algorithm in ('rsa', 'ed25519')),
  record     text not null,            -- the TXT record that publishes the key
  sealed     blob not null,            -- the private key, PKCS #8
  created    int not null,
  unique (domain, selector)
);

-- query: add
insert into relay_domain (id, tenant, name, token, state, misses, vouched, checked, created)
values ($1, $2, $3, $4, 'pending', 0, 0, 0, $5) on conflict (tenant, name) do nothing

-- query: add_key
insert into relay_key (id, domain, tenant, selector, algorithm, record, sealed, created)
values ($1, $2, $3, $4, $5, $6, $7, $8)

-- query: get
select id, tenant, name, token, state, misses, vouched, checked, created from relay_domain
where id = $3 and ($1 = 1 or tenant = $2)

-- query: list
select id, tenant, name, token, state, misses, vouched, checked, created from relay_domain
where ($1 = 1 or tenant = $2) and id < $3 order by id desc limit $4

-- query: due
select id, tenant, name, token, state, misses, vouched, checked, created from relay_domain
where checked <= $1 order by checked limit $2

-- query: owner
select id, tenant, name, token, state, misses, vouched, checked, created from relay_domain
where name = $1 and state = 'verified'

-- query: keys
select id, tenant, selector, algorithm, record, sealed from relay_key where domain = $1 order by algorithm desc, id

-- query: checked
update relay_domain set state = $3, misses = $4, vouched = $5, checked = $6 where id = $1 and tenant = $2

-- query: delete_keys
delete from relay_key where domain = $1

-- query: delete
delete from relay_domain where id = $3 and ($1 = 1 or tenant = $2)

-- query: drop_tenant_keys
delete from relay_key where tenant = $1

-- query: drop_tenant
delete from relay_domain where tenant = $1

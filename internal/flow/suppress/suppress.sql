-- Addresses that nothing is sent to. Whose they are is found by a keyed hash; the
-- address itself is sealed, and is gone where a person was erased.

-- migration: 1
create table suppression (
  id       int primary key,
  tenant   int not null,                -- 0: nobody's mail goes there
  hash     blob not null,
  reason   text not null check (reason in ('hard_bounce', 'complaint', 'unsubscribe', 'manual', 'restricted', 'erased')),
  source   text not null check (source in ('delivery', 'api', 'report', 'subject')),
  until    int not null,                -- 0: for good
  sealed   blob,                        -- address and note; null where only the hash may stay
  created  int not null,
  unique (hash, tenant, reason)
);
create index suppression_tenant on suppression (tenant, id);

-- bulk: add (id int, tenant int, hash blob, reason text, source text, until int, sealed blob, created int)
insert into suppression (id, tenant, hash, reason, source, until, sealed, created)
select id, tenant, hash, reason, source, until, sealed, created from rows where true
on conflict (hash, tenant, reason) do nothing

-- One query for a whole parcel. A list goes as one JSON parameter, which the two
-- databases take apart differently.
-- query: check [sqlite]
select hash, reason from suppression
where hash in (select unhex(value) from json_each($2)) and tenant in (0, $1) and (until = 0 or until > $3)

-- query: check [postgres]
select hash, reason from suppression
where hash in (select decode(value, 'hex') from jsonb_array_elements_text($2::text::jsonb)) and tenant in (0, $1) and (until = 0 or until > $3)

-- query: count
select count(*) from suppression

-- query: hashes
select id, hash from suppression where id > $1 order by id limit $2

-- query: get
select id, tenant, reason, source, until, sealed, created from suppression
where id = $3 and ($1 = 1 or tenant = $2)

-- query: list
select id, tenant, reason, source, until, sealed, created from suppression
where ($1 = 1 or tenant = $2) and id < $3 and reason <> 'erased' order by id desc limit $4

-- query: of_address
select id, tenant, reason, source, until, sealed, created from suppression
where hash = $3 and ($1 = 1 or tenant = $2) order by id

-- query: put
insert into suppression (id, tenant, hash, reason, source, until, sealed, created)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (hash, tenant, reason) do update set source = excluded.source, until = excluded.until
returning id

-- What a person asked for is not lifted by a customer.
-- query: remove
delete from suppression where id = $3 and ($1 = 1 or tenant = $2) and reason not in ('restricted', 'erased')

-- query: remove_one
delete from suppression where id = $1

-- query: drop
delete from suppression where tenant = $1

-- query: purge
delete from suppression where until > 0 and until <= $1

-- query: drop_tenant
delete from suppression where tenant = $1 and tenant <> 0 and id in (
  select id from suppression where tenant = $1 order by id limit $2)

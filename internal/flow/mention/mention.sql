-- Places in texts of a customer's mail at which a person is named, found on order
-- and reviewed before they leave.

-- migration: 1
create table mention_search (
  id      int  not null primary key,    -- the job's, too
  tenant  int  not null,
  hash    blob not null,                -- keyed hash of the person's address
  asked   int  not null,
  ended   int  not null,                -- 0: it goes on
  looked  int  not null,                -- texts
  found   int  not null,
  whole   int  not null,                -- 0: it stopped at its bound
  sealed  blob not null                 -- the person's address and identifiers
);
create index mention_search_hash on mention_search (tenant, hash);

create table mention_place (
  search  int  not null,
  n       int  not null,
  tenant  int  not null,
  message int  not null,
  place   text not null check (place in ('text', 'subject')),
  verdict text not null check (verdict in ('open', 'keep', 'mask', 'leave_out')),
  sealed  blob not null,                -- the words around it
  primary key (search, n)
);
create index mention_place_message on mention_place (tenant, message);

-- query: add
insert into mention_search (id, tenant, hash, asked, ended, looked, found, whole, sealed) values ($1, $2, $3, $4, 0, 0, 0, 1, $5)

-- query: running
select count(*) from mention_search where tenant = $1 and ended = 0

-- query: get
select id, tenant, asked, ended, looked, found, whole, sealed,
  (select count(*) from mention_place p where p.search = id and p.verdict = 'open') from mention_search
where id = $3 and ($1 = 1 or tenant = $2)

-- query: list
select id, tenant, asked, ended, looked, found, whole, sealed,
  (select count(*) from mention_place p where p.search = id and p.verdict = 'open') from mention_search
where id < $3 and ($1 = 1 or tenant = $2) order by id desc limit $4

-- query: of_person
select id, tenant, asked, ended, looked, found, whole, sealed,
  (select count(*) from mention_place p where p.search = id and p.verdict = 'open') from mention_search
where tenant = $1 and hash = $2 order by id desc

-- query: place
insert into mention_place (search, n, tenant, message, place, verdict, sealed) values ($1, $2, $3, $4, $5, 'open', $6)

-- query: looked
update mention_search set looked = $2, found = $3, whole = $4 where id = $1

-- query: end
update mention_search set ended = $2 where id = $1 and ended = 0

-- query: places
select search, n, tenant, message, place, verdict, sealed from mention_place where search = $1 and n > $2 order by n limit $3

-- query: rule
update mention_place set verdict = $3, sealed = $4 where search = $1 and n = $2

-- query: of_message
select count(*) from mention_place where tenant = $1 and message = $2

-- query: drop_message
delete from mention_place where tenant = $1 and message = $2

-- query: drop_places
delete from mention_place where search = $1

-- query: drop
delete from mention_search where id = $1

-- query: purge_places
delete from mention_place where search in (select id from mention_search where asked < $1 and ($2 = 1 or tenant = $3))

-- query: purge
delete from mention_search where asked < $1 and ($2 = 1 or tenant = $3)

-- query: oldest
select coalesce(min(asked), 0) from mention_search

-- query: drop_tenant_places
delete from mention_place where tenant = $1

-- query: drop_tenant
delete from mention_search where tenant = $1

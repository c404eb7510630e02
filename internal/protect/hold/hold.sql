-- Legal holds and what they keep. A hold has a key of its own, wrapped under a
-- key of the class hold; who is held, why, and every kept record are sealed with
-- it, so that all of it is unreadable once the hold is released.

-- migration: 1
create table hold (
  id       int  not null primary key,
  tenant   int  not null,
  kind     text not null check (kind in ('person', 'message', 'customer')),
  ground   text not null check (ground in ('claim', 'dispute', 'legal_duty', 'authority')),
  owner    int  not null,            -- the user who answers for it; 0: the operator
  review   int  not null,
  created  int  not null,
  released int  not null,            -- 0 while it holds
  key      blob,                     -- the hold's own key, wrapped; null once released
  sealed   blob                      -- case, person or message, note; null once released
);
create index hold_tenant on hold (tenant, id);
-- One kept record. Its name is that which it has where it came from.
create table held (
  hold     int  not null,
  category text not null,
  id       int  not null,
  message  int  not null,
  tenant   int  not null,
  at       int  not null,
  sealed   blob not null,
  primary key (hold, category, id)
);
create index held_message on held (hold, message);
-- Whom a kept message names, by keyed hash.
create table held_person (
  hash    blob not null,
  hold    int  not null,
  message int  not null,
  tenant  int  not null,
  primary key (hash, hold, message)
);
create index held_person_hold on held_person (hold);

-- migration: 2
-- 1: the customer's contract is over, and its keys with it; the hold's key is
-- wrapped under the platform's.
alter table hold add column outlives int not null default 0;

-- query: add
insert into hold (id, tenant, kind, ground, owner, review, created, released, key, sealed)
values ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9)

-- query: get
select id, tenant, kind, ground, owner, review, created, released, key, sealed, outlives from hold
where id = $3 and ($1 = 1 or tenant = $2)

-- query: list
select id, tenant, kind, ground, owner, review, created, released, key, sealed, outlives from hold
where ($1 = 1 or tenant = $2) and id < $3 order by id desc limit $4

-- query: holding
select id, tenant, kind, ground, owner, review, created, released, key, sealed, outlives from hold
where ($1 = 1 or tenant = $2) and released = 0 order by id

-- query: review
update hold set review = $4 where id = $3 and ($1 = 1 or tenant = $2) and released = 0

-- query: release
update hold set released = $4, key = null, sealed = null where id = $3 and ($1 = 1 or tenant = $2) and released = 0

-- query: rewrap
update hold set key = $4 where id = $1 and tenant = $2 and key = $3

-- query: keep
-- One that is released meanwhile keeps nothing more.
insert into held (hold, category, id, message, tenant, at, sealed)
select $1, $2, $3, $4, $5, $6, $7 from hold where hold.id = $1 and hold.released = 0
on conflict (hold, category, id) do nothing

-- query: name
insert into held_person (hash, hold, message, tenant)
select $1, $2, $3, $4 from hold where hold.id = $2 and hold.released = 0
on conflict (hash, hold, message) do nothing

-- query: kept_of
select category, id from held where hold = $1 and tenant = $2 and message >= $3 and message <= $4

-- query: count
select count(*), coalesce(min(at), 0), coalesce(max(at), 0) from held where hold = $1 and tenant = $2

-- query: records
select category, id, message, at, sealed from held
where hold = $1 and tenant = $2 and (message > $3 or message = $3 and id > $4) order by message, id limit $5

-- query: of_message
select category, id, message, at, sealed from held where hold = $1 and tenant = $2 and message = $3 order by at, id

-- query: of_person
select hold, message from held_person where hash = $1 and tenant = $2 order by hold, message

-- query: tenants
select distinct tenant from hold where released = 0

-- query: over
select id, tenant from hold where released > 0 and exists (select 1 from held where held.hold = hold.id)
union
select id, tenant from hold where released > 0 and exists (select 1 from held_person where held_person.hold = hold.id)

-- query: drop_held
delete from held where hold = $1 and tenant = $2 and id in (select id from held where hold = $1 order by id limit $3)

-- query: drop_named
delete from held_person where hold = $1 and tenant = $2

-- query: drop_released
delete from hold where released > 0 and released < $1 and not exists (select 1 from held where held.hold = hold.id)

-- query: outlive
update hold set key = $4, outlives = 1 where id = $1 and tenant = $2 and key = $3 and outlives = 0

-- query: drop_bare
-- What is left of released holds of an ended customer.
delete from hold where tenant = $1 and released > 0

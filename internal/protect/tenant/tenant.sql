-- The operator and its customers.

-- migration: 1
create table tenant (
  id       int primary key,
  parent   int not null,          -- 0 for the platform itself
  state    text not null check (state in ('active', 'suspended', 'ended')),
  region   text not null,
  sealed   blob not null,         -- its name
  created  int not null,
  changed  int not null,
  check ((parent = 0) = (id = 1))
);

-- migration: 2
-- The contract's end, once it is ordered: nothing is sent or received from then on.
alter table tenant add column closes int not null default 0; -- 0: no end is ordered

-- query: add
insert into tenant (id, parent, state, region, sealed, created, changed)
values ($1, $2, 'active', $3, $4, $5, $5) on conflict (id) do nothing

-- A server that was never told its region kept everybody in "local"; told, it
-- gives that place its name.
-- query: name_region
update tenant set region = $1, changed = $2 where region = 'local'

-- query: pin
update tenant set region = $2, changed = $3 where id = $1 and parent <> 0

-- query: get
select id, parent, state, region, sealed, created, closes from tenant where id = $3 and ($1 = 1 or id = $2)

-- query: list
select id, parent, state, region, sealed, created, closes from tenant
where ($1 = 1 or id = $2) and id < $3 order by id desc limit $4

-- query: state
select state, closes, region from tenant where id = $1

-- query: change
update tenant set state = $4, sealed = $5, changed = $6
where id = $3 and ($1 = 1 or id = $2) and state <> 'ended'

-- query: close
update tenant set closes = $2, changed = $3 where id = $1 and parent <> 0 and state <> 'ended'

-- query: drop_tenant
delete from tenant where id = $1 and parent <> 0

-- Who got a person's data and must be told what became of it. A row that ended
-- names nobody: what was sealed of the person is gone.

-- migration: 1
create table onward (
  id       int primary key,
  tenant   int not null,
  kind     text not null check (kind in ('erased', 'corrected', 'restricted', 'objected')),
  cause    int not null,            -- the certificate, the case, or the act
  request  int not null,            -- the case; 0: none
  route    int not null,
  hash     blob,                    -- keyed hash of the address, while it is open
  state    text not null check (state in ('open', 'acknowledged', 'settled', 'unanswered')),
  created  int not null,
  due      int not null,
  next     int not null,            -- when it is tried again
  attempts int not null,
  code     int not null,            -- the endpoint's last answer; 0: none
  reminded int not null,            -- 0: not
  ended    int not null,            -- 0: not
  sealed   blob not null,
  unique (tenant, cause, kind, route)
);
create index onward_state on onward (state, next);
create index onward_hash on onward (hash);
create index onward_tenant on onward (tenant, id);
create index onward_request on onward (request);

-- query: add
insert into onward (id, tenant, kind, cause, request, route, hash, state, created, due, next, attempts, code, reminded, ended, sealed)
values ($1, $2, $3, $4, $5, $6, $7, 'open', $8, $9, $8, 0, 0, 0, 0, $10) on conflict (tenant, cause, kind, route) do nothing

-- query: of_cause
select count(*) from onward where tenant = $1 and cause = $2 and kind = $3

-- query: due
select id, tenant, kind, cause, request, route, state, created, due, next, attempts, code, ended, sealed from onward
where state = 'open' and next <= $1 order by next, id limit $2

-- query: get
select id, tenant, kind, cause, request, route, state, created, due, next, attempts, code, ended, sealed from onward
where id = $3 and ($1 = 1 or tenant = $2)

-- query: list
select id, tenant, kind, cause, request, route, state, created, due, next, attempts, code, ended, sealed from onward
where ($1 = 1 or tenant = $2) and id < $3 and ($4 = 0 or state = 'open') order by id desc limit $5

-- query: of_request
select id, tenant, kind, cause, request, route, state, created, due, next, attempts, code, ended, sealed from onward
where request = $3 and ($1 = 1 or tenant = $2) order by id

-- query: of_person
select id, tenant, kind, cause, request, route, state, created, due, next, attempts, code, ended, sealed from onward
where hash = $3 and ($1 = 1 or tenant = $2) order by id

-- query: tried
update onward set attempts = attempts + 1, next = $2, code = $3 where id = $1 and state = 'open'

-- query: end
update onward set state = $2, ended = $3, code = $4, attempts = $5, hash = null, sealed = $6 where id = $1 and state = 'open'

-- query: soon
update onward set next = $2 where id = $1 and state = 'open'

-- query: late
select count(*) from onward where state = 'open' and due <= $3 and ($1 = 1 or tenant = $2)

-- query: forgotten
select distinct tenant from onward where state = 'open' and due <= $1 and reminded = 0

-- query: reminded
update onward set reminded = $3 where tenant = $1 and state = 'open' and due <= $2 and reminded = 0

-- query: purge
delete from onward where ended > 0 and ended < $1

-- query: oldest
select coalesce(min(ended), 0) from onward where ended > 0

-- query: drop
delete from onward where tenant = $1

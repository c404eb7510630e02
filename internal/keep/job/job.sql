-- Work that outlives a request: each step's effect and the cursor behind it are
-- one transaction.

-- migration: 1
create table job (
  id       int primary key,
  tenant   int not null,
  kind     text not null,
  state    text not null check (state in ('waiting', 'running', 'done', 'failed', 'cancelled')),
  input    blob,
  cursor   blob,
  done     int not null,
  total    int not null,
  problem  text not null,
  attempts int not null,
  due      int not null,
  instance text not null,
  token    int not null,
  until    int not null,
  created  int not null,
  changed  int not null
);
create index job_open on job (state, due);

-- query: add
insert into job (id, tenant, kind, state, input, cursor, done, total, problem, attempts, due, instance, token, until, created, changed)
values ($1, $2, $3, 'waiting', $4, null, 0, $5, '', 0, $6, '', 0, 0, $6, $6)

-- query: get
select id, tenant, kind, state, input, cursor, done, total, problem, attempts, token, until, created, changed
from job where id = $1 and ($2 = 1 or tenant = $3)

-- Newest first, from a cursor.
-- query: list
select id, tenant, kind, state, input, cursor, done, total, problem, attempts, token, until, created, changed
from job where ($1 = 1 or tenant = $2) and id < $3 order by id desc limit $4

-- What may run now: due and waiting, or left behind by a dead runner. A customer
-- whose places are taken is passed over, so that one cannot hold up all.
-- query: runnable
select id, tenant, kind, state, input, cursor, done, total, problem, attempts, token, until, created, changed
from job
where ((state = 'waiting' and due <= $1) or (state = 'running' and (until <= $1 or ($2 = 1 and instance <> $3))))
  and (select count(*) from job busy
       where busy.tenant = job.tenant and busy.id <> job.id and busy.state = 'running' and busy.until > $1 and ($2 = 0 or busy.instance = $3)) < $4
order by due, id
limit 64

-- query: lease
update job set state = 'running', instance = $3, token = token + 1, until = $4, attempts = attempts + 1, changed = $5
where id = $1 and token = $2 and state in ('waiting', 'running')

-- query: renew
update job set until = $3 where id = $1 and token = $2 and state = 'running'

-- query: save
update job set cursor = $3, done = $4, total = $5, until = $6, changed = $7, attempts = 0
where id = $1 and token = $2 and state = 'running'

-- query: end
update job set state = $3, problem = $4, until = 0, changed = $5, input = null, cursor = null
where id = $1 and token = $2 and state = 'running'

-- query: put_back
update job set state = 'waiting', problem = $3, due = $4, until = 0, changed = $5
where id = $1 and token = $2 and state = 'running'

-- query: cancel
update job set state = 'cancelled', until = 0, changed = $4, input = null, cursor = null
where id = $1 and ($2 = 1 or tenant = $3) and state in ('waiting', 'running')

-- query: purge
delete from job where state in ('done', 'failed', 'cancelled') and changed < $1 and ($2 = 1 or tenant = $3)

-- query: drop_tenant
-- Of an ended customer: whatever still runs has no further effect.
delete from job where tenant = $1 and tenant <> 0

-- Answers to requests with an Idempotency-Key, so that a repeat does nothing twice.

-- migration: 1
create table http_idempotency (
  tenant   int not null,
  hash     blob not null,                -- of the operation and the key
  body     blob not null,                -- SHA-256 of the request's body
  status   int not null,                 -- 0 while the first request is under way
  sealed   blob,                         -- the answer
  created  int not null,
  primary key (tenant, hash)
);
create index http_idempotency_created on http_idempotency (created);

-- query: begin
insert into http_idempotency (tenant, hash, body, status, created) values ($1, $2, $3, 0, $4)
on conflict (tenant, hash) do nothing

-- query: look
select body, status, sealed, created from http_idempotency where tenant = $1 and hash = $2

-- query: take_over
update http_idempotency set created = $4 where tenant = $1 and hash = $2 and status = 0 and created = $3

-- query: finish
update http_idempotency set status = $3, sealed = $4 where tenant = $1 and hash = $2

-- query: answers
select tenant, hash, sealed, created from http_idempotency
where ($1 = 1 or tenant = $2) and hash > $3 and length(sealed) > 0 order by hash limit $4

-- An empty answer is one that is not shown again.
-- query: blank
update http_idempotency set sealed = $3 where tenant = $1 and hash = $2

-- query: forget
delete from http_idempotency where tenant = $1 and hash = $2 and status = 0

-- query: purge
delete from http_idempotency where created < $1 and ($2 = 1 or tenant = $3)

-- query: drop_tenant
delete from http_idempotency where tenant = $1

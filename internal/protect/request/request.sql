-- Requests of persons about their data. A case is one request; a share is what one
-- customer, who holds something about the person, decides on it.

-- migration: 1
create table request_case (
  id         int primary key,
  kind       text not null check (kind in ('access', 'rectification', 'erasure', 'restriction', 'portability', 'objection', 'withdrawal',
             'question', 'security', 'abuse', 'privacy', 'child')),
  law        text not null,
  source     text not null check (source in ('person', 'customer')),
  state      text not null check (state in ('unproved', 'open', 'extended', 'answered', 'refused', 'lapsed')),
  hash       blob not null,         -- keyed hash of the address
  sealed     blob not null,         -- address and words
  received   int not null,
  proved     int not null,          -- 0: not
  confirmed  int not null,          -- 0: not; when the person was told that it is seen to
  ended      int not null,          -- 0: not
  asked      int not null,          -- when the person last asked
  mails      int not null           -- how many mails that caused
);
create index request_case_hash on request_case (hash);
create index request_case_state on request_case (state, received);

create table request_share (
  request   int not null,
  tenant    int not null,
  state     text not null check (state in ('open', 'extended', 'accepted', 'answered', 'refused')),
  due       int not null,
  extended  int not null,           -- 0: not
  decided   int not null,           -- 0: not
  role      text not null,
  sealed    blob,                   -- the reason, what is right
  result    blob,                   -- the certificate, until it ends
  until     int not null,           -- 0: there is nothing to fetch
  primary key (request, tenant)
);
create index request_share_tenant on request_share (tenant, request);
create index request_share_state on request_share (state, due);

-- query: add
insert into request_case (id, kind, law, source, state, hash, sealed, received, proved, confirmed, ended, asked, mails)
values ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, 0, $9, $10)

-- query: share
insert into request_share (request, tenant, state, due, extended, decided, role, until)
values ($1, $2, 'open', $3, 0, 0, '', 0) on conflict (request, tenant) do nothing

-- What of an address was asked lately, and how many mails that caused.
-- query: mails
select coalesce(sum(mails), 0) from request_case where hash = $1 and asked > $2

-- query: lately
select count(*) from request_case where hash = $1 and received > $2 and kind in ('question', 'security', 'abuse', 'privacy', 'child')

-- query: same
select id, state from request_case
where hash = $1 and kind = $2 and source = 'person' and state in ('unproved', 'open', 'extended') order by id desc limit 1

-- query: again
update request_case set asked = $2, mails = mails + 1 where id = $1

-- Those who decide at the same time do so one after another.
-- query: lock
update request_case set asked = asked where id = $1

-- query: state
select state from request_case where id = $1

-- query: move
update request_case set state = $2, ended = $4 where id = $1 and state = $3

-- query: proved
update request_case set proved = $2 where id = $1

-- query: confirmed
update request_case set confirmed = $2 where id = $1 and confirmed = 0

-- query: get
select id, kind, law, source, state, sealed, received, proved, confirmed, ended from request_case
where id = $3 and ($1 = 1 or exists (select 1 from request_share s where s.request = id and s.tenant = $2))

-- A customer sees what it has a share of; the operator all but what nobody proved.
-- query: list
select id, kind, law, source, state, sealed, received, proved, confirmed, ended from request_case
where id < $3 and state not in ('unproved', 'lapsed') and ($1 = 1 or exists (select 1 from request_share s where s.request = id and s.tenant = $2))
order by id desc limit $4

-- A child's data goes before everything else.
-- query: urgent
select id, kind, law, source, state, sealed, received, proved, confirmed, ended from request_case
where kind = 'child' and state = 'open' and ($1 = 1 or exists (select 1 from request_share s where s.request = id and s.tenant = $2))
order by id limit $3

-- query: of_address
select id, kind, law, source, state, sealed, received, proved, confirmed, ended from request_case
where hash = $3 and ($1 = 1 or exists (select 1 from request_share s where s.request = id and s.tenant = $2)) order by id

-- query: shares
select request, tenant, state, due, extended, decided, role, sealed, until from request_share
where request = $3 and ($1 = 1 or tenant = $2) order by tenant

-- query: shift
update request_share set state = $4, due = $5, extended = $6, decided = $7, role = $8, sealed = $9, result = $10, until = $11
where request = $1 and tenant = $2 and state = $3

-- query: result
select result from request_share where request = $1 and tenant = $2 and until > $3

-- query: pending
select count(*) from request_share where request = $1 and state in ('open', 'extended', 'accepted')

-- query: agreed
select count(*) from request_share where request = $1 and state = 'answered'

-- query: late
select count(*) from request_share where state in ('open', 'extended', 'accepted') and due <= $3 and ($1 = 1 or tenant = $2)

-- query: unconfirmed
select id, kind, law, source, state, sealed, received, proved, confirmed, ended from request_case
where confirmed = 0 and state in ('open', 'extended') order by id limit 100

-- query: stuck
select request, tenant, state, due, extended, decided, role, sealed, until from request_share
where state = 'accepted' and decided < $1 order by request limit 100

-- query: lapse
update request_case set state = 'lapsed', ended = $1 where state = 'unproved' and asked < $2

-- query: drop_results
update request_share set result = null, until = 0 where until > 0 and until <= $1

-- query: purge_shares
delete from request_share where request in
  (select id from request_case where ended > 0 and (ended < $1 or (state = 'lapsed' and ended < $2)))

-- query: purge
delete from request_case where ended > 0 and (ended < $1 or (state = 'lapsed' and ended < $2))

-- query: oldest
select coalesce(min(ended), 0) from request_case where ended > 0 and state <> 'lapsed'

-- query: forget_shares
delete from request_share where request in (select id from request_case where hash = $1)

-- query: forget
delete from request_case where hash = $1

-- query: cases_of_tenant
select request from request_share where tenant = $1 and request > $2 order by request limit $3

-- query: drop_share
delete from request_share where request = $1 and tenant = $2

-- query: drop_alone
-- A case that was this customer's alone.
delete from request_case where id = $1 and not exists (select 1 from request_share where request = $1)

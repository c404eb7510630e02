-- What still has to be delivered. message and body hold the content until the
-- last recipient is settled; queue holds one row per recipient.

-- migration: 1
create table message (
  id        int  not null primary key,
  tenant    int  not null,
  direction int  not null,
  class     int  not null,
  size      int  not null,
  place     text not null, -- name in the blob store, or '' when the bytes lie in body
  key       blob not null, -- the content's key, wrapped (class transit, later content)
  sealed    blob not null  -- envelope: sender, peer, needs, subject (class transit, later content)
);
create table body (
  id    int  not null primary key, -- the message
  bytes blob not null              -- sealed chunks under the content's key
);
create table queue (
  id      int  not null primary key,
  message int  not null,
  tenant  int  not null,
  lane    int  not null, -- keyed hash of pool, destination, class and customer
  site    int  not null, -- keyed hash of the recipient's domain, for people's filters and pauses
  state   int  not null check (state between 1 and 4), -- 1 ready, 2 leased, 3 held, 4 paused
  due     int  not null,
  expires int  not null,
  attempt int  not null,
  token   int  not null, -- grows with every lease
  node    int  not null, -- who leased it, or last did
  sealed  blob not null  -- recipient, route, last reply (class transit, later content)
);
-- The due row is found per lane. Leased rows, which is what fresh mail is born
-- as, are in no index but the key and the message's.
create index queue_due on queue (lane, due) where state = 1;
create index queue_message on queue (message);
-- What a person paused: matched when rows are leased.
create table queue_pause (
  id     int  not null primary key,
  tenant int  not null, -- 0: of every customer
  site   int  not null, -- keyed hash of the recipients' domain; 0: every domain
  at     int  not null,
  sealed blob not null  -- domain, reason (class platform)
);
-- The same thing is paused once.
create unique index queue_pause_what on queue_pause (tenant, site);

-- bulk: add_message (id int, tenant int, direction int, class int, size int, place text, key blob, sealed blob)
insert into message (id, tenant, direction, class, size, place, key, sealed)
select id, tenant, direction, class, size, place, key, sealed from rows

-- bulk: add_body (id int, bytes blob)
insert into body (id, bytes) select id, bytes from rows

-- bulk: add (id int, message int, tenant int, lane int, site int, state int, due int, expires int, attempt int, token int, node int, sealed blob)
insert into queue (id, message, tenant, lane, site, state, due, expires, attempt, token, node, sealed)
select id, message, tenant, lane, site, state, due, expires, attempt, token, node, sealed from rows

-- bulk: done (id int, token int)
delete from queue where (id, token) in (select id, token from rows) and state = 2
returning id

-- bulk: take_out (id int, token int)
-- A person takes a row out that no courier has: it goes in the commit that says so.
delete from queue where (id, token) in (select id, token from rows) and state in (1, 3, 4)
returning id

-- bulk: again (id int, token int, state int, due int, sealed blob)
update queue set state = r.state, due = r.due, sealed = r.sealed
from rows r where queue.id = r.id and queue.token = r.token and queue.state = 2
returning queue.id

-- bulk: drop_message (id int)
-- The content goes with its last recipient.
delete from message where id in (select id from rows)
  and not exists (select 1 from queue where queue.message = message.id)
returning id

-- bulk: drop_body (id int)
delete from body where id in (select id from rows)
  and not exists (select 1 from queue where queue.message = body.id)
returning id

-- query: next_lane
-- The next lane that has a ready row, with the time of its earliest.
select lane, due from queue where state = 1 and lane > $1 order by lane, due limit 1

-- query: lease [sqlite]
-- SQLite has one writer and needs no row locks.
update queue set state = 2, node = $1, token = token + 1, attempt = attempt + 1
where id in (select id from queue where state = 1 and lane = $2 and due <= $3 order by due limit $4)
returning id, message, tenant, lane, site, state, due, expires, attempt, token, sealed

-- query: lease [postgres]
-- Nodes that lease from one lane at once skip each other's rows.
update queue set state = 2, node = $1, token = token + 1, attempt = attempt + 1
where id in (select id from queue where state = 1 and lane = $2 and due <= $3 order by due limit $4 for update skip locked)
returning id, message, tenant, lane, site, state, due, expires, attempt, token, sealed

-- query: content
select tenant, direction, class, size, place, key, sealed from message where id = $1

-- query: body
select bytes from body where id = $1

-- query: put_back_ended [sqlite]
-- Lives that ended without settling: what they had leased is ready again.
update queue set state = 1, due = case when attempt > 3 then $2 else due end
where state = 2 and node not in (select value from json_each($1))

-- query: put_back_ended [postgres]
update queue set state = 1, due = case when attempt > 3 then $2 else due end
where state = 2 and node not in (select value::bigint from jsonb_array_elements_text($1::jsonb))

-- query: put_back [sqlite]
-- Leased by this life and not tried.
update queue set state = 1, attempt = attempt - 1
where id in (select value from json_each($1)) and node = $2 and state = 2

-- query: put_back [postgres]
update queue set state = 1, attempt = attempt - 1
where id in (select value::bigint from jsonb_array_elements_text($1::jsonb)) and node = $2 and state = 2

-- query: put_off
-- Leased, and not to be read now.
update queue set state = 1, attempt = attempt - 1, due = $3 where id = $1 and token = $2 and state = 2

-- query: row
select id, message, tenant, lane, site, state, due, expires, attempt, token, sealed from queue
where id = $1 and ($2 = 1 or tenant = $3)

-- query: page
select id, message, tenant, lane, site, state, due, expires, attempt, token, sealed from queue
where id > $1 and ($2 = 1 or tenant = $3) and ($4 = 0 or state = $4) and ($5 = cast(0 as bigint) or site = $5) order by id limit $6

-- query: of_message
select id, message, tenant, lane, site, state, due, expires, attempt, token, sealed from queue
where message = $1 and ($2 = 1 or tenant = $3) order by id limit 100000

-- bulk: by_hand (id int, token int, was int, state int, due int, sealed blob)
-- A person holds, releases or hurries a recipient. A leased row is left to its courier.
update queue set state = r.state, due = r.due, sealed = r.sealed
from rows r where queue.id = r.id and queue.token = r.token and queue.state = r.was and queue.state in (1, 3, 4)
returning queue.id

-- query: old_messages
-- What was accepted in a time and still waits, for keys whose time is over.
select id, tenant, key, sealed from message where id > $1 and id < $2 order by id limit $3

-- query: lost [sqlite]
-- Of these messages those that no recipient waits for.
select id from message where id in (select value from json_each($1)) and not exists (select 1 from queue where queue.message = message.id)

-- query: lost [postgres]
select id from message where id in (select value::bigint from jsonb_array_elements_text($1::jsonb)) and not exists (select 1 from queue where queue.message = message.id)

-- query: drop_lost_body
delete from body where id = $1 and not exists (select 1 from queue where queue.message = body.id)

-- query: drop_lost_message
delete from message where id = $1 and not exists (select 1 from queue where queue.message = message.id)

-- query: old_rows
select id, tenant, sealed from queue where id > $1 and id < $2 order by id limit $3

-- bulk: rewrap_message (id int, old blob, key blob, sealed blob)
update message set key = r.key, sealed = r.sealed
from rows r where message.id = r.id and message.key = r.old
returning message.id

-- bulk: rewrap_row (id int, old blob, sealed blob)
-- A row that its courier sealed again meanwhile has a young seal already; one
-- that was only leased meanwhile has not, so the token does not decide.
update queue set sealed = r.sealed
from rows r where queue.id = r.id and queue.sealed = r.old
returning queue.id

-- query: summary
select site, tenant, state, count(*), min(due), max(attempt), min(id) from queue
where ($1 = 1 or tenant = $2) group by site, tenant, state order by 4 desc limit $3

-- query: resume
-- Rows that a pause had set aside; those that another pause still covers are set aside again when leased.
update queue set state = 1 where id in (
  select id from queue where state = 4 and ($1 = cast(0 as bigint) or tenant = $1) and ($2 = cast(0 as bigint) or site = $2) and ($3 = 1 or tenant = $4) limit $5)

-- query: set_aside
update queue set state = 4, attempt = attempt - 1 where id = $1 and token = $2 and state = 2

-- query: count
select state, count(*) from queue where ($1 = 1 or tenant = $2) group by state

-- query: newest
select coalesce(max(id), 0) from message

-- query: blobs_in_use [sqlite]
select place from message where place in (select value from json_each($1))

-- query: blobs_in_use [postgres]
select place from message where place in (select value from jsonb_array_elements_text($1::jsonb))

-- query: pause_of
select id, at, sealed from queue_pause where tenant = $1 and site = $2

-- query: pause
select tenant, site, at, sealed from queue_pause where id = $1 and ($2 = 1 or tenant = $3)

-- query: add_pause
-- Nothing is added where another node was faster.
insert into queue_pause (id, tenant, site, at, sealed) values ($1, $2, $3, $4, $5) on conflict (tenant, site) do nothing

-- query: change_pause
update queue_pause set sealed = $2 where id = $1

-- query: pauses
select id, tenant, site, at, sealed from queue_pause where ($1 = 1 or tenant = $2) order by id

-- query: drop_pause
delete from queue_pause where id = $1 and ($2 = 1 or tenant = $3)

-- query: places_of_tenant
select id, place from message where tenant = $1 order by id limit $2

-- query: drop_bodies
delete from body where id in (select id from message where tenant = $1 and id <= $2)

-- query: drop_rows
delete from queue where tenant = $1 and message <= $2

-- query: drop_messages
delete from message where tenant = $1 and id <= $2

-- query: drop_pauses
delete from queue_pause where tenant = $1 and tenant <> 0

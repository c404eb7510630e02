-- What happened to mail: for people, erasable, and the one log of events.
-- pos is node << 48 | seq: each node's committer numbers its own rows in commit
-- order, so rows are added at the end of their node's range. The sealed column
-- holds every address, subject and reply (class trace).

-- migration: 1
create table history (
  pos       int  not null primary key,
  id        int  not null,
  message   int  not null,
  recipient int  not null,
  tenant    int  not null,
  direction int  not null,
  kind      int  not null check (kind between 1 and 12),
  at        int  not null,
  attempt   int  not null,
  sealed    blob not null
);
-- The timeline of a message. Message ids grow with time, so this index grows at its end.
create index history_message on history (message);
-- The list of a customer's messages, newest first: one row per message.
create index history_accepted on history (tenant, message) where kind = 1;
-- How far each reader has come in each node's rows.
create table history_reader (
  name text not null,
  node int  not null,
  seq  int  not null,
  primary key (name, node)
);
-- The conversation of one attempt: a record of its own (class transcript).
create table conversation (
  id      int  not null primary key,
  message int  not null,
  tenant  int  not null,
  at      int  not null,
  sealed  blob not null
);

-- migration: 2
-- Under which redactions a customer's records are kept: what a rewriting, when
-- they become stricter, starts from.
create table history_redaction (
  tenant int  not null primary key,
  rules  text not null
);

-- query: redactions
select tenant, rules from history_redaction

-- query: set_redactions
insert into history_redaction (tenant, rules) values ($1, $2)
on conflict (tenant) do update set rules = excluded.rules

-- bulk numbered: add (node int, seq int, id int, message int, recipient int, tenant int, direction int, kind int, at int, attempt int, sealed blob)
insert into history (pos, id, message, recipient, tenant, direction, kind, at, attempt, sealed)
select (node << 48) | seq, id, message, recipient, tenant, direction, kind, at, attempt, sealed from rows

-- bulk: add_conversation (id int, message int, tenant int, at int, sealed blob)
insert into conversation (id, message, tenant, at, sealed)
select id, message, tenant, at, sealed from rows

-- query: of_message
select pos, id, message, recipient, tenant, direction, kind, at, attempt, sealed
from history where message = $1 and ($2 = 1 or tenant = $3) and (at > $4 or at = $4 and pos > $5) order by at, pos limit $6

-- query: ids_of_message
select pos, id from history where message = $1 and ($2 = 1 or tenant = $3)

-- query: of_messages [sqlite]
-- A list goes as one JSON parameter; the two databases unfold JSON differently.
select pos, id, message, recipient, tenant, direction, kind, at, attempt, sealed
from history where message in (select value from json_each($1)) and ($2 = 1 or tenant = $3) order by message desc, at, pos limit $4

-- query: of_messages [postgres]
select pos, id, message, recipient, tenant, direction, kind, at, attempt, sealed
from history where message in (select value::bigint from jsonb_array_elements_text($1::jsonb)) and ($2 = 1 or tenant = $3) order by message desc, at, pos limit $4

-- query: at_positions [sqlite]
select pos, id, message, recipient, tenant, direction, kind, at, attempt, sealed
from history where pos in (select value from json_each($1)) and ($2 = 1 or tenant = $3) order by pos desc

-- query: at_positions [postgres]
select pos, id, message, recipient, tenant, direction, kind, at, attempt, sealed
from history where pos in (select value::bigint from jsonb_array_elements_text($1::jsonb)) and ($2 = 1 or tenant = $3) order by pos desc

-- query: accepted_of_tenant
select message from history
where kind = 1 and tenant = $1 and message < $2 and message >= $3 order by message desc limit $4

-- query: accepted_of_all
select message from history
where kind = 1 and message < $1 and message >= $2 order by message desc limit $3

-- query: since
select pos, id, message, recipient, tenant, direction, kind, at, attempt, sealed
from history where pos > $1 and pos < $2 order by pos limit $3

-- query: nodes
-- The nodes that ever wrote: a loose scan, one step per node.
with recursive n(node) as (
  select min(pos) >> 48 from history
  union all
  select (select min(pos) >> 48 from history where pos >= ((n.node + 1) << 48)) from n where n.node is not null
)
select node from n where node is not null

-- query: tenants
-- A loose scan of the index: one step per customer.
with recursive t(tenant) as (
  select min(tenant) from history where kind = 1
  union all
  select (select min(tenant) from history where kind = 1 and tenant > t.tenant) from t where t.tenant is not null
)
select tenant from t where tenant is not null

-- query: offsets
select node, seq from history_reader where name = $1

-- A reader's first offset on a node; a second process under its name conflicts.
-- bulk: begin_offset (name text, node int, seq int)
insert into history_reader (name, node, seq) select name, node, seq from rows

-- bulk: move_offset (name text, node int, was int, seq int)
update history_reader set seq = r.seq
from rows r where history_reader.name = r.name and history_reader.node = r.node and history_reader.seq = r.was
returning history_reader.name

-- query: conversation
select at, tenant, message, sealed from conversation where id = $1 and ($2 = 1 or tenant = $3)

-- query: rewrite
update history set sealed = $2 where pos = $1 and ($3 = 1 or tenant = $4)

-- query: delete_event
delete from history where pos = $1 and ($2 = 1 or tenant = $3)

-- query: delete_message
delete from history where message = $1 and ($2 = 1 or tenant = $3)

-- query: delete_conversations [sqlite]
delete from conversation where id in (select value from json_each($1)) and ($2 = 1 or tenant = $3)

-- query: delete_conversations [postgres]
delete from conversation where id in (select value::bigint from jsonb_array_elements_text($1::jsonb)) and ($2 = 1 or tenant = $3)

-- query: rewrite_conversation
update conversation set sealed = $2 where id = $1 and ($3 = 1 or tenant = $4)

-- query: first_rows
-- A node's oldest rows, in commit order.
select pos, at from history where pos >= $1 and pos < $2 order by pos limit $3

-- query: backdate
insert into history (pos, id, message, recipient, tenant, direction, kind, at, attempt, sealed)
values ($1, $2, $3, 0, $4, $5, $6, $7, 0, $8)

-- query: conversations
select id, message, tenant, sealed from conversation
where id < $1 and id >= $2 and ($3 = 1 or tenant = $4) and ($5 = cast(0 as bigint) or message = $5) order by id desc limit $6

-- query: first_conversation
select id, at from conversation order by id limit 1

-- query: purge
delete from history where pos in (
  select pos from history where pos >= $1 and pos < $2 and at < $3 and ($5 = 1 or tenant = $6) order by pos limit $4)

-- query: purge_conversations
delete from conversation where id in (select id from conversation where id >= $3 and id < $1 and ($4 = 1 or tenant = $5) order by id limit $2)

-- query: oldest
select coalesce(min(at), 0) from history

-- query: oldest_conversation
select coalesce(min(id), 0) from conversation

-- query: drop_redactions
delete from history_redaction where tenant = $1

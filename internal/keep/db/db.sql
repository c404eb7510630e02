-- The tables that the database keeps about itself.

-- migration: 1
create table keep_number (
  node    int not null,
  bulk    text not null,
  seq     int not null,
  primary key (node, bulk)
);
create table keep_node (
  node    int primary key,
  token   int not null,
  until   int not null
);

-- migration: 2
-- Where the node stands, as its configuration says.
alter table keep_node add column region text not null default '';

-- migration: 3
-- Which folder of which machine: where a store is a folder, others stay out.
alter table keep_node add column place text not null default '';

-- query: numbers
select bulk, seq from keep_number where node = $1

-- query: set_number
insert into keep_number (node, bulk, seq) values ($1, $2, $3)
on conflict (node, bulk) do update set seq = excluded.seq

-- The lowest number whose lease is over is claimed; the token grows, so that a
-- node that lost its lease can tell.
-- query: free_node
select node, token from keep_node where until < $1 and ($2 = 0 or node = $2) order by node limit 1

-- query: last_node
select coalesce(max(node), 0) from keep_node

-- query: node_lease
select token, until from keep_node where node = $1

-- query: take_node
update keep_node set token = token + 1, until = $3, region = $4, place = $5 where node = $1 and token = $2

-- query: add_node
insert into keep_node (node, token, until, region, place) values ($1, 1, $2, $3, $4) on conflict (node) do nothing

-- query: renew_node
update keep_node set until = $3 where node = $1 and token = $2

-- A life that is over and was not put to rest: until is -1 afterwards.
-- query: ended_nodes
select count(*) from keep_node where until >= 0 and until < $1

-- The token grows, so that a node which only was silent finds its life over.
-- query: end_nodes
update keep_node set token = token + 1, until = -1 where until >= 0 and until < $1

-- query: living_nodes
select node, token from keep_node where until >= $1 order by node

-- query: nodes
select node, token, until, region, place from keep_node order by node

-- query: bootstrap
create table if not exists keep_migration (
  package  text not null,
  number   bigint not null,
  checksum text not null,
  at       bigint not null,
  primary key (package, number)
)

-- query: applied
select package, number, checksum from keep_migration order by package, number

-- query: add_applied
insert into keep_migration (package, number, checksum, at) values ($1, $2, $3, $4)

-- What the database really holds, for the comparison with what is declared.
-- query: columns [sqlite]
select m.name, c.name from sqlite_schema m, pragma_table_info(m.name) c
where m.type = 'table' and m.name not like 'sqlite!_%' escape '!' order by m.name, c.cid

-- The two databases describe themselves differently.
-- query: columns [postgres]
select table_name::text, column_name::text from information_schema.columns
where table_schema = current_schema() order by table_name, ordinal_position

-- The tables of a copy, with the columns of their keys in order.
-- query: tables [postgres]
select c.relname::text,
  coalesce((select json_agg(a.attname order by k.n) from pg_index i, unnest(i.indkey) with ordinality k(att, n), pg_attribute a
    where i.indrelid = c.oid and i.indisprimary and a.attrelid = c.oid and a.attnum = k.att), '[]'::json)::text
from pg_class c where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace order by c.relname

-- query: tables [sqlite]
select name, '[]' from sqlite_schema where type = 'table' and name not like 'sqlite!_%' escape '!' order by name

-- Subjects a second time, in sealed chunks (docs/formats/column.md): a message is
-- found by words of its subject without opening its row. The ids are those of
-- messages, so that they grow with time. A part holds messages of one customer
-- and hour; each is written once by the reader and later rewritten whole.

-- migration: 1
create table chunk (
  part    int  not null primary key,
  tenant  int  not null,
  field   text not null,
  hour    int  not null,              -- since 1970
  entries int  not null,
  first   int  not null,              -- smallest id
  last    int  not null,              -- largest id
  wrapped blob not null,              -- the chunk's key, class trace
  sealed  blob not null
);
create index chunk_place on chunk (tenant, field, last);
create index chunk_last on chunk (last);
-- What keeps the reader and those who rewrite out of each other's way. Row 1 moves
-- when a subject was to be dropped that no chunk held: a reader may have it. Row 2 moves
-- when parts were joined: a search that met some of them looks again. Those who
-- rewrite one part at a time need neither: their transactions are serialisable.
create table chunk_turn (
  id int not null primary key,
  n  int not null
);
insert into chunk_turn (id, n) values (1, 1), (2, 1);

-- bulk: add (part int, tenant int, field text, hour int, entries int, first int, last int, wrapped blob, sealed blob)
insert into chunk (part, tenant, field, hour, entries, first, last, wrapped, sealed)
select part, tenant, field, hour, entries, first, last, wrapped, sealed from rows

-- The reader's condition: nothing was dropped since it began to read.
-- bulk: hold_turn (id int, n int)
update chunk_turn set n = r.n from rows r where chunk_turn.id = r.id and chunk_turn.n = r.n returning chunk_turn.id

-- query: turn
select n from chunk_turn where id = $1

-- query: take_turn
update chunk_turn set n = n + 1 where id = $1

-- query: places
select part, hour from chunk
where tenant = $1 and field = $2 and last >= $3 and last < $4 and first <= $5 order by last desc

-- query: look
-- Without the sealed texts: to load keys.
select hour, wrapped from chunk
where tenant = $1 and field = $2 and last >= $3 and last < $4 and first <= $5 order by last desc

-- query: get
select entries, first, last, wrapped, sealed from chunk where part = $1 and tenant = $2 and field = $3 and hour = $4

-- query: put
insert into chunk (part, tenant, field, hour, entries, first, last, wrapped, sealed)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (part) do update set entries = excluded.entries, first = excluded.first, last = excluded.last,
  wrapped = excluded.wrapped, sealed = excluded.sealed

-- query: delete
delete from chunk where part = $1 and tenant = $2

-- query: page_of_tenant
select part, tenant, hour, last from chunk
where tenant = $1 and field = $2 and last >= $3 and last < $4 and first < $5 order by last desc limit $6

-- query: page_of_all
select part, tenant, hour, last from chunk
where field = $1 and last >= $2 and last < $3 and first < $4 order by last desc limit $5

-- query: crowded
-- Hours of customers that would be whole in fewer parts.
select tenant, field, hour from chunk where last >= $1 and last < $2
group by tenant, field, hour having count(*) > (sum(entries) + $3 - 1) / $3 order by hour, tenant limit $4

-- query: parts
select part, entries, first, last from chunk
where tenant = $1 and field = $2 and hour = $3 order by first, part

-- query: purge
delete from chunk where part in (select part from chunk where last < $1 and ($3 = 1 or tenant = $4) order by last limit $2)

-- query: straddling
-- A loose list: at a moment each customer has a part or two.
select part, tenant, field, hour from chunk where last >= $1 and last < $2 and first < $1 and ($4 = 1 or tenant = $5) limit $3

-- query: oldest
select first from chunk order by last limit 1

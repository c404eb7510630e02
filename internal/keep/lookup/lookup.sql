-- Keyed hashes in sorted runs. A run is written once, in one commit, as blocks
-- of 256 entries; a look-up reads about one block of each run. An entry is 28
-- bytes: hash 16, node 4, number 8, big endian, sorted as bytes.

-- migration: 1
create table lookup_index (
  id         int primary key,
  name       text not null unique,
  version    int not null,
  generation int not null
);
create table lookup_offset (
  lookup int not null,
  node   int not null,
  seq    int not null,
  primary key (lookup, node)
);
create table lookup_run (
  lookup  int not null,
  run     int not null,
  entries int not null,
  primary key (lookup, run)
);
create table lookup_last (
  lookup int not null,
  run    int not null,
  node   int not null,
  seq    int not null,
  primary key (lookup, run, node)
);
create table lookup_block (
  id      int primary key,
  lookup  int not null,
  run     int not null,
  first   blob not null,
  entries blob not null
);
create index lookup_block_first on lookup_block (lookup, run, first);

-- query: find_index
select id, version, generation from lookup_index where name = $1

-- query: last_index
select coalesce(max(id), 0) from lookup_index

-- query: add_index
insert into lookup_index (id, name, version, generation) values ($1, $2, 0, 0)

-- query: offsets
select node, seq from lookup_offset where lookup = $1

-- query: last_run
select coalesce(max(run), 0) from lookup_run where lookup = $1

-- query: runs
select count(*), coalesce(sum(entries), 0) from lookup_run where lookup = $1

-- Newest run first. A block that may hold the hash begins at or before it; only
-- the last of those that begin before it, and all that begin with it, can. Where
-- one hash fills several blocks these begin alike: the last has the largest id. Twice,
-- because each database needs to be shown its way: SQLite has no lateral join and
-- would start at the blocks without the cross join (32 ms instead of 1 for 45
-- runs); PostgreSQL does not use the bound as one and reads every block (1 s).
-- query: probe [sqlite]
select b.run, b.id, b.entries
from lookup_run r cross join lookup_block b
where r.lookup = $1 and b.lookup = r.lookup and b.run = r.run
  and b.first <= $2
  and b.first >= coalesce((select x.first from lookup_block x where x.lookup = r.lookup and x.run = r.run and x.first < $2 order by x.first desc limit 1), $2)
order by r.run desc, b.id
-- query: probe [postgres]
select b.run, b.id, b.entries
from lookup_run r cross join lateral (
  (select x.run, x.id, x.entries from lookup_block x
   where x.lookup = r.lookup and x.run = r.run and x.first < $2 order by x.lookup desc, x.run desc, x.first desc, x.id desc limit 1)
  union all
  (select x.run, x.id, x.entries from lookup_block x where x.lookup = r.lookup and x.run = r.run and x.first = $2)
) b
where r.lookup = $1
order by b.run desc, b.id

-- Runs that have an entry at or after a bound stay whole.
-- query: run_lasts
select run, node, seq from lookup_last where lookup = $1 order by run, node

-- query: drop_blocks
delete from lookup_block where lookup = $1 and run = $2

-- query: drop_lasts
delete from lookup_last where lookup = $1 and run = $2

-- query: drop_run
delete from lookup_run where lookup = $1 and run = $2

-- query: drop_block
delete from lookup_block where id = $1

-- query: rewrite_block
update lookup_block set first = $2, entries = $3 where id = $1

-- query: shrink_run
update lookup_run set entries = entries - $3 where lookup = $1 and run = $2

-- query: next_version
update lookup_index set version = version + 1 where id = $1

-- query: next_generation
update lookup_index set version = version + 1, generation = generation + 1 where id = $1

-- Who wrote a run or removed a hash meanwhile moved the version.
-- bulk: take_version (id int, version int)
update lookup_index set version = lookup_index.version + 1
from rows where lookup_index.id = rows.id and lookup_index.version = rows.version
returning lookup_index.id

-- bulk: add_run (lookup int, run int, entries int)
insert into lookup_run (lookup, run, entries) select lookup, run, entries from rows

-- bulk: add_last (lookup int, run int, node int, seq int)
insert into lookup_last (lookup, run, node, seq) select lookup, run, node, seq from rows

-- bulk: add_block (id int, lookup int, run int, first blob, entries blob)
insert into lookup_block (id, lookup, run, first, entries) select id, lookup, run, first, entries from rows

-- bulk: set_offset (lookup int, node int, seq int)
insert into lookup_offset (lookup, node, seq) select lookup, node, seq from rows where true
on conflict (lookup, node) do update set seq = excluded.seq

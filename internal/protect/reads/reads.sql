-- Who read whose data. One row holds the records of one customer and one moment,
-- sealed with a key of the class access, so that they cannot be opened once their
-- period is over, in no copy.

-- migration: 1
create table read_batch (
  id     int  not null primary key,
  tenant int  not null,              -- whose data was read
  node   int  not null,
  first  int  not null,              -- of the reads in it
  last   int  not null,
  count  int  not null,
  sealed blob not null
);
create index read_batch_tenant on read_batch (tenant, last);
create index read_batch_last on read_batch (last);
-- The times in which processes kept records. One that did not end in order may
-- have had records in memory.
create table read_watch (
  id    int not null primary key,
  node  int not null,
  began int not null,
  seen  int not null,                -- when it last was known to run
  ended int not null                 -- 0: it runs, or it died
);

-- query: add
insert into read_batch (id, tenant, node, first, last, count, sealed) values ($1, $2, $3, $4, $5, $6, $7)

-- query: page
select id, tenant, sealed from read_batch
where ($1 = 1 or tenant = $2) and last >= $3 and first <= $4 and id > $5 order by id limit $6

-- query: purge
delete from read_batch where id in (select id from read_batch where last < $1 and ($2 = 1 or tenant = $3) order by last limit $4)

-- query: oldest
select coalesce(min(last), 0) from read_batch

-- query: begin_watch
insert into read_watch (id, node, began, seen, ended) values ($1, $2, $3, $3, 0)

-- query: seen_watch
update read_watch set seen = $2 where id = $1

-- query: end_watch
update read_watch set seen = $2, ended = $2 where id = $1

-- query: watches
select id, node, began, seen, ended from read_watch order by began

-- query: purge_watch
-- The oldest that is left says when records began.
delete from read_watch where seen < $1 and id <> (select min(id) from read_watch)

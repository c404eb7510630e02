-- How much happened, per customer and minute. Numbers only.

-- migration: 1
create table tally (
  tenant   int not null,
  minute   int not null,              -- minutes since 1970
  kind     int not null,              -- flow/history's kinds
  n        int not null,
  primary key (tenant, minute, kind)
);
create index tally_minute on tally (minute);

-- bulk: count (tenant int, minute int, kind int, n int)
insert into tally (tenant, minute, kind, n) select tenant, minute, kind, n from rows where true
on conflict (tenant, minute, kind) do update set n = tally.n + excluded.n

-- query: series
select (minute - $3) / $4, kind, sum(n) from tally
where minute >= $3 and minute < $5 and ($1 = 1 or tenant = $2) group by 1, 2

-- The customers with at least so many of a kind since a minute.
-- query: busy
select tenant, sum(n) from tally where minute >= $1 and kind = $2 group by tenant having sum(n) >= $3 order by tenant

-- query: purge
delete from tally where minute < $1 and ($2 = 1 or tenant = $3)

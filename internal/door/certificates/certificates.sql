-- Certificates, their keys and the ACME account, sealed, shared by all nodes.

-- migration: 1
create table certificate_asset (
  name     text primary key,      -- certmagic's path: names of hosts, which certificates make public
  size     int not null,          -- of what is sealed
  changed  int not null,
  sealed   blob not null
);
create table certificate_lock (
  name   text primary key,
  owner  text not null,           -- one holder of one node
  until  int not null             -- by the database's clock
);

-- query: put
insert into certificate_asset (name, size, changed, sealed) values ($1, $2, $3, $4)
on conflict (name) do update set size = excluded.size, changed = excluded.changed, sealed = excluded.sealed

-- query: get
select sealed from certificate_asset where name = $1

-- query: stat
select size, changed from certificate_asset where name = $1

-- query: under
select name from certificate_asset where substr(name, 1, $2) = $1 order by name limit 10000

-- query: remove
delete from certificate_asset where name = $1 or substr(name, 1, $3) = $2

-- query: lock
insert into certificate_lock (name, owner, until) values ($1, $2, $3)
on conflict (name) do update set owner = excluded.owner, until = excluded.until
where certificate_lock.until <= $4

-- query: extend
update certificate_lock set until = $3 where name = $1 and owner = $2

-- query: unlock
delete from certificate_lock where name = $1 and owner = $2

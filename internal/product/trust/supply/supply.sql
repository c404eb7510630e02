-- The register of sub-processors. Every version of an entry stays; one customer's
-- own go with the customer.

-- migration: 1
create table supply_version (
  processor int  not null,
  number    int  not null,           -- 1, 2, 3 … of this sub-processor
  tenant    int  not null,           -- 0: of all customers; else the one whose data it gets
  announced int  not null,
  effective int  not null,           -- in force from then on, unless an objection waits for its answer
  withdrawn int  not null,           -- 0, or when it was taken back, before it took effect
  removed   int  not null,           -- 1: from then on it is no sub-processor any more
  author    int  not null,           -- the user; 0: the command line or the configuration
  note      text not null,
  text      text not null,           -- the entry as JSON
  primary key (processor, number)
);
-- What each customer is told, once for each version.
create table supply_notice (
  tenant    int not null,
  processor int not null,
  number    int not null,
  told      int not null,            -- since when the API and the console show it
  mailed    int not null,            -- 0: not yet
  primary key (tenant, processor, number)
);
create index supply_notice_mailed on supply_notice (mailed, told);
create table supply_objection (
  id        int  not null primary key,
  tenant    int  not null,
  processor int  not null,
  number    int  not null,
  made      int  not null,
  author    int  not null,           -- the user; 0: the customer's policy
  answered  int  not null,           -- 0: it waits for the operator
  sealed    blob not null,           -- reason and answer
  unique (tenant, processor, number)
);
create index supply_objection_of on supply_objection (processor, number);

-- query: add
insert into supply_version (processor, number, tenant, announced, effective, withdrawn, removed, author, note, text)
values ($1, $2, $3, $4, $5, 0, $6, $7, $8, $9) on conflict (processor, number) do nothing

-- query: all
select v.processor, v.number, v.tenant, v.announced, v.effective, v.withdrawn, v.removed, v.author, v.note, v.text,
  (select count(*) from supply_objection o where o.processor = v.processor and o.number = v.number and o.answered = 0)
from supply_version v order by v.processor, v.number

-- What tells that something changed.
-- query: mark
select (select count(*) from supply_version), (select coalesce(max(withdrawn), 0) from supply_version),
  (select count(*) from supply_objection), (select coalesce(sum(case when answered = 0 then 1 else 0 end), 0) from supply_objection)

-- query: withdraw
update supply_version set withdrawn = $3 where processor = $1 and number = $2 and withdrawn = 0

-- query: tell
insert into supply_notice (tenant, processor, number, told, mailed) values ($1, $2, $3, $4, 0)
on conflict (tenant, processor, number) do nothing

-- query: untold
select tenant, processor, number, told, mailed from supply_notice
where mailed = 0 and (tenant > $1 or tenant = $1 and (processor > $2 or processor = $2 and number > $3))
order by tenant, processor, number limit $4

-- query: mailed
update supply_notice set mailed = $4 where tenant = $1 and processor = $2 and number = $3 and mailed = 0

-- query: notices
select tenant, processor, number, told, mailed from supply_notice
where ($1 = 1 or tenant = $2) and processor = $3 order by tenant, number

-- Unless it was withdrawn, or took effect, meanwhile.
-- query: object
insert into supply_objection (id, tenant, processor, number, made, author, answered, sealed)
select $1, $2, v.processor, v.number, $5, $6, 0, $7 from supply_version v
where v.processor = $3 and v.number = $4 and v.withdrawn = 0 and v.effective > $5
on conflict (tenant, processor, number) do nothing

-- query: objections
select id, tenant, processor, number, made, author, answered, sealed from supply_objection
where ($1 = 1 or tenant = $2) and (processor = $3 or $3 = 0) order by id desc limit $4

-- query: objection
select id, tenant, processor, number, made, author, answered, sealed from supply_objection
where ($1 = 1 or tenant = $2) and id = $3

-- query: answer
update supply_objection set answered = $3, sealed = $4 where id = $1 and tenant = $2 and answered = 0

-- query: drop_objections
delete from supply_objection where tenant = $1

-- query: drop_notices
delete from supply_notice where tenant = $1

-- query: drop_versions
delete from supply_version where tenant = $1

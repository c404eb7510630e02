-- Which access was looked at in a quarter, and what became of it. Identifiers only.

-- migration: 1
create table access_review (
  entry     int  not null primary key, -- of the evidence log
  tenant    int  not null,
  quarter   int  not null,             -- 20264 is the fourth of 2026
  signed    int  not null,
  role      text not null,             -- in which capacity it was signed
  kept      int  not null,
  revoked   int  not null,
  decisions text not null,             -- a line each: what, identifier, keep or revoke
  unique (tenant, quarter)
);

-- query: add
insert into access_review (entry, tenant, quarter, signed, role, kept, revoked, decisions)
values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (tenant, quarter) do nothing

-- query: list
select entry, quarter, signed, role, kept, revoked, decisions from access_review where tenant = $1 order by quarter desc limit $2

-- query: drop_tenant
delete from access_review where tenant = $1

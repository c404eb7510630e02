-- The vulnerability data that the operator imported: of every record, those that
-- name a part of this server.

-- migration: 1
create table vulnerability_data (
  id        int  not null primary key,   -- 1: there is one
  imported  int  not null,
  published int  not null,               -- the newest change in the file
  records   int  not null,               -- in the file
  digest    text not null,               -- SHA-256 of the file
  parts     text not null,               -- SHA-256 of the names of the parts that were looked for
  kept      text not null                -- JSON
);

-- query: data
select imported, published, records, digest, parts, kept from vulnerability_data where id = 1

-- query: put
insert into vulnerability_data (id, imported, published, records, digest, parts, kept) values (1, $1, $2, $3, $4, $5, $6)
on conflict (id) do update set imported = excluded.imported, published = excluded.published, records = excluded.records,
  digest = excluded.digest, parts = excluded.parts, kept = excluded.kept

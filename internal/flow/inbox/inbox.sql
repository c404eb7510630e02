-- The built-in inbox of mailvow dev: what would have left the machine.

-- migration: 1
create table caught (
  id     int  not null primary key,
  tenant int  not null,
  size   int  not null,
  place  text not null, -- name in the blob store, or '' when the bytes lie in bytes
  key    blob not null, -- the content's key, wrapped
  sealed blob not null, -- sender, recipients, subject
  bytes  blob not null
);
create index caught_tenant on caught (tenant, id);

-- query: add
insert into caught (id, tenant, size, place, key, sealed, bytes) values ($1, $2, $3, $4, $5, $6, $7)

-- query: page
select id, tenant, size, sealed from caught
where id < $1 and ($2 = 1 or tenant = $3) order by id desc limit $4

-- query: one
select tenant, size, place, key, sealed, bytes from caught where id = $1 and ($2 = 1 or tenant = $3)

-- query: drop
delete from caught where id = $1 and ($2 = 1 or tenant = $3)

-- query: drop_all
delete from caught where ($1 = 1 or tenant = $2)

-- query: places
select place from caught where place <> '' and ($1 = 1 or tenant = $2)

-- query: oldest
-- What stands beyond the bound, oldest first.
select id from caught order by id desc limit 100 offset $1

-- query: places_in_use [sqlite]
select place from caught where place in (select value from json_each($1))

-- query: places_in_use [postgres]
select place from caught where place in (select value from jsonb_array_elements_text($1::jsonb))

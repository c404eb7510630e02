-- Links that may be used once, and were.

-- migration: 1
create table link_used (
  id       int primary key,
  expires  int not null           -- after it the link is dead anyway
);

-- query: use
insert into link_used (id, expires) values ($1, $2) on conflict (id) do nothing

-- query: used
select count(*) from link_used where id = $1

-- query: purge
delete from link_used where expires < $1

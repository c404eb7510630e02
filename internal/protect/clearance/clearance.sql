-- Who of the operator's people may open personal data for a time, and why. The
-- reason stands sealed.

-- migration: 1
create table access_grant (
  id       int  not null primary key,
  user_id  int  not null,
  customer int  not null,            -- 0: of every customer
  taken    int  not null,
  until    int  not null,
  ended    int  not null,            -- 0 unless it was given back before its end
  sealed   blob not null             -- the reason
);
create index access_grant_user on access_grant (user_id, until);

-- query: add
insert into access_grant (id, user_id, customer, taken, until, ended, sealed) values ($1, $2, $3, $4, $5, 0, $6)

-- A person has one at a time: a new one takes the place of the old.
-- query: end_of
update access_grant set ended = $2 where user_id = $1 and ended = 0 and until > $2

-- query: end
update access_grant set ended = $2 where id = $1 and user_id = $3 and ended = 0 and until > $2

-- query: live
select id, customer from access_grant where user_id = $1 and ended = 0 and taken <= $2 and until > $2 order by id desc limit 1

-- A customer sees those that open its own data.
-- query: list
select id, user_id, customer, taken, until, ended, sealed from access_grant
where ($1 = 1 or customer = $2 or customer = 0) and id < $3 order by id desc limit $4

-- query: get
select id, user_id, customer, taken, until, ended, sealed from access_grant
where id = $3 and ($1 = 1 or customer = $2 or customer = 0)

-- query: of_user
select id, user_id, customer, taken, until, ended, sealed from access_grant where user_id = $1 order by id

-- query: drop_user
delete from access_grant where user_id = $1

-- query: purge
delete from access_grant where until < $1

-- query: oldest
select coalesce(min(until), 0) from access_grant

-- Every version of the platform's policy and of those that customers narrowed.
-- None is ever changed or deleted but with its customer.

-- migration: 1
create table policy_version (
  tenant     int not null,            -- the platform, or a customer
  number     int not null,            -- 1, 2, 3 … of this tenant
  effective  int not null,            -- in force from this moment
  published  int not null,
  withdrawn  int not null,            -- 0, or when it was taken back, before it took effect
  author     int not null,            -- the user; 0: the server itself
  note       text not null,           -- what the change is for, to people
  text       text not null,           -- the document, as it was written
  primary key (tenant, number)
);

-- query: add
insert into policy_version (tenant, number, effective, published, withdrawn, author, note, text)
values ($1, $2, $3, $4, 0, $5, $6, $7) on conflict (tenant, number) do nothing

-- query: list
select tenant, number, effective, published, withdrawn, author, note, text from policy_version
where tenant = $1 and number < $2 order by number desc limit $3

-- query: get
select tenant, number, effective, published, withdrawn, author, note, text from policy_version
where tenant = $1 and number = $2

-- What is in force or will be: of each tenant what is not older than the newest
-- that has taken effect.
-- query: live
select tenant, number, effective, published, withdrawn, author, note, text from policy_version v
where withdrawn = 0 and number >= (
  select coalesce(max(number), 0) from policy_version o where o.tenant = v.tenant and o.withdrawn = 0 and o.effective <= $1
) order by tenant, number

-- What tells that something changed.
-- query: mark
select count(*), coalesce(max(published), 0), coalesce(max(withdrawn), 0) from policy_version

-- query: withdraw
update policy_version set withdrawn = $3 where tenant = $1 and number = $2 and withdrawn = 0 and effective > $3

-- query: drop_tenant
delete from policy_version where tenant = $1

-- Which account was told of which version of a policy, and which it accepted.

-- migration: 1
create table account_notice (
  tenant     int not null,            -- the account
  whose      int not null,            -- whose policy: the platform's, or the account's own
  number     int not null,
  effective  int not null,
  published  int not null,
  mailed     int not null,            -- 0: not yet
  seen       int not null,            -- 0: not yet
  accepted   int not null,            -- 0: not yet
  how        text not null check (how in ('', 'click', 'use')),
  primary key (tenant, whose, number)
);
create index account_notice_mailed on account_notice (mailed, published);

create table announced (
  whose      int not null,
  number     int not null,
  primary key (whose, number)
);

-- query: add
insert into account_notice (tenant, whose, number, effective, published, mailed, seen, accepted, how)
values ($1, $2, $3, $4, $5, 0, 0, 0, '') on conflict (tenant, whose, number) do nothing

-- query: done
insert into announced (whose, number) values ($1, $2) on conflict (whose, number) do nothing

-- query: announced
select count(*) from announced where whose = $1 and number = $2

-- query: unmailed
select tenant, whose, number, effective, published, mailed, seen, accepted, how from account_notice
where mailed = 0 order by published limit 200

-- query: mailed
update account_notice set mailed = $4 where tenant = $1 and whose = $2 and number = $3 and mailed = 0

-- query: list
select tenant, whose, number, effective, published, mailed, seen, accepted, how from account_notice
where tenant = $1 order by published desc, number desc limit 100

-- query: unseen
select tenant, whose, number, effective, published, mailed, seen, accepted, how from account_notice
where tenant = $1 and seen = 0 order by published desc, number desc limit 10

-- query: see
update account_notice set seen = case when seen = 0 then $4 else seen end where tenant = $1 and whose = $2 and number = $3

-- query: accept
update account_notice set accepted = $4, how = $5 where tenant = $1 and whose = $2 and number = $3 and accepted = 0

-- query: open
select distinct tenant from account_notice where accepted = 0 and effective <= $1 limit 100000

-- query: to_accept
select whose, number from account_notice where tenant = $1 and accepted = 0 and effective <= $2 order by whose, number

-- query: use
update account_notice set accepted = $2, how = $3 where tenant = $1 and accepted = 0 and effective <= $2

-- query: drop_tenant
delete from account_notice where tenant = $1

-- query: drop_announced
delete from announced where whose = $1

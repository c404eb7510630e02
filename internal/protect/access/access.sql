-- People, sessions, links, tokens and SMTP credentials. Every secret stands here
-- as a keyed hash; names and addresses stand sealed.

-- migration: 1
create table access_user (
  id         int primary key,
  tenant     int not null,
  email_hash blob not null unique,
  sealed     blob not null,              -- e-mail address and name
  password   text not null,              -- Argon2id in PHC form, or empty
  role       text not null check (role in ('operator', 'custodian', 'owner', 'admin', 'developer', 'viewer', 'auditor')),
  state      text not null check (state in ('active', 'suspended')),
  created    int not null,
  changed    int not null,
  seen       int not null,
  until      int not null,              -- when an auditor's access ends; 0: it does not
  check (role not in ('operator', 'custodian') or tenant = 1),
  check ((role = 'auditor') = (until > 0))
);
create index access_user_tenant on access_user (tenant, id);
create table access_session (
  id       int primary key,
  hash     blob not null unique,
  user_id  int not null,
  created  int not null,
  seen     int not null,
  until    int not null
);
create index access_session_user on access_session (user_id);
create table access_link (
  hash     blob primary key,
  user_id  int not null,
  until    int not null
);
create table access_token (
  id       int primary key,
  tenant   int not null,
  user_id  int not null,                 -- who made it; 0 for the command line
  hash     blob not null unique,
  sealed   blob not null,                -- its name
  scopes   text not null,
  created  int not null,
  until    int not null,                 -- 0: until it is deleted
  used     int not null
);
create index access_token_tenant on access_token (tenant, id);
create table access_credential (
  id        int primary key,
  tenant    int not null,
  kind      text not null check (kind in ('password', 'network')),
  username  text unique,
  hash      blob,                        -- of username and password
  sealed    blob not null,               -- name, SCRAM verifier or network
  created   int not null,
  used      int not null,
  check ((kind = 'password') = (username is not null and hash is not null))
);
create index access_credential_tenant on access_credential (tenant, id);

-- query: add_user
insert into access_user (id, tenant, email_hash, sealed, password, role, state, created, changed, seen, until)
values ($1, $2, $3, $4, $5, $6, 'active', $7, $7, 0, $8) on conflict (email_hash) do nothing

-- query: user
select id, tenant, sealed, password, role, state, created, seen, until from access_user
where id = $3 and ($1 = 1 or tenant = $2)

-- query: user_by_email
select id, tenant, sealed, password, role, state, created, seen, until from access_user
where email_hash = $3 and ($1 = 1 or tenant = $2)

-- query: users
select id, tenant, sealed, password, role, state, created, seen, until from access_user
where ($1 = 1 or tenant = $2) and id < $3 order by id desc limit $4

-- query: change_user
update access_user set email_hash = $4, sealed = $5, password = $6, role = $7, state = $8, changed = $9, until = $10
where id = $3 and ($1 = 1 or tenant = $2)

-- query: rehash
update access_user set password = $3 where id = $1 and password = $2

-- query: seen_user
update access_user set seen = $2 where id = $1

-- query: delete_user
delete from access_user where id = $3 and ($1 = 1 or tenant = $2)

-- The owners besides one user: a customer must keep one who can sign in.
-- query: other_owners
select count(*) from access_user where tenant = $1 and role = $2 and state = 'active' and id <> $3

-- query: add_session
insert into access_session (id, hash, user_id, created, seen, until) values ($1, $2, $3, $4, $4, $5)

-- query: session
select s.id, s.seen, s.until, u.id, u.tenant, u.role, u.until from access_session s
join access_user u on u.id = s.user_id where s.hash = $1 and u.state = 'active'

-- query: seen_session
update access_session set seen = $2 where id = $1

-- query: delete_session
delete from access_session where id = $1 and user_id = $2

-- query: delete_sessions
delete from access_session where user_id = $1

-- query: delete_old_sessions
delete from access_session where until <= $1 or seen <= $2

-- query: add_link
insert into access_link (hash, user_id, until) values ($1, $2, $3)

-- query: link
select l.until, u.id, u.tenant, u.role, u.until from access_link l
join access_user u on u.id = l.user_id where l.hash = $1 and u.state = 'active'

-- query: use_link
delete from access_link where hash = $1

-- query: delete_links
delete from access_link where user_id = $1

-- query: delete_old_links
delete from access_link where until <= $1

-- query: add_token
insert into access_token (id, tenant, user_id, hash, sealed, scopes, created, until, used)
values ($1, $2, $3, $4, $5, $6, $7, $8, 0)

-- query: token
select t.id, t.tenant, t.user_id, coalesce(u.role, ''), t.scopes, t.until, t.used from access_token t
left join access_user u on u.id = t.user_id and u.state = 'active' where t.hash = $1

-- query: tokens
select id, tenant, user_id, sealed, scopes, created, until, used from access_token
where ($1 = 1 or tenant = $2) and id < $3 order by id desc limit $4

-- query: used_token
update access_token set used = $2 where id = $1

-- query: delete_token
delete from access_token where id = $3 and ($1 = 1 or tenant = $2)

-- query: add_credential
insert into access_credential (id, tenant, kind, username, hash, sealed, created, used)
values ($1, $2, $3, $4, $5, $6, $7, 0)

-- query: credential
select id, tenant, hash, sealed, used from access_credential where username = $1 and kind = 'password'

-- query: credentials
select id, tenant, kind, coalesce(username, ''), sealed, created, used from access_credential
where ($1 = 1 or tenant = $2) and id < $3 order by id desc limit $4

-- query: networks
select id, tenant, sealed from access_credential where kind = 'network' order by id limit $1

-- query: used_credential
update access_credential set used = $2 where id = $1

-- query: delete_credential
delete from access_credential where id = $3 and ($1 = 1 or tenant = $2)

-- query: password_hashes
select id, password from access_user where password <> '' and id > $1 order by id limit 1000

-- query: drop_sessions
delete from access_session where user_id in (select id from access_user where tenant = $1)

-- query: drop_links
delete from access_link where user_id in (select id from access_user where tenant = $1)

-- query: drop_users
delete from access_user where tenant = $1

-- query: drop_tokens
delete from access_token where tenant = $1

-- query: drop_credentials
delete from access_credential where tenant = $1

-- query: tokens_by
select id from access_token where user_id = $1 order by id

-- query: delete_tokens_by
delete from access_token where user_id = $1

-- query: shut_user
update access_user set state = $4, changed = $5 where id = $3 and ($1 = 1 or tenant = $2)

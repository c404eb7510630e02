-- Incidents, their notices to customers, and the customers whose exports are frozen.

-- migration: 1
create table incident (
  id       int  not null primary key,
  state    text not null check (state in ('open', 'contained', 'closed')),
  drill    int  not null,
  aware    int  not null,
  opened   int  not null,
  closed   int  not null,            -- 0: not
  revision int  not null,
  sealed   blob not null             -- title, report, scope, who was told, what containing did
);
create index incident_state on incident (state, id);
create table incident_notice (
  id        int  not null primary key,
  incident  int  not null,
  tenant    int  not null,
  due       int  not null,
  sent      int  not null,           -- 0: not
  delivered int  not null,           -- 0: not known
  failed    int  not null,           -- 0: not known to have failed
  messages  text not null,           -- ids, as JSON
  nobody    int  not null            -- 1: the customer has no contact
);
create unique index incident_notice_of on incident_notice (incident, tenant);
create index incident_notice_tenant on incident_notice (tenant, incident);
create table incident_freeze (
  incident int not null,
  tenant   int not null,
  at       int not null,
  primary key (incident, tenant)
);
create index incident_freeze_tenant on incident_freeze (tenant);

-- query: add
insert into incident (id, state, drill, aware, opened, closed, revision, sealed) values ($1, $2, $3, $4, $5, 0, 1, $6)

-- query: get
select id, state, drill, aware, opened, closed, revision, sealed from incident where id = $1

-- query: list
select id, state, drill, aware, opened, closed, revision, sealed from incident where id < $1 order by id desc limit $2

-- query: unclosed
select id, state, drill, aware, opened, closed, revision, sealed from incident where state <> 'closed' order by id

-- query: put
update incident set state = $3, aware = $4, closed = $5, revision = revision + 1, sealed = $6 where id = $1 and revision = $2

-- query: add_notice
insert into incident_notice (id, incident, tenant, due, sent, delivered, failed, messages, nobody)
values ($1, $2, $3, $4, 0, 0, 0, '[]', 0) on conflict (incident, tenant) do nothing

-- query: due_notice
update incident_notice set due = $3 where incident = $1 and tenant = $2

-- query: drop_notice
delete from incident_notice where incident = $1 and tenant = $2 and sent = 0

-- query: notices
select id, incident, tenant, due, sent, delivered, failed, messages, nobody from incident_notice
where incident = $3 and ($1 = 1 or tenant = $2) order by tenant

-- query: notices_of
-- What a customer was sent.
select id, incident, tenant, due, sent, delivered, failed, messages, nobody from incident_notice
where tenant = $1 and sent > 0 and id < $2 order by id desc limit $3

-- query: sent_notice
update incident_notice set sent = $2, failed = 0, messages = $3, nobody = $4 where id = $1

-- query: under_way
select id, incident, tenant, due, sent, delivered, failed, messages, nobody from incident_notice
where sent > 0 and delivered = 0 and failed = 0 order by id limit 500

-- query: fate
update incident_notice set delivered = $2, failed = $3 where id = $1 and delivered = 0

-- query: freeze
insert into incident_freeze (incident, tenant, at) values ($1, $2, $3) on conflict (incident, tenant) do nothing

-- query: thaw
delete from incident_freeze where incident = $1

-- query: frozen
select count(*) from incident_freeze where $1 = 1 or tenant = $2

-- query: purge_notices
delete from incident_notice where incident in (select id from incident where closed > 0 and closed < $1)

-- query: purge
delete from incident where closed > 0 and closed < $1

-- query: purge_drills
delete from incident where drill = 1 and closed > 0 and closed < $1

-- query: purge_drill_notices
delete from incident_notice where incident in (select id from incident where drill = 1 and closed > 0 and closed < $1)

-- query: oldest
select coalesce(min(closed), 0) from incident where closed > 0 and drill = 0

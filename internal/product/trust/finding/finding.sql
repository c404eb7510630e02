-- The register of findings: weaknesses that somebody or something found, until
-- they are mended. What was found stands sealed: until it is mended it is a secret.

-- migration: 1
create table weakness (
  id       int  not null primary key,
  tenant   int  not null,
  source   text not null check (source in ('test', 'audit', 'report', 'scan', 'vulnerability')),
  severity text not null check (severity in ('critical', 'high', 'medium', 'low')),
  state    text not null check (state in ('open', 'mending', 'mended', 'dismissed')),
  owner    int  not null,            -- the user who mends it; 0: nobody yet
  found    int  not null,
  moved    int  not null,            -- into its state
  marker   text not null,            -- names it for a scan that finds it again; '' for people's
  sealed   blob not null             -- title, detail, why it was dismissed
);
create index weakness_tenant on weakness (tenant, id);
create index weakness_marker on weakness (tenant, marker);

-- query: add
insert into weakness (id, tenant, source, severity, state, owner, found, moved, marker, sealed)
values ($1, $2, $3, $4, 'open', $5, $6, $7, $8, $9)

-- query: list
select id, tenant, source, severity, state, owner, found, moved, marker, sealed from weakness
where ($1 = 1 or tenant = $2) and id < $3 order by id desc limit $4

-- query: get
select id, tenant, source, severity, state, owner, found, moved, marker, sealed from weakness
where id = $3 and ($1 = 1 or tenant = $2)

-- query: pending
select id, tenant, source, severity, state, owner, found, moved, marker, sealed from weakness
where ($1 = 1 or tenant = $2) and state in ('open', 'mending') order by id

-- query: marked
select id, tenant, source, severity, state, owner, found, moved, marker, sealed from weakness
where ($1 = 1 or tenant = $2) and marker = $3 order by id desc limit 1

-- A move counts only from the state that was seen.
-- query: move
update weakness set state = $5, owner = $6, moved = $7, sealed = $8
where id = $3 and ($1 = 1 or tenant = $2) and state = $4

-- query: drop
delete from weakness where id = $3 and ($1 = 1 or tenant = $2)

-- What people attest: that somebody was trained, that a test was made, that a
-- provider was assessed. What names anybody and the evidence file stand sealed.

-- migration: 1
create table attestation (
  id        int  not null primary key,
  tenant    int  not null,
  kind      text not null check (kind in ('training', 'screening', 'secrecy', 'audit', 'penetration_test', 'provider_report', 'provider_certificate', 'data_centre', 'vendor_assessment')),
  user_id   int  not null,            -- whose, of the kinds about a person; else 0
  issued    int  not null,
  until     int  not null,
  created   int  not null,
  withdrawn int  not null,            -- 0 unless it was
  sealed    blob not null             -- about whom or what, the note, the file's name, type, size and hash
);
create index attestation_tenant on attestation (tenant, id);
create index attestation_user on attestation (user_id, kind, until);
create table attestation_file (
  id     int  not null primary key,
  tenant int  not null,
  sealed blob not null
);

-- query: add
insert into attestation (id, tenant, kind, user_id, issued, until, created, withdrawn, sealed)
values ($1, $2, $3, $4, $5, $6, $7, 0, $8)

-- query: add_file
insert into attestation_file (id, tenant, sealed) values ($1, $2, $3)

-- query: list
select id, tenant, kind, user_id, issued, until, created, withdrawn, sealed from attestation
where ($1 = 1 or tenant = $2) and id < $3 order by id desc limit $4

-- query: get
select id, tenant, kind, user_id, issued, until, created, withdrawn, sealed from attestation
where id = $3 and ($1 = 1 or tenant = $2)

-- query: file
select sealed from attestation_file where id = $3 and ($1 = 1 or tenant = $2)

-- query: of_user
select id, tenant, kind, user_id, issued, until, created, withdrawn, sealed from attestation
where user_id = $3 and ($1 = 1 or tenant = $2) order by id

-- query: valid_kinds
select count(distinct kind) from attestation
where user_id = $1 and kind in ('training', 'screening') and withdrawn = 0 and issued <= $2 and until > $2

-- query: withdraw
update attestation set withdrawn = $4 where id = $3 and ($1 = 1 or tenant = $2) and withdrawn = 0

-- query: drop_user_files
delete from attestation_file where id in (select id from attestation where user_id = $3 and ($1 = 1 or tenant = $2))

-- query: drop_user
delete from attestation where user_id = $3 and ($1 = 1 or tenant = $2)

-- query: purge_files
delete from attestation_file where id in (select id from attestation where until < $1)

-- query: purge
delete from attestation where until < $1

-- query: oldest
select coalesce(min(until), 0) from attestation

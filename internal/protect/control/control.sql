-- The newest finding of each promise: the platform's, and that of each customer for
-- whom the promise is judged under their policy. All processes read the same.

-- migration: 1
create table finding (
  promise  text not null,
  tenant   int  not null, -- 0: the platform's own
  status   text not null check (status in ('kept', 'failing', 'not_applicable', 'attested', 'not_yet')),
  evidence text not null, -- what was observed, in words
  checked  int  not null,
  since    int  not null, -- failing without a break since then; 0: not failing
  primary key (promise, tenant)
);

-- query: note
insert into finding (promise, tenant, status, evidence, checked, since) values ($1, $2, $3, $4, $5, $6)
on conflict (promise, tenant) do update set
  status = excluded.status, evidence = excluded.evidence, checked = excluded.checked,
  since = case when excluded.since > 0 and finding.since > 0 then finding.since else excluded.since end

-- The second and third argument are those of a scope: all, tenant.
-- query: of
select promise, tenant, status, evidence, checked, since from finding
where ($1 = '' or promise = $1) and ($2 = 1 or tenant = 0 or tenant = $3) order by promise, tenant

-- Findings of customers that were not judged again: they have gone.
-- query: drop_gone
delete from finding where promise = $1 and tenant <> 0 and checked < $2

-- query: drop_tenant
delete from finding where tenant = $1 and tenant <> 0

-- The ends of customers' contracts, and what a law keeps of those that ended.

-- migration: 1
create table ending (
  id          int  not null primary key, -- the certificate's number
  tenant      int  not null,
  state       text not null check (state in ('ordered', 'exporting', 'waiting', 'destroying', 'ended', 'undone')),
  role        text not null,             -- in which capacity it was ordered
  reason      text not null,             -- a word
  ordered     int  not null,
  closes      int  not null,             -- the contract's end
  due         int  not null,             -- when the destroying begins
  deadline    int  not null,             -- by when everything is to be gone
  fetched     int  not null,             -- when the customer last fetched the export; 0: never
  ended       int  not null,             -- when it ended or was undone; 0: it is under way
  step        int  not null,             -- how many steps of the destroying are done
  policy      text not null,             -- its label, when the destroying began
  counts      text not null,             -- what was read, destroyed and kept, by category: numbers
  certificate text not null,             -- the document, or ''
  key         blob,                      -- of what is sealed here and kept; null once nothing of that is left
  sealed      blob                       -- the customer's name, and who gets the certificate; null once they have it
);
-- One end of a contract at a time.
create unique index ending_live on ending (tenant) where state <> 'undone';
-- What a law keeps: some records of one category that end on the same day, under the ending's key.
create table ending_kept (
  ending   int  not null,
  n        int  not null,
  tenant   int  not null,
  category text not null,
  until    int  not null,
  records  int  not null,
  sealed   blob not null,
  primary key (ending, n)
);
create index ending_kept_until on ending_kept (until);

-- query: add
insert into ending (id, tenant, state, role, reason, ordered, closes, due, deadline, fetched, ended, step, policy, counts, certificate, key, sealed)
values ($1, $2, 'ordered', $3, $4, $5, $6, $7, $8, 0, 0, 0, '', '[]', '', $9, $10)

-- query: bring_back
-- What a restored backup does not know of.
insert into ending (id, tenant, state, role, reason, ordered, closes, due, deadline, fetched, ended, step, policy, counts, certificate)
values ($1, $2, 'ended', $3, $4, $5, $5, $5, $5, 0, $6, 0, '', '[]', $7)
on conflict (id) do update set state = 'ended', ended = excluded.ended, certificate = excluded.certificate, sealed = null

-- query: drop_others
-- Another end of the same contract that a restored backup brought along.
delete from ending where tenant = $1 and id <> $2 and state <> 'undone'

-- query: get
select id, tenant, state, role, reason, ordered, closes, due, deadline, fetched, ended, step, policy, counts, certificate, key, sealed from ending
where id = $3 and ($1 = 1 or tenant = $2)

-- query: live
select id, tenant, state, role, reason, ordered, closes, due, deadline, fetched, ended, step, policy, counts, certificate, key, sealed from ending
where tenant = $1 and state <> 'undone'

-- query: list
select id, tenant, state, role, reason, ordered, closes, due, deadline, fetched, ended, step, policy, counts, certificate, key, sealed from ending
where ($1 = 1 or tenant = $2) and id < $3 order by id desc limit $4

-- query: open
-- What the server still has to do something about.
select id, tenant, state, role, reason, ordered, closes, due, deadline, fetched, ended, step, policy, counts, certificate, key, sealed from ending
where state in ('ordered', 'exporting', 'waiting', 'destroying') or (state = 'ended' and sealed is not null) order by id

-- query: keyed
select id, tenant, key from ending where key is not null

-- query: move
update ending set state = $3, step = $4, policy = $5, counts = $6 where id = $1 and state = $2

-- query: hasten
update ending set closes = $2, due = $3 where id = $1 and state in ('ordered', 'exporting', 'waiting')

-- query: backdate
update ending set ordered = ordered - $2, closes = closes - $2, due = due - $2, deadline = deadline - $2
where tenant = $1 and state in ('ordered', 'exporting', 'waiting')

-- query: undo
update ending set state = 'undone', ended = $2, key = null, sealed = null where id = $1 and state in ('ordered', 'exporting', 'waiting')

-- query: fetched
update ending set fetched = $2 where tenant = $1 and state in ('ordered', 'exporting', 'waiting')

-- query: certify
update ending set state = 'ended', ended = $2, certificate = $3, step = $4, counts = $5 where id = $1 and state = 'destroying'

-- query: told
update ending set sealed = null where id = $1 and state = 'ended'

-- query: rewrap
update ending set key = $3 where id = $1 and key = $2

-- query: keep
insert into ending_kept (ending, n, tenant, category, until, records, sealed) values ($1, $2, $3, $4, $5, $6, $7)

-- query: unkeep
-- A repeat after a crash begins the category anew.
delete from ending_kept where ending = $1 and category = $2

-- query: last_kept
select coalesce(max(n), 0) from ending_kept where ending = $1

-- query: kept
select n, category, until, records, sealed from ending_kept where ending = $1 and tenant = $2 and n > $3 order by n limit $4

-- query: remains
select coalesce(sum(records), 0), coalesce(max(until), 0) from ending_kept where ending = $1 and tenant = $2

-- query: sweep
delete from ending_kept where until <= $1

-- query: forget_keys
-- Nothing stands under them any more.
update ending set key = null where key is not null and sealed is null and state = 'ended'
  and not exists (select 1 from ending_kept where ending_kept.ending = ending.id)

-- query: purge
delete from ending where ended > 0 and ended < $1 and key is null

-- query: oldest
select coalesce(min(ended), 0) from ending where ended > 0 and key is null

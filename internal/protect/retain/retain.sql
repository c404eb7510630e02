-- Where each category and class of keys stands, for people: one process purges,
-- any may be asked. No personal data.

-- migration: 1
create table retention (
  category text not null primary key,
  period   int  not null, -- microseconds; older goes
  before   int  not null, -- what the last pass purged up to
  tried    int  not null,
  ran      int  not null, -- when it last went well; 0: never
  purged   int  not null, -- by the last pass that found something
  gone     int  not null, -- when that was; 0: never
  total    int  not null, -- since the first pass
  oldest   int  not null, -- the oldest record; 0: none, or the store cannot tell
  problem  text not null  -- the kind of fault for which the last pass failed, or ''
);

-- query: note
insert into retention (category, period, before, tried, ran, purged, gone, total, oldest, problem)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (category) do update set
  period = excluded.period, before = excluded.before, tried = excluded.tried, oldest = excluded.oldest, problem = excluded.problem,
  ran = case when excluded.ran > 0 then excluded.ran else retention.ran end,
  purged = case when excluded.purged > 0 then excluded.purged else retention.purged end,
  gone = case when excluded.purged > 0 then excluded.gone else retention.gone end,
  total = retention.total + excluded.total

-- query: states
select category, period, before, tried, ran, purged, gone, total, oldest, problem from retention

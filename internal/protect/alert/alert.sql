-- What must be looked at, each once. A text holds identifiers and counts only.

-- migration: 1
create table alert (
  id           int  not null primary key,
  marker       text not null unique,   -- names what it is about: the same thing is one alert
  kind         text not null,
  text         text not null,
  first        int  not null,
  last         int  not null,
  times        int  not null,
  acknowledged int  not null,          -- 0: nobody has seen it yet
  seen_by      int  not null,          -- the user; 0: the command line, or nobody
  cleared      int  not null,          -- 0 while it stands
  told         int  not null           -- 0 until every channel took it
);
create index alert_told on alert (told, id);

-- query: raise
insert into alert (id, marker, kind, text, first, last, times, acknowledged, seen_by, cleared, told)
values ($1, $2, $3, $4, $5, $5, 1, 0, 0, 0, 0)
on conflict (marker) do update set text = excluded.text, last = excluded.last, times = alert.times + 1

-- What was cleared and comes back is new: it is told again, and nobody has seen it.
-- query: again
update alert set first = $2, times = 0, acknowledged = 0, seen_by = 0, cleared = 0, told = 0 where marker = $1 and cleared > 0

-- query: standing
select id, marker, kind, text, first, last, times, acknowledged, seen_by, cleared, told from alert where cleared = 0 order by id desc limit $1

-- query: list
select id, marker, kind, text, first, last, times, acknowledged, seen_by, cleared, told from alert where id < $1 order by id desc limit $2

-- query: get
select id, marker, kind, text, first, last, times, acknowledged, seen_by, cleared, told from alert where id = $1

-- query: untold
select id, marker, kind, text, first, last, times, acknowledged, seen_by, cleared, told from alert where told = 0 and cleared = 0 order by id limit $1

-- query: told
update alert set told = $2 where id = $1

-- query: acknowledge
update alert set acknowledged = $2, seen_by = $3 where id = $1 and acknowledged = 0

-- query: clear
update alert set cleared = $2 where marker = $1 and cleared = 0

-- query: drop
delete from alert where marker = $1

-- query: bound
delete from alert where cleared > 0 and cleared < $1 or id not in (select id from alert order by cleared = 0 desc, id desc limit $2)

-- What the last drill saw, and a restore whose erasures are still to be made
-- again. The backups themselves are listed from where they lie.

-- migration: 1
create table backup_state (
  what    text primary key,        -- drill, restore
  backup  int not null,
  taken   int not null,            -- when the backup was taken
  at      int not null,
  good    bool not null,           -- the drill held; the erasures were made again
  note    text not null            -- why not, in words without personal data
);

-- query: state
select backup, taken, at, good, note from backup_state where what = $1

-- query: set
insert into backup_state (what, backup, taken, at, good, note) values ($1, $2, $3, $4, $5, $6)
on conflict (what) do update set backup = excluded.backup, taken = excluded.taken, at = excluded.at, good = excluded.good, note = excluded.note

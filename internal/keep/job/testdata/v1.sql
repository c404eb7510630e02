-- migration: 1
create table job (
  id       int primary key,
  tenant   int not null,
  kind     text not null,
  state    text not null check (state in ('waiting', 'running', 'done', 'failed', 'cancelled')),
  input    blob,
  cursor   blob,
  done     int not null,
  total    int not null,
  problem  text not null,
  attempts int not null,
  due      int not null,
  instance text not null,
  token    int not null,
  until    int not null,
  created  int not null,
  changed  int not null
);
create index job_open on job (state, due);


-- migration: 1
create table leader_duty (
  duty     text primary key,
  instance text not null,
  token    int not null,
  until    int not null
);


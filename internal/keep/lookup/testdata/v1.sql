-- migration: 1
create table lookup_index (
  id         int primary key,
  name       text not null unique,
  version    int not null,
  generation int not null
);
create table lookup_offset (
  lookup int not null,
  node   int not null,
  seq    int not null,
  primary key (lookup, node)
);
create table lookup_run (
  lookup  int not null,
  run     int not null,
  entries int not null,
  primary key (lookup, run)
);
create table lookup_last (
  lookup int not null,
  run    int not null,
  node   int not null,
  seq    int not null,
  primary key (lookup, run, node)
);
create table lookup_block (
  id      int primary key,
  lookup  int not null,
  run     int not null,
  first   blob not null,
  entries blob not null
);
create index lookup_block_first on lookup_block (lookup, run, first);


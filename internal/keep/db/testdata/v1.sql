-- migration: 1
create table keep_number (
  node    int not null,
  bulk    text not null,
  seq     int not null,
  primary key (node, bulk)
);
create table keep_node (
  node    int primary key,
  token   int not null,
  until   int not null
);


-- Leaves that wait for the sequencer. A row is written in the transaction of
-- the act that it records, and goes once the log holds the leaf under a signed
-- checkpoint. The log is the platform's, so there is no tenant here; a
-- customer's acts carry their tenant inside the leaf.

-- migration: 1
create table evidence_staged (
  id   int not null primary key,
  leaf blob not null
);

-- bulk: stage (id int, leaf blob)
insert into evidence_staged (id, leaf) select id, leaf from rows

-- query: staged
select id, leaf from evidence_staged order by id limit $1

-- bulk: remove (id int)
delete from evidence_staged where id in (select id from rows) returning id

-- Requests of authorities. What names the authority or its case stands sealed.

-- migration: 1
create table lawful_request (
  id       int  not null primary key,
  customer int  not null,            -- whose data is asked for; 0: no customer's in particular
  kind     text not null check (kind in ('data', 'content', 'preservation', 'other')),
  state    text not null check (state in ('open', 'refused', 'narrowed', 'complied')),
  country  text not null,            -- ISO 3166-1 alpha-2
  received int  not null,
  decided  int  not null,            -- 0 while it is open
  persons  int  not null,            -- whose data was given
  exports  int  not null,            -- how often data was taken out for it
  hash     blob not null,            -- of the case number, to find it
  sealed   blob not null             -- authority, case number, law, note
);
create index lawful_request_hash on lawful_request (hash);

-- query: add
insert into lawful_request (id, customer, kind, state, country, received, decided, persons, exports, hash, sealed)
values ($1, $2, $3, 'open', $4, $5, 0, 0, 0, $6, $7)

-- query: list
select id, customer, kind, state, country, received, decided, persons, exports, sealed from lawful_request
where ($1 = 1 or customer = $2) and id < $3 order by id desc limit $4

-- query: get
select id, customer, kind, state, country, received, decided, persons, exports, sealed from lawful_request
where id = $3 and ($1 = 1 or customer = $2)

-- query: by_case
select id, customer, kind, state, country, received, decided, persons, exports, sealed from lawful_request
where hash = $3 and ($1 = 1 or customer = $2) order by id desc limit 1

-- query: decide
update lawful_request set state = $4, decided = $5, persons = $6 where id = $3 and ($1 = 1 or customer = $2) and state = 'open'

-- query: exported
update lawful_request set exports = exports + 1 where id = $1 and state = 'open'

-- What the report counts, in the order in which it came; $3 is a customer that is
-- left out (0 leaves out nobody: no entry of no customer is left out either).
-- query: counted
select customer, kind, state, country, received, persons from lawful_request
where ($1 = 1 or customer = $2) and ($3 = cast(0 as bigint) or customer <> $3) order by id

-- query: drop
delete from lawful_request where customer = $1 and customer <> 0

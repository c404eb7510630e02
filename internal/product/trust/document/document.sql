-- Every published version of every document. None is ever changed or deleted.

-- migration: 1
create table trust_document (
  kind       text not null,
  number     int not null,            -- 1, 2, 3 … of this document
  published  int not null,
  policy     text not null,           -- the policy in force then
  source     blob not null,           -- the paper as JSON: what the other forms were drawn from
  markdown   blob not null,
  pdf        blob not null,
  note       blob not null,           -- the signed note over the three forms
  despite    text not null,           -- promises that were not seen to hold and were published all the same
  reason     text not null,           -- why
  primary key (kind, number)
);

-- query: add
insert into trust_document (kind, number, published, policy, source, markdown, pdf, note, despite, reason)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (kind, number) do nothing

-- query: list
select kind, number, published, policy, source, note, despite, reason from trust_document
where $1 = '' or kind = $1 order by published desc, kind, number desc

-- query: get
select source, markdown, pdf, note from trust_document where kind = $1 and number = $2

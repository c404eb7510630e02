-- Which attributes of a customer's messages identify a person, and as what.

-- migration: 1
create table subject_attribute (
  tenant int  not null,
  name   text not null,   -- the attribute's, as the customer's messages have it
  sort   text not null check (sort in ('name', 'phone', 'customer_number', 'account')),
  primary key (tenant, name)
);

-- query: attributes
select name, sort from subject_attribute where tenant = $1 order by name

-- query: set_attribute
insert into subject_attribute (tenant, name, sort) values ($1, $2, $3)

-- query: drop_tenant
delete from subject_attribute where tenant = $1

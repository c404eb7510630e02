-- One leader for each named duty, by a lease that the database's clock judges.

-- migration: 1
create table leader_duty (
  duty     text primary key,
  instance text not null,
  token    int not null,
  until    int not null
);

-- query: duty
select instance, token, until from leader_duty where duty = $1

-- query: add_duty
insert into leader_duty (duty, instance, token, until) values ($1, $2, 1, $3)

-- query: take_duty
update leader_duty set instance = $2, token = token + 1, until = $3 where duty = $1

-- query: renew_duty
update leader_duty set until = $3 where duty = $1 and token = $2

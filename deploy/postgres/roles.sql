-- The roles, one a kind of process, and the database they share. Run once, and again to change
-- passwords, by whoever may create roles, connected to the database Pagewire is to have:
--
--   MIGRATOR_PASSWORD=… INGRESS_PASSWORD=… API_PASSWORD=… WORKER_PASSWORD=… OPERATOR_PASSWORD=… \
--     psql --dbname pagewire --set ON_ERROR_STOP=1 --file roles.sql
--
-- Then `pagewire migrate` as pagewire_migrator, then grants.sql as the same.

\getenv migrator_password MIGRATOR_PASSWORD
\getenv ingress_password INGRESS_PASSWORD
\getenv api_password API_PASSWORD
\getenv worker_password WORKER_PASSWORD
\getenv operator_password OPERATOR_PASSWORD

select format('create role %I login', name)
from unnest(array[
    'pagewire_migrator', 'pagewire_ingress', 'pagewire_api', 'pagewire_worker', 'pagewire_operator'
]) as name
where to_regrole(name) is null
\gexec

alter role pagewire_migrator password :'migrator_password';
alter role pagewire_ingress password :'ingress_password';
alter role pagewire_api password :'api_password';
alter role pagewire_worker password :'worker_password';
alter role pagewire_operator password :'operator_password';

-- The migrator owns the database and thereby its schema; nobody else makes anything in it.
alter database :"DBNAME" owner to pagewire_migrator;
revoke all on database :"DBNAME" from public;
grant connect on database :"DBNAME"
    to pagewire_ingress, pagewire_api, pagewire_worker, pagewire_operator;

-- A database for Grafana beside Grove's, and a login that has nothing else. Run once, by an administrator, with psql and
-- GRAFANA_DATABASE_PASSWORD in the environment; the compose file's Postgres does so when it is first started.
\getenv password GRAFANA_DATABASE_PASSWORD
CREATE ROLE grafana LOGIN CONNECTION LIMIT 30 PASSWORD :'password';
CREATE DATABASE grafana OWNER grafana;
REVOKE ALL ON DATABASE grafana FROM PUBLIC;

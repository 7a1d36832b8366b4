#!/bin/sh
# Runs once, when PostgreSQL's image creates the primary: the role and database of the service, and the role of the standby.
set -eu
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    --set ccs="$DATABASE_PASSWORD" --set replicator="$REPLICATION_PASSWORD" <<'SQL'
CREATE ROLE ccs LOGIN PASSWORD :'ccs';
CREATE DATABASE ccs OWNER ccs;
-- What the service cannot set itself, because the pooler gives each transaction another connection.
ALTER ROLE ccs SET statement_timeout = '5s';
ALTER ROLE ccs SET plan_cache_mode = 'force_generic_plan';
ALTER ROLE ccs SET enable_seqscan = off;
ALTER ROLE ccs SET enable_bitmapscan = off;
ALTER ROLE ccs SET jit = off;
CREATE ROLE replicator LOGIN REPLICATION PASSWORD :'replicator';
SELECT pg_create_physical_replication_slot('standby');
-- A standby that is away must not fill the disk of the primary.
ALTER SYSTEM SET max_slot_wal_keep_size = '10GB';
SELECT pg_reload_conf();
SQL
echo "host replication replicator all scram-sha-256" >> "$PGDATA/pg_hba.conf"

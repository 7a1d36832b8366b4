#!/bin/sh
# Copies the primary at the first start, then follows it.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # A copy that was interrupted begins anew.
    rm -rf "$PGDATA.new"
    pg_basebackup --pgdata "$PGDATA.new" --write-recovery-conf --slot standby --checkpoint fast
    mv "$PGDATA.new" "$PGDATA"
fi
exec postgres

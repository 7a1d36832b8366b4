"""The access log: a record for each request, on the logger `ccs.access`.

It names paths, never queries, headers or bodies: secrets and values are in those.
"""

import logging
import os
from collections.abc import Sequence

from ccs_server.http.exchanges import Exchange
from ccs_server.http.log import AccessRecord, handle_all

logger = logging.getLogger("ccs.access")
# CCS_ACCESS_LOG switches it, whatever CCS_LOG_LEVEL says of all else.
logger.setLevel(logging.INFO)

# Probes call these every few seconds.
_PROBES = {"/healthz", "/readyz"}


def write(exchanges: Sequence[Exchange]) -> None:
    """Logs the exchanges, but for those of probes."""
    process = os.getpid()
    records = [
        AccessRecord(
            process=process,
            created=exchange.ended,
            request_id=exchange.request_id,
            method=exchange.method,
            path=_decoded(exchange.path),
            status=exchange.status,
            duration=exchange.duration,
        )
        for exchange in exchanges
        if exchange.path not in _PROBES
    ]
    handle_all(logger, records)


def _decoded(path: str) -> str:
    """The path as the client means it, with bytes that are not UTF-8 as escape sequences."""
    return path if path.isascii() else path.encode("latin-1").decode(errors="backslashreplace")

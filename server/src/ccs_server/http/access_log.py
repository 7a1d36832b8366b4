"""The access log: a line for each request, on the logger `ccs.access`.

It names paths, never queries, headers or bodies: secrets and values are in those.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from ccs_server.http.exchanges import Exchange
from ccs_server.http.log import AccessLine, handle_all

logger = logging.getLogger("ccs.access")
# CCS_ACCESS_LOG switches it, whatever CCS_LOG_LEVEL says of all else.
logger.setLevel(logging.INFO)

# Probes call these every few seconds.
_PROBES = {"/healthz", "/readyz"}


def write(exchanges: Sequence[Exchange]) -> None:
    """Logs the exchanges, but for those of probes."""
    lines = [
        AccessLine(
            datetime.fromtimestamp(exchange.ended, UTC),
            exchange.request_id,
            exchange.method,
            _decoded(exchange.path),
            exchange.status,
            round(exchange.duration * 1e5) / 100,
        )
        for exchange in exchanges
        if exchange.path not in _PROBES
    ]
    handle_all(logger, lines)


def _decoded(path: str) -> str:
    """The path as the client means it, with bytes that are not UTF-8 as escape sequences."""
    return path if path.isascii() else path.encode("latin-1").decode(errors="backslashreplace")

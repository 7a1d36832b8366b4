"""The parts of a run. Each is a function that takes the lab and returns figures, ready for JSON."""

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.lab import Lab
from benchmarks.parts import (
    background,
    comparison,
    extension,
    find,
    flood,
    growth,
    index,
    latency,
    limits,
    sessions,
    startup,
    streams,
    tracing,
    transfer,
)

PARTS: Mapping[str, Callable[[Lab], dict[str, Any]]] = {
    "comparison": comparison.run,
    "latency": latency.run,
    "growth": growth.run,
    "huge": growth.run_huge,
    "sessions": sessions.run,
    "find": find.run,
    "flood": flood.run,
    "extension": extension.run,
    "tracing": tracing.run,
    "transfer": transfer.run,
    "streams": streams.run,
    "deletion": background.deletion,
    "purge": background.purge,
    "erasure": background.erasure,
    "index": index.run,
    "limits": limits.run,
    "startup": startup.run,
}

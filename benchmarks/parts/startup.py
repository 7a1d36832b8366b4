"""The time until `ccs serve` responds, with an empty embedded store and with an existing one."""

from statistics import median
from typing import Any

from benchmarks.lab import Lab
from benchmarks.processes import free_port, responding, start, wait_until
from benchmarks.stacks.service import CCS, READY


def run(lab: Lab) -> dict[str, Any]:
    """Starts the service once with an empty store, then three times with the same store."""
    empty = _start(lab)
    existing = [_start(lab) for _ in range(3)]
    return {"empty_seconds": empty, "existing_seconds": median(existing), "existing": existing}


def _start(lab: Lab) -> float:
    port = free_port()
    environment = {"CCS_DATA_DIR": str(lab.directory / "startup")}
    command = [*CCS, "serve", "--port", str(port)]
    program = start("startup", command, lab.directory, environment)
    try:
        return wait_until(responding(port, READY), program)
    finally:
        program.stop()

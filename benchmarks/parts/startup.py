"""How long `ccs serve` takes until it answers: on an empty embedded store, and on one that is there."""

from statistics import median
from typing import Any

from benchmarks.lab import Lab
from benchmarks.processes import answering, free_port, start, wait_until
from benchmarks.stacks.service import CCS, READY


def run(lab: Lab) -> dict[str, Any]:
    """Starts it once on an empty store, then again and again on the same."""
    empty = _start(lab)
    existing = [_start(lab) for _ in range(3)]
    return {"empty_seconds": empty, "existing_seconds": median(existing), "existing": existing}


def _start(lab: Lab) -> float:
    port = free_port()
    environment = {"CCS_DATA_DIR": str(lab.directory / "startup")}
    command = [*CCS, "serve", "--port", str(port)]
    program = start("startup", command, lab.directory, environment)
    try:
        return wait_until(answering(port, READY), program)
    finally:
        program.stop()

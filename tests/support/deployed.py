"""The files in `deploy/`, as Docker Compose and others read them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.request import urlopen

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
HAPROXY = DEPLOY / "haproxy.cfg"
UNIT = DEPLOY / "ccs.service"

# As docs/operate/ship.md has them made.
SECRETS: Mapping[str, str] = {
    "CCS_DATABASE_PASSWORD": "d6f4",
    "CCS_SECRET_KEY": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "POSTGRES_PASSWORD": "b23c",
    "REPLICATION_PASSWORD": "a8e1",
    "GRAFANA_PASSWORD": "c0ff",
}


def read_compose(environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs `docker-compose config`, which needs no Docker engine."""
    program = Path(sys.executable).with_name("docker-compose")
    clean = {name: text for name, text in os.environ.items() if name not in SECRETS}
    return subprocess.run(
        [program, "--file", COMPOSE, "--env-file", os.devnull, "config", "--format", "json"],
        check=False, capture_output=True, text=True, env={**clean, **environment},
    )  # fmt: skip


@cache
def compose() -> dict[str, Any]:
    """The file as Docker Compose understands it, with `SECRETS`."""
    done = read_compose(SECRETS)
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def get(url: str) -> HTTPResponse:
    """Requests a URL of a service on this machine."""
    with urlopen(url, timeout=10) as response:  # noqa: S310 - the loopback
        assert isinstance(response, HTTPResponse)
        return response

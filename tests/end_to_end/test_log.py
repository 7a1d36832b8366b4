"""The log of `ccs serve` on its standard error."""

import json
import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import requests

from tests.support.service import CCS, TIMEOUT_SECONDS, environment, serving
from tests.support.waiting import wait_until


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


PATHS = {
    "/v1/account/a/airline/properties/caf%C3%A9": "/v1/account/a/airline/properties/café",
    "/v1/brand/a/airline/properties/x": "/v1/brand/a/airline/properties/x",
    "/v1/brand/a/airline": "/v1/brand/a/airline",
    "/v1/brand/a/airline/": "/v1/brand/a/airline/",
    "/v1/account/a/airline/properties/%FF": "/v1/account/a/airline/properties/\\xff",
}


def test_paths_are_logged_as_they_were_sent(database_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    env = environment(CCS_DATABASE_URL=database_url)
    with log.open("w") as file, serving("--workers", "1", env=env, log=file) as server:
        for target in PATHS:
            requests.get(f"{server.url}{target}", timeout=TIMEOUT_SECONDS)
        assert server.stop() == 0
    # On a busy machine there may be other lines, for example about a slow stop.
    assert [line["path"] for line in lines(log) if "path" in line] == list(PATHS.values())


def test_every_line_is_json(database_url: str, tmp_path: Path) -> None:
    """This includes lines of other modules: here, that a worker has died, and everything at debug level."""
    log = tmp_path / "log"
    env = environment(CCS_DATABASE_URL=database_url, CCS_LOG_LEVEL="debug")
    with log.open("w") as file, serving("--workers", "1", env=env, log=file) as server:
        requests.get(f"{server.url}/v1/account/a", timeout=TIMEOUT_SECONDS)
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        os.kill(int(children.read_text()), signal.SIGKILL)
        wait_until(lambda: "Unexpected exit" in log.read_text())
        assert server.stop() == 0
    said = [line for line in lines(log) if "message" in line]
    assert any(line["level"] == "ERROR" and line["logger"] == "_granian" for line in said)
    assert all({"time", "level", "logger", "process", "message"} <= line.keys() for line in said)


def test_a_log_that_is_not_read_does_not_block_requests(database_url: str) -> None:
    """Lines are dropped and counted, and the log reports this when it is read again. Stopping does not wait either."""
    read_end, write_end = os.pipe()
    env = environment(CCS_DATABASE_URL=database_url)
    with (
        os.fdopen(write_end, "w") as pipe,
        os.fdopen(read_end, "rb") as reader,
        serving("--workers", "1", env=env, log=pipe) as server,
        requests.Session() as session,
    ):
        pipe.close()
        # Long paths, so that fewer lines fill the buffer.
        path = f"/v1/account/a/{'x' * 8000}"

        def fill(at_least: int) -> int:
            """Sends requests until lines of the log are dropped; returns how many."""
            before, count = dropped(), 0
            while count < at_least or dropped() == before:
                for _ in range(50):
                    assert session.delete(server.url + path, timeout=5).status_code == 401
                count += 50
                assert count < 5000, "no line was dropped"
            return count

        def dropped() -> int:
            page = requests.get(f"{server.operations}/metrics", timeout=5).text
            found = re.search(r"^ccs_log_lines_dropped_total (\S+)", page, re.MULTILINE)
            return int(float(found[1])) if found else 0

        # The pipe's buffer holds 406 lines of the usual length.
        sent = fill(at_least=450)
        seen = b""
        told = re.compile(rb'"message":"(\d+) lines of the log were dropped')
        while sum(map(int, told.findall(seen))) + seen.count(b'"status":401') < sent:
            seen += reader.read1(1 << 16)
        assert told.search(seen)
        seen += reader.readline() if not seen.endswith(b"\n") else b""
        assert all(json.loads(line) for line in seen.splitlines())
        fill(at_least=1)
        begin = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begin < 10


def test_on_a_terminal_lines_are_plain_text(database_url: str) -> None:
    primary, terminal = pty.openpty()
    env = environment(CCS_DATABASE_URL=database_url)
    command = [*CCS, "serve", "--port", "0", "--json", "--workers", "1"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=terminal) as process:
        os.close(terminal)
        assert process.stdout
        url = json.loads(process.stdout.readline())["url"]
        requests.get(f"{url}/v1/account/caf%C3%A9%1B[2J%0A", timeout=TIMEOUT_SECONDS)
        shown = ""
        while "café" not in shown:
            shown += os.read(primary, 1 << 16).decode()
        process.terminate()
        assert process.wait(TIMEOUT_SECONDS) == 0
    os.close(primary)
    [line] = shown.splitlines()
    assert re.search(r"\x1b\[33m401\x1b\[0m", line), line
    assert "GET" in line
    assert "/v1/account/café\\x1b[2J\\n" in line

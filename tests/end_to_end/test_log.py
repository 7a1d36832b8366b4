"""The log of `ccs serve`, as whatever reads its standard error sees it."""

import json
import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.service import CCS, TIMEOUT_SECONDS, Account, environment, serving
from tests.support.waiting import wait_until

# More than a pipe holds: 64 KiB are 406 lines.
REQUESTS = 3000


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/v1/account/a/airline/properties/caf%C3%A9", "/v1/account/a/airline/properties/café"),
        ("/v1/brand/a/airline/properties/x", "/v1/brand/a/airline/properties/x"),
        ("/v1/brand/a/airline", "/v1/brand/a/airline"),
        ("/v1/brand/a/airline/", "/v1/brand/a/airline/"),
        ("/v1/account/a/airline/properties/%FF", "/v1/account/a/airline/properties/\\xff"),
    ],
)
def test_it_names_paths_as_they_are(
    database_url: str, tmp_path: Path, target: str, path: str
) -> None:
    log = tmp_path / "log"
    env = environment(CCS_DATABASE_URL=database_url)
    with log.open("w") as file, serving("--workers", "1", env=env, log=file) as server:
        requests.get(f"{server.url}{target}", timeout=TIMEOUT_SECONDS)
        assert server.stop() == 0
    assert [line["path"] for line in lines(log)] == [path]


def test_every_line_is_json(database_url: str, tmp_path: Path) -> None:
    """What other modules log, too; here that a worker has died, and everything at debug level."""
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


@pytest.mark.parametrize("ends", ["read", "never read"])
def test_a_log_that_nobody_reads_stops_nothing(
    account: Account, database_url: str, ends: str
) -> None:
    """Lines are dropped and counted, the log says so when it is read again, and the end comes in its time."""
    read_end, write_end = os.pipe()
    env = environment(CCS_DATABASE_URL=database_url, CCS_DRAIN_TIME="0.01")
    path = f"/v1/account/{account.id}/orders/properties"
    with (
        os.fdopen(write_end, "w") as pipe,
        os.fdopen(read_end, "rb") as reader,
        serving("--workers", "1", env=env, log=pipe) as quiet,
        requests.Session() as session,
    ):
        pipe.close()

        def ask(number: int) -> None:
            answer = session.get(
                quiet.url + path,
                headers={"maven-api-key": account.key, "X-Request-ID": f"{number}".rjust(100, "x")},
                timeout=5,
            )
            assert answer.status_code == 200

        def dropped() -> int:
            page = requests.get(f"{quiet.operations}/metrics", timeout=5).text
            found = re.search(r"^ccs_log_lines_dropped_total (\S+)", page, re.MULTILINE)
            return int(float(found[1])) if found else 0

        number = 0
        while number < REQUESTS or not dropped():
            number += 1
            ask(number)
            assert number < 10 * REQUESTS, "something must be dropped in the end"
        if ends == "read":
            told = re.compile(rb'"message":"(\d+) lines of the log were dropped')
            seen = b""
            while not told.search(seen):
                seen += reader.read1(1 << 16)
            begin = time.monotonic()
            quiet.process.send_signal(signal.SIGTERM)
            seen += reader.read()
            assert quiet.process.wait(TIMEOUT_SECONDS) == 0
            written = seen.count(b'"status":200')
            assert sum(map(int, told.findall(seen))) + written == number
            assert all(json.loads(line) for line in seen.splitlines())
        else:
            begin = time.monotonic()
            assert quiet.stop() == 0
        assert time.monotonic() - begin < 10


def test_on_a_terminal_lines_are_for_people(database_url: str) -> None:
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

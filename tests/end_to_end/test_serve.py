"""`ccs serve` as a process: its start, its workers and its stop."""

import json
import os
import signal
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import pytest
import requests

from ccs_server.embedded import EmbeddedPostgres
from ccs_server.settings import Settings
from ccs_server.store import credentials, schema
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.signing_keys import encrypt_signing_keys, load_signing_keys
from tests.support.databases import place_new_cluster
from tests.support.service import CCS, TIMEOUT_SECONDS, Server, ccs, environment, serving
from tests.support.template import Process
from tests.support.waiting import wait_until
from tests.trust.processes import signal_tree

READ_NAME = """
from ccs_sdk import ContextClient
with ContextClient() as client:
    print(client.namespace("profile")["name"])
"""


@pytest.fixture
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty data directory; a PostgreSQL that a killed process has left in it is stopped after the test."""
    directory = tmp_path_factory.mktemp("s") / "ccs"
    yield directory
    with EmbeddedPostgres(directory):
        pass


@pytest.fixture
def new_env(data_dir: Path) -> dict[str, str]:
    """The environment of a service that creates its cluster."""
    return environment(CCS_DATA_DIR=str(data_dir), CCS_ACCESS_LOG="off")


@pytest.fixture
def env(data_dir: Path, new_env: dict[str, str]) -> dict[str, str]:
    """The environment of a service whose cluster has never run."""
    place_new_cluster(data_dir)
    return new_env


def children(process: Process) -> list[int]:
    """Returns the worker processes of a `ccs serve`."""
    return [
        int(pid)
        for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ]


def is_ready(server: Server) -> bool:
    return requests.get(f"{server.url}/readyz", timeout=TIMEOUT_SECONDS).status_code == 200


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_property_saved_on_the_first_start_survives_a_kill(new_env: dict[str, str]) -> None:
    command = [*CCS, "serve", "--port", "0"]
    with subprocess.Popen(
        command, env=new_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        lines: list[str] = []
        while not lines or not lines[-1].startswith("curl "):
            lines.append(process.stdout.readline().strip())
            assert process.poll() is None, process.stderr.read()
        read = subprocess.run(  # noqa: S602 - a person would paste it into a shell, too
            lines[-1], shell=True, check=True, capture_output=True, text=True, timeout=60
        )
        assert '"Ada"' in read.stdout
        variables = next(line for line in lines if line.startswith("export "))
        read = subprocess.run(
            ["/bin/sh", "-c", f'{variables}; exec "$0" -c "$1"', sys.executable, READ_NAME],
            check=True, capture_output=True, text=True, env=environment(), timeout=60,
        )  # fmt: skip
        assert read.stdout == "Ada\n"
        docs = next(word for line in lines for word in line.split() if word.endswith("/docs"))
        assert requests.get(docs, timeout=TIMEOUT_SECONDS).status_code == 200
        process.kill()
        assert process.stderr.read() == "", "an ordinary run logs nothing"
    with serving(env=new_env) as server:
        assert "key" not in server.said, "a store that is not empty gets no account"
        key = next(word for word in lines[-1].split("'") if word.startswith("maven-api-key"))
        answer = requests.get(
            f"{server.url}/v1/account/demo/profile/properties/name",
            headers=dict([key.split(": ")]),
            timeout=TIMEOUT_SECONDS,
        )
        assert answer.json() == "Ada"
        assert server.stop() == 0


def test_a_killed_instance_leaves_neither_its_port_nor_shared_memory_in_use(
    env: dict[str, str],
) -> None:
    with serving("--workers", "2", env=env) as server:
        workers = children(server.process)
        stream = requests.get(
            f"{server.url}/ext/v1/demo/changes",
            headers={"maven-api-key": str(server.said["key"]), "Accept": "text/event-stream"},
            stream=True,
            timeout=TIMEOUT_SECONDS,
        )
        assert stream.status_code == 200
        server.process.kill()
        server.process.wait(TIMEOUT_SECONDS)
        wait_until(lambda: not any(exists(pid) for pid in workers))
        stream.close()
    with serving("--port", str(server.port), env=env) as next_one:
        assert is_ready(next_one)


def test_the_command_line_works_while_the_service_runs(env: dict[str, str]) -> None:
    with serving(env=env) as server:
        made = ccs("keys", "create", "acme", "--json", env=env)
        assert made.returncode == 0, made.stderr
        assert is_ready(server), "the end of the command must not stop the database"
        assert server.stop() == 0


def test_two_instances_share_an_embedded_store(env: dict[str, str]) -> None:
    with serving(env=env) as first, serving(env=env) as second:
        headers = {"maven-api-key": str(first.said["key"])}
        path = "/v1/account/demo/shared/properties/p"
        saved = requests.put(f"{first.url}{path}", json=1, headers=headers, timeout=TIMEOUT_SECONDS)
        assert saved.status_code == 204
        assert first.stop() == 0
        read = requests.get(f"{second.url}{path}", headers=headers, timeout=TIMEOUT_SECONDS)
        assert read.json() == 1
        assert second.stop() == 0


def test_an_embedded_postgresql_that_dies_is_started_again(
    env: dict[str, str], data_dir: Path
) -> None:
    with serving(env=env) as server:
        postmaster = int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        wait_until(lambda: not exists(postmaster))
        wait_until(lambda: is_ready(server))
        assert server.stop() == 0


def test_stopping_takes_no_longer_than_the_limit_even_if_postgresql_hangs(
    env: dict[str, str], data_dir: Path
) -> None:
    """PostgreSQL is suspended while requests wait for it."""
    limits = {"CCS_SHUTDOWN_TIMEOUT": "3", "CCS_DRAIN_TIME": "0.2"}
    with serving(env=env | limits) as server, ThreadPoolExecutor(2) as executor:
        postmaster = int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
        signal_tree(postmaster, signal.SIGSTOP)
        try:
            url = f"{server.url}/v1/account/demo/stop/properties"
            headers = {"maven-api-key": str(server.said["key"])}
            for _ in range(2):
                executor.submit(requests.get, url, headers=headers, timeout=TIMEOUT_SECONDS)
            began = monotonic()
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(TIMEOUT_SECONDS)
            # Allow a second for Python itself to exit on a busy machine.
            assert monotonic() - began < 3 + 0.2 + 1
        finally:
            signal_tree(postmaster, signal.SIGCONT)
    wait_until(lambda: not exists(postmaster))


def test_a_start_that_is_interrupted_leaves_no_postgresql(
    new_env: dict[str, str], data_dir: Path
) -> None:
    """The signal is sent as soon as the server runs, long before the service is ready."""
    lock_file = data_dir / "postgres" / "postmaster.pid"
    serve = [*CCS, "serve", "--port", "0", "--workers", "1"]
    with subprocess.Popen(serve, env=new_env, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: lock_file.exists() and lock_file.read_text() != "")
        postmaster = int(lock_file.read_text().split()[0])
        process.terminate()
        assert process.wait(TIMEOUT_SECONDS) == 0
    wait_until(lambda: not exists(postmaster))


def test_the_given_number_of_workers_serve_and_a_dead_one_is_replaced(
    database_url: str,
) -> None:
    env = environment(CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off")
    with serving("--workers", "3", env=env) as server:
        workers = children(server.process)
        assert len(workers) == 3
        os.kill(workers[0], signal.SIGKILL)
        wait_until(lambda: len(set(children(server.process)) - set(workers)) == 1)
        assert is_ready(server)
        assert server.stop() == 0


def test_it_refuses_a_database_with_an_outdated_schema(empty_database_url: str) -> None:
    env = environment(CCS_DATABASE_URL=empty_database_url)
    refused = ccs("serve", "--port", "0", env=env)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith("Error: ")
    assert "ccs migrate" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    with serving("--migrate", env=env) as server:
        assert is_ready(server)
        assert "key" not in server.said, "only an embedded store gets a first account"


def test_readiness_reports_that_it_is_stopping(database_url: str) -> None:
    env = environment(CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off", CCS_DRAIN_TIME="5")
    with serving("--workers", "1", env=env) as server:
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not is_ready(server))
        answer = requests.get(f"{server.url}/healthz", timeout=TIMEOUT_SECONDS)
        assert answer.status_code == 200, "it serves requests until it stops"
        assert answer.headers["Connection"] == "close"
        server.process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_stops_cleanly_on_every_stop_signal(database_url: str, number: signal.Signals) -> None:
    env = environment(CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off")
    with serving("--workers", "1", env=env) as server:
        server.process.send_signal(number)
        assert server.process.wait(TIMEOUT_SECONDS) == 0


def test_every_request_is_logged_even_just_before_the_stop(
    database_url: str, tmp_path: Path
) -> None:
    log, sent = tmp_path / "log", [f"request-{number}" for number in range(150)]
    env = environment(CCS_DATABASE_URL=database_url)
    with log.open("w") as file, serving(env=env, log=file) as server, requests.Session() as session:
        for request_id in sent:
            answer = session.get(f"{server.url}/v1/account/a", headers={"X-Request-ID": request_id})
            assert answer.status_code == 401
        assert server.stop() == 0
    every = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    # On a busy machine there may be other lines, for example about a slow stop.
    lines = [line for line in every if "request_id" in line]
    assert sorted(line["request_id"] for line in lines) == sorted(sent), every
    assert {(line["method"], line["path"], line["status"]) for line in lines} == {
        ("GET", "/v1/account/a", 401)
    }


def test_it_purges_expired_properties(database: Database, database_url: str) -> None:
    insert = Statement.of(
        "test_insert_expired",
        "INSERT INTO property (account, namespace_id, session_id, name, value, size, expires_at)"
        " VALUES ('purged', 1, 's', 'p', '1', 1, now() - interval '1 second')",
    )
    count = Statement.of("test_count", "SELECT FROM property WHERE account = 'purged'")
    database.execute(insert)
    env = environment(CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off", CCS_PURGE_INTERVAL="0.1")
    with serving("--workers", "1", env=env):
        wait_until(lambda: database.execute(count).ntuples == 0)


def test_a_revoked_key_stops_working_within_five_seconds(
    database: Database, database_url: str
) -> None:
    key = credentials.create_key(database, "revoked")
    env = environment(CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off")
    with serving("--workers", "2", env=env) as server:

        def status() -> int:
            return requests.get(
                f"{server.url}/v1/account/revoked/ns/properties",
                headers={"maven-api-key": key.key},
                timeout=TIMEOUT_SECONDS,
            ).status_code

        assert {status() for _ in range(10)} == {200}
        credentials.revoke_key(database, "revoked", key.key_id)
        wait_until(lambda: {status() for _ in range(10)} == {403}, seconds=5)
    assert Settings().credential_cache < 5


def test_a_service_without_the_secret_key_fails_and_creates_no_signing_key(
    empty_database_url: str,
) -> None:
    schema.migrate(empty_database_url)
    right, wrong = (letter * 32 for letter in (b"r", b"w"))

    def opened(*keys: bytes) -> Database:
        return Database(empty_database_url, Settings(secret_key=keys))

    def secret(key: bytes) -> dict[str, str]:
        return environment(
            CCS_DATABASE_URL=empty_database_url,
            CCS_SECRET_KEY=b64encode(key).decode(),
            CCS_CREDENTIAL_CACHE="0.1",
        )

    database = opened(right)
    key, user = (
        credentials.create_key(database, "secret"),
        credentials.create_credential(database, "secret"),
    )
    with serving("--workers", "1", env=secret(right)) as server:

        def log_in() -> requests.Response:
            url = f"{server.url}/v2/authenticate/login"
            auth = (user.username, user.password)
            return requests.post(url, auth=auth, timeout=TIMEOUT_SECONDS)

        assert log_in().status_code == 200
        key_id = load_signing_keys(database, 60).newest.key_id
        assert encrypt_signing_keys(opened(wrong, right)) == [key_id]
        wait_until(lambda: log_in().status_code == 503)
        refused = log_in()
        sentence = f"Signing key {key_id} is encrypted with a key that is not in CCS_SECRET_KEY; add it there."
        assert (refused.json()["message"], refused.headers["Retry-After"]) == (sentence, "1")
        read = requests.get(
            f"{server.url}/v1/account/secret/ns/properties",
            headers={"maven-api-key": key.key},
            timeout=TIMEOUT_SECONDS,
        )
        assert read.status_code == 200

        started = ccs("serve", "--port", "0", env=secret(right))
        assert (started.returncode, started.stdout) == (1, "")
        assert started.stderr.splitlines() == [f"Error: {sentence}"]

        assert encrypt_signing_keys(opened(right, wrong)) == [key_id]
        wait_until(lambda: log_in().status_code == 200)
    assert [each.key_id for each in load_signing_keys(database, 60).keys] == [key_id]
    database.release()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--host", "192.0.2.1"], "192.0.2.1 is not an address of this machine"),
        (["--host", "no such host"], "The host 'no such host' is not known"),
    ],
)
def test_an_invalid_address_is_reported_in_a_sentence(
    database_url: str, arguments: list[str], sentence: str
) -> None:
    refused = ccs("serve", *arguments, env=environment(CCS_DATABASE_URL=database_url))
    assert refused.returncode == 1
    assert sentence in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_an_option_overrides_the_address_in_the_settings(
    database_url: str,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        env = environment(CCS_DATABASE_URL=database_url, CCS_HOST="127.0.0.1", CCS_PORT=port)
        refused = ccs("serve", env=env)
        assert f"Port {port} of 127.0.0.1 is in use" in refused.stderr
        with serving(env=env | {"CCS_HOST": "127.0.0.2"}) as server:
            assert server.url.startswith("http://127.0.0.2:")
            assert server.port != int(port)


def test_a_port_in_use_is_reported_in_a_sentence(database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = ccs("serve", "--port", port, env=environment(CCS_DATABASE_URL=database_url))
    assert refused.returncode == 1
    assert (
        refused.stderr
        == f"Error: Port {port} of 127.0.0.1 is in use; choose another with --port.\n"
    )

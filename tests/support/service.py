"""A real `ccs serve` process for tests, with accounts."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from secrets import token_hex
from tempfile import TemporaryFile
from threading import Timer
from typing import IO, Any, Self
from urllib.parse import urlsplit

import requests

from ccs_server.domain.credentials import hash_secret, new_id, new_key, new_password
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from tests.support.template import Process, start

CCS = (sys.executable, "-m", "ccs_server")
TIMEOUT_SECONDS = 30

_NEW_ACCOUNT = Statement.of(
    "test_new_account",
    """WITH key AS (
        INSERT INTO api_key (account, key_id, key_hash, scope) VALUES ($1, $2, $4::bytea, $6)
    ), user_name AS (
        INSERT INTO credential (account, username, password_hash) VALUES ($1, $3, $5::bytea)
    )
    INSERT INTO audit (account, action, subject, actor)
    VALUES ($1, 'key.created', $2, 'operator'), ($1, 'credential.created', $3, 'operator')""",
)


def _direct_session() -> requests.Session:
    """Returns a session that ignores the environment: looking for proxies takes a fifth of a request's time."""
    session = requests.Session()
    session.trust_env = False
    return session


@dataclass(frozen=True)
class Server:
    """A running `ccs serve`."""

    url: str
    process: Process
    said: dict[str, object]
    """Its output when it was ready (`--json`)."""

    @property
    def operations(self) -> str:
        """The URL of its operations listener."""
        return str(self.said["operations"])

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port
        return port

    def stop(self) -> int:
        """Stops the service with SIGTERM. Returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(TIMEOUT_SECONDS)


def environment(**settings: str) -> dict[str, str]:
    """Returns the environment for a `ccs` process: that of this process without CCS settings, plus `settings`.

    Unless configured otherwise, the operations listener uses a free port, because many services run at once, and a
    service does not drain before it stops, because most tests have no clients left by then.
    """
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("CCS_")}
    return inherited | {"CCS_OPERATIONS_PORT": "0", "CCS_DRAIN_TIME": "0.01"} | settings


def ccs(*arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a `ccs` command until it ends."""
    with TemporaryFile("w+") as errors:
        process = start(*arguments, env=env, stderr=errors)
        overdue = Timer(TIMEOUT_SECONDS, process.kill)
        overdue.start()
        with process.stdout:
            output = process.stdout.read()
        code = process.wait(TIMEOUT_SECONDS)
        overdue.cancel()
        errors.seek(0)
        return subprocess.CompletedProcess(arguments, code, output, errors.read())


@contextmanager
def serving(
    *arguments: str, env: Mapping[str, str], log: IO[str] | None = None
) -> Iterator[Server]:
    """Runs `ccs serve` on a free port for the length of the block. The block may stop it. It logs to `log` if given."""
    process = start("serve", "--port", "0", "--json", *arguments, env=env, stderr=log)
    try:
        ready = process.stdout.readline()
        assert ready, f"ccs serve ended with {process.wait(TIMEOUT_SECONDS)}"
        said = json.loads(ready)
        yield Server(said["url"], process, said)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(TIMEOUT_SECONDS)
        process.stdout.close()


@dataclass
class Account:
    """An account on a server, with a key and a password."""

    server_url: str
    id: str
    key: str = field(repr=False)
    username: str
    password: str = field(repr=False)
    session: requests.Session = field(default_factory=_direct_session, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def v1(self, method: str, path: str, **options: Any) -> requests.Response:
        """Sends a request with the account's key. `path` follows `/v1/account/{id}` and is sent unchanged."""
        return self.call(
            method, f"/v1/account/{self.id}{path}", {"maven-api-key": self.key}, **options
        )

    def v2(self, method: str, path: str, **options: Any) -> requests.Response:
        """Sends a request with a token of the account. `path` follows `/v2` and is sent unchanged."""
        return self.call(method, f"/v2{path}", {"Authorization": f"Bearer {self.token}"}, **options)

    def ext(self, method: str, path: str, **options: Any) -> requests.Response:
        """Sends a request with the account's key. `path` follows `/ext/v1/{id}` and is sent unchanged."""
        return self.call(method, f"/ext/v1/{self.id}{path}", {"maven-api-key": self.key}, **options)

    def ops(
        self, *operations: dict[str, Any], headers: dict[str, str] | None = None, **members: Any
    ) -> requests.Response:
        """Sends operations in one request; those without `ns` are on the session `s1` of `orders`."""
        place = {"ns": "orders", "session": "s1"}
        given = [operation if "ns" in operation else place | operation for operation in operations]
        return self.ext("POST", "/ops", json={"ops": given, **members}, headers=headers)

    def results(self, *operations: dict[str, Any], **members: Any) -> list[dict[str, Any]]:
        """Returns the results of operations that are all done."""
        response = self.ops(*operations, **members)
        assert response.status_code == 200, response.text
        results: list[dict[str, Any]] = response.json()["results"]
        return results

    def call(
        self, method: str, target: str, credential: dict[str, str], **options: Any
    ) -> requests.Response:
        """Sends a request to any path, with options of `requests.Request`. Headers that are None are omitted."""
        options["headers"] = credential | (options.get("headers") or {})
        request = self.session.prepare_request(
            requests.Request(method, f"{self.server_url}/", **options)
        )
        query = (request.url or "").partition("?")[2]
        # `requests` resolves `..` and changes the encoding, so the target is set afterwards.
        request.url = f"{self.server_url}{target}" + (f"?{query}" if query else "")
        return self.session.send(
            request, timeout=TIMEOUT_SECONDS, allow_redirects=False, proxies={}
        )

    @cached_property
    def token(self) -> str:
        """A v2 token, fetched once."""
        response = self.session.post(
            f"{self.server_url}/v2/authenticate/login",
            auth=(self.username, self.password),
            timeout=TIMEOUT_SECONDS,
        )
        response.raise_for_status()
        token: str = response.json()["token"]
        return token


def new_account(server: Server, database: Database, scope: str = "write") -> Account:
    """Creates an account in the server's database, in one round trip since most tests need one.

    Its key has the scope; that of a key which is created without any is `write`.
    """
    name, key_id, username, password = f"test-{token_hex(6)}", new_id(), new_id(), new_password()
    key = new_key(key_id)
    hashes = (rf"\x{hash_secret(secret).hex()}" for secret in (key, password))
    params = (name, key_id, username, *hashes, scope)
    database.execute(_NEW_ACCOUNT, *(param.encode() for param in params))
    return Account(server.url, name, key, username, password)

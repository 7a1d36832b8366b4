"""For any input, the service responds correctly and in time, and keeps running."""

import json
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from time import monotonic, sleep
from typing import TypeVar

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import allow_header_conformance

from ccs_server.embedded import EmbeddedPostgres
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from tests.api.test_openapi import (
    Case,
    agree_with_itself,
    api,
    described_by_the_application,
    follows_the_document,
)
from tests.support import databases, raw_http
from tests.support.service import Account, Server, environment, new_account, serving
from tests.trust import bytes_fuzz, http_rules
from tests.trust.conftest import Form, Record
from tests.trust.operations import operations
from tests.trust.reliability import Topic
from tests.trust.workers import connections, memory, unharmed

OPERATIONS = list(operations(described_by_the_application()))
T = TypeVar("T")

BATCH = 20
GROWTH_MIB = 24
SLOW_SECONDS = 1.0


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "log"


@pytest.fixture(scope="module")
def env(cluster: EmbeddedPostgres) -> dict[str, str]:
    url = databases.create_database(cluster, f"fuzz_{token_hex(6)}")
    return environment(
        CCS_DATABASE_URL=url,
        CCS_ACCESS_LOG="off",
        CCS_REQUEST_TIME=str(SLOW_SECONDS),
        CCS_PURGE_INTERVAL="3600",
        CCS_NAMESPACE_LIMIT="1000000",
    )


@pytest.fixture(scope="module")
def server(env: dict[str, str], log: Path) -> Iterator[Server]:
    """A separate service, whose workers and log these tests check."""
    with log.open("w") as file, serving("--migrate", env=env, log=file) as server:
        yield server


@pytest.fixture
def account(server: Server, env: dict[str, str]) -> Iterator[Account]:
    database = Database(env["CCS_DATABASE_URL"], Settings())
    with new_account(server, database, "admin") as account:
        database.release()
        yield account


# Expected lines: slow clients are disconnected, and deletions of namespaces are logged.
_EXPECTED = re.compile("ccs.(connections|audit)")


@pytest.fixture(autouse=True)
def _alive(server: Server, log: Path) -> Iterator[None]:
    """Checks after each test that the same workers run, and that the log has no unexpected lines."""
    logged = len(log.read_text())
    with unharmed(server):
        yield
    unexpected = [
        line for line in log.read_text()[logged:].splitlines() if not _EXPECTED.search(line)
    ]
    assert not unexpected, "\n".join(unexpected[:40])


@pytest.mark.parametrize("mode", schemathesis.GenerationMode, ids=lambda mode: mode.value)
def test_the_service_conforms_to_its_openapi_document(
    server: Server,
    account: Account,
    mode: schemathesis.GenerationMode,
    form: Form,
    record: Record,
) -> None:
    """Sends requests that conform to the document, and requests that do not."""
    examples = form(short=1, full=450)
    statuses: Counter[int] = Counter()
    for result in api.get_all_operations():
        assert isinstance(result, Ok)
        run = _explored(result.ok().as_strategy(generation_mode=mode), examples)(
            lambda case: statuses.update([_validated(case, server, account)])
        )
        try:
            run()
        except Unsatisfiable:
            # An operation without parameters has no negative cases.
            assert mode.is_negative
    assert not any(status >= 500 for status in statuses)
    record(
        Topic.FUZZ,
        f"Schemathesis, every check, {mode.value} cases: the service conforms to its OpenAPI document",
        f"{statuses.total()} requests, 0 failures, 0 responses of 500 or more",
    )
    assert statuses.total() >= form(short=20, full=10_000)


def _explored(
    strategy: st.SearchStrategy[T], examples: int
) -> Callable[[Callable[[T], None]], Callable[[], None]]:
    def decorate(check: Callable[[T], None]) -> Callable[[], None]:
        return settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )(given(strategy)(check))

    return decorate


def _validated(case: Case, server: Server, account: Account) -> int:
    if case.path.startswith(("/v1/", "/ext/")):
        headers = {"maven-api-key": account.key}
    else:
        headers = {"Authorization": f"Bearer {account.token}"}
    if follows_the_document(case):
        agree_with_itself(case, account)
    excluded = [allow_header_conformance] if case.path.endswith("/property/delete") else []
    response = case.call_and_validate(
        server.url, session=account.session, headers=headers, excluded_checks=excluded
    )
    return response.status_code


def test_corrupted_requests_cause_no_failure(
    server: Server, account: Account, form: Form, record: Record
) -> None:
    """Memory is compared with that after a quarter of the requests, when all code has run and all caches are full."""
    batches = form(short=1_000, full=100_000) // BATCH
    statuses: Counter[int | None] = Counter()
    before = 0.0

    def send(cases: list[bytes_fuzz.Case]) -> None:
        nonlocal before
        if not before and statuses.total() >= batches * BATCH // 4:
            before = memory(server)
        for case in cases:
            request = case.request(OPERATIONS, account)
            status = bytes_fuzz.status_of(server.url, request, is_whole=case.is_whole)
            statuses[status] += 1
            assert status is None or status < 500, request

    _explored(st.lists(bytes_fuzz.cases, min_size=BATCH, max_size=BATCH), batches)(send)()
    growth = memory(server) - before
    assert statuses.total() >= 0.99 * batches * BATCH
    # Otherwise most requests would have failed at the first line of the parser.
    assert sum(statuses[status] for status in (200, 201, 204)) > 0.1 * statuses.total(), statuses
    assert growth < GROWTH_MIB, statuses
    shown = ", ".join(
        f"{count} × {status or 'closed'}" for status, count in statuses.most_common(5)
    )
    record(
        Topic.FUZZ,
        "Corrupted paths, heads and bodies on raw sockets: no 5xx, no crash, no growth",
        f"{statuses.total()} requests ({shown}, …); workers grew by {growth:.0f} MiB",
    )


@pytest.mark.parametrize(
    "rule",
    [pytest.param(rule, id=rule.name) for rule in http_rules.RULES],
)
def test_requests_are_handled_as_http_requires(
    server: Server, account: Account, rule: http_rules.Rule, form: Form, record: Record
) -> None:
    """Each request gets a status of its rule, saves only if it is 204, and leaves no bytes for the next request."""
    path = f"/v1/account/{account.id}/ns/properties/p"
    saved = "nothing yet"
    account.v1("PUT", "/ns/properties/p", json=saved).raise_for_status()
    statuses: Counter[int] = Counter()

    def send(message: http_rules.Message) -> None:
        nonlocal saved
        request = message.bytes(account, path)
        status = bytes_fuzz.status_before_another(
            server.url, request, method=message.method, is_whole=message.is_whole
        )
        statuses[status] += 1
        assert status in rule.statuses, (status, request[:300])
        if status == 204:
            saved = message.value
        assert account.v1("GET", "/ns/properties/p").json() == saved, request[:300]

    _explored(rule.messages, form(short=25, full=2_000))(send)()
    shown = ", ".join(f"{count} × {status}" for status, count in statuses.most_common())
    record(Topic.FUZZ, f"HTTP: {rule.name}", shown)


BOMBS = {
    "arrays in arrays": b"[" * 500_000 + b"]" * 500_000,
    "arrays without end": b"[" * 1_000_000,
    "objects in objects": b'{"a":' * 150_000 + b"1" + b"}" * 150_000,
    "a member in each level of 100": b'{"a":' * 99 + b"1" + b"}" * 99,
    "100,000 members": json.dumps({f"m{n}": 0 for n in range(80_000)}).encode(),
    "the same member 100,000 times": b'{"a":{' + b",".join([b'"m":0'] * 100_000) + b"}}",
    "members in members": json.dumps({"a": {f"m{n}": 0 for n in range(80_000)}}).encode(),
    "a number of a million digits": b'{"a":' + b"9" * 1_000_000 + b"}",
    "an exponent of a million digits": b'{"a":1e' + b"9" * 1_000_000 + b"}",
    "numbers beyond all floats": b'{"a":{'
    + b",".join(b'"n%d":1e999999' % n for n in range(40_000))
    + b"}}",
    "nothing but escapes": b'{"a":"' + b"\\u00e9" * 170_000 + b'"}',
    "escapes of surrogates": b'{"a":"' + b"\\ud83d\\ude00" * 80_000 + b'"}',
    "backslashes": b'{"a":{"b":"' + b"\\\\" * 400_000 + b'"}}',
    "quotes": b'{"a":"' + b'\\"' * 400_000 + b'"}',
    "spaces": b" " * 1_000_000 + b"{}",
    "a name of a million characters": b'{"' + b"n" * 1_000_000 + b'":1}',
    "brackets in strings": b'{"a":{"b":"' + b"[{" * 400_000 + b'"}}',
    "over a mebibyte": b'{"a":"' + b"x" * (1 << 20) + b'"}',
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_json_bomb_does_no_harm(
    server: Server, account: Account, bomb: bytes, record: Record
) -> None:
    before = memory(server)
    began = monotonic()
    response = account.v1(
        "PATCH", "/ns/properties", data=bomb, headers={"Content-Type": "application/json"}
    )
    seconds = monotonic() - began
    assert response.status_code in {204, 400, 413}, response.text
    assert seconds < 5, seconds
    # The worker may keep the arena of one large body. Larger growth means that it keeps what it received.
    assert memory(server) - before < 100
    record(
        Topic.FUZZ,
        f"JSON bomb: {next(name for name, body in BOMBS.items() if body is bomb)}",
        f"{response.status_code} in {seconds:.2f} s",
    )


def _head(account: Account, length: int) -> bytes:
    return (
        f"PUT /v1/account/{account.id}/ns/properties/p HTTP/1.1\r\nHost: x\r\nmaven-api-key: {account.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


SLOW: dict[str, tuple[Callable[[Account], bytes], bytes]] = {
    "stops in the head": (lambda account: _head(account, 9)[:40], b""),
    "drips its head": (lambda account: _head(account, 9)[:40], b"a"),
    "stops in the body": (lambda account: _head(account, 900) + b'"a', b""),
    "drips its body": (lambda account: _head(account, 900) + b'"a', b"a"),
}


@pytest.mark.parametrize("slow", SLOW)
def test_slow_clients_do_not_delay_others(
    server: Server, account: Account, slow: str, form: Form, record: Record
) -> None:
    """There are many more slow clients than threads, and all of them are disconnected within seconds."""
    make, drop = SLOW[slow]
    count = form(short=80, full=400)
    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(count)]
    try:
        for client in clients:
            client.sendall(make(account))
            client.settimeout(0)
        began = monotonic()
        waits = []
        open_ = clients
        while open_:
            sent_at = monotonic()
            assert account.v1("GET", "/ns/properties").status_code == 200
            waits.append(monotonic() - sent_at)
            assert monotonic() - began < 10 * SLOW_SECONDS, f"{len(open_)} are still connected"
            open_ = [client for client in open_ if _is_open(client, drop)]
            sleep(0.05)
    finally:
        for client in clients:
            client.close()
    assert max(waits) < 1
    # The worker must receive bodies again, so the slow ones have released their memory.
    assert account.v1("PUT", "/ns/properties/p", json=1).status_code == 204
    record(
        Topic.FUZZ,
        f"Slow clients: one that {slow} is disconnected after at most twice CCS_REQUEST_TIME and a quarter",
        f"{count} at once, disconnected within {monotonic() - began:.1f} s of {SLOW_SECONDS:g} s allowed; "
        f"others waited at most {max(waits) * 1000:.0f} ms",
    )


def _is_open(client: socket.socket, drop: bytes) -> bool:
    try:
        if drop:
            client.send(drop)
        while data := client.recv(4096):
            del data
    except BlockingIOError:
        return True
    except (ConnectionError, OSError):
        return False
    return False


def test_a_client_that_reads_no_response_is_disconnected(server: Server, account: Account) -> None:
    """Requests sixty pages of some megabytes each, and reads none of them."""
    value = {f"p{n}": "x" * 7_000 for n in range(100)}
    for number in range(5):
        account.v1("PATCH", f"/pages/s{number}/properties", json=value).raise_for_status()
    head = (
        f"GET /v1/account/{account.id}/pages/session-properties HTTP/1.1\r\nHost: x\r\n"
        f"maven-api-key: {account.key}\r\n\r\n"
    ).encode()
    before = memory(server)
    clients = []
    for _ in range(60):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        client.sendall(head)
        clients.append(client)
    began = monotonic()
    # The clients read nothing, so the workers' connections show when they are disconnected.
    while connections(server):
        assert monotonic() - began < 20 * SLOW_SECONDS
        sleep(0.05)
    for client in clients:
        client.close()
    assert memory(server) - before < 300


def test_a_head_that_is_too_long_is_refused_at_once(server: Server) -> None:
    for field in (b"X: " + b"a" * 200_000, b"\r\n".join(b"X-%d: 1" % n for n in range(5_000))):
        began = monotonic()
        response = raw_http.send(
            server.url, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + field + b"\r\n\r\n"
        )
        assert response.status == 431
        assert monotonic() - began < 1


@pytest.mark.parametrize(
    ("length", "sent"), [("4", b"12"), (None, b"4\r\n12"), (None, b"2\r\n12\r\n")], ids=str
)
def test_a_truncated_body_is_not_stored(
    server: Server, account: Account, length: str | None, sent: bytes
) -> None:
    """A truncated `1234`, or a chunked body without its end, is also valid JSON (`12`). It must not be stored.

    The client shuts down sending and waits for the response, which shows that the service is done with the request.
    """
    assert account.v1("PUT", "/ns/properties/cut", json=0).status_code == 204
    framing = f"Content-Length: {length}" if length else "Transfer-Encoding: chunked"
    head = _head(account, 0).decode().replace("Content-Length: 0", framing).replace("/p ", "/cut ")
    assert bytes_fuzz.status_of(server.url, head.encode() + sent, is_whole=False) == 400
    assert account.v1("GET", "/ns/properties/cut").json() == 0

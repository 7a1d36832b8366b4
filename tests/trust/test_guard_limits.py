"""What a client can make grow has an end, and the end a clear error."""

from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any

import pytest
import requests

from ccs_server.domain.limits import MAX_PER_PAGE
from ccs_server.embedded import EmbeddedPostgres
from ccs_server.settings import Settings
from ccs_server.store import credentials, schema
from ccs_server.store.database import Database
from tests.support import databases, raw_http
from tests.support.service import Account, Server, environment, new_account, serving
from tests.trust.conftest import Record
from tests.trust.reliability import Topic

SETTINGS = {
    "CCS_NAMESPACE_LIMIT": "3",
    "CCS_LIST_LIMIT": "5",
    "CCS_URL_LIMIT": "2000",
    "CCS_HEADER_LIMIT": "16384",
}


@pytest.fixture(scope="module")
def url(cluster: EmbeddedPostgres) -> str:
    url = databases.create_database(cluster, f"limits_{token_hex(6)}")
    schema.migrate(url)
    return url


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Server]:
    """A service whose limits are low."""
    with serving(env=environment(CCS_DATABASE_URL=url, **SETTINGS)) as server:
        yield server


@pytest.fixture
def account(server: Server, url: str) -> Iterator[Account]:
    database = Database(url, Settings())
    with new_account(server, database) as account:
        database.release()
        yield account


def _refused(answer: requests.Response, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert said["code"] == status
    assert all(word in said["message"] for word in words), said


def _namespaces(account: Account) -> list[str]:
    return [namespace["name"] for namespace in account.v1("GET", "").json()]


def _largest(accepted: Callable[[int], bool], least: int, most: int) -> int:
    """The largest size that is accepted, found by halving; `least` must be accepted and `most` refused."""
    assert accepted(least)
    assert not accepted(most)
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if accepted(middle) else (least, middle)
    return least


def _create(account: Account, namespace: str) -> requests.Response:
    body = {"accountId": account.id, "nameSpace": namespace, "payload": {"a": 1}}
    return account.v2("POST", "/context/document/create", json=body)


def test_an_account_has_so_many_namespaces(account: Account, record: Record) -> None:
    for name in ("n1", "n2", "n3"):
        assert account.v1("PATCH", f"/{name}/properties", json={"a": 1}).status_code == 204
    calls: list[tuple[str, str, Any]] = [
        ("POST", "", {"name": "n4"}),
        ("PATCH", "/n4/properties", {"a": 1}),
        ("PUT", "/n4/s/properties/a", 1),
        ("POST", "/namespace/n4/session?ttlSecond=5", {"sessionId": "s"}),
    ]
    for method, path, body in calls:
        _refused(account.v1(method, path, json=body), 409, "3 namespaces", "delete one")
    _refused(_create(account, "n4"), 409, "3 namespaces", "delete one")
    made = _namespaces(account)
    assert made == ["n1", "n2", "n3"]
    record(
        Topic.LIMITS,
        "Namespaces of an account: CCS_NAMESPACE_LIMIT, then 409",
        f"set to 3: {len(made)} made, a further one refused to {len(calls) + 1} operations",
    )


def test_those_that_it_has_can_be_used_and_replaced(account: Account) -> None:
    for name in ("n1", "n2", "n3"):
        assert account.v1("POST", "", json={"name": name}).status_code == 204
    assert account.v1("POST", "?ttlSecond=60", json={"name": "n1"}).status_code == 204
    assert account.v1("PATCH", "/n2/properties", json={"a": 1}).status_code == 204
    assert _create(account, "n3").status_code == 201
    assert account.v1("DELETE", "/n1").status_code == 204
    assert account.v1("PATCH", "/n4/properties", json={"a": 1}).status_code == 204
    assert _namespaces(account) == ["n2", "n3", "n4"]


def test_one_account_does_not_use_up_anothers(account: Account, url: str, server: Server) -> None:
    for name in ("n1", "n2", "n3"):
        assert account.v1("POST", "", json={"name": name}).status_code == 204
    database = Database(url, Settings())
    name = f"test-{token_hex(6)}"
    key = credentials.create_key(database, name).key
    database.release()
    with Account(server.url, name, key, "", "") as other:
        assert other.v1("POST", "", json={"name": "n1"}).status_code == 204


def test_a_list_without_pages_ends(account: Account, record: Record) -> None:
    def set_ttl(number: int) -> None:
        body = {"sessionId": f"s{number}"}
        account.v1("POST", "/namespace/ns/session?ttlSecond=60", json=body).raise_for_status()

    for number in range(5):
        set_ttl(number)
    longest = len(account.v1("GET", "/namespace/ns/session").json())
    assert longest == 5
    set_ttl(5)
    _refused(account.v1("GET", "/namespace/ns/session"), 413, "more than 5", "perPage")
    pages = [
        account.v1("GET", f"/namespace/ns/session?page={page}&perPage=4").json()
        for page in range(3)
    ]
    assert [[session["sessionId"] for session in page] for page in pages] == [
        ["s0", "s1", "s2", "s3"], ["s4", "s5"], [],
    ]  # fmt: skip
    assert len(account.v1("GET", "/namespace/ns/session?page=0").json()) == 6
    record(
        Topic.LIMITS,
        "Entries of a list without pages: CCS_LIST_LIMIT, then 413",
        f"set to 5: the longest list has {longest}; of 6 entries it is refused, and told by pages",
    )


@pytest.mark.parametrize(
    "path", ["/ns/session-ids", "/ns/session-properties", "/namespace/ns/session"]
)
def test_a_page_has_so_many_entries(account: Account, path: str, record: Record) -> None:
    def ask(entries: int) -> requests.Response:
        return account.v1("GET", f"{path}?perPage={entries}")

    largest = _largest(lambda entries: ask(entries).status_code == 200, 1, 10 * MAX_PER_PAGE)
    assert largest == MAX_PER_PAGE
    _refused(ask(largest + 1), 400, "perPage", str(MAX_PER_PAGE))
    record(
        Topic.LIMITS, f"Entries of a page of {path}: {MAX_PER_PAGE}, then 400", f"up to {largest}"
    )


def test_a_url_has_so_many_characters(account: Account, record: Record) -> None:
    def ask(length: int) -> requests.Response:
        path = "/ns/properties?include="
        begin = len(f"/v1/account/{account.id}{path}") - 1  # the question mark
        return account.v1("GET", path + "a" * (length - begin))

    longest = _largest(lambda length: ask(length).status_code == 200, 500, 10_000)
    assert longest == 2000
    _refused(ask(longest + 1), 414, "URL is too long")
    record(
        Topic.LIMITS,
        "Characters of a URL: CCS_URL_LIMIT, then 414",
        f"set to 2,000: up to {longest:,}",
    )


def test_a_head_has_so_many_bytes(server: Server, account: Account, record: Record) -> None:
    def ask(length: int) -> int:
        head = (
            f"GET /v1/account/{account.id}/ns/properties HTTP/1.1\r\nHost: x\r\n"
            f"maven-api-key: {account.key}\r\nX-Filler: "
        )
        filler = "a" * (length - len(head) - 4)
        return raw_http.send(server.url, f"{head}{filler}\r\n\r\n".encode()).status

    longest = _largest(lambda length: ask(length) == 200, 15_000, 17_000)
    assert ask(longest + 1) == 431
    record(
        Topic.LIMITS,
        "Bytes of a request's head: CCS_HEADER_LIMIT, then 431",
        f"set to 16,384: up to {longest:,}",
    )


def test_a_head_has_so_many_fields(server: Server, account: Account, record: Record) -> None:
    def ask(count: int) -> int:
        fields = "".join(f"X-{number}: 1\r\n" for number in range(count))
        head = f"GET /healthz HTTP/1.1\r\nHost: {account.id}\r\n{fields}\r\n"
        return raw_http.send(server.url, head.encode()).status

    most = _largest(lambda count: ask(count) == 200, 90, 110)
    assert ask(most + 1) == 431
    record(Topic.LIMITS, "Fields of a request's head, then 431", f"up to {most + 1}, with Host")

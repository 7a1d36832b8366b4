"""Everything that a client can make grow has a limit with a clear error."""

from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any

import pytest
import requests

from ccs_server.domain.limits import MAX_PER_PAGE
from ccs_server.embedded import EmbeddedPostgres
from ccs_server.settings import Settings
from ccs_server.store import credentials
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
    return databases.create_migrated_database(cluster, f"limits_{token_hex(6)}")


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Server]:
    """A service with low limits."""
    with serving(env=environment(CCS_DATABASE_URL=url, **SETTINGS)) as server:
        yield server


@pytest.fixture
def account(server: Server, url: str) -> Iterator[Account]:
    database = Database(url, Settings())
    with new_account(server, database) as account:
        database.release()
        yield account


def _refused(response: requests.Response, status: int, *words: str) -> None:
    assert response.status_code == status, response.text
    error = response.json()
    assert error["code"] == status
    assert all(word in error["message"] for word in words), error


def _namespaces(account: Account) -> list[str]:
    return [namespace["name"] for namespace in account.v1("GET", "").json()]


def _largest(accepted: Callable[[int], bool], least: int, most: int) -> int:
    """Finds the largest accepted size by bisection. `least` must be accepted and `most` refused."""
    assert accepted(least)
    assert not accepted(most)
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if accepted(middle) else (least, middle)
    return least


def _create(account: Account, namespace: str) -> requests.Response:
    body = {"accountId": account.id, "nameSpace": namespace, "payload": {"a": 1}}
    return account.v2("POST", "/context/document/create", json=body)


def test_the_number_of_namespaces_is_limited(account: Account, record: Record) -> None:
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
        f"set to 3: {len(made)} created, another one refused by {len(calls) + 1} operations",
    )


def test_existing_namespaces_can_be_used_and_replaced_at_the_limit(account: Account) -> None:
    for name in ("n1", "n2", "n3"):
        assert account.v1("POST", "", json={"name": name}).status_code == 204
    assert account.v1("POST", "?ttlSecond=60", json={"name": "n1"}).status_code == 204
    assert account.v1("PATCH", "/n2/properties", json={"a": 1}).status_code == 204
    assert _create(account, "n3").status_code == 201
    assert account.v1("DELETE", "/n1").status_code == 204
    assert account.v1("PATCH", "/n4/properties", json={"a": 1}).status_code == 204
    assert _namespaces(account) == ["n2", "n3", "n4"]


def test_the_limit_applies_to_each_account_separately(
    account: Account, url: str, server: Server
) -> None:
    for name in ("n1", "n2", "n3"):
        assert account.v1("POST", "", json={"name": name}).status_code == 204
    database = Database(url, Settings())
    name = f"test-{token_hex(6)}"
    key = credentials.create_key(database, name).key
    database.release()
    with Account(server.url, name, key, "", "") as other:
        assert other.v1("POST", "", json={"name": "n1"}).status_code == 204


def test_the_length_of_a_list_without_pages_is_limited(account: Account, record: Record) -> None:
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
        f"set to 5: the longest list has {longest}; a list of 6 is refused, and returned by pages",
    )


@pytest.mark.parametrize(
    "path", ["/ns/session-ids", "/ns/session-properties", "/namespace/ns/session"]
)
def test_the_number_of_entries_on_a_page_is_limited(
    account: Account, path: str, record: Record
) -> None:
    def request(entries: int) -> requests.Response:
        return account.v1("GET", f"{path}?perPage={entries}")

    largest = _largest(lambda entries: request(entries).status_code == 200, 1, 10 * MAX_PER_PAGE)
    assert largest == MAX_PER_PAGE
    _refused(request(largest + 1), 400, "perPage", str(MAX_PER_PAGE))
    record(
        Topic.LIMITS, f"Entries of a page of {path}: {MAX_PER_PAGE}, then 400", f"up to {largest}"
    )


def test_the_length_of_a_url_is_limited(account: Account, record: Record) -> None:
    def request(length: int) -> requests.Response:
        path = "/ns/properties?include="
        begin = len(f"/v1/account/{account.id}{path}") - 1  # the question mark
        return account.v1("GET", path + "a" * (length - begin))

    longest = _largest(lambda length: request(length).status_code == 200, 500, 10_000)
    assert longest == 2000
    _refused(request(longest + 1), 414, "URL is too long")
    record(
        Topic.LIMITS,
        "Characters of a URL: CCS_URL_LIMIT, then 414",
        f"set to 2,000: up to {longest:,}",
    )


def test_the_size_of_a_head_is_limited(server: Server, account: Account, record: Record) -> None:
    def request(length: int) -> int:
        head = (
            f"GET /v1/account/{account.id}/ns/properties HTTP/1.1\r\nHost: x\r\n"
            f"maven-api-key: {account.key}\r\nX-Filler: "
        )
        filler = "a" * (length - len(head) - 4)
        return raw_http.send(server.url, f"{head}{filler}\r\n\r\n".encode()).status

    longest = _largest(lambda length: request(length) == 200, 15_000, 17_000)
    assert request(longest + 1) == 431
    record(
        Topic.LIMITS,
        "Bytes of a request's head: CCS_HEADER_LIMIT, then 431",
        f"set to 16,384: up to {longest:,}",
    )


def test_the_number_of_header_fields_is_limited(
    server: Server, account: Account, record: Record
) -> None:
    def request(count: int) -> int:
        fields = "".join(f"X-{number}: 1\r\n" for number in range(count))
        head = f"GET /healthz HTTP/1.1\r\nHost: {account.id}\r\n{fields}\r\n"
        return raw_http.send(server.url, head.encode()).status

    most = _largest(lambda count: request(count) == 200, 90, 110)
    assert request(most + 1) == 431
    record(Topic.LIMITS, "Fields of a request's head, then 431", f"up to {most + 1}, with Host")

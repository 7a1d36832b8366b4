"""Quotas over HTTP: each limit, its boundary, what works above it, and how to get below it again."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from secrets import token_hex

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from ccs_server.embedded import EmbeddedPostgres
from ccs_server.settings import Settings
from ccs_server.store import schema
from ccs_server.store.database import Database
from ccs_server.store.quotas import clear_quota, find_quota, set_quota
from tests.api.answers import assert_empty, assert_error
from tests.support.databases import create_database
from tests.support.service import Account, Server, environment, new_account, serving
from tests.support.waiting import wait_until

NS = "/ns/properties"


@pytest.fixture(scope="module")
def own_database(cluster: EmbeddedPostgres) -> Iterator[Database]:
    """A database in which no service of another test counts at another interval."""
    url = create_database(cluster, f"quotas_{token_hex(6)}")
    schema.migrate(url)
    database = Database(url, Settings())
    yield database
    database.release()


@pytest.fixture(scope="module")
def instances(own_database: Database) -> Iterator[list[Server]]:
    """Two instances with two workers each that count continuously and do not cache credentials."""
    env = environment(
        CCS_DATABASE_URL=own_database.engine.url.set(drivername="postgresql").render_as_string(
            hide_password=False
        ),
        CCS_QUOTA_INTERVAL="0.05",
        CCS_CREDENTIAL_CACHE="0.001",
    )
    with (
        serving("--workers", "2", env=env) as first,
        serving("--workers", "2", env=env) as second,
    ):
        yield [first, second]


@pytest.fixture
def account(instances: list[Server], own_database: Database) -> Iterator[Account]:
    with new_account(instances[0], own_database) as account:
        yield account


@pytest.fixture
def other_account(instances: list[Server], own_database: Database) -> Iterator[Account]:
    with new_account(instances[0], own_database) as account:
        yield account


def wait_until_counted(database: Database, account: Account, **amounts: int) -> None:
    """Waits until the count of the account has this result."""

    def counted() -> bool:
        found = find_quota(database, account.id)
        assert found
        return all(getattr(found.quota.used, name) == n for name, n in amounts.items())

    wait_until(counted)


def save_once(account: Account, key: str) -> requests.Response:
    """Saves two properties by a request with an Idempotency-Key."""
    operation = {"op": "set", "ns": "ns", "values": {"a": 1, "b": 1}}
    return account.ops(operation, headers={"Idempotency-Key": key})


def create(account: Account, method: str = "POST", **payload: object) -> requests.Response:
    body = {"accountId": account.id, "nameSpace": "ns", "payload": payload}
    return account.v2(method, "/context/document/create", json=body)


def bring(account: Account, lines: bytes) -> requests.Response:
    headers = {"Content-Type": "application/x-ndjson"}
    return account.ext("POST", "/import", data=lines, headers=headers)


SAVES: dict[str, Callable[[Account], requests.Response]] = {
    "v1 PATCH": lambda account: account.v1("PATCH", NS, json={"new": 1}),
    "v1 PUT": lambda account: account.v1("PUT", f"{NS}/new", json=1),
    "v1 PATCH of a session": lambda account: account.v1(
        "PATCH", "/ns/new/properties", json={"new": 1}
    ),
    "v1 PUT of a session": lambda account: account.v1("PUT", "/ns/new/properties/new", json=1),
    "v1 update": lambda account: account.v1("PUT", f"{NS}/a", json=1),
    "v1 POST of a session": lambda account: account.v1(
        "POST", "/namespace/ns/session?ttlSecond=60", json={"sessionId": "new"}
    ),
    "v2 POST": lambda account: create(account, new=1),
    "v2 PATCH": lambda account: create(account, "PATCH", new=1),
    "import": lambda account: bring(account, b'{"ns":"ns","name":"new","value":1}'),
}


def assert_refused(response: requests.Response, name: str, used: int, limit: int) -> None:
    assert response.status_code == 409, response.text
    problem = response.json()
    assert (problem["code"], problem["status"]) == (409, "Conflict")
    assert problem["message"] == (
        f"The account had {used} {name} when last counted and its quota is {limit}; "
        "delete what it does not need, or ask the operator for a larger quota."
    )


@pytest.mark.parametrize(
    ("name", "limit", "first", "one_more", "used"),
    [
        ("properties", 2, (NS, {"a": 1, "b": 1}), (NS, {"c": 1}), 3),
        ("bytes", 12, (NS, {"a": 1, "b": 1}), (NS, {"b": 12}), 13),
        ("sessions", 1, ("/ns/s/properties", {"a": 1}), ("/ns/t/properties", {"a": 1}), 2),
    ],
)
def test_an_account_may_reach_its_limit_and_cannot_save_above_it_until_it_deletes(
    account: Account,
    other_account: Account,
    own_database: Database,
    name: str,
    limit: int,
    first: tuple[str, dict[str, int]],
    one_more: tuple[str, dict[str, int]],
    used: int,
) -> None:
    set_quota(own_database, account.id, {name: limit})
    assert_empty(account.v1("PATCH", first[0], json=first[1]))
    wait_until_counted(own_database, account, **{name: limit})
    # At its limit, the account can still save.
    assert_empty(account.v1("PATCH", one_more[0], json=one_more[1]))
    wait_until_counted(own_database, account, **{name: used})
    before = account.v1("GET", "/ns/session-properties").json()
    for save in SAVES.values():
        assert_refused(save(account), name, used, limit)
        assert_empty(other_account.v1("PATCH", NS, json={"a": 1}))
    assert account.v1("GET", "/ns/session-properties").json() == before
    (property_,) = one_more[1]
    assert_empty(account.v1("DELETE", f"{one_more[0]}/{property_}"))
    wait_until(lambda: account.v1("PATCH", first[0], json=first[1]).status_code == 204)
    for save in SAVES.values():
        assert save(other_account).ok


@pytest.fixture
def full(account: Account, own_database: Database) -> Account:
    """An account over its quota."""
    assert_empty(account.v1("PATCH", NS, json={"a": 1, "b": "x", "c": None}))
    assert_empty(account.v1("PATCH", "/ns/s/properties", json={"a": 1.10}))
    set_quota(own_database, account.id, {"properties": 1})
    wait_until_counted(own_database, account, properties=4)
    assert SAVES["v1 PUT"](account).status_code == 409
    return account


READS: dict[str, Callable[[Account], requests.Response]] = {
    "namespaces": lambda account: account.v1("GET", ""),
    "all": lambda account: account.v1("GET", NS),
    "some": lambda account: account.v1("GET", f"{NS}?include=a,b"),
    "one": lambda account: account.v1("GET", "/ns/s/properties/a"),
    "head": lambda account: account.v1("HEAD", NS),
    "absent": lambda account: account.v1("GET", f"{NS}/absent"),
    "session ids": lambda account: account.v1("GET", "/ns/session-ids"),
    "session properties": lambda account: account.v1("GET", "/ns/session-properties"),
    "session TTLs": lambda account: account.v1("GET", "/namespace/ns/session"),
    "document": lambda account: account.v2("GET", f"/context/document/{account.id}/ns"),
    "filter": lambda account: account.v2(
        "POST",
        "/context/document/properties",
        json={"accountId": account.id, "nameSpace": "ns", "filter": ["ns.a"]},
    ),
}


def read_all(account: Account) -> dict[str, tuple[int, dict[str, str], bytes]]:
    responses = {name: read(account) for name, read in READS.items()}
    varying = {"date", "x-request-id"}
    return {
        name: (
            response.status_code,
            {key: value for key, value in response.headers.items() if key.lower() not in varying},
            response.content,
        )
        for name, response in responses.items()
    }


def test_reads_are_the_same_to_the_byte_without_a_quota_and_over_one(
    full: Account, own_database: Database
) -> None:
    over = read_all(full)
    clear_quota(own_database, full.id)
    assert read_all(full) == over
    assert SAVES["v1 PUT"](full).status_code == 204


def test_requests_that_save_nothing_work_over_a_quota(full: Account) -> None:
    assert_empty(full.v1("PATCH", NS, json={}))
    assert create(full).status_code == 201
    assert_empty(full.v1("POST", "?ttlSecond=60", json={"name": "ns"}))
    assert_empty(full.v1("POST", "", json={"name": "another"}))
    assert bring(full, b'{"ns":"another","ttlSecond":60}').status_code == 200
    # Invalid requests are still reported as such.
    assert_error(full.v1("PUT", f"{NS}/a", data=b"{", headers={"Content-Type": "text/x"}), 415)
    assert_error(full.v1("PATCH", NS, json=[1]), 400)
    assert_error(full.v1("PUT", "/custom/properties/a", json=1), 400)
    assert full.v1("GET", "", headers={"maven-api-key": "x"}).status_code == 403


DELETIONS: dict[str, Callable[[Account], requests.Response]] = {
    "one by one": lambda account: [
        account.v1("DELETE", path)
        for path in (f"{NS}/a", f"{NS}/b", f"{NS}/c", "/ns/s/properties/a")
    ][-1],
    "namespace": lambda account: account.v1("DELETE", "/ns"),
    "documents": lambda account: [
        account.v2(
            "DELETE",
            "/context/document/delete",
            json={"accountId": account.id, "nameSpace": "ns"} | session,
        )
        for session in ({}, {"sessionId": "s"})
    ][-1],
}


@pytest.mark.parametrize("way", DELETIONS)
def test_an_account_can_save_again_after_any_kind_of_deletion(full: Account, way: str) -> None:
    assert DELETIONS[way](full).ok
    wait_until(lambda: SAVES["v1 PUT"](full).status_code == 204)


def test_an_account_can_have_a_rate_limit(
    account: Account, other_account: Account, own_database: Database, instances: list[Server]
) -> None:
    set_quota(own_database, account.id, {"requests": "3/hour"})
    refused: dict[str, requests.Response] = {}
    for server in instances:
        # Each worker counts separately, and connections are distributed among them.
        here = replace(account, server_url=server.url)
        wait_until(lambda here=here: here.v1("GET", NS).status_code == 429)  # type: ignore[misc]
        refused[server.url] = here.v1("GET", NS)
    for response in refused.values():
        assert_error(response, 429)
        assert "3 per 1 hour" in response.json()["message"]
        assert 1 <= int(response.headers["Retry-After"]) <= 3600
    for _ in range(4):
        assert other_account.v1("GET", NS).status_code == 200
    clear_quota(own_database, account.id)
    assert account.v1("GET", NS).status_code == 200


def test_concurrent_clients_on_all_workers_are_soon_refused(
    account: Account, own_database: Database, instances: list[Server]
) -> None:
    set_quota(own_database, account.id, {"properties": 50})
    most = 20_000

    def save_until_refused(client: int) -> int:
        url = f"{instances[client % len(instances)].url}/v1/account/{account.id}{NS}"
        with requests.Session() as session:
            session.headers["maven-api-key"] = account.key
            for number in range(most):
                response = session.put(f"{url}/{client}-{number}", json=1, timeout=30)
                if response.status_code == 409:
                    return number
                assert_empty(response)
        pytest.fail(f"{most} saves were accepted")

    with ThreadPoolExecutor(8) as threads:
        saved = sum(threads.map(save_until_refused, range(8)))
    assert saved > 50
    assert len(account.v1("GET", NS).json()) == saved
    # Every worker refuses now, on new and on existing connections.
    for client in range(16):
        assert save_until_refused(client) == 0
    wait_until_counted(own_database, account, properties=saved)


def metrics(server: Server) -> dict[tuple[str, str, str], float]:
    text = requests.get(f"{server.operations}/metrics", timeout=30).text
    return {
        (sample.name, sample.labels.get("account", ""), sample.labels.get("resource", "")): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("ccs_quota")
    }


def is_shown(server: Server, account: Account) -> bool:
    return ("ccs_quota_used", account.id, "sessions") in metrics(server)


def is_not_shown(server: Server, account: Account) -> bool:
    return account.id not in {account_id for _, account_id, _ in metrics(server)}


def test_the_metrics_of_every_instance_show_limits_and_usage(
    full: Account, other_account: Account, own_database: Database, instances: list[Server]
) -> None:
    set_quota(own_database, full.id, {"sessions": 5, "requests": "600/minute"})
    wait_until_counted(own_database, full, sessions=1)
    # A database that takes long to respond leaves the metrics as they were before.
    for server in instances:
        wait_until(partial(is_shown, server, full))
        shown = metrics(server)
        of_account = {key: value for key, value in shown.items() if key[1] == full.id}
        at = of_account.pop(("ccs_quota_counted_timestamp_seconds", full.id, ""))
        assert at > 1.7e9
        assert of_account == {
            ("ccs_quota_limit", full.id, "properties"): 1,
            ("ccs_quota_limit", full.id, "sessions"): 5,
            ("ccs_quota_limit", full.id, "requests"): 10,
            ("ccs_quota_used", full.id, "properties"): 4,
            ("ccs_quota_used", full.id, "sessions"): 1,
        }
        assert shown["ccs_quota_accounts", "", ""] >= 1
        assert not [key for key in shown if key[1] == other_account.id]
    clear_quota(own_database, full.id)
    for server in instances:
        wait_until(partial(is_not_shown, server, full))


def test_a_request_that_has_used_up_the_quota_can_be_repeated(
    account: Account, own_database: Database
) -> None:
    """Otherwise a client whose response was lost would be told that nothing was done."""
    set_quota(own_database, account.id, {"properties": 1})
    key = token_hex(8)
    first = save_once(account, key)
    assert first.status_code == 200
    wait_until(lambda: save_once(account, token_hex(8)).status_code == 409)
    repeated = save_once(account, key)
    assert (repeated.status_code, repeated.content) == (200, first.content)

"""Concurrent writers: no update is lost, there are no deadlocks, and every request is atomic."""

from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest
import requests

from tests.support.service import Account, Server

WRITERS = 8
DOCUMENT = 800_000


class Writer:
    """A client with its own session and connection, since a `requests` session is not thread-safe."""

    def __init__(self, server: Server, account: Account) -> None:
        self.session = requests.Session()
        self.session.headers["maven-api-key"] = account.key
        self.url = f"{server.url}/v1/account/{account.id}"

    def __call__(self, method: str, path: str, body: object = None) -> int:
        response = self.session.request(
            method, self.url + path, json=body, timeout=30, allow_redirects=False
        )
        return response.status_code


@pytest.fixture
def writers(server: Server, account: Account) -> list[Writer]:
    return [Writer(server, account) for _ in range(WRITERS)]


def test_no_update_of_concurrent_writers_is_lost(account: Account, writers: list[Writer]) -> None:
    def write(number: int) -> list[int]:
        return [
            writers[number]("PATCH", "/orders/s1/properties", {f"w{number}_{turn}": turn})
            for turn in range(25)
        ]

    with ThreadPoolExecutor(WRITERS) as pool:
        statuses = list(chain.from_iterable(pool.map(write, range(WRITERS))))
    assert set(statuses) == {204}
    assert account.v1("GET", "/orders/s1/properties").json() == {
        f"w{number}_{turn}": turn for number in range(WRITERS) for turn in range(25)
    }


def test_writers_of_the_same_properties_in_opposite_orders_do_not_deadlock(
    account: Account, writers: list[Writer]
) -> None:
    names = [f"p{number:02}" for number in range(30)]

    def write(number: int) -> list[int]:
        order = names if number % 2 else names[::-1]
        return [
            writers[number]("PATCH", "/orders/s1/properties", dict.fromkeys(order, number))
            for _ in range(15)
        ]

    with ThreadPoolExecutor(WRITERS) as pool:
        statuses = list(chain.from_iterable(pool.map(write, range(WRITERS))))
    assert set(statuses) == {204}
    saved = account.v1("GET", "/orders/s1/properties").json()
    assert saved.keys() == set(names)
    # Every save is atomic, so all 30 values are those of the last writer.
    assert len(set(saved.values())) == 1


@pytest.mark.parametrize("turn", range(5))
def test_the_first_writers_of_a_namespace_all_succeed(
    account: Account, writers: list[Writer], turn: int
) -> None:
    def write(number: int) -> int:
        return writers[number]("PUT", f"/orders{turn}/s{number}/properties/a", number)

    with ThreadPoolExecutor(WRITERS) as pool:
        assert set(pool.map(write, range(WRITERS))) == {204}
    ids = account.v1("GET", f"/orders{turn}/session-ids").json()
    assert ids == [f"s{number}" for number in range(WRITERS)]


def test_concurrent_writers_deleters_and_readers_get_no_server_error(
    account: Account, writers: list[Writer]
) -> None:
    calls: list[tuple[str, str, object]] = [
        ("PATCH", "/orders/s1/properties", {"a": 1, "b": 2}),
        ("DELETE", "/orders", None),
        ("PUT", "/orders/s1/properties/c", 3),
        ("POST", "?ttlSecond=60", {"name": "orders"}),
        ("POST", "/namespace/orders/session?ttlSecond=60", {"sessionId": "s1"}),
        ("DELETE", "/orders/s1/properties", None),
        ("DELETE", "/namespace/orders/session/s1", None),
        ("GET", "/orders/session-properties", None),
    ]

    def work(number: int) -> list[int]:
        turns = calls[number:] + calls[:number]
        return [writers[number](*call) for call in turns * 5]

    with ThreadPoolExecutor(WRITERS) as pool:
        statuses = list(chain.from_iterable(pool.map(work, range(WRITERS))))
    assert set(statuses) == {200, 204}
    account.v1("DELETE", "/orders")
    assert account.v1("GET", "/orders/session-properties").json() == []


def test_concurrent_writers_cannot_exceed_the_size_of_a_document(
    account: Account, writers: list[Writer]
) -> None:
    """Two of the properties fit together, but not three, so one must be refused in any order."""

    def write(number: int) -> int:
        return writers[number]("PUT", f"/orders/s1/properties/p{number}", "x" * 300_000)

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(write, range(4)))
    assert statuses == [204, 204, 413, 413]
    assert len(account.v1("GET", "/orders/s1/properties").content) <= DOCUMENT

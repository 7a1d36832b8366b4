"""Leases of conversations, and fences (section 9 of the extension's contract)."""

from typing import Any

import pytest

from tests.api.answers import TIMESTAMP, assert_empty, assert_error
from tests.support.clock import Clock
from tests.support.service import Account

SESSION = "/orders/s1/properties"
LEASE = {"op": "lease", "owner": "bot-7", "seconds": 30}


def lease(account: Account, **members: Any) -> int:
    (result, *_) = account.results(LEASE | members)
    fence = result["fence"]
    assert isinstance(fence, int)
    return fence


def test_one_request_begins_a_turn_and_one_ends_it(account: Account) -> None:
    account.v1("PUT", f"{SESSION}/step", json=1)
    taken, found = account.results(LEASE, {"op": "get"})
    assert found["values"] == {"step": 1}
    assert TIMESTAMP.fullmatch(taken["expiresAt"])
    fence = taken["fence"]
    account.results(
        {"op": "set", "name": "step", "value": 2, "fence": fence}, {"op": "release", "fence": fence}
    )
    assert account.v1("GET", SESSION).json() == {"step": 2}
    assert lease(account) > fence


def test_a_lease_that_is_held_is_423_with_its_holder(account: Account, clock: Clock) -> None:
    (taken,) = account.results(LEASE)
    for batch in ([LEASE], [{"op": "set", "name": "a", "value": 1}, LEASE | {"owner": "other"}]):
        response = account.ops(*batch)
        assert_error(response, 423)
        assert response.json()["lease"] == {"owner": "bot-7", "expiresAt": taken["expiresAt"]}
        assert 1 <= int(response.headers["Retry-After"]) <= 30
    assert account.v1("GET", SESSION).json() == {}
    clock.advance(seconds=30)
    assert lease(account, owner="other") > taken["fence"]


def test_a_lease_is_renewed_by_its_fence(account: Account, clock: Clock) -> None:
    fence = lease(account)
    clock.advance(seconds=20)
    assert lease(account, fence=fence) == fence
    clock.advance(seconds=20)
    assert_error(account.ops(LEASE), 423)
    assert_error(account.ops(LEASE | {"fence": fence + 1}), 412)
    clock.advance(seconds=10)
    # It has ended, so it cannot be renewed, even if nobody else has it.
    assert_error(account.ops(LEASE | {"fence": fence}), 412)


def test_releasing_a_lease_that_was_lost_is_harmless(account: Account, clock: Clock) -> None:
    old = lease(account)
    clock.advance(seconds=30)
    new = lease(account)
    account.results({"op": "release", "fence": old})
    assert_error(account.ops(LEASE), 423)
    account.results({"op": "release", "fence": new})
    account.results({"op": "release", "fence": new})
    lease(account)


def test_fences_only_grow(account: Account, clock: Clock) -> None:
    fences = []
    for _ in range(3):
        fences.append(lease(account))
        account.results({"op": "release", "fence": fences[-1]})
    # A clock that is set back does not make them smaller.
    clock.advance(seconds=-1000)
    account.v1("DELETE", "/namespace/orders/session/s1")
    assert fences == sorted(set(fences))
    clock.advance(seconds=1000)
    assert fences[-1] < lease(account) < 2**53


WRITES = [
    {"op": "set", "name": "a", "value": 2},
    {"op": "set", "values": {"a": 2}},
    {"op": "set", "name": "a", "value": 2, "ifMatch": "*"},
    {"op": "set", "name": "a", "value": 2, "ttl": 60},
    {"op": "delete", "name": "a"},
    {"op": "delete", "names": ["a"]},
    {"op": "delete"},
    {"op": "delete", "ifMatch": "*"},
    {"op": "touch", "name": "a", "ttl": 60},
    {"op": "touch", "ttl": 60},
    {"op": "incr", "name": "a"},
    {"op": "merge", "name": "a", "patch": {"x": 1}},
]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("others", [[], [{"op": "get"}]], ids=["alone", "in a batch"])
def test_a_write_with_a_fence_takes_place_only_while_the_lease_has_it(
    account: Account, clock: Clock, write: dict[str, Any], others: list[dict[str, Any]]
) -> None:
    account.v1("PUT", f"{SESSION}/a", json=1)
    fence = lease(account)
    before = account.v1("GET", f"{SESSION}?meta=true").json()
    assert_error(account.ops(write | {"fence": fence + 1}, *others), 412)
    assert account.v1("GET", f"{SESSION}?meta=true").json() == before
    account.results(write | {"fence": fence}, *others)
    assert account.v1("GET", f"{SESSION}?meta=true").json() != before
    clock.advance(seconds=30)
    assert_error(account.ops(write | {"fence": fence}, *others), 412)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", f"{SESSION}/a", 2),
        ("PATCH", SESSION, {"a": 2}),
        ("DELETE", f"{SESSION}/a", None),
        ("DELETE", SESSION, None),
        ("DELETE", "/namespace/orders/session/s1", None),
    ],
)
def test_v1s_writes_take_a_fence(account: Account, method: str, path: str, body: object) -> None:
    options = {} if body is None else {"json": body}
    account.v1("PUT", f"{SESSION}/a", json=1)
    fence = lease(account)
    stale = {"Ccs-Fence": str(fence - 1)}
    assert_error(account.v1(method, path, headers=stale, **options), 412)
    assert account.v1("GET", SESSION).json() == {"a": 1}
    assert_empty(account.v1(method, path, headers={"Ccs-Fence": str(fence)}, **options))
    assert account.v1("GET", SESSION).json() == ({} if body is None else {"a": 2})


def test_a_lease_binds_nobody_who_sends_no_fence(account: Account) -> None:
    lease(account)
    assert_empty(account.v1("PUT", f"{SESSION}/a", json=1))
    account.results({"op": "set", "name": "a", "value": 2})


def test_a_fence_is_of_one_session(account: Account) -> None:
    fence = lease(account)
    write = {"op": "set", "ns": "orders", "session": "s2", "name": "a", "value": 1, "fence": fence}
    assert_error(account.ops(write), 412)
    assert_error(account.ops(write | {"ns": "other", "session": "s1"}), 412)
    assert [each["name"] for each in account.v1("GET", "").json()] == ["orders"]


def test_a_lease_is_no_property_and_survives_its_session_but_not_its_namespace(
    account: Account,
) -> None:
    fence = lease(account)
    assert account.v1("GET", "/orders/session-ids").json() == []
    assert account.v1("GET", SESSION).json() == {}
    account.v1("DELETE", "/namespace/orders/session/s1")
    assert_error(account.ops(LEASE), 423)
    account.v1("DELETE", "/orders")
    assert_error(account.ops({"op": "set", "name": "a", "value": 1, "fence": fence}), 412)
    assert lease(account) != fence

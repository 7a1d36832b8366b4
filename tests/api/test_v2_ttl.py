"""`ttlSeconds` of v2, which sets the expiry of every property of a document."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.api.answers import TIMESTAMP, assert_error
from tests.api.everyway import JSON
from tests.support.clock import Clock
from tests.support.service import Account

DAY = 24 * 60 * 60
RETENTION = 395 * DAY
MILLISECOND = timedelta(milliseconds=1)


def save(account: Account, **fields: object) -> None:
    body = {"accountId": account.id, "nameSpace": "orders", "sessionId": "s1"} | fields
    response = account.v2("POST", "/context/document/create", json=body)
    assert response.status_code == 201, response.text


def document(account: Account) -> dict[str, object]:
    response = account.v2("GET", f"/context/document/{account.id}/orders/s1")
    assert response.status_code == 200, response.text
    answer: dict[str, object] = response.json()
    return answer


def ttl(account: Account) -> datetime:
    text = document(account)["ttl"]
    assert isinstance(text, str)
    assert TIMESTAMP.fullmatch(text)
    return datetime.fromisoformat(text)


def session_properties(account: Account) -> object:
    return account.v1("GET", "/orders/s1/properties").json()


@pytest.mark.parametrize("seconds", [1, 3600, RETENTION - 1, RETENTION])
def test_the_ttl_of_a_document_is_when_it_expires(account: Account, seconds: int) -> None:
    before = datetime.now(UTC)
    save(account, payload={"a": 1}, ttlSeconds=seconds)
    after = datetime.now(UTC)
    life = timedelta(seconds=seconds)
    assert before + life - MILLISECOND <= ttl(account) <= after + life + MILLISECOND


def test_a_document_expires_when_its_ttl_is_over(account: Account, clock: Clock) -> None:
    save(account, payload={"a": 1}, ttlSeconds=100)
    clock.advance(seconds=90)
    assert document(account)["payload"] == {"a": 1}
    clock.advance(seconds=10)
    assert_error(account.v2("GET", f"/context/document/{account.id}/orders/s1"), 404)


def test_a_save_stamps_every_property_of_the_document(account: Account, clock: Clock) -> None:
    account.v1("PATCH", "/orders/s1/properties", json={"forever": 1})
    save(account, payload={"a": 1}, ttlSeconds=1000)
    save(account, payload={"b": 1}, ttlSeconds=100)
    clock.advance(seconds=100)
    assert session_properties(account) == {}


def test_a_save_of_an_empty_payload_stamps_the_document_and_creates_no_namespace(
    account: Account, clock: Clock
) -> None:
    save(account, payload={}, ttlSeconds=100)
    assert account.v1("GET", "").json() == []
    account.v1("PATCH", "/orders/s1/properties", json={"forever": 1})
    save(account, payload={}, ttlSeconds=100)
    assert session_properties(account) == {"forever": 1}
    clock.advance(seconds=100)
    assert session_properties(account) == {}


def test_a_save_can_postpone_the_expiry_of_the_document(account: Account, clock: Clock) -> None:
    save(account, payload={"a": 1}, ttlSeconds=100)
    clock.advance(seconds=90)
    save(account, payload={"b": 1}, ttlSeconds=100)
    clock.advance(seconds=90)
    assert session_properties(account) == {"a": 1, "b": 1}


def test_a_save_does_not_restore_an_expired_property(account: Account, clock: Clock) -> None:
    save(account, payload={"a": 1}, ttlSeconds=100)
    clock.advance(seconds=100)
    save(account, payload={"b": 1}, ttlSeconds=1000)
    assert session_properties(account) == {"b": 1}


def test_a_save_stamps_no_other_document(account: Account, clock: Clock) -> None:
    for path in ("/orders", "/orders/s2", "/other/s1"):
        account.v1("PATCH", f"{path}/properties", json={"a": 1})
    save(account, payload={"a": 1}, ttlSeconds=100)
    clock.advance(seconds=100)
    for path in ("/orders", "/orders/s2", "/other/s1"):
        assert account.v1("GET", f"{path}/properties").json() == {"a": 1}


@pytest.mark.parametrize("absent", [{}, {"ttlSeconds": 0}])
def test_absent_or_0_is_the_ttl_of_the_namespace(
    account: Account, clock: Clock, absent: dict[str, object]
) -> None:
    account.v1("POST", "?ttlSecond=100", json={"name": "orders"})
    save(account, payload={"a": 1}, **absent)
    clock.advance(seconds=90)
    assert session_properties(account) == {"a": 1}
    clock.advance(seconds=10)
    assert session_properties(account) == {}


@pytest.mark.parametrize("absent", [{}, {"ttlSeconds": 0}])
def test_absent_or_0_is_the_ttl_of_the_session_first(
    account: Account, clock: Clock, absent: dict[str, object]
) -> None:
    account.v1("POST", "?ttlSecond=100", json={"name": "orders"})
    account.v1("POST", "/namespace/orders/session?ttlSecond=200", json={"sessionId": "s1"})
    save(account, payload={"a": 1}, **absent)
    clock.advance(seconds=190)
    assert session_properties(account) == {"a": 1}
    clock.advance(seconds=10)
    assert session_properties(account) == {}


@pytest.mark.parametrize("absent", [{}, {"ttlSeconds": 0}])
@pytest.mark.parametrize("session_ttl", [None, 0])
def test_absent_or_0_is_the_maximum_retention_where_the_ttl_in_force_is_forever(
    account: Account, clock: Clock, absent: dict[str, object], session_ttl: int | None
) -> None:
    if session_ttl is not None:
        account.v1("POST", "?ttlSecond=100", json={"name": "orders"})
        account.v1("POST", "/namespace/orders/session?ttlSecond=0", json={"sessionId": "s1"})
    save(account, payload={"a": 1}, **absent)
    clock.advance(seconds=RETENTION - 10)
    assert session_properties(account) == {"a": 1}
    clock.advance(seconds=10)
    assert session_properties(account) == {}


@pytest.mark.parametrize("absent", [{}, {"ttlSeconds": 0}])
def test_absent_or_0_stamps_every_property_too(
    account: Account, clock: Clock, absent: dict[str, object]
) -> None:
    account.v1("PATCH", "/orders/s1/properties", json={"forever": 1})
    save(account, payload={"a": 1}, **absent)
    clock.advance(seconds=RETENTION)
    assert session_properties(account) == {}


def test_the_ttl_of_a_save_overrides_those_in_force(account: Account, clock: Clock) -> None:
    account.v1("POST", "?ttlSecond=10", json={"name": "orders"})
    account.v1("POST", "/namespace/orders/session?ttlSecond=20", json={"sessionId": "s1"})
    save(account, payload={"a": 1}, ttlSeconds=100)
    clock.advance(seconds=90)
    assert session_properties(account) == {"a": 1}


def test_the_ttl_of_a_save_does_not_set_the_ttl_of_the_session(
    account: Account, clock: Clock
) -> None:
    save(account, payload={"a": 1}, ttlSeconds=100)
    account.v1("PATCH", "/orders/s1/properties", json={"b": 1})
    assert account.v1("GET", "/namespace/orders/session").json() == []
    clock.advance(seconds=100)
    assert session_properties(account) == {"b": 1}


@pytest.mark.parametrize("seconds", [RETENTION + 1, 2_147_483_647, 2_147_483_648, 10**30])
def test_more_than_the_maximum_is_clamped_to_it(account: Account, seconds: int) -> None:
    before = datetime.now(UTC)
    save(account, payload={"a": 1}, ttlSeconds=seconds)
    after = datetime.now(UTC)
    life = timedelta(seconds=RETENTION)
    assert before + life - MILLISECOND <= ttl(account) <= after + life + MILLISECOND


@pytest.mark.parametrize("seconds", ["100.0", "1e2", "1.00E+2"])
def test_a_whole_number_may_be_written_in_any_way(
    account: Account, clock: Clock, seconds: str
) -> None:
    envelope = f'{{"accountId":"{account.id}","nameSpace":"orders","sessionId":"s1"'
    body = f'{envelope},"payload":{{"a":1}},"ttlSeconds":{seconds}}}'
    response = account.v2("POST", "/context/document/create", data=body, headers=JSON)
    assert response.status_code == 201, response.text
    clock.advance(seconds=100)
    assert session_properties(account) == {}


@pytest.mark.parametrize("seconds", [-1, 1.5, True, False, "60", None, [], {}, -(10**30)])
def test_a_ttl_that_is_not_a_whole_number_from_0_is_refused(
    account: Account, seconds: object
) -> None:
    body = {
        "accountId": account.id,
        "nameSpace": "orders",
        "payload": {"a": 1},
        "ttlSeconds": seconds,
    }
    response = account.v2("POST", "/context/document/create", json=body)
    assert_error(response, 400, field="ttlSeconds")
    assert account.v1("GET", "/orders/properties").json() == {}


def test_the_ttl_of_a_document_is_when_the_last_of_its_properties_expires(
    account: Account,
) -> None:
    save(account, payload={"a": 1}, ttlSeconds=100)
    stamped = ttl(account)
    account.v1("POST", "/namespace/orders/session?ttlSecond=50", json={"sessionId": "s1"})
    account.v1("PATCH", "/orders/s1/properties", json={"sooner": 1})
    assert ttl(account) == stamped
    account.v1("POST", "/namespace/orders/session?ttlSecond=500", json={"sessionId": "s1"})
    account.v1("PATCH", "/orders/s1/properties", json={"later": 1})
    assert ttl(account) - stamped > timedelta(seconds=390)


def test_a_document_with_a_property_that_never_expires_has_no_ttl(account: Account) -> None:
    save(account, payload={"a": 1}, ttlSeconds=100)
    account.v1("PATCH", "/orders/s1/properties", json={"forever": 1})
    assert "ttl" not in document(account)

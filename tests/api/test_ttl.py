"""Section 2: when properties expire. The tests move the clock of the database instead of waiting."""

import pytest

from tests.api.answers import assert_empty, assert_error
from tests.support.clock import Clock
from tests.support.service import Account

DAY = 24 * 60 * 60


def namespace_ttl(account: Account, seconds: int) -> None:
    assert_empty(account.v1("POST", f"?ttlSecond={seconds}", json={"name": "orders"}))


def session_ttl(account: Account, seconds: int, session: str = "s1") -> None:
    path = f"/namespace/orders/session?ttlSecond={seconds}"
    assert_empty(account.v1("POST", path, json={"sessionId": session}))


def save(account: Account, place: str, **members: object) -> None:
    assert_empty(account.v1("PATCH", f"{place}/properties", json=members))


def saved(account: Account, place: str) -> object:
    response = account.v1("GET", f"{place}/properties")
    assert response.status_code == 200
    return response.json()


@pytest.mark.parametrize("place", ["/orders", "/orders/s1"])
def test_without_a_ttl_properties_live_forever(account: Account, clock: Clock, place: str) -> None:
    save(account, place, a=1)
    clock.advance(seconds=100 * 365 * DAY)
    assert saved(account, place) == {"a": 1}


@pytest.mark.parametrize("place", ["/orders", "/orders/s1"])
def test_a_ttl_of_0_means_forever(account: Account, clock: Clock, place: str) -> None:
    namespace_ttl(account, 0)
    save(account, place, a=1)
    clock.advance(seconds=100 * 365 * DAY)
    assert saved(account, place) == {"a": 1}


@pytest.mark.parametrize("place", ["/orders", "/orders/s1"])
def test_a_property_expires_after_the_ttl_of_its_namespace(
    account: Account, clock: Clock, place: str
) -> None:
    namespace_ttl(account, 100)
    save(account, place, a=1)
    clock.advance(seconds=90)
    assert saved(account, place) == {"a": 1}
    clock.advance(seconds=10)
    assert saved(account, place) == {}


def test_a_put_property_expires_too(account: Account, clock: Clock) -> None:
    namespace_ttl(account, 100)
    assert_empty(account.v1("PUT", "/orders/properties/a", json=1))
    clock.advance(seconds=100)
    assert_error(account.v1("GET", "/orders/properties/a"), 404)


@pytest.mark.parametrize("session_seconds", [50, 200])
def test_the_ttl_of_a_session_overrides_that_of_its_namespace(
    account: Account, clock: Clock, session_seconds: int
) -> None:
    namespace_ttl(account, 100)
    session_ttl(account, session_seconds)
    save(account, "/orders/s1", a=1)
    clock.advance(seconds=session_seconds - 10)
    assert saved(account, "/orders/s1") == {"a": 1}
    clock.advance(seconds=10)
    assert saved(account, "/orders/s1") == {}


def test_the_ttl_of_a_session_needs_none_on_the_namespace(account: Account, clock: Clock) -> None:
    session_ttl(account, 50)
    save(account, "/orders/s1", a=1)
    save(account, "/orders/s2", a=1)
    clock.advance(seconds=50)
    assert saved(account, "/orders/s1") == {}
    assert saved(account, "/orders/s2") == {"a": 1}


def test_an_explicit_0_on_a_session_means_forever_despite_the_namespace(
    account: Account, clock: Clock
) -> None:
    namespace_ttl(account, 100)
    session_ttl(account, 0)
    save(account, "/orders/s1", a=1)
    clock.advance(seconds=100 * 365 * DAY)
    assert saved(account, "/orders/s1") == {"a": 1}


def test_the_ttl_of_a_session_does_not_apply_to_namespace_properties(
    account: Account, clock: Clock
) -> None:
    namespace_ttl(account, 100)
    session_ttl(account, 10)
    save(account, "/orders", a=1)
    clock.advance(seconds=90)
    assert saved(account, "/orders") == {"a": 1}


def test_the_ttl_of_a_session_applies_to_one_namespace_only(account: Account, clock: Clock) -> None:
    session_ttl(account, 10)
    save(account, "/other/s1", a=1)
    clock.advance(seconds=10)
    assert saved(account, "/other/s1") == {"a": 1}


def test_a_changed_ttl_does_not_apply_to_existing_properties(
    account: Account, clock: Clock
) -> None:
    save(account, "/orders", forever=1)
    namespace_ttl(account, 100)
    save(account, "/orders", hundred=1)
    namespace_ttl(account, 10)
    clock.advance(seconds=50)
    assert saved(account, "/orders") == {"forever": 1, "hundred": 1}
    namespace_ttl(account, 0)
    clock.advance(seconds=50)
    assert saved(account, "/orders") == {"forever": 1}


def test_a_changed_session_ttl_does_not_apply_to_existing_properties(
    account: Account, clock: Clock
) -> None:
    session_ttl(account, 100)
    save(account, "/orders/s1", hundred=1)
    session_ttl(account, 10)
    save(account, "/orders/s1", ten=1)
    clock.advance(seconds=50)
    assert saved(account, "/orders/s1") == {"hundred": 1}


def test_a_changed_ttl_applies_from_the_next_write_of_a_property(
    account: Account, clock: Clock
) -> None:
    namespace_ttl(account, 100)
    save(account, "/orders", longer=1, same=1)
    namespace_ttl(account, 1000)
    save(account, "/orders", longer=2)
    clock.advance(seconds=100)
    assert saved(account, "/orders") == {"longer": 2}
    namespace_ttl(account, 0)
    save(account, "/orders", longer=3)
    clock.advance(seconds=100 * 365 * DAY)
    assert saved(account, "/orders") == {"longer": 3}


@pytest.mark.parametrize("again", ["a new value", 1])
def test_a_write_renews_the_expiry_even_with_the_same_value(
    account: Account, clock: Clock, again: object
) -> None:
    namespace_ttl(account, 100)
    save(account, "/orders", a=1)
    clock.advance(seconds=90)
    save(account, "/orders", a=again)
    clock.advance(seconds=90)
    assert saved(account, "/orders") == {"a": again}
    clock.advance(seconds=10)
    assert saved(account, "/orders") == {}


def test_a_write_of_one_property_does_not_renew_the_others(account: Account, clock: Clock) -> None:
    namespace_ttl(account, 100)
    save(account, "/orders/s1", a=1, b=1)
    clock.advance(seconds=90)
    save(account, "/orders/s1", b=2)
    clock.advance(seconds=10)
    assert saved(account, "/orders/s1") == {"b": 2}


def test_reading_does_not_renew_the_expiry(account: Account, clock: Clock) -> None:
    namespace_ttl(account, 100)
    save(account, "/orders", a=1)
    clock.advance(seconds=90)
    assert saved(account, "/orders") == {"a": 1}
    clock.advance(seconds=10)
    assert saved(account, "/orders") == {}


def test_registering_without_a_ttl_keeps_the_ttl(account: Account, clock: Clock) -> None:
    namespace_ttl(account, 100)
    assert_empty(account.v1("POST", "", json={"name": "orders"}))
    save(account, "/orders", a=1)
    clock.advance(seconds=100)
    assert saved(account, "/orders") == {}


def test_registering_a_session_without_a_ttl_keeps_the_ttl(account: Account, clock: Clock) -> None:
    session_ttl(account, 100)
    assert_empty(account.v1("POST", "/namespace/orders/session", json={"sessionId": "s1"}))
    save(account, "/orders/s1", a=1)
    clock.advance(seconds=100)
    assert saved(account, "/orders/s1") == {}


# Each of these is the first read after the expiry: not even the first may show anything.
GONE_V1 = [
    ("/orders/s1/properties", {"kept": 1}),
    ("/orders/s1/properties?include=a,kept", {"kept": 1}),
    ("/orders/s1/properties?include=a", {}),
    ("/orders/gone/properties", {}),
    ("/orders/session-ids", ["s1"]),
    ("/orders/session-ids?perPage=1", ["s1"]),
    ("/orders/session-properties", [{"sessionId": "s1", "property": {"kept": 1}}]),
    ("/orders/session-properties?perPage=1", [{"sessionId": "s1", "property": {"kept": 1}}]),
]


@pytest.fixture
def expired(account: Account, clock: Clock) -> None:
    """In namespace `orders`, only the property `kept` of session `s1` has not expired."""
    save(account, "/orders/s1", kept=1)
    namespace_ttl(account, 100)
    save(account, "/orders/s1", a=1)
    save(account, "/orders/gone", a=1)
    save(account, "/orders", a=1)
    clock.advance(seconds=100)


@pytest.mark.usefixtures("expired")
@pytest.mark.parametrize(("path", "answer"), GONE_V1)
def test_an_expired_property_is_gone_for_every_read_list_and_count(
    account: Account, path: str, answer: object
) -> None:
    response = account.v1("GET", path)
    assert response.status_code == 200
    assert response.json() == answer


@pytest.mark.usefixtures("expired")
@pytest.mark.parametrize("path", ["/orders/s1/properties/a", "/orders/properties/a"])
def test_an_expired_property_is_not_found(account: Account, path: str) -> None:
    assert_error(account.v1("GET", path), 404)


@pytest.mark.usefixtures("expired")
def test_an_expired_property_is_gone_from_its_v2_document(account: Account) -> None:
    response = account.v2("GET", f"/context/document/{account.id}/orders/s1")
    assert response.status_code == 200
    assert response.json()["payload"] == {"kept": 1}


@pytest.mark.usefixtures("expired")
@pytest.mark.parametrize("path", ["/orders", "/orders/gone"])
def test_a_v2_document_of_expired_properties_is_not_found(account: Account, path: str) -> None:
    assert_error(account.v2("GET", f"/context/document/{account.id}{path}"), 404)


@pytest.mark.usefixtures("expired")
def test_an_expired_property_is_gone_for_a_v2_filter(account: Account) -> None:
    body = {
        "accountId": account.id,
        "nameSpace": "orders",
        "sessionId": "s1",
        "filter": ["orders.a", "orders.kept"],
    }
    response = account.v2("POST", "/context/document/properties", json=body)
    assert response.json() == {"orders.kept": 1}


@pytest.mark.usefixtures("expired")
def test_creating_an_expired_property_again_does_not_restore_others(
    account: Account, clock: Clock
) -> None:
    save(account, "/orders/gone", b=2)
    assert saved(account, "/orders/gone") == {"b": 2}
    save(account, "/orders/gone", a=3)
    assert saved(account, "/orders/gone") == {"a": 3, "b": 2}
    clock.advance(seconds=100)
    assert saved(account, "/orders/gone") == {}


@pytest.mark.usefixtures("expired")
def test_a_longer_ttl_restores_no_expired_property(account: Account) -> None:
    namespace_ttl(account, 0)
    session_ttl(account, 1000)
    assert saved(account, "/orders/s1") == {"kept": 1}
    assert saved(account, "/orders") == {}


def test_deleting_the_properties_keeps_the_ttl_of_the_namespace(
    account: Account, clock: Clock
) -> None:
    namespace_ttl(account, 100)
    save(account, "/orders", a=1)
    assert_empty(account.v1("DELETE", "/orders/properties"))
    save(account, "/orders", a=1)
    clock.advance(seconds=100)
    assert saved(account, "/orders") == {}


def test_deleting_the_properties_keeps_the_ttl_of_the_session(
    account: Account, clock: Clock
) -> None:
    session_ttl(account, 100)
    save(account, "/orders/s1", a=1)
    assert_empty(account.v1("DELETE", "/orders/s1/properties"))
    save(account, "/orders/s1", a=1)
    clock.advance(seconds=100)
    assert saved(account, "/orders/s1") == {}


def test_after_its_deletion_a_session_has_the_ttl_of_its_namespace(
    account: Account, clock: Clock
) -> None:
    namespace_ttl(account, 100)
    session_ttl(account, 10)
    assert_empty(account.v1("DELETE", "/namespace/orders/session/s1"))
    save(account, "/orders/s1", a=1)
    clock.advance(seconds=90)
    assert saved(account, "/orders/s1") == {"a": 1}
    clock.advance(seconds=10)
    assert saved(account, "/orders/s1") == {}


@pytest.mark.parametrize("seconds", [0, 1, 2_147_483_647])
def test_a_ttl_is_0_to_2147483647(account: Account, seconds: int) -> None:
    namespace_ttl(account, seconds)
    session_ttl(account, seconds)
    save(account, "/orders", a=1)
    (session,) = account.v1("GET", "/namespace/orders/session").json()
    assert session["ttlSecond"] == seconds
    (namespace,) = account.v1("GET", "").json()
    assert namespace.get("ttlSecond", 0) == seconds


def test_the_longest_ttl_is_accepted_and_applied(account: Account, clock: Clock) -> None:
    namespace_ttl(account, 2_147_483_647)
    save(account, "/orders", a=1)
    clock.advance(seconds=2_147_483_000)
    assert saved(account, "/orders") == {"a": 1}
    clock.advance(seconds=647)
    assert saved(account, "/orders") == {}


@pytest.mark.parametrize(
    "seconds",
    ["-1", "2147483648", str(10**30), "1.5", "1.0", "1e3", "abc", "", "true", "1_0", "%D9%A1"],
)
@pytest.mark.parametrize(
    ("path", "body"),
    [("", {"name": "orders"}), ("/namespace/orders/session", {"sessionId": "s1"})],
)
def test_any_other_ttl_is_refused(
    account: Account, path: str, body: dict[str, str], seconds: str
) -> None:
    response = account.v1("POST", f"{path}?ttlSecond={seconds}", json=body)
    assert_error(response, 400, field="ttlSecond")

"""Conditional and partial writes of properties, and what a read tells of one, against the real server."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from ccs_sdk import (
    FOREVER,
    BadRequestError,
    ConflictError,
    ContextClient,
    LeaseLostError,
    PreconditionFailedError,
    PropertyNotFoundError,
    SessionHandle,
)
from tests.sdk.faults import FaultProxy
from tests.support.clock import Clock
from tests.support.service import Account

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("both")

THREADS = 4
AWKWARD = ["..", ".", "a/b", "50% off?", "🛫", "folder/", "a,b"]


@pytest.fixture
def call(client: ContextClient) -> SessionHandle:
    return client.namespace("airline").session("conv-1")


def test_a_read_tells_the_value_its_entity_tag_and_its_times(call: SessionHandle) -> None:
    call["cart"] = {"items": []}
    cart = call.read("cart")
    assert cart.value == {"items": []}
    assert cart.etag.startswith('"')
    assert cart.expires_at is None
    assert cart.updated_at is not None
    assert abs(datetime.now(UTC) - cart.updated_at) < timedelta(minutes=1)
    assert cart.updated_at.utcoffset() == timedelta(0)


def test_a_read_of_an_absent_property_is_a_key_error(call: SessionHandle) -> None:
    with pytest.raises(PropertyNotFoundError) as missing:
        call.read("cart")
    assert isinstance(missing.value, KeyError)
    assert missing.value.request_id


def test_the_entity_tag_depends_on_the_value_alone(call: SessionHandle) -> None:
    call["a"] = call["b"] = [1, "x"]
    assert call.read("a").etag == call.read("b").etag
    call["a"] = [2]
    assert call.read("a").etag != call.read("b").etag


def test_a_save_with_if_match_takes_place_only_if_nothing_came_between(call: SessionHandle) -> None:
    call["cart"] = ["shoes"]
    before = call.read("cart")
    call["cart"] = ["hat"]
    with pytest.raises(PreconditionFailedError) as failed:
        call.set("cart", [], if_match=before.etag)
    assert failed.value.current == call.read("cart")
    assert failed.value.op is None
    etag = call.set("cart", [], if_match=call.read("cart").etag)
    assert etag == call.read("cart").etag
    call.set("cart", ["end"], if_match=etag)
    assert call["cart"] == ["end"]


def test_the_error_tells_that_nothing_is_stored(call: SessionHandle) -> None:
    with pytest.raises(PreconditionFailedError) as failed:
        call.set("cart", [], if_match="*")
    assert failed.value.current is None
    assert not isinstance(failed.value, LeaseLostError)


def test_a_save_may_require_that_the_property_is_another_one(call: SessionHandle) -> None:
    call["cart"] = 1
    etag = call.read("cart").etag
    with pytest.raises(PreconditionFailedError):
        call.set("cart", 2, if_none_match=etag)
    call.set("cart", 2, if_none_match='"another"')
    assert call["cart"] == 2


def test_a_malformed_entity_tag_is_never_no_condition(call: SessionHandle) -> None:
    for tag in ("", "unquoted", '""'):
        with pytest.raises(BadRequestError):
            call.set("cart", 1, if_match=tag)
    assert "cart" not in call


def test_a_deletion_may_have_a_condition(call: SessionHandle) -> None:
    call.update({"cart": 1, "..": 2})
    with pytest.raises(PreconditionFailedError):
        call.delete("cart", if_match='"another"')
    call.delete("cart", if_match=call.read("cart").etag)
    call.delete("..", if_match="*")
    assert call.all() == {}


def test_conditions_without_a_name_are_about_the_whole_session(call: SessionHandle) -> None:
    call.update({"a": 1, "b": 2}, if_none_match="*")
    with pytest.raises(PreconditionFailedError) as failed:
        call.update({"a": 2}, if_none_match="*")
    assert failed.value.etag is not None
    assert failed.value.current is None
    with pytest.raises(PreconditionFailedError):
        call.clear(if_match='"another"')
    call.clear(if_match=failed.value.etag)
    assert call.all() == {}


def test_of_concurrent_creators_exactly_one_gets_true(call: SessionHandle) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for number in range(5):
            claim = partial(call.create, f"claim-{number}")
            created = list(pool.map(claim, range(THREADS)))
            assert created.count(True) == 1
            assert call[f"claim-{number}"] == created.index(True)


def test_a_created_property_may_expire_and_be_created_again(
    call: SessionHandle, clock: Clock
) -> None:
    assert call.create("claim", "bot-7", ttl=60)
    assert not call.create("claim", "bot-8", ttl=60)
    clock.advance(seconds=60)
    assert call.create("claim", "bot-8")


def test_concurrent_modifications_are_all_kept(call: SessionHandle) -> None:
    def add(number: int) -> int:
        def added(seen: list[int]) -> list[int]:
            return [*seen, number]

        return len(call.modify("seen", added, default=[]))

    with ThreadPoolExecutor(THREADS) as pool:
        lengths = list(pool.map(add, range(12)))
    assert sorted(call["seen"]) == list(range(12))
    assert sorted(lengths) == list(range(1, 13))


def test_modify_gives_up_after_ten_tries(call: SessionHandle, account: Account) -> None:
    tries: list[int] = []

    def disturb(count: int) -> int:
        tries.append(count)
        account.v1("PUT", "/airline/conv-1/properties/count", json=count + 1)
        return count

    with pytest.raises(PreconditionFailedError):
        call.modify("count", disturb, default=0)
    assert tries == list(range(10))


def test_an_exception_of_the_change_ends_modify_without_a_save(call: SessionHandle) -> None:
    call["cart"] = ["shoes"]

    def refuse(cart: list[str]) -> list[str]:
        cart.append("hat")
        raise LookupError

    with pytest.raises(LookupError):
        call.modify("cart", refuse)
    assert call["cart"] == ["shoes"]


def test_modify_keeps_every_digit_after_a_collision(account: Account) -> None:
    with ContextClient(
        account.server_url, account.id, api_key=account.key, decimals=True
    ) as client:
        fares = client.namespace("fares")
        fares["LIS"] = 1
        precise = Decimal("1234567890123456789.10")
        seen: list[object] = []

        def change(fare: Decimal) -> Decimal:
            if not seen:
                headers = {"Content-Type": "application/json"}
                path = "/fares/properties/LIS"
                account.v1("PUT", path, data=str(precise), headers=headers)
            seen.append(fare)
            return fare + 1

        assert fares.modify("LIS", change) == precise + 1
        assert seen == [1, precise]
        assert fares["LIS"] == precise + 1


def test_a_save_may_have_its_own_time_to_live(call: SessionHandle, clock: Clock) -> None:
    call.set("otp", "123456", ttl=timedelta(minutes=5))
    call.update({"a": 1, "b": 2}, ttl=60)
    call.set("forever", 1, ttl=FOREVER)
    expiry = call.read("otp").expires_at
    assert expiry is not None
    assert abs(expiry - datetime.now(UTC) - timedelta(minutes=5)) < timedelta(minutes=1)
    clock.advance(seconds=61)
    assert sorted(call) == ["forever", "otp"]
    call.set("otp", "123456", ttl="keep")
    assert call.read("otp").expires_at == expiry
    clock.advance(seconds=300)
    assert call.all() == {"forever": 1}


def test_the_service_checks_the_range_of_a_ttl(call: SessionHandle) -> None:
    for ttl in (-1, 2**31):
        with pytest.raises(BadRequestError):
            call.set("otp", 1, ttl=ttl)
        with pytest.raises(BadRequestError):
            call.touch(ttl=ttl)
    assert call.all() == {}


def test_touching_renews_the_expiry_and_nothing_else(call: SessionHandle, clock: Clock) -> None:
    call.update({"a": 1, "b": 2}, ttl=60)
    before = call.read("a")
    assert call.touch(["a", "absent"], ttl=timedelta(hours=1)) == 1
    after = call.read("a")
    assert (after.value, after.etag, after.updated_at) == (1, before.etag, before.updated_at)
    assert after.expires_at is not None
    assert before.expires_at is not None
    assert after.expires_at > before.expires_at + timedelta(minutes=50)
    clock.advance(seconds=61)
    assert call.all() == {"a": 1}
    call.ttl = 120
    assert call.touch() == 1  # with the TTL in force
    clock.advance(seconds=121)
    assert call.all() == {}
    assert call.touch([]) == 0


def test_increments_are_exact_and_all_count(call: SessionHandle) -> None:
    assert call.increment("turns") == 1
    assert call.increment("turns", -3) == -2
    with ThreadPoolExecutor(THREADS) as pool:
        sums = list(pool.map(call.increment, ["turns"] * 20))
    assert sorted(sums) == list(range(-1, 19))
    assert call.increment("cost", Decimal("0.10")) == Decimal("0.10")
    total = call.increment("cost", Decimal("0.20"))
    assert type(total) is Decimal
    assert str(total) == "0.30"
    huge = 10**60 + 1
    assert call.increment("huge", huge) == huge


def test_a_conflict_with_the_stored_type_changes_nothing(call: SessionHandle) -> None:
    call["name"] = "Ana"
    changes: list[Callable[[], object]] = [
        lambda: call.increment("name"),
        lambda: call.append("name", 1),
    ]
    for change in changes:
        with pytest.raises(ConflictError) as failed:
            change()
        assert failed.value.status == 409
        assert failed.value.retry_after is None
    assert call["name"] == "Ana"


def test_appending_returns_the_length_and_keeps_the_last(call: SessionHandle) -> None:
    assert call.append("log", "hello") == 1
    assert call.append("log", ["a", "list"], None) == 3
    assert call["log"] == ["hello", ["a", "list"], None]
    assert call.append("log", 4, 5, keep=3) == 3
    assert call["log"] == [None, 4, 5]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(partial(call.append, "all"), range(20)))
    assert sorted(call["all"]) == list(range(20))


def test_merging_changes_some_members(call: SessionHandle) -> None:
    call.merge("form", {"name": "Ana", "address": {"city": "Lisbon", "zip": "1000"}})
    etag = call.merge("form", {"address": {"zip": None}, "seat": "12A"})
    assert etag == call.read("form").etag
    assert call["form"] == {"name": "Ana", "address": {"city": "Lisbon"}, "seat": "12A"}


def test_a_part_of_a_value_is_read_by_a_pointer(call: SessionHandle) -> None:
    call["cart"] = {"items": [{"price": 12}], "": 7}
    assert call.get("cart", pointer="/items/0/price") == 12
    assert call.get("cart", pointer="/") == 7
    assert call.get("cart", pointer="") == call["cart"]
    assert call.get("cart", "none", pointer="/items/1") == "none"
    assert call.get("absent", pointer="/a") is None
    with pytest.raises(BadRequestError):
        call.get("cart", pointer="items")


def test_writes_take_every_name(client: ContextClient) -> None:
    call = client.namespace("airline").session("Ana's ☎ call")
    for name in AWKWARD:
        assert call.create(name, name)
        call.set(name, [name], if_match=call.read(name).etag)
        assert call.append(name, 2) == 2
        assert call.get(name, pointer="/0") == name
    assert sorted(call) == sorted(AWKWARD)


def test_a_namespace_has_the_same_operations(client: ContextClient) -> None:
    airline = client.namespace("airline")
    assert repr(airline) == "NamespaceHandle('airline')"
    assert airline.create("hubs", ["LIS"])
    assert airline.append("hubs", "OPO") == 2
    assert airline.session("__default__").read("hubs").value == ["LIS", "OPO"]


def test_plain_writes_and_reads_stay_those_of_version_1(
    proxy: FaultProxy, account: Account
) -> None:
    with ContextClient(proxy.url, account.id, api_key=account.key) as client:
        call = client.namespace("airline").session("conv-1")
        assert call.set("a", 1) is None
        call.update({"b": 2})
        call.get("a")
        call.delete("a")
        call.clear()
    assert all(seen.path.startswith("/v1/account/") for seen in proxy.seen)
    assert not any("Idempotency-Key" in seen.headers for seen in proxy.seen)

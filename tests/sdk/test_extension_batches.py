"""Batches: many operations in one request, against the real server."""

from datetime import timedelta
from decimal import Decimal

import pytest

from ccs_sdk import (
    BadRequestError,
    ConflictError,
    ContextClient,
    LeaseLostError,
    PreconditionFailedError,
    PropertyNotFoundError,
    TooLargeError,
)
from tests.sdk.faults import FaultProxy
from tests.support.service import Account

pytestmark = pytest.mark.usefixtures("both")


def test_the_operations_of_a_batch_see_those_before_them(client: ContextClient) -> None:
    with client.batch() as batch:
        call = batch.session("airline", "conv-1")
        call.update({"intent": "rebook", "cart": {"items": [1, 2]}})
        etag = call.set("step", 1, ttl=60)
        step = call.read("step")
        turns = call.increment("turns", Decimal("1.50"))
        length = call.append("log", "a", "b", keep=1)
        call.merge("cart", {"total": 3})
        total = call.get("cart", pointer="/total")
        absent = call.get("absent", "default")
        deleted = call.delete("intent")
        some = call.only(["step", "turns", "absent"])
        touched = call.touch(["step"], ttl=timedelta(hours=1))
        hubs = batch.namespace("airline").set("hubs", ["LIS"])
    assert etag.value == step.value.etag
    assert step.value.expires_at is not None
    assert turns.value == Decimal("1.50")
    assert length.value == 1
    assert total.value == 3
    assert absent.value == "default"
    assert deleted.value == 1
    assert some.value == {"step": 1, "turns": 1.5}
    assert touched.value == 1
    assert hubs.value
    assert repr(turns) == "<Result: Decimal('1.50')>"
    everything = client.namespace("airline").session("conv-1").all()
    assert everything == {
        "step": 1,
        "turns": 1.5,
        "log": ["b"],
        "cart": {"items": [1, 2], "total": 3},
    }
    assert client.namespace("airline").all() == {"hubs": ["LIS"]}


def test_a_failed_batch_changes_nothing_and_names_the_operation(client: ContextClient) -> None:
    call = client.namespace("airline").session("conv-1")
    call["name"] = "Ana"
    batch = client.batch()
    first = batch.session("airline", "conv-2").set("a", 1)
    with pytest.raises(ConflictError) as failed, batch:
        batch.session("airline", "conv-1").increment("name")
    assert failed.value.op == 1
    assert list(client.iter_sessions("airline")) == ["conv-1"]
    with pytest.raises(BadRequestError, match="The batch was not performed"):
        _ = first.value


def test_the_error_of_a_condition_tells_what_is_stored(client: ContextClient) -> None:
    call = client.namespace("airline").session("conv-1")
    call["name"] = "Ana"
    with pytest.raises(PreconditionFailedError) as failed, client.batch() as batch:
        batch.session("airline", "conv-1").set("a", 1)
        batch.session("airline", "conv-1").set("name", "Eve", if_none_match="*")
    assert failed.value.op == 1
    assert failed.value.current == call.read("name")


def test_without_atomic_each_operation_takes_place_by_itself(client: ContextClient) -> None:
    client.namespace("airline").session("conv-1")["name"] = "Ana"
    with client.batch(atomic=False) as batch:
        call = batch.session("airline", "conv-1")
        refused = call.increment("name")
        stale = call.set("name", "Eve", if_none_match="*")
        fenced = call.set("name", "Eve", fence=1)
        saved = call.set("step", 1)
        missing = call.read("absent")
    assert isinstance(refused.error, ConflictError)
    with pytest.raises(ConflictError):
        _ = refused.value
    assert isinstance(stale.error, PreconditionFailedError)
    assert stale.error.current is not None
    assert stale.error.current.value == "Ana"
    assert isinstance(fenced.error, LeaseLostError)
    assert isinstance(missing.error, PropertyNotFoundError)
    assert saved.error is None
    assert client.namespace("airline").session("conv-1").all() == {"name": "Ana", "step": 1}


def test_a_value_is_sent_as_it_was_when_it_was_added(client: ContextClient) -> None:
    cart = ["shoes"]
    with client.batch() as batch:
        batch.session("airline", "conv-1").set("cart", cart)
        cart.append("hat")
    assert client.get_property("airline", "cart", session_id="conv-1") == ["shoes"]


def test_nothing_is_sent_if_the_block_raises_an_error(proxy: FaultProxy, account: Account) -> None:
    with ContextClient(proxy.url, account.id, api_key=account.key) as client:
        with pytest.raises(LookupError), client.batch() as batch:
            batch.session("airline", "conv-1").set("a", 1)
            raise LookupError
        with client.batch():
            pass
    assert proxy.seen == []


def test_the_service_limits_a_batch(client: ContextClient) -> None:
    with pytest.raises(BadRequestError), client.batch() as batch:
        for number in range(101):
            batch.session("airline", f"conv-{number}").set("a", 1)
    with pytest.raises(TooLargeError, match="1 MiB"), client.batch() as batch:
        for number in range(2):
            batch.session("airline", f"conv-{number}").set("a", "x" * 600_000)
    assert list(client.iter_sessions("airline")) == []


def test_reads_alone_are_sent_without_a_key(proxy: FaultProxy, account: Account) -> None:
    with ContextClient(proxy.url, account.id, api_key=account.key) as client:
        with client.batch() as batch:
            batch.session("airline", "conv-1").all()
        with client.batch() as batch:
            batch.session("airline", "conv-1").all()
            batch.session("airline", "conv-1").set("a", 1)
        with client.batch(atomic=False) as batch:
            batch.session("airline", "conv-1").set("a", 1)
    assert ["Idempotency-Key" in seen.headers for seen in proxy.seen] == [False, True, False]


def test_one_request_begins_a_turn_and_one_ends_it(client: ContextClient) -> None:
    with client.batch() as begin:
        call = begin.session("airline", "conv-1")
        grant = call.lease(30, owner="bot-7")
        known = call.all()
    assert known.value == {}
    with client.batch() as end:
        call = end.session("airline", "conv-1")
        call.set("intent", "rebook", fence=grant.value.fence)
        call.release(grant.value.fence)
    place = client.namespace("airline").session("conv-1")
    assert place["intent"] == "rebook"
    with pytest.raises(LeaseLostError):
        place.set("intent", "cancel", fence=grant.value.fence)

"""Operations of the extension under network faults: each takes effect exactly once."""

import random
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from ccs_sdk import (
    JSON,
    ConnectionFailedError,
    ContextClient,
    KeyReusedError,
    RetryPolicy,
    ServiceUnavailableError,
    SessionHandle,
)
from tests.sdk import faults
from tests.sdk.faults import Exchange, Fault, FaultProxy
from tests.support.service import Account

pytestmark = pytest.mark.usefixtures("both")

QUICK = RetryPolicy(attempts=4, base_delay=0.001)
IN_PROGRESS = b'{"code": 409, "status": "Conflict", "message": "The first try still runs."}'
PASSING = [
    faults.reset_before,
    faults.reset_after,
    faults.truncate,
    faults.never_respond,
    faults.stall,
    faults.respond(429, Retry_After="0"),
    faults.respond(502),
    faults.respond(503),
    faults.respond(409, IN_PROGRESS, Retry_After="0"),
]


@pytest.fixture
def proxied(proxy: FaultProxy, account: Account) -> Iterator[SessionHandle]:
    """A session that is reached through the proxy."""
    with ContextClient(
        proxy.url, account.id, api_key=account.key, retry=QUICK, timeout=(3, 0.5)
    ) as client:
        yield client.namespace("airline").session("conv-1")


BEFORE: dict[str, JSON] = {"step": 3, "log": ["a"], "form": {"name": "Ana", "seat": "12A"}}

WRITES: dict[str, tuple[Callable[[SessionHandle], object], object, dict[str, object]]] = {
    "increment": (lambda call: call.increment("step", 2), 5, {"step": 5}),
    "append": (lambda call: call.append("log", "b"), 2, {"log": ["a", "b"]}),
    "merge": (
        lambda call: bool(call.merge("form", {"seat": None})),
        True,
        {"form": {"name": "Ana"}},
    ),
    "create": (lambda call: call.create("claim", "bot-7"), True, {"claim": "bot-7"}),
    "modify": (lambda call: call.modify("step", lambda step: step * 2), 6, {"step": 6}),
    "set": (lambda call: bool(call.set("step", 4, if_match="*")), True, {"step": 4}),
    "update": (lambda call: call.update({"step": 4}, ttl=60), None, {"step": 4}),
    "touch": (lambda call: call.touch(ttl=60), 3, {}),
}


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("name", WRITES)
def test_a_write_takes_effect_once_and_its_result_is_that_of_the_first_attempt(
    name: str, fault: Fault, proxy: FaultProxy, client: ContextClient, proxied: SessionHandle
) -> None:
    write, result, changes = WRITES[name]
    client.set_properties("airline", BEFORE, session_id="conv-1")
    proxy.faults.extend([fault, fault])
    assert write(proxied) == result
    assert client.get_properties("airline", session_id="conv-1") == BEFORE | changes
    assert len(proxy.seen) >= 3


def test_a_batch_takes_effect_once(
    proxy: FaultProxy, client: ContextClient, account: Account
) -> None:
    proxy.faults.append(faults.reset_after)
    with (
        ContextClient(proxy.url, account.id, api_key=account.key, retry=QUICK) as proxied,
        proxied.batch() as batch,
    ):
        turns = batch.session("airline", "conv-1").increment("turns")
        batch.session("airline", "conv-2").append("log", "hello")
    assert turns.value == 1
    assert client.get_properties("airline", session_id="conv-2") == {"log": ["hello"]}


def test_a_lease_is_taken_once(proxy: FaultProxy, proxied: SessionHandle) -> None:
    proxy.faults.append(faults.reset_after)
    with proxied.lease(30, owner="bot-7") as turn:  # not refused because of its own first attempt
        turn["intent"] = "rebook"
    assert proxied["intent"] == "rebook"


def test_all_attempts_have_the_same_key_and_each_call_another(
    proxy: FaultProxy, proxied: SessionHandle
) -> None:
    proxy.faults.extend([faults.reset_before, faults.respond(503)])
    proxied.increment("a")
    proxied.increment("a")
    keys = [seen.headers["Idempotency-Key"] for seen in proxy.seen]
    assert len(keys) == 4
    assert keys[0] == keys[1] == keys[2] != keys[3]


@pytest.mark.parametrize("fault", [faults.reset_before, faults.reset_after, faults.respond(503)])
def test_a_batch_without_a_key_is_not_retried_if_that_could_do_harm(
    fault: Fault, proxy: FaultProxy, account: Account
) -> None:
    with ContextClient(proxy.url, account.id, api_key=account.key, retry=QUICK) as client:
        for harmless in (False, True):
            proxy.faults.append(fault)
            batch = client.batch(atomic=False)
            batch.session("airline", "conv-1").set("step", 1)
            if harmless:
                with batch:
                    pass
            else:
                batch.session("airline", "conv-1").increment("turns")
                with pytest.raises((ConnectionFailedError, ServiceUnavailableError)), batch:
                    pass
    assert len(proxy.seen) == 1 + 2


def test_a_find_is_retried(proxy: FaultProxy, client: ContextClient, account: Account) -> None:
    client.set_property("airline", "a", 1, session_id="conv-1")
    proxy.faults.append(faults.reset_after)
    with ContextClient(proxy.url, account.id, api_key=account.key, retry=QUICK) as found:
        assert [hit.session_id for hit in found.namespace("airline").find()] == ["conv-1"]


def test_a_conflict_of_values_is_not_retried(
    proxy: FaultProxy, client: ContextClient, proxied: SessionHandle
) -> None:
    client.set_property("airline", "name", "Ana", session_id="conv-1")
    with pytest.raises(Exception, match="409"):
        proxied.increment("name")
    assert len(proxy.seen) == 1


def test_a_key_that_was_used_for_another_request_is_an_error_of_its_own(
    proxy: FaultProxy, account: Account
) -> None:
    def other_body(exchange: Exchange) -> None:
        exchange.body = exchange.body.replace(b"conv-1", b"conv-2")
        exchange.forward()
        exchange.reset()

    proxy.faults.append(other_body)
    with (
        ContextClient(proxy.url, account.id, api_key=account.key, retry=QUICK) as client,
        pytest.raises(KeyReusedError) as failed,
    ):
        client.namespace("airline").session("conv-1").increment("a")
    assert failed.value.status == 422


def test_no_increment_is_lost_or_counted_twice_under_random_faults(
    proxy: FaultProxy, client: ContextClient, account: Account
) -> None:
    chance = random.Random(7)
    quick = [faults.pass_on, faults.reset_before, faults.reset_after, faults.respond(503)]
    proxy.faults.extend(chance.choices(quick, k=400))
    policy = RetryPolicy(attempts=50, base_delay=0.001, max_delay=0.002)
    with ContextClient(proxy.url, account.id, api_key=account.key, retry=policy) as proxied:
        call = proxied.namespace("airline").session("conv-1")
        for step in range(1, 41):
            assert call.increment("cost", Decimal("0.1")) == step * Decimal("0.1")
            assert call.append("log", step) == step
    assert len(proxy.seen) > 160  # 80 calls were made
    kept = client.get_properties("airline", session_id="conv-1")
    assert kept == {"cost": 4.0, "log": list(range(1, 41))}

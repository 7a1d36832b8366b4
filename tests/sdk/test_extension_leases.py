"""Leases of a session: held, renewed, lost and released, against the real server."""

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import ccs_sdk
from ccs_sdk import (
    ConnectionFailedError,
    ContextClient,
    LeasedError,
    LeaseLostError,
    RetryPolicy,
    SessionHandle,
    Turn,
)
from tests.sdk import faults
from tests.sdk.faults import FaultProxy
from tests.support.clock import Clock
from tests.support.service import Account
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("both")

WAIT_SECONDS = 30


@pytest.fixture
def call(client: ContextClient) -> SessionHandle:
    return client.namespace("airline").session("conv-1")


def test_one_program_holds_a_lease_at_a_time(call: SessionHandle) -> None:
    with call.lease(30, owner="bot-7") as turn:
        assert turn.owner == "bot-7"
        with pytest.raises(LeasedError) as refused, call.lease(30, owner="bot-8"):
            pass
        holder = refused.value.lease
        assert holder is not None
        assert holder.owner == "bot-7"
        assert holder.expires_at == turn.expires_at
        assert refused.value.retry_after
        first = turn.fence
    with call.lease(timedelta(seconds=30), owner="bot-8") as turn:
        assert turn.fence > first


def test_writes_of_a_turn_take_place_while_it_lasts(call: SessionHandle) -> None:
    with call.lease(30, owner="bot-7") as turn:
        turn["intent"] = "rebook"
        turn.set("step", 1, ttl=60)
        turn.update({"a": 1, "b": 2})
        assert turn.increment("turns") == 1
        assert turn.append("log", "hello") == 1
        turn.merge("cart", {"items": []})
        assert turn.modify("step", lambda step: step + 1) == 2
        assert turn.create("new", 1)
        assert not turn.create("new", 2)
        assert turn.touch(ttl=3_600) == 8
        del turn["a"]
        assert turn.pop("b") == 2
        assert turn["intent"] == "rebook"
        assert turn.lost is False
    assert sorted(call) == ["cart", "intent", "log", "new", "step", "turns"]


def test_all_writes_after_another_grant_are_refused(call: SessionHandle, clock: Clock) -> None:
    with pytest.raises(LeaseLostError), call.lease(3_600, owner="stale") as turn:
        turn["intent"] = "rebook"
        clock.advance(seconds=3_601)
        with call.lease(30, owner="next") as successor:
            successor["intent"] = "cancel"
            writes: list[Callable[[], object]] = [
                lambda: turn.set("intent", "stale"),
                lambda: turn.update({"intent": "stale"}),
                lambda: turn.delete("intent"),
                turn.clear,
                lambda: turn.increment("turns"),
                lambda: turn.append("log", 1),
                lambda: turn.merge("intent", {}),
                lambda: turn.create("new", 1),
                lambda: turn.modify("intent", str),
                turn.touch,
            ]
            for write in writes:
                with pytest.raises(LeaseLostError):
                    write()
            assert turn.lost
            assert turn["intent"] == "cancel"  # reads need no lease
    assert call.all() == {"intent": "cancel"}


def test_a_fence_works_with_the_sessions_own_handle(call: SessionHandle) -> None:
    with call.lease(30, owner="bot-7") as turn:
        call.set("intent", "rebook", fence=turn.fence)
        call.delete("intent", fence=turn.fence)
        call.clear(fence=turn.fence)
        with pytest.raises(LeaseLostError) as refused:
            call.set("intent", "rebook", fence=turn.fence + 1)
        assert refused.value.status == 412
        assert refused.value.request_id
    assert call.all() == {}


def test_a_lease_does_not_bind_writes_without_a_fence(call: SessionHandle) -> None:
    with call.lease(30, owner="bot-7"):
        call["intent"] = "rebook"
    assert call["intent"] == "rebook"


def test_a_lease_is_renewed_at_a_third_of_its_time(
    call: SessionHandle, proxy: FaultProxy, account: Account
) -> None:
    with ContextClient(proxy.url, account.id, api_key=account.key) as client:
        with client.namespace("airline").session("conv-1").lease(3, owner="bot-7") as turn:
            before = turn.expires_at
            wait_until(lambda: turn.expires_at > before + timedelta(seconds=1.5))
            turn["intent"] = "rebook"
            assert len(proxy.seen) >= 4  # the lease, two renewals or more, and the write
        with call.lease(30, owner="bot-8"):
            pass


def test_a_lost_lease_is_told_by_callback_attribute_write_and_exit(
    call: SessionHandle, clock: Clock
) -> None:
    told: list[Turn] = []
    lost = threading.Event()

    def note(turn: Turn) -> None:
        told.append(turn)
        lost.set()

    with (
        pytest.raises(LeaseLostError, match="take it again"),
        call.lease(3, owner="bot-7", on_lost=note) as turn,
    ):
        clock.advance(seconds=4)
        assert lost.wait(WAIT_SECONDS)  # the renewal was refused
        assert turn.lost
        with pytest.raises(LeaseLostError):
            turn["intent"] = "rebook"
    assert told == [turn]
    assert call.all() == {}


def test_a_renewal_that_fails_is_repeated_while_the_lease_lasts(
    proxy: FaultProxy, account: Account
) -> None:
    with (
        ContextClient(
            proxy.url, account.id, api_key=account.key, retry=RetryPolicy(attempts=1)
        ) as client,
        client.namespace("airline").session("conv-1").lease(9, owner="bot-7") as turn,
    ):
        before = turn.expires_at
        proxy.faults.extend([faults.respond(503), faults.reset_before])
        wait_until(lambda: turn.expires_at > before)
        turn["intent"] = "rebook"
        assert not turn.lost


def test_a_lease_that_could_not_be_renewed_is_lost_when_its_time_is_over(
    proxy: FaultProxy, account: Account
) -> None:
    lost = threading.Event()
    with ContextClient(
        proxy.url, account.id, api_key=account.key, retry=RetryPolicy(attempts=1)
    ) as client:
        lease = (
            client.namespace("airline")
            .session("conv-1")
            .lease(1, owner="bot-7", on_lost=lambda _: lost.set())
        )
        with pytest.raises(LeaseLostError), lease as turn:
            proxy.faults.extend([faults.respond(503)] * 9)
            assert lost.wait(WAIT_SECONDS)
            assert turn.lost
        proxy.faults.clear()


def test_the_end_of_the_block_releases_the_lease_after_an_error_too(call: SessionHandle) -> None:
    with pytest.raises(LookupError), call.lease(3_600, owner="bot-7"):
        raise LookupError
    with call.lease(30, owner="bot-8"):
        pass


def test_the_error_of_the_block_is_not_hidden_by_a_failed_release(
    proxy: FaultProxy, account: Account
) -> None:
    with ContextClient(proxy.url, account.id, api_key=account.key, retry=None) as client:
        lease = client.namespace("airline").session("conv-1").lease(60, owner="bot-7")
        with pytest.raises(LookupError) as failed, lease:
            proxy.faults.append(faults.reset_before)
            raise LookupError
        assert "The lease was not released" in failed.value.__notes__[0]
        with pytest.raises(LeasedError):
            lease.__enter__()
    with (
        ContextClient(proxy.url, account.id, api_key=account.key, retry=None) as client,
        pytest.raises(ConnectionFailedError),
        client.namespace("airline").session("conv-2").lease(60, owner="bot-7"),
    ):
        proxy.faults.append(faults.reset_before)


def test_a_lease_may_be_released_early_and_used_again(call: SessionHandle) -> None:
    lease = call.lease(60, owner="bot-7")
    with lease as turn:
        with pytest.raises(ValueError, match="The lease is taken already"):
            lease.__enter__()
        turn.release()
        turn.release()
        with pytest.raises(LeaseLostError, match="was released"):
            turn["a"] = 1
        with call.lease(30, owner="bot-8"):
            pass
    with lease as turn:
        turn["a"] = 1
    assert call.all() == {"a": 1}


def test_the_thread_of_a_lease_ends_with_its_block(account: Account) -> None:
    with ccs_sdk.ContextClient(account.server_url, account.id, api_key=account.key) as client:
        with client.namespace("airline").lease(1, owner="bot-7"):
            assert "ccs-lease" in {thread.name for thread in threading.enumerate()}
        wait_until(lambda: "ccs-lease" not in {thread.name for thread in threading.enumerate()})


def test_closing_the_client_ends_the_renewals(account: Account) -> None:
    client = ContextClient(account.server_url, account.id, api_key=account.key)
    with pytest.raises(LeaseLostError), client.namespace("airline").lease(1, owner="bot-7") as turn:
        client.close()
        wait_until(lambda: turn.lost)


def test_a_namespace_has_a_lease_too(client: ContextClient) -> None:
    with client.namespace("airline").lease(30, owner="bot-7") as turn:
        turn["hubs"] = ["LIS"]
    assert client.namespace("airline").all() == {"hubs": ["LIS"]}

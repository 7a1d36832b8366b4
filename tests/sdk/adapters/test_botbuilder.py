"""`ContextStorage` passes the Bot Framework's own tests of a storage, against the real server.

The framework is imported by the tests that use it, because that takes a second.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from ccs_sdk import ContextClient, InvalidArgumentError, PreconditionFailedError, recorded_responses
from ccs_sdk.aio import AsyncContextClient
from tests.sdk.adapters.botbuilder_suite import StorageBaseTests
from tests.support.clock import Clock
from tests.support.service import Account

if TYPE_CHECKING:
    from ccs_sdk.adapters.botbuilder import ContextStorage

Using = Callable[["ContextStorage"], Awaitable[object]]
InLoop = Callable[[Using], object]

SUITE = [name for name in vars(StorageBaseTests) if not name.startswith("_")]


class Profile:
    """A class of a bot."""

    def __init__(self, name: str, e_tag: str | None = None) -> None:
        self.name = name
        self.e_tag = e_tag


@pytest.fixture
def in_loop(account: Account) -> InLoop:
    """Runs a function with a storage, in an event loop."""
    from ccs_sdk.adapters.botbuilder import ContextStorage  # noqa: PLC0415

    async def running(function: Using) -> object:
        key = account.key
        async with AsyncContextClient(account.server_url, account.id, api_key=key) as client:
            return await function(ContextStorage(client, ttl=timedelta(hours=1)))

    return lambda function: asyncio.run(running(function))


@pytest.mark.parametrize("name", SUITE)
def test_the_frameworks_own(name: str, in_loop: InLoop) -> None:
    assert in_loop(getattr(StorageBaseTests, name))


def test_of_two_writers_with_the_same_e_tag_one_fails(in_loop: InLoop) -> None:
    async def use(storage: "ContextStorage") -> None:
        await storage.write({"user": {"count": 1}})
        first = await storage.read(["user"])
        second = await storage.read(["user"])
        first["user"]["count"] = 2
        second["user"]["count"] = 3
        await storage.write(first)
        with pytest.raises(PreconditionFailedError) as refused:
            await storage.write({"other": {"count": 9}, **second})
        assert refused.value.current
        assert refused.value.current.value == {"count": 2}
        assert list(await storage.read(["user", "other"])) == ["user"]

    in_loop(use)


def test_a_turn_may_save_an_item_again(in_loop: InLoop) -> None:
    async def use(storage: "ContextStorage") -> None:
        await storage.write({"user": Profile("Ana")})
        profile = (await storage.read(["user"]))["user"]
        for name in ("Eva", "Ida"):
            profile.name = name
            await storage.write({"user": profile})
        again = (await storage.read(["user"]))["user"]
        assert (type(again), again.name, again.e_tag) == (Profile, "Ida", profile.e_tag)

    in_loop(use)


def test_an_item_that_was_deleted_meanwhile_is_not_saved(in_loop: InLoop) -> None:
    async def use(storage: "ContextStorage") -> None:
        await storage.write({"user": {"count": 1}})
        read = await storage.read(["user"])
        await storage.delete({"user"})
        with pytest.raises(PreconditionFailedError):
            await storage.write(read)
        read["user"]["e_tag"] = "*"
        await storage.write(read)
        assert (await storage.read(["user"]))["user"]["count"] == 1

    in_loop(use)


def test_null_keys_cannot_be_deleted(in_loop: InLoop) -> None:
    async def use(storage: "ContextStorage") -> None:
        keys: Any = None
        with pytest.raises(InvalidArgumentError, match="deleting"):
            await storage.delete(keys)

    in_loop(use)


def test_items_expire(in_loop: InLoop, clock: Clock) -> None:
    async def write(storage: "ContextStorage") -> None:
        await storage.write({"user": {"count": 1}})

    async def read(storage: "ContextStorage") -> object:
        return await storage.read(["user"])

    in_loop(write)
    assert in_loop(read)
    clock.advance(seconds=3600)
    assert in_loop(read) == {}


def test_many_items_take_a_request_for_a_hundred(in_loop: InLoop) -> None:
    async def use(storage: "ContextStorage") -> None:
        items = {f"key-{number}": {"number": number} for number in range(101)}
        with recorded_responses() as responses:
            await storage.write(items)
            assert len(await storage.read(items)) == 101
            await storage.delete(items)
        assert len(responses) == 6

    in_loop(use)


def test_the_state_of_a_conversation_survives_its_turns(
    in_loop: InLoop, client: ContextClient
) -> None:
    core: Any = import_module("botbuilder.core")  # it has no types
    adapters: Any = import_module("botbuilder.core.adapters")

    async def use(storage: "ContextStorage") -> None:
        state = core.ConversationState(storage)
        count = state.create_property("count")

        async def turn(context: Any) -> None:
            turns = await count.get(context, lambda: 0) + 1
            await count.set(context, turns)
            await state.save_changes(context)
            await context.send_activity(f"turn {turns}")
            await count.set(context, turns)
            await state.save_changes(context, force=True)

        adapter = adapters.TestAdapter(turn)
        for number in (1, 2, 3):
            await adapter.test("hi", f"turn {number}")

    in_loop(use)
    (session,) = client.iter_session_properties("bot-state")
    assert session.properties["item"] == {"count": 3}

"""`ContextStore` and `AsyncContextStore` pass the tests of LangGraph's own stores, against the real server.

LangGraph is imported by the tests that use it, because that takes a second.
"""

import ast
import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ccs_sdk import BadRequestError, ContextClient, ResponseEvent, recorded_responses
from ccs_sdk.aio import AsyncContextClient
from tests.support.clock import Clock
from tests.support.service import Account

if TYPE_CHECKING:
    from ccs_sdk.adapters.langgraph import AsyncContextStore, ContextStore

Using = Callable[["AsyncContextStore"], Awaitable[None]]
InLoop = Callable[[Using], None]

SUITE = "tests.sdk.adapters.langgraph_suite"
NAMES = [
    statement.name
    for statement in ast.parse((Path(__file__).parent / "langgraph_suite.py").read_text()).body
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
]


@pytest.fixture
def store(client: ContextClient) -> "ContextStore":
    from ccs_sdk.adapters.langgraph import ContextStore  # noqa: PLC0415

    return ContextStore(client)


@pytest.fixture
def responses() -> list[ResponseEvent]:
    """The responses to the asynchronous store, whose requests are sent by a task of its own."""
    return []


@pytest.fixture
def in_loop(account: Account, responses: list[ResponseEvent]) -> InLoop:
    """Runs a function with an asynchronous store, in an event loop."""
    from ccs_sdk.adapters.langgraph import AsyncContextStore  # noqa: PLC0415

    async def running(function: Using) -> None:
        key = account.key
        async with AsyncContextClient(
            account.server_url, account.id, api_key=key, on_response=responses.append
        ) as client:
            await function(AsyncContextStore(client))

    return lambda function: asyncio.run(running(function))


@pytest.mark.parametrize("name", NAMES)
def test_langgraphs_own(name: str, request: pytest.FixtureRequest) -> None:
    test = getattr(import_module(SUITE), name)
    if "async_store" in inspect.signature(test).parameters:
        request.getfixturevalue("in_loop")(test)
    elif (waiting := test(request.getfixturevalue("store"))) is not None:
        asyncio.run(waiting)


def test_an_update_replaces_the_fields_and_keeps_the_time_of_creation(
    store: "ContextStore",
) -> None:
    store.put(("users", "u1"), "profile", {"name": "Ana", "tier": "gold"})
    first = store.get(("users", "u1"), "profile")
    store.put(("users", "u1"), "profile", {"name": "Ana"})
    second = store.get(("users", "u1"), "profile")
    assert first
    assert second
    assert second.value == {"name": "Ana"}
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at
    assert store.search(("users",), filter={"tier": "gold"}) == []


def test_items_expire_and_reads_renew_them(store: "ContextStore", clock: Clock) -> None:
    place = ("users", "u1")
    store.put(place, "minute", {"a": 1}, ttl=1)
    store.put(place, "other", {"a": 1}, ttl=0.5)
    store.put(place, "forever", {"a": 1})
    clock.advance(seconds=20)
    assert store.get(place, "minute", refresh_ttl=False)
    assert [item.key for item in store.search(place, filter={"a": 1})] == [
        "forever", "minute", "other",
    ]  # fmt: skip
    clock.advance(seconds=25)
    assert store.get(place, "minute", refresh_ttl=False)
    assert store.get(place, "other", refresh_ttl=False)
    clock.advance(seconds=36)
    assert [item.key for item in store.search(place, refresh_ttl=False)] == ["forever"]
    assert store.get(place, "minute") is None


def test_the_store_has_a_default_ttl(client: ContextClient, clock: Clock) -> None:
    from ccs_sdk.adapters.langgraph import ContextStore  # noqa: PLC0415

    store = ContextStore(client, ttl={"default_ttl": 1, "refresh_on_read": False})
    store.put(("a",), "k", {})
    store.put(("a",), "forever", {}, ttl=None)
    clock.advance(seconds=30)
    assert store.get(("a",), "k")
    clock.advance(seconds=30)
    assert store.get(("a",), "k") is None
    assert store.list_namespaces() == [("a",)]
    assert store.get(("a",), "forever")


@pytest.mark.parametrize("key", ["a/b", "..", "", "🛫 é%2F:", "line\n", "x" * 300])
def test_any_key_has_its_item(key: str, store: "ContextStore") -> None:
    store.put(("users", "é:/%"), key, {"key": key, "": None, ".": 1})
    (found,) = store.search(("users", "é:/%"))
    assert (found.namespace, found.key) == (("users", "é:/%"), key)
    assert found.value == {"key": key, "": None, ".": 1}
    store.delete(("users", "é:/%"), key)
    assert store.get(("users", "é:/%"), key) is None


def test_a_namespace_that_is_too_long_is_an_error(store: "ContextStore") -> None:
    with pytest.raises(BadRequestError, match="256"):
        store.put(("x" * 257,), "key", {})


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"score": {"$gte": 2, "$lt": 4}}, ["2", "3"]),
        ({"score": {"$ne": 2}}, ["1", "3", "4"]),
        ({"tags": ["a"]}, ["1"]),
        ({"at": {"city": "LIS"}, "score": {"$gt": 0}}, ["2"]),
        ({"at": {"city": "LIS"}, "score": {"$gt": 2}}, []),
        ({"nothing": None}, ["3"]),
    ],
)
def test_filters(wanted: dict[str, Any], found: list[str], store: "ContextStore") -> None:
    store.put(("a",), "1", {"score": 1, "tags": ["a"]})
    store.put(("a",), "2", {"score": 2, "tags": ["a", "b"], "at": {"city": "LIS"}})
    store.put(("a",), "3", {"score": 3, "nothing": None, "at": {"city": "OPO"}})
    store.put(("a",), "4", {"score": 4, "at": "LIS"})
    assert [item.key for item in store.search(("a",), filter=wanted)] == found


def test_a_page_takes_one_request_and_fifty_writes_two(store: "ContextStore") -> None:
    from langgraph.store.base import PutOp  # noqa: PLC0415

    places = [(f"{number % 3}", f"{number:03}") for number in range(60)]
    with recorded_responses() as responses:
        store.batch([PutOp(place, "key", {"number": int(place[1])}) for place in places])
    assert len(responses) == 3  # one read and two writes
    with recorded_responses() as responses:
        page = store.search((), filter={"number": {"$gte": 0}}, limit=5, offset=2)
        assert [item.namespace for item in page] == sorted(places)[2:7]
        assert store.list_namespaces(max_depth=1) == [("0",), ("1",), ("2",)]
    assert len(responses) == 2


def test_listing_namespaces_skips_their_items(
    store: "ContextStore", client: ContextClient, tmp_path: Path
) -> None:
    sizes = {("bots", "a"): 10_000, ("bots", "a", "b"): 1_500, ("bots", "a-"): 1_500, ("c",): 1}
    ids = [f"{':'.join(place)}::{n}" for place, size in sizes.items() for n in range(size)]
    items = tmp_path / "items.ndjson"
    line = {"ns": "memory", "name": "item", "value": 1}
    items.write_text("\n".join(json.dumps(line | {"session": id_}) for id_ in ids))
    client.import_from(items)

    def listed(**query: Any) -> tuple[set[tuple[str, ...]], int]:
        with recorded_responses() as responses:
            return set(store.list_namespaces(**query)), len(responses)

    assert listed() == (set(sizes), 4)
    assert listed(max_depth=1) == ({("bots",), ("c",)}, 2)
    assert listed(max_depth=3) == (set(sizes), 4)
    assert listed(max_depth=2, suffix=("b",)) == ({("bots", "a")}, 4)
    assert listed(prefix=("bots", "*"), limit=1) == ({("bots", "a-")}, 1)
    assert listed(prefix=("bots", "a"), offset=1) == ({("bots", "a", "b")}, 3)
    assert listed(prefix=("c",)) == ({("c",)}, 1)


def test_a_batch_that_is_too_large_is_sent_in_parts(store: "ContextStore") -> None:
    from langgraph.store.base import GetOp, PutOp  # noqa: PLC0415

    text = "x" * 700_000
    store.batch([PutOp(("a",), f"{number}", {"text": text}) for number in range(12)])
    found: list[Any] = store.batch([GetOp(("a",), f"{number}") for number in range(12)])
    assert [len(item.value["text"]) for item in found] == [len(text)] * 12


def test_calls_at_the_same_time_share_a_request(
    in_loop: InLoop, responses: list[ResponseEvent]
) -> None:
    async def use(store: "AsyncContextStore") -> None:
        await asyncio.gather(*(store.aput(("a",), f"{n}", {"n": n}) for n in range(20)))
        assert len(responses) == 2
        found = await asyncio.gather(*(store.aget(("a",), f"{n}") for n in range(20)))
        assert [item and item.value["n"] for item in found] == list(range(20))

    in_loop(use)


def test_threads_may_use_the_asynchronous_store(in_loop: InLoop) -> None:
    async def use(store: "AsyncContextStore") -> None:
        await asyncio.to_thread(store.put, ("a",), "k", {"n": 1})
        item = await asyncio.to_thread(store.get, ("a",), "k")
        assert item
        assert item.value == {"n": 1}
        with pytest.raises(asyncio.InvalidStateError):
            store.get(("a",), "k")

    in_loop(use)


def test_sessions_of_others_are_no_items(store: "ContextStore", client: ContextClient) -> None:
    client.set_property("memory", "a", 1, session_id="a::other")
    store.put(("a",), "k", {})
    client.set_property("memory", "note", 1, session_id="a::k")
    assert store.get(("a",), "other") is None
    assert [item.value for item in store.search(())] == [{}]
    assert [item.key for item in store.search(())] == ["k"]
    assert store.list_namespaces() == [("a",)]

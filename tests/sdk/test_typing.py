"""The types that a user's type checker infers. mypy and pyright check the code, which never runs."""

from importlib.resources import files
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, assert_type

import ccs_sdk
from ccs_sdk import (
    APIKey,
    Document,
    DocumentReceipt,
    Hit,
    LeaseGrant,
    LeaseHolder,
    Namespace,
    NamespaceHandle,
    NewAPIKey,
    Pages,
    Property,
    Result,
    Scopes,
    SessionHandle,
    SessionProperties,
    SessionToken,
    SessionTTL,
    StatusError,
    Token,
    Turn,
)

if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterator, KeysView, ValuesView
    from datetime import datetime, timedelta
    from decimal import Decimal

    def v1(client: ccs_sdk.ContextClient) -> None:
        assert_type(client.__enter__(), ccs_sdk.ContextClient)
        assert_type(client.list_namespaces(), list[Namespace])
        assert_type(client.list_namespaces()[0].ttl, timedelta)
        assert_type(client.list_namespaces()[0].created_at, datetime)
        assert_type(client.get_properties("ns", only=["a"], session_id="s"), dict[str, Any])
        assert_type(client.get_property("ns", "a"), Any)
        assert_type(client.iter_sessions("ns"), Pages[str])
        assert_type(client.iter_session_properties("ns"), Pages[SessionProperties])
        assert_type(client.list_session_ttls("ns"), list[SessionTTL])
        assert_type(list(client.iter_sessions("ns").pages()), list[list[str]])
        client.register_namespace("ns", ttl=timedelta(hours=1))
        client.set_session_ttl("ns", "s", 3600)
        names: dict[str, str] = {"a": "b"}
        client.set_properties("ns", names)
        lists: dict[str, list[dict[str, int | None]]] = {}
        client.set_properties("ns", lists)
        client.set_property("ns", "when", datetime.now())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # noqa: DTZ005

    class Leg(TypedDict):
        origin: str
        stops: NotRequired[list[str]]

    class Trip(TypedDict, total=False):
        legs: list[Leg]

    def typed_dicts(
        client: ccs_sdk.ContextClient, documents: ccs_sdk.DocumentClient, trip: Trip, leg: Leg
    ) -> None:
        client.set_properties("ns", trip)
        client.set_property("ns", "trip", trip)
        client.set_property("ns", "legs", [leg])
        client.set_property("ns", "trips", {"first": trip})
        client.namespace("ns")["trip"] = trip
        client.namespace("ns").update(trip)
        documents.save("ns", trip)
        client.set_property("ns", "when", {"now": datetime.now()})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]  # noqa: DTZ005

    def names(client: ccs_sdk.ContextClient, documents: ccs_sdk.DocumentClient) -> None:
        handle = client.namespace("ns")
        handle.only(["a"])
        handle.only(("a", "b"))
        handle.only({"a"})
        handle.only({"a": 1})
        handle.only({"a": 1}.keys())
        handle.only(name for name in ["a"])
        client.get_properties("ns", only=frozenset({"a"}))
        handle.only("step")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        client.get_properties("ns", only="step")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        documents.get_properties("ns", "step")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        documents.delete_properties("ns", "step")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def handles(client: ccs_sdk.ContextClient) -> None:
        namespace = client.namespace("ns")
        assert_type(namespace, NamespaceHandle)
        assert_type(namespace.ttl, timedelta)
        session = namespace.session("s")
        assert_type(session, SessionHandle)
        assert_type(session.ttl, timedelta | None)
        assert_type(session.session_id, str)
        assert_type(session.all(), dict[str, Any])
        assert_type("a" in session, bool)
        assert_type(list(session), list[str])
        assert_type(dict(session), dict[str, Any])
        assert_type(session.keys(), KeysView[str])
        assert_type(session.values(), ValuesView[Any])
        assert_type(session.items(), ItemsView[str, Any])
        assert_type(session.pop("a"), Any)
        assert_type(session.pop("a", None), Any)
        assert_type(session.setdefault("a", 1), Any)
        session.ttl = None  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
        session.ttl = 60
        session.ttl = timedelta(minutes=1)
        namespace.ttl = 0
        scopes = client.scopes("ns", user_id="u")
        assert_type(scopes, Scopes)
        assert_type(scopes.user, SessionHandle)
        assert_type(scopes.global_, NamespaceHandle)

    def operations(call: SessionHandle, trip: Trip) -> None:
        assert_type(call.read("a"), Property)
        assert_type(call.read("a").value, Any)
        assert_type(call.read("a").expires_at, datetime | None)
        assert_type(call.set("a", trip, if_match="*", ttl="keep", fence=1), str | None)
        assert_type(call.create("a", 1, ttl=timedelta(hours=1)), bool)
        assert_type(call.modify("a", lambda value: value, default=[]), Any)
        assert_type(call.touch(["a"], ttl=60), int)
        assert_type(call.increment("a", Decimal("0.1")), int | Decimal)
        assert_type(call.append("a", 1, trip, keep=50), int)
        assert_type(call.get("a", pointer="/0"), Any)
        assert_type(call.token(scope="write", names={"a"}), SessionToken)
        call.merge("a", trip)
        call.update(trip, ttl=60)
        call.set("a", 1, ttl="forever")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        call.increment("a", 0.1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        call.append("a", 1, ttl="keep")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        call.touch("a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        call.token(names="a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        call.token(scope="admin")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        call.set("a", 1, if_match=["e"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        call.lease(30)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        with call.lease(30, owner="bot-7", on_lost=lambda turn: turn.fence) as turn:
            assert_type(turn, Turn)
            assert_type(turn.fence, int)
            assert_type(turn.lost, bool)
            turn["a"] = 1

    def typed(client: ccs_sdk.ContextClient, call: SessionHandle) -> None:
        assert_type(call.get("a"), Any)
        assert_type(call.get("a", type=int), int | None)
        assert_type(call.get("a", 0, type=int), int)
        assert_type(call.get("a", "none", pointer="/0", type=list[int]), list[int] | str)
        assert_type(client.get_property("ns", "a", type=datetime), datetime)
        assert_type(client.with_options(timeout=1, retry=None), ccs_sdk.ContextClient)
        assert_type(call.with_options(retry=None), SessionHandle)
        client.with_options(timeout="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        with ccs_sdk.recorded_responses() as responses:
            assert_type(responses[-1].headers["ETag"], str)

    def batches(client: ccs_sdk.ContextClient) -> None:
        with client.batch(atomic=False) as batch:
            call = batch.session("ns", "s")
            assert_type(call.set("a", 1), Result[str])
            assert_type(call.read("a"), Result[Property])
            assert_type(call.get("a").value, Any)
            assert_type(call.all().value, dict[str, Any])
            assert_type(call.increment("a").value, int | Decimal)
            assert_type(call.append("a", 1).value, int)
            assert_type(call.lease(30, owner="b").value, LeaseGrant)
            assert_type(call.delete("a").error, StatusError | None)

    def found(client: ccs_sdk.ContextClient) -> None:
        namespace = client.namespace("ns")
        assert_type(namespace.find(where={"a": {"$gte": 1}}, fields=["a"]), Iterator[Hit])
        assert_type(namespace.count(where={"a": None}), int)
        namespace.find(fields=True)
        namespace.find(fields="a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def keys(client: ccs_sdk.ContextClient) -> None:
        assert_type(client.keys.create(scope="read", namespaces=["day_*"]), NewAPIKey)
        assert_type(client.keys.rotate("k", overlap=60).info, APIKey)
        assert_type(client.keys.list(), list[APIKey])
        client.keys.create(scope="root")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def failures(condition: ccs_sdk.PreconditionFailedError, leased: ccs_sdk.LeasedError) -> None:
        assert_type(condition.current, Property | None)
        assert_type(condition.op, int | None)
        assert_type(leased.lease, LeaseHolder | None)
        assert_type(leased.retry_after, float | None)

    def v2(client: ccs_sdk.DocumentClient) -> None:
        assert_type(client.save("ns", {"a": 1}, ttl=timedelta(days=1)), DocumentReceipt)
        assert_type(client.get("ns"), Document)
        assert_type(client.get("ns").expires_at, datetime | None)
        assert_type(client.get_properties("ns", ["a"]), dict[str, Any])
        assert_type(client.delete_properties("ns", ["a"]), DocumentReceipt)
        assert_type(client.delete("ns"), DocumentReceipt)
        assert_type(client.login(), Token)

    def options(more: ccs_sdk.ClientOptions) -> None:
        ccs_sdk.ContextClient(timeout=3, retry=None, decimals=True, on_retry=print)
        ccs_sdk.ContextClient(**more)
        ccs_sdk.DocumentClient(**more)
        ccs_sdk.ContextClient(retries=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        ccs_sdk.DocumentClient(time_out=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        ccs_sdk.ContextClient(retry=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        ccs_sdk.ContextClient(timeout="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_the_package_contains_py_typed() -> None:
    assert files(ccs_sdk).joinpath("py.typed").is_file()

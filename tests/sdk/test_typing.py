"""What a user's type checker infers; mypy and pyright hold the lines that are never run."""

from importlib.resources import files
from typing import TYPE_CHECKING, Any, assert_type

import ccs_sdk
from ccs_sdk import (
    Document,
    DocumentReceipt,
    Namespace,
    NamespaceHandle,
    Pages,
    Scopes,
    SessionHandle,
    SessionProperties,
    SessionTTL,
    Token,
)

if TYPE_CHECKING:
    from datetime import datetime, timedelta

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
        session.ttl = 60
        session.ttl = timedelta(minutes=1)
        namespace.ttl = 0
        scopes = client.scopes("ns", user_id="u")
        assert_type(scopes, Scopes)
        assert_type(scopes.user, SessionHandle)
        assert_type(scopes.global_, NamespaceHandle)

    def v2(client: ccs_sdk.DocumentClient) -> None:
        assert_type(client.save("ns", {"a": 1}, ttl=timedelta(days=1)), DocumentReceipt)
        assert_type(client.get("ns"), Document)
        assert_type(client.get("ns").expires_at, datetime | None)
        assert_type(client.get_properties("ns", ["a"]), dict[str, Any])
        assert_type(client.delete_properties("ns", ["a"]), DocumentReceipt)
        assert_type(client.delete("ns"), DocumentReceipt)
        assert_type(client.login(), Token)

    def options() -> None:
        ccs_sdk.ContextClient(timeout=3, retry=None, decimals=True, on_retry=print)
        ccs_sdk.ContextClient(retries=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def test_the_package_tells_type_checkers_that_it_is_typed() -> None:
    assert files(ccs_sdk).joinpath("py.typed").is_file()

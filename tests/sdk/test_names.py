"""Any allowed name works, and no argument can form the path of something else."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccs_sdk import (
    DEFAULT_SESSION,
    JSON,
    BadRequestError,
    ContextClient,
    DocumentClient,
    InvalidArgumentError,
    PropertyNotFoundError,
    TooLargeError,
    _names,
)
from ccs_server.domain import names as theirs
from tests.sdk.faults import Exchange, FaultProxy, Response
from tests.support.service import Account

pytestmark = pytest.mark.usefixtures("both")

AWKWARD_IN_BOTH = [
    "a b",
    " ",
    " padded ",
    "é",
    "e\u0301",
    "😀",
    "😀" * 256,
    "\u202eright to left",
    "\u200b",
    "100%",
    "%2F",
    "%2e%2E",
    "a?b#c",
    "a&b=c+d",
    "a;b",
    "a,b",
    ",",
    "..a",
    "...",
    "~.-_",
    "\\",
    '"',
    "'",
    "<script>",
    "a:b@c",
    "[x]{y}|^`",
    "__default__.x",
    "include",
    "namespace",
    "session",
]
AWKWARD_NAMES = [
    *AWKWARD_IN_BOTH,
    "image/png",
    "/a",
    "//a",
    "a/",
    "a//",
    "/",
    "//",
    "a,/",
    "a/../",
    "a//b",
    "a/../b",
    "a/./b",
    "../a",
    "properties",
    "properties/a",
    "a/properties/b",
    "session-ids",
]
BODY_ONLY = [".", ".."]
AWKWARD_SESSIONS = [*AWKWARD_IN_BOTH, ".", "..", "property"]


@pytest.mark.parametrize("name", [*AWKWARD_NAMES, *BODY_ONLY])
def test_any_property_name_works(client: ContextClient, name: str) -> None:
    airline = client.namespace("airline")
    for place in (airline, airline.session("conv-1")):
        place["other"] = "stays"
        with pytest.raises(PropertyNotFoundError):
            place[name]
        place[name] = {"name": name}
        assert place[name] == {"name": name}
        assert place.only([name]) == {name: {"name": name}}
        assert place.all() == {"other": "stays", name: {"name": name}}


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_any_name_that_a_path_can_contain_can_be_deleted(client: ContextClient, name: str) -> None:
    client.set_properties("airline", {name: 1, "other": 2})
    client.delete_property("airline", name)
    assert client.get_properties("airline") == {"other": 2}


@pytest.mark.parametrize("name", [*AWKWARD_NAMES, *BODY_ONLY])
def test_version_2_reads_and_deletes_the_same_names(
    client: ContextClient, documents: DocumentClient, name: str
) -> None:
    documents.save("airline", {name: 1, "other": 2})
    assert documents.get_properties("airline", [name]) == {name: 1}
    assert client.get_property("airline", name) == 1
    documents.delete_properties("airline", [name])
    assert client.get_properties("airline") == {"other": 2}


@pytest.mark.parametrize("name", BODY_ONLY)
def test_version_1_refuses_to_delete_other_names_and_points_to_version_2(
    client: ContextClient, name: str
) -> None:
    client.set_property("airline", name, 1)
    with pytest.raises(
        InvalidArgumentError, match=r"use (Async)?DocumentClient\.delete_properties"
    ):
        client.delete_property("airline", name)
    assert name in client.namespace("airline")


@pytest.mark.parametrize("session_id", AWKWARD_SESSIONS)
def test_any_session_id_works(
    client: ContextClient, documents: DocumentClient, session_id: str
) -> None:
    airline = client.namespace("airline")
    airline["whose"] = "namespace"
    place = airline.session(session_id)
    place["whose"] = "session"
    place.ttl = 60
    assert place.all() == {"whose": "session"}
    assert place.ttl is not None
    assert session_id in list(airline.iter_sessions())
    assert documents.get("airline", session_id=session_id).payload == {"whose": "session"}
    del place["whose"]
    assert place.all() == {}
    place.drop()
    assert place.ttl is None
    assert airline.all() == {"whose": "namespace"}


@pytest.mark.parametrize(
    ("session_id", "name", "path"),
    [
        ("..", "a", "airline/%2E%2E/properties/a"),
        (".", "a/../b", "airline/%2E/properties/a%2F..%2Fb"),
        ("a", "b/", "airline/a/properties/b%2F"),
        ("a b", "%2e", "airline/a%20b/properties/%252e"),
    ],
)
def test_paths_are_sent_unchanged(
    session_id: str, name: str, path: str, proxy: FaultProxy, account: Account
) -> None:
    # Unencoded dots would work with our server, but not with every proxy in front of it.
    with ContextClient(proxy.url, account.id, api_key=account.key) as client:
        client.set_property("airline", name, 1, session_id=session_id)
    assert [seen.path for seen in proxy.seen] == [f"/v1/account/{account.id}/{path}"]


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    session_id=st.from_regex(theirs.SESSION_PATTERN, fullmatch=True).filter(
        lambda session_id: session_id not in theirs.RESERVED_SESSIONS
    ),
    name=st.from_regex(theirs.PROPERTY_PATTERN, fullmatch=True),
    value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
)
def test_any_name_and_any_text_come_back_equal(
    client: ContextClient, session_id: str, name: str, value: JSON
) -> None:
    place = client.namespace("airline").session(session_id)
    place[name] = value
    assert place[name] == value
    assert place.only([name]) == {name: value}
    place.clear()
    assert place.all() == {}


@pytest.mark.parametrize("name", ["a/", "/", "a//"])
def test_a_slash_at_the_end_of_a_name_is_sent(
    name: str, proxy: FaultProxy, account: Account
) -> None:
    def accept(exchange: Exchange) -> None:
        exchange.send(
            Response(
                *(
                    (200, {"Content-Length": "1"}, b"1")
                    if exchange.command == "GET"
                    else (204, {}, b"")
                )
            )
        )

    proxy.faults.extend([accept] * 3)
    with ContextClient(proxy.url, account.id, api_key=account.key) as client:
        client.set_property("airline", name, 1)
        assert client.get_property("airline", name) == 1
        client.delete_property("airline", name)
    path = f"/v1/account/{account.id}/airline/properties/{name.replace('/', '%2F')}"
    assert [(seen.method, seen.path) for seen in proxy.seen] == [
        ("PUT", path),
        ("GET", path),
        ("DELETE", path),
    ]


def test_deleting_a_name_that_ends_with_a_slash_keeps_the_name_without_it(
    client: ContextClient,
) -> None:
    client.set_properties("airline", {"a": 1, "a/": 2})
    client.delete_property("airline", "a/")
    assert client.get_properties("airline") == {"a": 1}


def test_the_sdk_and_the_service_reserve_the_same_session_ids() -> None:
    assert DEFAULT_SESSION == theirs.DEFAULT_SESSION
    assert _names.PATH_WORDS == theirs.RESERVED_SESSIONS


BAD_CALLS: dict[str, Callable[[ContextClient], object]] = {
    "namespace with a slash": lambda client: client.namespace("airline/conv-1"),
    "namespace that is empty": lambda client: client.delete_namespace(""),
    "session with a slash": lambda client: client.namespace("airline").session("a/b"),
    "session that is empty": lambda client: client.get_properties("airline", session_id=""),
    "session that is a path": lambda client: client.delete_properties(
        "airline", session_id="properties"
    ),
    "session that is another path": lambda client: client.get_properties(
        "airline", session_id="session-ids"
    ),
    "session without characters": lambda client: client.delete_session("airline", "\ud800"),
    "property that is empty": lambda client: client.delete_property("airline", ""),
    "property without characters": lambda client: client.get_property("airline", "\ud800"),
    "one of several properties": lambda client: client.get_properties("airline", only=["a", ""]),
    "user of scopes": lambda client: client.scopes("airline", user_id="a/b"),
    "value": lambda client: client.set_property("airline", "a", float("nan")),
    "value nested too deeply": lambda client: client.set_property("airline", "a", json.loads(DEEP)),
    "page": lambda client: client.iter_sessions("airline").page(1.5),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "page size": lambda client: list(client.iter_sessions("airline", page_size=1.5)),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
}
DEEP = "[" * 101 + "]" * 101


@pytest.fixture
def nowhere() -> Iterator[ContextClient]:
    """A client without a service: sending a request raises ConnectionFailedError."""
    with ContextClient("http://127.0.0.1:1", "acme", api_key="key", retry=None) as nowhere:
        yield nowhere


@pytest.mark.parametrize("call", BAD_CALLS)
def test_arguments_that_would_form_another_path_are_not_sent(
    call: str, nowhere: ContextClient
) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        BAD_CALLS[call](nowhere)
    assert refused.value.status == 400
    assert refused.value.request_id is None


WRONG_TYPES: list[tuple[Callable[[Any], object], str]] = [
    (lambda c: c.namespace(1), "A namespace must be a str, not int."),
    (lambda c: c.namespace("a").session(12345), "A session id must be a str, not int."),
    (lambda c: c.namespace("a").session(uuid4()), "A session id must be a str, not UUID."),
    (lambda c: c.get_properties("a", session_id=7), "A session id must be a str, not int."),
    (lambda c: c.get_property("a", b"b"), "A property name must be a str, not bytes."),
    (lambda c: c.set_property("a", None, 1), "A property name must be a str, not NoneType."),
    (lambda c: c.namespace("a").only(["b", 1]), "A property name must be a str, not int."),
    (lambda c: 7 in c.namespace("a"), "A property name must be a str, not int."),
    (lambda c: c.scopes("a", user_id=7), "A user_id must be a str, not int."),
    (
        lambda c: c.set_properties("a", [("b", 1)]),
        "Properties must be a mapping of names to values, not list.",
    ),
    (
        lambda c: c.register_namespace("a", ttl="60"),
        "A ttl must be a timedelta or an int of whole seconds.",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG_TYPES)
def test_arguments_of_the_wrong_type_are_refused_with_a_message(
    call: Callable[[Any], object], sentence: str, nowhere: ContextClient
) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        call(nowhere)
    assert refused.value.message == sentence


@pytest.mark.parametrize("names", ["step", "", None, 7])
def test_a_single_string_is_refused_as_a_list_of_names(
    names: Any, nowhere: ContextClient, documents: DocumentClient
) -> None:
    documents.save("airline", {"s": 1, "t": 2, "e": 3, "p": 4})
    calls: list[Callable[[], object]] = [
        lambda: nowhere.namespace("airline").only(names),
        lambda: documents.get_properties("airline", names),
        lambda: documents.delete_properties("airline", names),
    ]
    for call in calls:
        with pytest.raises(InvalidArgumentError, match="as a list or another collection"):
            call()
    assert documents.get("airline").payload == {"s": 1, "t": 2, "e": 3, "p": 4}


def test_any_other_collection_of_names_is_accepted(documents: DocumentClient) -> None:
    documents.save("airline", {"a": 1, "b": 2, "c": 3})
    for names in (["a", "b"], ("a", "b"), {"a", "b"}, {"a": 0, "b": 0}.keys(), iter(["a", "b"])):
        assert documents.get_properties("airline", names) == {"a": 1, "b": 2}


REFUSED_BY_THE_SERVICE: dict[str, tuple[Callable[[ContextClient], object], str]] = {
    "characters of a namespace": (
        lambda client: client.namespace("a b").all(),
        "A namespace must be 1 to 128 characters of A-Z, a-z, 0-9, '_' and '-'.",
    ),
    "reserved namespace": (
        lambda client: client.set_property("sde", "a", 1),
        "The namespace 'sde' is reserved; use another one.",
    ),
    "length of a session id": (
        lambda client: client.namespace("airline").session("a" * 257).all(),
        "A sessionId must be 1 to 256 characters, none of them a control character or '/'.",
    ),
    "control character of a property": (
        lambda client: client.set_property("airline", "a\n", 1),
        "A property name must be 1 to 256 characters, none of them a control character.",
    ),
    "empty name in a body": (
        lambda client: client.set_properties("airline", {"a": 1, "": 2}),
        "A property name must be 1 to 256 characters, none of them a control character.",
    ),
    "null character": (
        lambda client: client.set_property("airline", "a", "\0"),
        "The body holds U+0000, which cannot be stored; leave it out.",
    ),
    "ttl": (
        lambda client: client.register_namespace("airline", ttl=-1),
        "ttlSecond: Must be greater than or equal to 0 and less than or equal to 2147483647.",
    ),
    "page size": (
        lambda client: list(client.iter_sessions("airline", page_size=1_001)),
        "perPage: Must be greater than or equal to 1 and less than or equal to 1000.",
    ),
}


@pytest.mark.parametrize("what", REFUSED_BY_THE_SERVICE)
def test_all_other_rules_are_checked_by_the_service(what: str, client: ContextClient) -> None:
    call, sentence = REFUSED_BY_THE_SERVICE[what]
    with pytest.raises(BadRequestError) as refused:
        call(client)
    assert refused.value.message == sentence
    assert refused.value.request_id
    assert client.list_namespaces() == []


def test_a_body_that_is_too_large_is_not_sent(nowhere: ContextClient) -> None:
    with pytest.raises(TooLargeError, match="has 1,048,578 bytes; send at most 1,048,576"):
        nowhere.set_property("airline", "a", "x" * 1_048_576)


def test_the_error_for_a_document_that_is_too_large_says_the_size_of_the_request(
    client: ContextClient, documents: DocumentClient
) -> None:
    sentence = "document too large; the body of this request has 800,0{} bytes"
    with pytest.raises(TooLargeError, match=sentence.format("02")):
        client.set_property("airline", "a", "x" * 800_000)
    with pytest.raises(TooLargeError, match="document too large; the body of this request has 8"):
        documents.save("airline", {"a": "x" * 800_000})
    assert client.get_properties("airline") == {}


def test_the_message_for_an_absent_property_is_that_of_the_service(client: ContextClient) -> None:
    with pytest.raises(PropertyNotFoundError) as by_path:
        client.get_property("airline", "a")
    with pytest.raises(PropertyNotFoundError) as by_query:
        client.get_property("airline", "..")
    assert by_path.value.message == by_query.value.message

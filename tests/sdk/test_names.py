"""Any allowed name works, and what is not allowed is refused in the words of the service."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccs_sdk import (
    JSON,
    ContextClient,
    DocumentClient,
    InvalidArgumentError,
    PropertyNotFoundError,
    StatusError,
)
from ccs_sdk import _names as ours
from ccs_server.domain import names as theirs
from ccs_server.domain.errors import InvalidInput
from tests.sdk.faults import FaultProxy
from tests.support.service import Account

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
    "a//b",
    "a/../b",
    "a/./b",
    "../a",
    "properties",
    "properties/a",
    "a/properties/b",
    "session-ids",
]
BODY_ONLY = [".", "..", "a/", "/", "//", "a,/", "a/../"]
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
def test_any_name_that_a_path_carries_can_be_deleted(client: ContextClient, name: str) -> None:
    client.set_properties("airline", {name: 1, "other": 2})
    client.delete_property("airline", name)
    assert client.get_properties("airline") == {"other": 2}


@pytest.mark.parametrize("name", [*AWKWARD_NAMES, *BODY_ONLY])
def test_version_2_knows_and_deletes_the_same_names(
    client: ContextClient, documents: DocumentClient, name: str
) -> None:
    documents.save("airline", {name: 1, "other": 2})
    assert documents.get_properties("airline", [name]) == {name: 1}
    assert client.get_property("airline", name) == 1
    documents.delete_properties("airline", [name])
    assert client.get_properties("airline") == {"other": 2}


@pytest.mark.parametrize("name", BODY_ONLY)
def test_version_1_says_who_can_delete_the_other_names(client: ContextClient, name: str) -> None:
    client.set_property("airline", name, 1)
    with pytest.raises(InvalidArgumentError, match=r"use DocumentClient\.delete_properties"):
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
        ("a b", "%2e", "airline/a%20b/properties/%252e"),
    ],
)
def test_paths_go_onto_the_wire_as_they_are(
    session_id: str, name: str, path: str, proxy: FaultProxy, account: Account
) -> None:
    # Bare dots would work with our server, but not with every proxy before it.
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
def test_names_and_texts_of_any_kind_come_back(
    client: ContextClient, session_id: str, name: str, value: JSON
) -> None:
    place = client.namespace("airline").session(session_id)
    place[name] = value
    assert place[name] == value
    assert place.only([name]) == {name: value}
    place.clear()
    assert place.all() == {}


Check = Callable[[str], object]
CHECKS: dict[str, tuple[Check, Check]] = {
    "account": (ours.check_account, theirs.check_account),
    "namespace": (ours.check_namespace, theirs.check_namespace),
    "nameSpace": (ours.check_document_namespace, theirs.check_namespace_v2),
    "session": (ours.check_session, theirs.check_session),
    "property": (ours.check_property, theirs.check_property),
}
BAD = {
    "account": ["", "a b", "a" * 65, "é", "a\n"],
    "namespace": ["", "a b", "a" * 129, "a.b", "é", "a\n", *sorted(theirs.RESERVED_NAMESPACES)],
    "nameSpace": ["", "a-b", "a" * 129, "é", *sorted(theirs.RESERVED_NAMESPACES)],
    "session": [
        *["", "a/b", "a" * 257, "\0", "\x1f", "\x7f", "\x9f", "\ud800", "a\n"],
        *sorted(theirs.RESERVED_SESSIONS),
    ],
    "property": ["", "a" * 257, "\0", "\n", "\x85", "\udfff"],
}
GOOD = {
    "account": ["a", "a" * 64, "A-z_0"],
    "namespace": ["a-b", "a" * 128, "Sde", "sde_"],
    "nameSpace": ["a_b", "a" * 128],
    "session": AWKWARD_SESSIONS,
    "property": [*AWKWARD_NAMES, *BODY_ONLY],
}


def _cases(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(kind, name) for kind, names in table.items() for name in names]


@pytest.mark.parametrize(("kind", "name"), _cases(BAD), ids=lambda text: ascii(text)[:40])
def test_bad_names_are_refused_in_the_words_of_the_service(kind: str, name: str) -> None:
    our_check, their_check = CHECKS[kind]
    with pytest.raises(InvalidInput) as their_refusal:
        their_check(name)
    with pytest.raises(InvalidArgumentError) as our_refusal:
        our_check(name)
    assert str(our_refusal.value) == their_refusal.value.message
    assert our_refusal.value.status == 400


@pytest.mark.parametrize(("kind", "name"), _cases(GOOD), ids=lambda text: ascii(text)[:40])
def test_good_names_pass_both(kind: str, name: str) -> None:
    our_check, their_check = CHECKS[kind]
    assert our_check(name) == their_check(name)


def test_the_tables_are_the_same() -> None:
    assert ours.RESERVED_NAMESPACES == theirs.RESERVED_NAMESPACES
    assert ours.RESERVED_SESSIONS == theirs.RESERVED_SESSIONS
    assert ours.DEFAULT_SESSION == theirs.DEFAULT_SESSION


@dataclass(frozen=True)
class Refusal:
    """A request that the service refuses, and the call that the SDK refuses in its place."""

    method: str
    path: str
    body: bytes | None
    call: Callable[[ContextClient], object]


JSON_BODY = b'{"name": "airline", "sessionId": "conv-1"}'
DEEP = "[" * 101 + "]" * 101
REFUSALS: dict[str, Refusal] = {
    "ttl": Refusal(
        "POST", "?ttlSecond=-1", JSON_BODY, lambda sdk: sdk.register_namespace("airline", ttl=-1)
    ),
    "ttl that is no integer": Refusal(
        "POST",
        "/namespace/airline/session?ttlSecond=1.5",
        JSON_BODY,
        lambda sdk: sdk.set_session_ttl("airline", "conv-1", timedelta(seconds=1.5)),
    ),
    "page": Refusal(
        "GET",
        "/airline/session-ids?page=-1",
        None,
        lambda sdk: sdk.iter_sessions("airline").page(-1),
    ),
    "page size": Refusal(
        "GET",
        "/airline/session-ids?perPage=1001",
        None,
        lambda sdk: sdk.iter_sessions("airline", page_size=1_001),
    ),
    "nesting": Refusal(
        "PUT",
        "/airline/properties/a",
        DEEP.encode(),
        lambda sdk: sdk.set_property("airline", "a", json.loads(DEEP)),
    ),
    "null character": Refusal(
        "PUT",
        "/airline/properties/a",
        b'"\\u0000"',
        lambda sdk: sdk.set_property("airline", "a", "\0"),
    ),
    "body size": Refusal(
        "PUT",
        "/airline/properties/a",
        b'"%b"' % (b"x" * 1_048_576),
        lambda sdk: sdk.set_property("airline", "a", "x" * 1_048_576),
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_other_refusals_are_in_the_words_of_the_service_too(
    what: str, account: Account, client: ContextClient
) -> None:
    refusal = REFUSALS[what]
    headers = {"Content-Type": "application/json"} if refusal.body else None
    answer = account.v1(refusal.method, refusal.path, data=refusal.body, headers=headers)
    with pytest.raises(StatusError) as refused:
        refusal.call(client)
    assert refused.value.status == answer.status_code
    assert refused.value.message == answer.json()["message"]
    assert refused.value.request_id is None  # nothing was sent


def test_an_absence_is_told_in_the_words_of_the_service(client: ContextClient) -> None:
    with pytest.raises(PropertyNotFoundError) as by_path:
        client.get_property("airline", "a")
    with pytest.raises(PropertyNotFoundError) as by_body:
        client.get_property("airline", "a/")
    assert by_path.value.message == by_body.value.message


BAD_CALLS: dict[str, Callable[[ContextClient], object]] = {
    "namespace": lambda client: client.namespace("sde"),
    "register": lambda client: client.register_namespace("a b"),
    "delete namespace": lambda client: client.delete_namespace("faas"),
    "set": lambda client: client.set_property("airline", "", 1),
    "set many": lambda client: client.set_properties("airline", {"a": 1, "b\n": 2}),
    "get": lambda client: client.get_property("airline", "\0"),
    "only": lambda client: client.get_properties("airline", only=["a" * 257]),
    "delete": lambda client: client.delete_property("airline", "a\t"),
    "session": lambda client: client.namespace("airline").session("a/b"),
    "session id": lambda client: client.get_properties("airline", session_id="session-ids"),
    "session ttl": lambda client: client.set_session_ttl("airline", "", 1),
    "delete session": lambda client: client.delete_session("airline", "\ud800"),
    "sessions": lambda client: client.iter_sessions("custom"),
    "scopes": lambda client: client.scopes("airline", user_id="a/b").user,
    "value": lambda client: client.set_property("airline", "a", float("nan")),
}


@pytest.mark.parametrize("call", BAD_CALLS)
def test_a_refusal_costs_no_request(call: str) -> None:
    with (
        ContextClient("http://127.0.0.1:1", "acme", api_key="key") as nowhere,
        pytest.raises(InvalidArgumentError),
    ):
        BAD_CALLS[call](nowhere)

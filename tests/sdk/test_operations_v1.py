"""Every operation of version 1, as a method and through handles, against the real server."""

from datetime import UTC, datetime, timedelta

import pytest

from ccs_sdk import (
    DEFAULT_SESSION,
    FOREVER,
    JSON,
    ConfigurationError,
    ContextClient,
    InvalidArgumentError,
    PropertyNotFoundError,
    SessionProperties,
    StatusError,
)
from tests.support.clock import Clock

pytestmark = pytest.mark.usefixtures("both")

NOTHING_THERE: dict[str, JSON] = {}


def test_namespaces(client: ContextClient) -> None:
    client.register_namespace("hotel")
    client.register_namespace("airline", ttl=timedelta(hours=1))
    client.set_property("taxi", "a", 1)
    namespaces = {namespace.name: namespace for namespace in client.list_namespaces()}
    assert {name: namespace.ttl for name, namespace in namespaces.items()} == {
        "airline": timedelta(hours=1),
        "hotel": FOREVER,
        "taxi": FOREVER,
    }
    age = datetime.now(UTC) - namespaces["airline"].created_at
    assert abs(age) < timedelta(minutes=1)

    client.register_namespace("airline")
    assert client.namespace("airline").ttl == timedelta(hours=1)
    client.register_namespace("airline", ttl=0)
    assert client.namespace("airline").ttl == FOREVER

    client.delete_namespace("airline")
    client.delete_namespace("airline")
    assert {namespace.name for namespace in client.list_namespaces()} == {"hotel", "taxi"}


@pytest.mark.parametrize("session_id", [None, "conv-1", DEFAULT_SESSION])
def test_properties(client: ContextClient, session_id: str | None) -> None:
    assert client.get_properties("airline", session_id=session_id) == NOTHING_THERE
    client.set_properties("airline", {"intent": "rebook", "step": 1}, session_id=session_id)
    client.set_property("airline", "step", 2, session_id=session_id)
    client.set_property("airline", "nothing", None, session_id=session_id)
    assert client.get_property("airline", "step", session_id=session_id) == 2
    assert client.get_property("airline", "nothing", session_id=session_id) is None
    assert client.get_properties("airline", session_id=session_id) == {
        "intent": "rebook",
        "step": 2,
        "nothing": None,
    }
    some = client.get_properties("airline", only=["step", "absent"], session_id=session_id)
    assert some == {"step": 2}
    assert client.get_properties("airline", only=[], session_id=session_id) == NOTHING_THERE

    client.delete_property("airline", "step", session_id=session_id)
    client.delete_property("airline", "step", session_id=session_id)
    with pytest.raises(PropertyNotFoundError) as missing:
        client.get_property("airline", "step", session_id=session_id)
    assert missing.value.status == 404
    assert missing.value.request_id

    client.delete_properties("airline", session_id=session_id)
    assert client.get_properties("airline", session_id=session_id) == NOTHING_THERE


def test_a_session_is_separate_from_its_namespace_and_other_sessions(
    client: ContextClient,
) -> None:
    airline = client.namespace("airline")
    places = [airline, airline.session("conv-1"), airline.session("conv-2")]
    for number, place in enumerate(places):
        place["number"] = number
    assert [place["number"] for place in places] == [0, 1, 2]
    assert airline.session(DEFAULT_SESSION).all() == {"number": 0}


def test_a_handle_works_like_a_mapping(client: ContextClient) -> None:
    call = client.namespace("airline").session("conv-1")
    call["intent"] = "rebook"
    call.set("step", 3)
    call.update({"seat": "12A", "tags": ["vip"]})
    assert call["intent"] == "rebook"
    assert call.get("step") == 3
    assert call.get("absent") is None
    assert call.get("absent", "default") == "default"
    assert "intent" in call
    assert "absent" not in call
    assert sorted(call) == ["intent", "seat", "step", "tags"]
    assert call.only(["seat", "absent"]) == {"seat": "12A"}
    del call["intent"]
    del call["intent"]  # no error if absent
    call.delete("step")
    assert call.all() == {"seat": "12A", "tags": ["vip"]}
    with pytest.raises(KeyError, match="no such property"):
        call["intent"]
    call.clear()
    assert list(call) == []


def test_a_handle_has_the_views_of_a_mapping(client: ContextClient) -> None:
    call = client.namespace("airline").session("conv-1")
    properties = {"intent": "rebook", "nothing": None, "..": 1, "a/b": 2}
    call.update(properties)
    assert dict(call) == properties
    assert {**call} == properties
    assert call.keys() == properties.keys()
    assert call.items() == properties.items()
    assert sorted(call.values(), key=str) == sorted(properties.values(), key=str)


def test_a_property_is_popped_once(client: ContextClient) -> None:
    call = client.namespace("airline").session("conv-1")
    call.update({"intent": "rebook", "nothing": None})
    assert call.pop("intent") == "rebook"
    assert call.pop("nothing", "default") is None
    assert call.pop("intent", None) is None
    assert call.pop("intent", "default") == "default"
    with pytest.raises(KeyError):
        call.pop("intent")
    assert call.all() == NOTHING_THERE


def test_setdefault_saves_only_if_the_property_is_absent(client: ContextClient) -> None:
    call = client.namespace("airline").session("conv-1")
    assert call.setdefault("step", 1) == 1
    assert call.setdefault("step", 2) == 1
    assert call.setdefault("nothing") is None
    assert call.setdefault("nothing", "default") is None
    assert call.all() == {"step": 1, "nothing": None}


def test_a_stored_null_is_not_treated_as_absent(client: ContextClient) -> None:
    call = client.namespace("airline").session("conv-1")
    call["nothing"] = None
    assert "nothing" in call
    assert call.get("nothing", "default") is None


def test_the_repr_of_a_handle_names_its_namespace_and_session(client: ContextClient) -> None:
    scopes = client.scopes("airline", user_id="7")
    assert repr(scopes) == "Scopes('airline', user_id='7', conversation_id=None)"
    assert repr(client.iter_sessions("airline", page_size=7)).endswith(
        "/airline/session-ids, page_size=7>"
    )
    airline = client.namespace("airline")
    assert repr(airline) == "NamespaceHandle('airline')"
    assert repr(airline.session("c'1")) == """SessionHandle('airline', "c'1")"""
    assert airline.name == "airline"
    assert airline.session("conv-1").session_id == "conv-1"


def test_the_ttl_of_a_session_takes_precedence_over_that_of_its_namespace(
    client: ContextClient, clock: Clock
) -> None:
    airline = client.namespace("airline")
    airline.register(ttl=60)
    short, long, plain = (airline.session(name) for name in ("short", "long", "plain"))
    assert short.ttl is None
    short.ttl = timedelta(seconds=10)
    long.ttl = 0
    assert short.ttl == timedelta(seconds=10)
    assert long.ttl == FOREVER
    assert {session.session_id for session in airline.list_session_ttls()} == {"short", "long"}

    for session in (short, long, plain):
        session["a"] = 1
    clock.advance(seconds=11)
    assert ["a" in session for session in (short, long, plain)] == [False, True, True]
    clock.advance(seconds=50)
    assert ["a" in session for session in (short, long, plain)] == [False, True, False]


def test_a_session_keeps_its_ttl_until_it_is_dropped(client: ContextClient) -> None:
    call = client.namespace("airline").session("conv-1")
    call.ttl = 60
    call["a"] = 1
    client.set_session_ttl("airline", "conv-1")  # no TTL given: keeps the current one
    call.clear()
    assert call.ttl == timedelta(seconds=60)
    call.drop()
    call.drop()
    assert call.ttl is None


def test_dropping_a_namespace_deletes_everything_in_it(client: ContextClient) -> None:
    airline = client.namespace("airline")
    airline.ttl = 60
    call = airline.session("conv-1")
    call.ttl = 30
    airline["a"] = call["a"] = 1
    airline.drop()
    assert airline.all() == call.all() == NOTHING_THERE
    assert airline.ttl == FOREVER
    assert call.ttl is None


def test_listings_fetch_all_pages(client: ContextClient) -> None:
    airline = client.namespace("airline")
    expected = sorted(f"conv-{number}" for number in range(105))
    for session_id in expected:
        airline.session(session_id)["id"] = session_id
    assert list(airline.iter_sessions()) == expected
    assert list(airline.iter_session_properties()) == [
        SessionProperties(session_id, {"id": session_id}) for session_id in expected
    ]
    pages = airline.iter_sessions(page_size=50)
    assert [len(page) for page in pages.pages()] == [50, 50, 5]
    assert pages.page(2) == expected[100:]
    assert list(client.iter_sessions("hotel")) == []


def test_a_listing_may_begin_after_an_id(client: ContextClient) -> None:
    airline = client.namespace("airline")
    for session_id in ("a", "b", "c", "d"):
        airline.session(session_id)["id"] = session_id
    listing = client.iter_sessions("airline", after="a", page_size=2)
    assert list(listing) == ["b", "c", "d"]
    assert listing.page(0) == ["a", "b"]
    found = client.iter_session_properties("airline", after="bb")  # which does not exist
    assert [session.session_id for session in found] == ["c", "d"]


def test_a_listing_includes_the_default_session(client: ContextClient) -> None:
    client.set_property("airline", "a", 1)
    assert list(client.iter_sessions("airline")) == [DEFAULT_SESSION]


def test_sessions_can_be_deleted_while_looping_over_a_list(client: ContextClient) -> None:
    airline = client.namespace("airline")
    for number in range(5):
        airline.session(f"conv-{number}")["a"] = 1
    for session_id in list(airline.iter_sessions(page_size=2)):
        airline.session(session_id).drop()
    assert list(airline.iter_sessions()) == []


def test_the_three_scopes_are_separate(client: ContextClient) -> None:
    scopes = client.scopes("airline", user_id="7", conversation_id="7")
    places = {
        "global": scopes.global_,
        "user": scopes.user,
        "conversation": scopes.conversation,
    }
    for name, place in places.items():
        place.set("scope", name)
        place.set("more", 1)
    for name, place in places.items():
        assert place.get("scope") == name
        assert place.all() == {"scope": name, "more": 1}
    scopes.user.delete("more")
    scopes.conversation.clear()
    assert [len(place.all()) for place in places.values()] == [2, 1, 0]


def test_scopes_use_the_documented_session_ids(client: ContextClient) -> None:
    scopes = client.scopes("airline", user_id="u-1", conversation_id="c-1")
    for place in (scopes.global_, scopes.user, scopes.conversation):
        place["a"] = 1
    assert list(client.iter_sessions("airline")) == [
        DEFAULT_SESSION,
        "conversation:c-1",
        "user:u-1",
    ]


def test_a_scope_needs_its_id(client: ContextClient) -> None:
    scopes = client.scopes("airline")
    scopes.global_["a"] = 1
    with pytest.raises(ConfigurationError, match="user_id"):
        _ = scopes.user
    with pytest.raises(ConfigurationError, match="conversation_id"):
        _ = scopes.conversation


@pytest.mark.parametrize(
    "ttl", [-1, 2_147_483_648, 10**5_000, timedelta(-1)], ids=["-1", "2**31", "huge", "timedelta"]
)
def test_a_ttl_out_of_range_is_refused(client: ContextClient, ttl: timedelta | int) -> None:
    with pytest.raises(StatusError):
        client.register_namespace("airline", ttl=ttl)
    with pytest.raises(StatusError):
        client.namespace("airline").session("conv-1").ttl = ttl
    assert client.list_namespaces() == []


@pytest.mark.parametrize("ttl", [True, timedelta(seconds=1.5)])
def test_a_ttl_that_is_not_a_whole_number_is_refused(
    client: ContextClient, ttl: timedelta | int
) -> None:
    with pytest.raises(InvalidArgumentError, match="A ttl must be a timedelta or an int"):
        client.register_namespace("airline", ttl=ttl)
    with pytest.raises(InvalidArgumentError, match="A ttl must be a timedelta or an int"):
        client.namespace("airline").session("conv-1").ttl = ttl
    assert client.list_namespaces() == []


def test_a_ttl_cannot_be_set_to_none(client: ContextClient) -> None:
    airline = client.namespace("airline")
    call = airline.session("conv-1")
    airline.ttl = 60
    call.ttl = 30
    for handle in (airline, call):
        with pytest.raises(InvalidArgumentError, match="cannot be set to None; set FOREVER"):
            handle.ttl = None  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    assert (airline.ttl, call.ttl) == (timedelta(seconds=60), timedelta(seconds=30))

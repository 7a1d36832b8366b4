"""Imports: the way back of an export, what is kept and what is skipped, limits, and locks."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from ccs_server.api.ext.lines import read_lines
from ccs_server.domain.errors import LimitReached, TooLarge, Unavailable
from ccs_server.domain.limits import MAX_IMPORT_DOCUMENTS
from ccs_server.http.body import storable
from ccs_server.settings import Settings
from ccs_server.store import namespaces, reading, saving, sessions
from ccs_server.store.connection import Statement
from ccs_server.store.database import BEGIN, ROLLBACK, Database
from ccs_server.store.document import LOCK, DocumentKey
from ccs_server.store.exporting import Export, export_page
from ccs_server.store.importing import Import, Imported, import_all
from tests.api.strategies import exploring, json_texts, number_texts, property_names
from tests.api.strategies import sessions as session_ids
from tests.support.clock import Clock


@pytest.fixture
def account() -> str:
    return f"test-{token_hex(6)}"


def line(**members: Any) -> bytes:
    return json.dumps(members).encode()


def prop(name: str = "p", value: object = 1, **members: Any) -> bytes:
    return line(**{"ns": "a", "session": "s", "name": name, "value": value} | members)


def bring(database: Database, account: str, *given: bytes, keep: bool = False) -> Imported:
    wanted = Import(account, keep)
    read_lines(b"\n".join(given), wanted, lambda _: None)
    return import_all(database, wanted)


def exported(database: Database, account: str, limit: int = 10_000) -> Iterator[bytes]:
    after = None
    while True:
        page = export_page(database, Export(account), after=after, limit=limit)
        yield page.lines
        if page.last is None:
            return
        after = page.last


def whole(database: Database, account: str) -> list[dict[str, Any]]:
    text_ = b"\n".join(part for part in exported(database, account) if part)
    return [json.loads(each) for each in text_.split(b"\n") if each]


def values(database: Database, account: str, session: str = "s") -> dict[str, Any]:
    found = reading.read_all(database, DocumentKey(account, "a", session))
    properties: dict[str, Any] = json.loads(found)
    return properties


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


NOW = datetime.now(UTC).replace(microsecond=0)
TIMES = st.none() | st.integers(60, 10**8).map(lambda s: iso(NOW - timedelta(seconds=s)))
EXPIRIES = st.none() | st.integers(60, 10**9).map(lambda s: iso(NOW + timedelta(days=1, seconds=s)))

PROPERTY = st.tuples(property_names, json_texts | number_texts, EXPIRIES, TIMES)
DOCUMENTS = st.dictionaries(
    st.sampled_from(["a", "b-c", "Z_1"]),
    st.tuples(
        st.integers(0, 2**31 - 1),
        st.dictionaries(
            st.just("__default__") | session_ids,
            st.tuples(
                st.none() | st.integers(0, 2**31 - 1),
                st.lists(PROPERTY, max_size=4, unique_by=lambda each: each[0]),
            ),
            max_size=4,
        ),
    ),
    max_size=3,
)


def written(documents: dict[str, Any]) -> list[bytes]:
    """Lines of all documents; a value is put in as its text."""
    found = []
    for ns, (ttl, its_sessions) in documents.items():
        found.append(line(ns=ns, ttlSecond=ttl))
        for session, (session_ttl, properties) in its_sessions.items():
            if session_ttl is not None and session != "__default__":
                found.append(line(ns=ns, session=session, ttlSecond=session_ttl))
            for name, value, expires_at, updated_at in properties:
                start = line(
                    ns=ns, session=session, name=name, expiresAt=expires_at, updatedAt=updated_at
                )
                compact = value.replace("\n", "").encode()
                found.append(start[:-1] + b',"value":' + compact + b"}")
    return found


@exploring
@given(documents=DOCUMENTS, limit=st.integers(1, 20), order=st.randoms(use_true_random=False))
def test_what_is_exported_and_imported_into_another_account_is_equal(
    database: Database, documents: dict[str, Any], limit: int, order: Any
) -> None:
    one, other = f"test-{token_hex(6)}", f"test-{token_hex(6)}"
    lines = written(documents)
    order.shuffle(lines)
    assert bring(database, one, *lines) == Imported(len(lines), 0)
    saved = [part for part in exported(database, one) if part]
    assert sum(part.count(b"\n") + 1 for part in saved) == len(lines)
    for part in exported(database, one, limit):
        bring(database, other, part)
    # To the byte: names, digits of numbers, times, TTLs, and the order.
    assert [part for part in exported(database, other) if part] == saved
    for keep in (True, False):
        again = bring(database, other, *saved, keep=keep)
        assert again == (Imported(0, len(lines)) if keep else Imported(len(lines), 0))
        assert [part for part in exported(database, other) if part] == saved


def test_an_entity_tag_and_the_size_of_a_document_are_the_same_after_the_way_back(
    database: Database, account: str
) -> None:
    other = f"{account}-2"
    for body in (
        b'{"e":"\\u00e9","g":"\\u0001/\\/"}',
        b'{"f":{"a":[1,1.10,-0.0e5]},"h{":"{\\u00e9"}',
    ):
        saving.save(database, DocumentKey(account, "a", "s{"), storable(body, wrapping=1))
    for part in exported(database, account):
        bring(database, other, part)
    dump = text(
        "SELECT name, value::text, size FROM property WHERE account = :account ORDER BY name"
    )
    with database.engine.connect() as connection:
        one, two = (connection.execute(dump, {"account": each}).all() for each in (account, other))
    assert one == two
    assert len(one) == 4


def test_members_that_are_left_out_are_as_in_a_save(database: Database, account: str) -> None:
    bring(
        database, account,
        b'{"ns":"a","name":"p","value":1}',
        line(ns="a", ttlSecond=0), line(ns="a", session="s", ttlSecond=600),
        prop("q"), prop("r", expiresAt=None, updatedAt=None),
    )  # fmt: skip
    by_name = {each["name"]: each for each in whole(database, account) if "name" in each}
    assert by_name["p"]["session"] == "__default__"
    assert by_name["p"]["expiresAt"] is None
    saved, expires = (
        datetime.fromisoformat(by_name["q"][member]) for member in ("updatedAt", "expiresAt")
    )
    assert abs((expires - saved).total_seconds() - 600) < 0.01
    assert abs((saved - datetime.now(UTC)).total_seconds()) < 60
    assert (by_name["r"]["expiresAt"], by_name["r"]["updatedAt"]) == (None, None)


def test_a_time_of_the_last_save_is_never_in_the_future(database: Database, account: str) -> None:
    bring(database, account, prop(updatedAt="2999-01-01T00:00:00Z"))
    (found,) = (each for each in whole(database, account) if "name" in each)
    assert datetime.fromisoformat(found["updatedAt"]) <= datetime.now(UTC)


def test_times_of_other_zones_are_the_same_moments(database: Database, account: str) -> None:
    bring(database, account, prop(expiresAt="2999-01-01T01:30:00.5+01:30"))
    (found,) = (each for each in whole(database, account) if "name" in each)
    assert found["expiresAt"] == "2999-01-01T00:00:00.500Z"


def test_expired_lines_are_skipped_and_delete_nothing(
    database: Database, account: str, clock: Clock
) -> None:
    bring(database, account, prop("p", 1))
    past = iso(datetime.now(UTC) - timedelta(seconds=5))
    soon = iso(datetime.now(UTC) + timedelta(seconds=90))
    lines = prop("p", 2, expiresAt=past), prop("q", 2, expiresAt=soon)
    assert bring(database, account, *lines) == Imported(1, 1)
    assert values(database, account) == {"p": 1, "q": 2}
    clock.advance(seconds=100)
    assert bring(database, account, *lines) == Imported(0, 2)
    assert values(database, account) == {"p": 1}


def test_keep_leaves_what_exists_and_replaces_what_has_expired(
    database: Database, account: str, clock: Clock
) -> None:
    soon = iso(datetime.now(UTC) + timedelta(seconds=50))
    bring(
        database, account, line(ns="a", ttlSecond=1000), line(ns="a", session="s", ttlSecond=2000),
        prop("stays", 1), prop("goes", 1, expiresAt=soon),
    )  # fmt: skip
    clock.advance(seconds=60)
    lines = (
        line(ns="a", ttlSecond=7), line(ns="a", session="s", ttlSecond=7), line(ns="b", ttlSecond=7),
        line(ns="b", session="s", ttlSecond=7), prop("stays", 2), prop("goes", 2), prop("comes", 2),
    )  # fmt: skip
    assert bring(database, account, *lines, keep=True) == Imported(4, 3)
    assert values(database, account) == {"stays": 1, "goes": 2, "comes": 2}
    found = [
        (each["ns"], each["ttlSecond"]) for each in whole(database, account) if "ttlSecond" in each
    ]
    assert found == [("a", 1000), ("a", 2000), ("b", 7), ("b", 7)]
    assert bring(database, account, *lines) == Imported(7, 0)
    assert values(database, account) == {"stays": 2, "goes": 2, "comes": 2}


def test_of_repeated_lines_the_last_takes_effect_or_the_first_is_kept(
    database: Database, account: str
) -> None:
    past = iso(datetime.now(UTC) - timedelta(seconds=5))
    lines = (
        prop("p", 0, expiresAt=past), prop("p", 1), prop("p", 2), prop("p", 3, expiresAt=past),
        line(ns="a", ttlSecond=1), line(ns="a", ttlSecond=2),
        line(ns="a", session="t", ttlSecond=1), line(ns="a", session="t", ttlSecond=2),
    )  # fmt: skip
    for keep, expected in ((True, 1), (False, 2)):
        into = f"{account}-{keep}"
        assert bring(database, into, *lines, keep=keep) == (
            Imported(3, 5) if keep else Imported(6, 2)
        )
        assert values(database, into) == {"p": expected}
        ttls = [each["ttlSecond"] for each in whole(database, into) if "ttlSecond" in each]
        assert ttls == [expected, expected]


def test_an_import_beyond_the_size_of_a_document_imports_nothing_and_names_a_line(
    database: Database, account: str
) -> None:
    bring(database, account, prop("p", "x" * 500_000))
    with pytest.raises(TooLarge, match="document too large") as caught:
        bring(
            database, account, prop("q", 1, ns="b"), line(ns="c", ttlSecond=5), b"",
            prop("q", "y" * 299_990), prop("r", 1),
        )  # fmt: skip
    assert caught.value.members["line"] == 4
    assert [each["ns"] for each in whole(database, account)] == ["a", "a"]
    # What is replaced does not count.
    bring(database, account, prop("p", "x" * 799_000))


def test_an_import_of_too_many_namespaces_imports_nothing(database_url: str, account: str) -> None:
    database = Database(database_url, Settings(namespace_limit=2))
    bring(database, account, prop(), prop(ns="b"))
    with pytest.raises(LimitReached, match="2 namespaces"):
        bring(database, account, prop("q"), line(ns="c", ttlSecond=5))
    assert bring(database, account, prop("q"), prop("q", ns="b")) == Imported(2, 0)
    assert len(whole(database, account)) == 6
    database.release()


def test_an_import_changes_a_bounded_number_of_documents(database: Database, account: str) -> None:
    lines = [prop(session=f"s{number}") for number in range(MAX_IMPORT_DOCUMENTS)]
    assert bring(database, account, *lines, prop("q", session="s0")).saved == len(lines) + 1
    with pytest.raises(TooLarge, match="at most 1000 sessions") as caught:
        bring(database, account, *lines, prop(session="s1"), prop(session="more"))
    assert caught.value.members["line"] == MAX_IMPORT_DOCUMENTS + 2


HURRY = Statement.of("test_hurry", "SET LOCAL lock_timeout = '100ms'")


def test_an_import_does_not_go_between_the_steps_of_who_has_the_whole_document(
    database: Database, account: str
) -> None:
    wanted = Import(account, keep=False)
    read_lines(prop(), wanted, lambda _: None)
    with database.pipelined_transaction() as holder:
        holder.pipeline((BEGIN, ()), (LOCK, DocumentKey(account, "a", "s").params()))
        with pytest.raises(Unavailable), database.pipelined_transaction() as other:
            other.pipeline((BEGIN, ()), (HURRY, ()), *wanted.steps(10))
        holder.execute(ROLLBACK)
    assert bring(database, account, prop()) == Imported(1, 0)


def test_a_namespace_that_was_deleted_is_imported_anew(database: Database, account: str) -> None:
    bring(
        database, account, line(ns="a", ttlSecond=5), line(ns="a", session="s", ttlSecond=7), prop()
    )
    namespaces.delete_namespace(database, account, "a", "test")
    bring(database, account, prop("q"))
    assert [each.get("ttlSecond", each.get("name")) for each in whole(database, account)] == [
        0,
        "q",
    ]
    assert json.loads(sessions.list_session_ttls(database, account, "a")) == []


def test_an_import_of_nothing_changes_nothing(database: Database, account: str) -> None:
    assert bring(database, account, b"", b'{"end":true}', b" \r") == Imported(0, 0)
    assert whole(database, account) == []

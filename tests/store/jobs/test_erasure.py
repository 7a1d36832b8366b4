"""An erasure: what it finds, what it leaves, what others are told, and that nothing of it is left anywhere."""

import json
import logging
from secrets import token_hex
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.json import encode
from sqlalchemy import Text, cast, select, text

from ccs_server.domain.conditions import etag_of
from ccs_server.store import saving, sessions
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.jobs import erasure, taking
from ccs_server.store.jobs.erasure import Erasure
from ccs_server.store.jobs.resource import read_job
from ccs_server.store.jobs.run import Claim, claim_next
from ccs_server.store.namespace_settings import change_settings
from ccs_server.store.namespaces import delete_namespace, register_namespace
from ccs_server.store.operations.idempotency import Answer, Request, store
from ccs_server.store.operations.leases import Lease
from ccs_server.store.operations.run import run
from ccs_server.store.purge import purge
from ccs_server.store.reading import read_all
from ccs_server.store.sequencing import sequence
from ccs_server.store.tables import metadata
from tests.support.change_log import logged_events, told
from tests.support.clock import Clock
from tests.support.jobs import BY, erased, finished, new_erasure

NUMBER = "+49301234567"


def save(database: Database, account: str, place: str, /, **properties: Any) -> None:
    """Saves properties of `namespace/session`."""
    saving.save(database, DocumentKey(account, *place.split("/")), encode(properties), BY)


def stored(database: Database, account: str, place: str) -> Any:
    return json.loads(read_all(database, DocumentKey(account, *place.split("/")))) or None


def everything(database: Database) -> dict[str, str]:
    """The rows of all tables as text."""
    with database.engine.connect() as connection:
        return {
            name: "\n".join(
                row for (row,) in connection.execute(select(cast(table.table_valued(), Text)))
            )
            for name, table in metadata.tables.items()
        }


def tables_with(database: Database, *strings: str) -> dict[str, str]:
    """The tables in which one of the strings is, and one row with it."""
    hashes = [etag_of(encode(each)).strip('"') for each in strings]
    return {
        name: row
        for name, rows in everything(database).items()
        for row in rows.split("\n")
        if any(each in row for each in (*strings, *hashes))
    }


def answer(database: Database, account: str, key: bytes, body: Any, *addresses: Any) -> None:
    """Stores the response to a request with an idempotency key."""
    request = Request(account, "key:k1", key, b"")
    database.pipeline(store(request, Answer(200, encode(body), encode(addresses))))


def answers(database: Database, account: str) -> dict[str, Any]:
    query = "SELECT convert_from(key_hash, 'UTF8'), body FROM idempotent_response WHERE account = :account"
    with database.engine.connect() as connection:
        return dict(connection.execute(text(query), {"account": account}).all())


# What an erasure is to do, and what is left of what `fill` saves.
FOUND: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sessionId": ({"sessions": ["s1"]}, {"ns/s1": None}),
    "sessionId in part": (
        {"sessions": ["1"], "is_part": True},
        {"ns/s1": None, "ns/s1x": None},
    ),
    "name": ({"names": ["mail"]}, {"ns/s2": {"a": 1}}),
    "name in part": (
        {"names": ["ai"], "is_part": True},
        {"ns/s2": {"a": 1}, "ns/s3": {"a": {"b": ["x"]}}},
    ),
    "value": ({"values": ["x"]}, {"ns/s1": {"b": "xy"}, "ns/s3": {"mai%": 'q"\\/é'}}),
    "value in part": (
        {"values": ["x"], "is_part": True},
        {"ns/s1": None, "ns/s3": {"mai%": 'q"\\/é'}},
    ),
    "name of a member": ({"values": ["b"]}, {"ns/s3": {"mai%": 'q"\\/é'}}),
    "value with escapes": ({"values": ['q"\\/é']}, {"ns/s3": {"a": {"b": ["x"]}}}),
    "wildcards are characters": ({"names": ["mai%"]}, {"ns/s3": {"a": {"b": ["x"]}}}),
    "a number is no string": ({"values": ["1"]}, {}),
    "whole sessions by name": ({"names": ["mail"], "takes_sessions": True}, {"ns/s2": None}),
    "whole sessions by value": (
        {"values": ["x"], "takes_sessions": True},
        {"ns/s1": None, "ns/s3": None},
    ),
    "any of several": (
        {"sessions": ["s2"], "values": ["xy", "none"]},
        {"ns/s1": {"a": "x"}, "ns/s2": None},
    ),
    "another namespace": ({"sessions": ["s1"], "namespaces": ["other"]}, {"other/s1": None}),
    "a namespace that is not there": ({"sessions": ["s1"], "namespaces": ["none"]}, {}),
}
SAVED: dict[str, dict[str, Any]] = {
    "ns/s1": {"a": "x", "b": "xy"},
    "ns/s1x": {"a": "z"},
    "ns/s2": {"a": 1, "mail": None},
    "ns/s3": {"a": {"b": ["x"]}, "mai%": 'q"\\/é'},
    "other/s1": {"a": 1},
}


@pytest.mark.parametrize("is_dry_run", [True, False], ids=["counted", "erased"])
@pytest.mark.parametrize("case", FOUND)
def test_it_erases_what_is_found_and_leaves_the_rest(
    quiet: Database, account: str, case: str, is_dry_run: bool
) -> None:
    terms, changed = FOUND[case]
    if "namespaces" not in terms:
        terms = terms | {"namespaces": ["ns"]}
    for place, properties in SAVED.items():
        save(quiet, account, place, **properties)
    job = erased(quiet, account, **terms, is_dry_run=is_dry_run)
    left = SAVED if is_dry_run else SAVED | changed
    assert {place: stored(quiet, account, place) for place in SAVED} == left
    count = sum(len(SAVED[place]) - len(kept or {}) for place, kept in changed.items())
    whole = terms.get("takes_sessions") or "sessions" in terms
    gone = sum(kept is None for kept in changed.values()) if whole else 0
    assert (job.properties, job.sessions) == (count, gone)


@settings(max_examples=40)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text('a"\\/é\n😀', max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text('a"\\/é😀', min_size=1, max_size=2), inner, max_size=3)
        ),
    ),
    wanted=st.text('a"\\/é\n😀', min_size=1, max_size=2),
    is_part=st.booleans(),
    is_ascii=st.booleans(),
    space=st.sampled_from([None, 1, "\t", "\r"]),
)
def test_a_value_is_found_however_it_is_written(
    quiet: Database,
    value: Any,
    wanted: str,
    is_part: bool,
    is_ascii: bool,
    space: int | str | None,
) -> None:
    account = f"written-{token_hex(6)}"
    document = DocumentKey(account, "ns", "s")
    written = json.dumps({"p": value}, ensure_ascii=is_ascii, indent=space)
    saving.save(quiet, document, written.encode())

    def has(part: Any) -> bool:
        if isinstance(part, dict):
            return any(has(name) or has(member) for name, member in part.items())
        if isinstance(part, list):
            return any(map(has, part))
        return isinstance(part, str) and (wanted in part if is_part else wanted == part)

    job = erased(quiet, account, values=[wanted], is_part=is_part)
    assert job.properties == has(value)


def test_nothing_is_left_anywhere(
    own_database: Database, own_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    database = own_database
    for namespace, changes in {"ns": "values", "names": "names"}.items():
        change_settings(database, "a", namespace, changes=changes)  # type: ignore[arg-type]
        save(database, "a", f"{namespace}/{NUMBER}", step=1)
        save(database, "a", f"{namespace}/s1", caller=NUMBER, other=2)
        save(database, "a", f"{namespace}/s2", caller={"tel": [NUMBER]}, **{NUMBER: 1})
        save(database, "a", f"{namespace}/s3", caller=NUMBER)
        save(database, "a", f"{namespace}/s3", caller="anonymous")
        save(database, "a", f"{namespace}/__default__", **{NUMBER: True})
        sessions.set_session_ttl(database, DocumentKey("a", namespace, NUMBER), 60)
    sessions.set_session_ttl(database, DocumentKey("a", "ttls", NUMBER), 60)
    run(database, Lease(document=DocumentKey("a", "ns", NUMBER), owner="bot", seconds=60))
    register_namespace(database, "a", "leases", None)
    run(database, Lease(document=DocumentKey("a", "leases", NUMBER), owner="bot", seconds=60))
    save(database, "a", f"gone/{NUMBER}", step=1)
    delete_namespace(database, "a", "gone", BY)
    answer(
        database,
        "a",
        b"value",
        {"results": [{"status": 200, "value": NUMBER}]},
        ["ns", "s1", "caller"],
    )
    answer(
        database, "a", b"session", {"results": [{"status": 200, "values": {"step": 17}}]},
        ["ns", NUMBER, None],
    )  # fmt: skip
    answer(
        database, "a", b"tag", {"results": [{"status": 200, "etag": etag_of(encode(NUMBER))}]},
        ["ns", "s1", "caller"],
    )  # fmt: skip
    answer(
        database, "a", b"other", {"results": [{"status": 200, "value": 2}]}, ["ns", "s1", "other"]
    )
    sequence(database)
    own_clock.advance(seconds=1)
    found = {"property", "session_ttl", "lease", "change", "idempotent_response"}
    assert tables_with(database, NUMBER).keys() == found

    job = erased(database, "a", sessions=[NUMBER], names=[NUMBER], values=[NUMBER])

    sequence(database)
    # Mirrors are told for a day.
    assert tables_with(database, NUMBER).keys() == {"change"}
    own_clock.advance(seconds=86_400)
    purge(database)
    assert tables_with(database, NUMBER) == {}
    assert NUMBER not in caplog.text
    assert stored(database, "a", "ns/s1") == {"other": 2}
    assert stored(database, "a", "ns/s3") == {"caller": "anonymous"}
    assert (job.sessions, job.properties) == (5, 11)


def test_stored_responses_keep_that_they_were_successful(quiet: Database, account: str) -> None:
    save(quiet, account, "ns/s1", a="x", b=1)
    results = [{"status": 200, "value": "x"}, {"status": 404, "message": "m"}]
    for key, address in {b"1": ["ns", "s1", "a"], b"2": ["other", "s", "a"]}.items():
        answer(quiet, account, key, {"results": results}, address)
    answer(quiet, account, b"3", {"results": [{"status": 200, "value": 1}]}, ["ns", "s1", "b"])
    answer(quiet, account, b"4", {"results": [{"status": 200, "value": 7}]}, ["ns", "s2", None])
    erased(quiet, account, values=["x"], namespaces=["ns"])
    stripped = {"results": [{"status": 200}, {"status": 404}]}
    assert answers(quiet, account) == {
        "1": stripped,
        "2": {"results": results},
        "3": {"results": [{"status": 200, "value": 1}]},
        # Nothing of that session is left, which may be because it was erased.
        "4": {"results": [{"status": 200}]},
    }


def test_readers_of_the_log_are_told_and_how_much(quiet: Database, account: str) -> None:
    change_settings(quiet, account, "ns", changes="values")
    save(quiet, account, "ns/s1", a="x", b=1)
    save(quiet, account, "ns/s2", a="x")
    save(quiet, account, "quiet/s1", a="x")
    job = erased(quiet, account, values=["x"], takes_sessions=True)
    events = logged_events(quiet, account)
    assert sorted(told(events, "type", "session", "name", "erasure", "by"), key=repr) == sorted(
        [
            ("deleted", "s1", "a", job.id, "k1"),
            ("deleted", "s1", "b", job.id, "k1"),
            ("deleted", "s2", "a", job.id, "k1"),
            ("erasure.done", None, None, job.id, "k1"),
        ],
        key=repr,
    )
    assert events[-1]["counts"] == {"sessions": 2, "properties": 3}
    assert (job.sessions, job.properties, job.changes) == (3, 4, 3)


def test_a_dry_run_counts_what_an_erasure_does(quiet: Database, account: str) -> None:
    change_settings(quiet, account, "ns", changes="values")
    for session in ("s1", "s2"):
        save(quiet, account, f"ns/{session}", a="x", b=1)
        sessions.set_session_ttl(quiet, DocumentKey(account, "ns", session), 60)
    save(quiet, account, "ns/s3", a="x")
    save(quiet, account, "ns/s3", a="y")
    sessions.set_session_ttl(quiet, DocumentKey(account, "ns", "s2x"), 60)
    terms: dict[str, Any] = {
        "sessions": ["s2"],
        "values": ["x"],
        "is_part": True,
        "takes_sessions": True,
    }
    before = everything(quiet)["property"], len(logged_events(quiet, account))
    counted = erased(quiet, account, is_dry_run=True, **terms)
    assert (everything(quiet)["property"], len(logged_events(quiet, account))) == before
    done = erased(quiet, account, **terms)
    counts = [(job.sessions, job.properties, job.changes) for job in (counted, done)]
    assert counts == [(3, 4, 5)] * 2


def test_a_large_session_is_taken_in_parts_and_whole(
    quiet: Database, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "BATCH", 10)
    change_settings(quiet, account, "ns", changes="names")
    saving.save(
        quiet, DocumentKey(account, "ns", "s"), encode({f"p{n:02}": "x" for n in range(25)})
    )
    new_erasure(quiet, account, values=["x"], takes_sessions=True)
    first = claim_next(quiet)
    assert first

    class Killed(Exception):
        pass

    saved = 0
    original = Claim.save

    def save_once(self: Claim, *arguments: Any) -> None:
        nonlocal saved
        original(self, *arguments)
        # The first one enters the namespace, the second one takes the first part.
        saved += 1

    monkeypatch.setattr(Claim, "save", save_once)
    erasing = Erasure(first)
    tell = erasing._tell

    def die(*arguments: Any, **more: Any) -> None:
        if saved == 2:
            raise Killed
        tell(*arguments, **more)

    monkeypatch.setattr(erasing, "_tell", die)
    assert not erasing.step()
    with pytest.raises(Killed):
        erasing.step()
    assert len(stored(quiet, account, "ns/s")) == 15
    first.release()
    job = finished(quiet, account, read_job(quiet, account, first.id))
    assert stored(quiet, account, "ns/s") is None
    assert (job.sessions, job.properties, job.examined) == (1, 25, 25)
    assert logged_events(quiet, account)[-1]["counts"] == {"sessions": 1, "properties": 25}


def test_what_is_saved_while_it_runs_stays_or_goes_as_a_whole(
    quiet: Database, account: str
) -> None:
    save(quiet, account, "ns/s1", a="x")
    new_erasure(quiet, account, values=["x"])
    claim = claim_next(quiet)
    assert claim
    erasing = Erasure(claim)
    erasing.step()
    save(quiet, account, "ns/s1", a="y")
    claim.release()
    finished(quiet, account, read_job(quiet, account, claim.id))
    assert stored(quiet, account, "ns/s1") == {"a": "y"}


def test_it_goes_through_more_than_a_batch(
    quiet: Database, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "EXAMINED_AT_ONCE", 3)
    change_settings(quiet, account, "ns", changes="values")
    for number in range(4):
        save(quiet, account, f"ns/s{number}", a="x", b=1, c="x")
        sessions.set_session_ttl(quiet, DocumentKey(account, "ns", f"x{number}"), 60)
        answer(
            quiet,
            account,
            b"%d" % number,
            {"results": [{"status": 200, "value": "x"}]},
            ["ns", "s", "a"],
        )
    for is_dry_run in (True, False):
        job = erased(
            quiet, account, values=["x"], sessions=["x"], is_part=True, is_dry_run=is_dry_run
        )
        assert (job.sessions, job.properties, job.changes) == (4, 8, 8)
    assert job.examined == job.total
    assert answers(quiet, account) == {str(n): {"results": [{"status": 200}]} for n in range(4)}
    assert stored(quiet, account, "ns/s3") == {"b": 1}


def test_other_accounts_keep_theirs(quiet: Database, account: str) -> None:
    other = f"other-{token_hex(6)}"
    for each in (account, other):
        change_settings(quiet, each, "ns", changes="values")
        save(quiet, each, "ns/s1", a="x")
    erased(quiet, account, values=["x"], sessions=["s1"], takes_sessions=True)
    assert stored(quiet, other, "ns/s1") == {"a": "x"}
    assert len(logged_events(quiet, other)) == 1

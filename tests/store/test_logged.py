"""Every change of a property is logged, whatever has made it; `tests/trust/test_changes.py` does so at random."""

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import NamedTuple

import pytest
from msgspec import UNSET

from ccs_server.domain.conditions import Conditions, etag_of
from ccs_server.domain.errors import ContextError
from ccs_server.settings import Settings
from ccs_server.store import deleting, saving, sessions
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.importing import Import, import_all
from ccs_server.store.logged import changes_properties, is_guarded, logged
from ccs_server.store.namespace_settings import change_settings
from ccs_server.store.namespaces import delete_namespace, register_namespace
from ccs_server.store.operations.base import KEEP_TTL
from ccs_server.store.operations.leases import Lease
from ccs_server.store.operations.partial import Append, Increment, Merge
from ccs_server.store.operations.run import run, run_atomic
from ccs_server.store.operations.writes import Delete, Set, Touch
from ccs_server.store.purge import purge
from ccs_server.store.reading import read_all
from tests.store.test_plans import PLANNED, logs_by_itself
from tests.support.change_log import logged_events, replay, told
from tests.support.clock import Clock
from tests.support.waiting import wait_until

BY = "key:k1"

# What `change_settings` does.
LOCK_NAMESPACE = Statement.of(
    "test_lock_namespace", "SELECT FROM namespace WHERE account = $1 FOR UPDATE"
)
SWITCH_ON = Statement.of("test_switch_on", "UPDATE namespace SET features = 1 WHERE account = $1")
NOT_IN_ORDER_YET = Statement.of(
    "test_not_in_order_yet", "SELECT name FROM change_new WHERE account = $1 ORDER BY name"
)
WAITING = Statement.of(
    "test_logged_waiting",
    """SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'""",
)

Told = list[tuple[str, str, object]]


class Place(NamedTuple):
    """A session of a namespace that logs values, with the properties `n` and `list`."""

    database: Database
    document: DocumentKey

    def events(self) -> Told:
        """What was logged after these properties were saved."""
        events = logged_events(self.database, self.document.account)
        assert [event["position"] for event in events] == [*range(1, len(events) + 1)]
        assert all(event.get("by") == "k1" for event in events)
        return [tuple(each) for each in told(events[2:], "type", "name", "value")]

    def fence(self) -> int:
        taken = run(self.database, Lease(document=self.document, owner="bot", seconds=60))
        assert isinstance(taken, dict)
        fence = taken["fence"]
        assert isinstance(fence, int)
        return fence


@pytest.fixture
def place(database: Database) -> Place:
    document = DocumentKey(f"logged-{token_hex(6)}", "ns", "s")
    change_settings(database, document.account, "ns", changes="values")
    saving.save(database, document, b'{"list": [1], "n": 1}', BY)
    return Place(database, document)


def do(place: Place, *operations: object) -> None:
    """Executes operations as one batch."""
    run_atomic(place.database, operations, lambda _: None, by=BY)  # type: ignore[arg-type]


CHANGES: dict[str, tuple[Callable[[Place], object], Told]] = {
    "save": (
        lambda p: saving.save(p.database, p.document, b'{"a": 1.10, "n": null}', BY),
        [("set", "a", "1.10"), ("set", "n", None)],
    ),
    "save of one": (
        lambda p: saving.save_one(p.database, p.document, "a", b"1.10", BY),
        [("set", "a", "1.10")],
    ),
    "a large save": (
        lambda p: saving.save(p.database, p.document, b'{"a": "%b"}' % (b"x" * 20_000), BY),
        [("set", "a", "x" * 20_000)],
    ),
    "save of v2": (
        lambda p: saving.save_document(
            p.database, p.document, b'{"n": 2}', ttl=60, max_retention=100, by=BY
        ),
        [("set", "n", 2), ("touched", "list", None)],
    ),
    "save of one of v2": (
        lambda p: saving.save_document_one(
            p.database, p.document, "n", b"2", ttl=60, max_retention=100, by=BY
        ),
        [("set", "n", 2), ("touched", "list", None)],
    ),
    "a large save of v2": (
        lambda p: saving.save_document(
            p.database,
            p.document,
            b'{"n": "%b"}' % (b"x" * 799_975),
            ttl=60,
            max_retention=100,
            by=BY,
        ),
        [("set", "n", "x" * 799_975), ("touched", "list", None), ("touched", "n", None)],
    ),
    "stamp of v2": (
        lambda p: saving.save_document(
            p.database, p.document, b"{}", ttl=60, max_retention=100, by=BY
        ),
        [("touched", "list", None), ("touched", "n", None)],
    ),
    "delete one": (
        lambda p: deleting.delete_one(p.database, p.document, "n", BY),
        [("deleted", "n", None)],
    ),
    "delete one that is not there": (
        lambda p: deleting.delete_one(p.database, p.document, "other", BY),
        [],
    ),
    "delete some": (
        lambda p: deleting.delete_some(p.database, p.document, ["n", "other"], BY),
        [("deleted", "n", None)],
    ),
    "delete all": (
        lambda p: deleting.delete_all(p.database, p.document, BY),
        [("deleted", "list", None), ("deleted", "n", None)],
    ),
    "delete the session": (
        lambda p: sessions.delete_session(p.database, p.document, BY),
        [("deleted", "list", None), ("deleted", "n", None)],
    ),
    "delete the namespace": (
        lambda p: delete_namespace(p.database, p.document.account, "ns", BY),
        [("namespace.deleted", None, None)],  # type: ignore[list-item]
    ),
    "set": (
        lambda p: run(p.database, Set(document=p.document, properties=b'{"n": 2}', count=1), BY),
        [("set", "n", 2)],
    ),
    "set with a TTL": (
        lambda p: run(
            p.database, Set(document=p.document, properties=b'{"n": 2}', count=1, ttl=KEEP_TTL), BY
        ),
        [("set", "n", 2)],
    ),
    "set with a fence": (
        lambda p: run(
            p.database,
            Set(document=p.document, properties=b'{"n": 2}', count=1, fence=p.fence()),
            BY,
        ),
        [("set", "n", 2)],
    ),
    "swap": (
        lambda p: run(
            p.database,
            Set(
                document=p.document,
                name="n",
                properties=b'{"n": 2}',
                count=1,
                conditions=Conditions(frozenset({etag_of(b"1")}), None),
            ),
            BY,
        ),
        [("set", "n", 2)],
    ),
    "a refused swap": (lambda p: refused_swap(p), []),  # noqa: PLW0108 - defined below
    "incr": (
        lambda p: run(p.database, Increment(document=p.document, name="n", by="2"), BY),
        [("set", "n", 3)],
    ),
    "append": (
        lambda p: run(p.database, Append(document=p.document, name="list", values=b"[2]"), BY),
        [("set", "list", [1, 2])],
    ),
    "merge": (
        lambda p: run(p.database, Merge(document=p.document, name="m", patch=b'{"a":1}'), BY),
        [("set", "m", {"a": 1})],
    ),
    "touch": (
        lambda p: run(p.database, Touch(document=p.document, name="n", ttl=60), BY),
        [("touched", "n", None)],
    ),
    "touch all": (
        lambda p: run(p.database, Touch(document=p.document, ttl=60), BY),
        [("touched", "list", None), ("touched", "n", None)],
    ),
    "delete": (
        lambda p: run(p.database, Delete(document=p.document, name="n"), BY),
        [("deleted", "n", None)],
    ),
    "delete all as operation": (
        lambda p: run(p.database, Delete(document=p.document), BY),
        [("deleted", "list", None), ("deleted", "n", None)],
    ),
    "import": (
        lambda p: import_all(p.database, importing(p), BY),
        [("set", "n", 2)],
    ),
    "a batch": (
        lambda p: do(
            p,
            Increment(document=p.document, name="n"),
            Set(document=p.document, properties=b'{"a": 1}', count=1),
            Append(document=p.document, name="list", values=b"[2]"),
            Merge(document=p.document, name="a", patch=b"2"),
            Touch(document=p.document, name="a", ttl=9),
            Delete(document=p.document, names=("a", "n")),
        ),
        [
            ("set", "n", 2),
            ("set", "a", 1),
            ("set", "list", [1, 2]),
            ("set", "a", 2),
            ("touched", "a", None),
            ("deleted", "a", None),
            ("deleted", "n", None),
        ],
    ),
}


def importing(place: Place) -> Import:
    given = Import(place.document.account, keep=False)
    for document in ("ns", "quiet"):
        index = given.add_document(document, "s", 1)
        given.add_property(index, "n", b"2", None, UNSET)
    return given


def refused_swap(place: Place) -> None:
    swap = Set(
        document=place.document,
        name="n",
        properties=b'{"n": 2}',
        count=1,
        conditions=Conditions(frozenset({etag_of(b"7")}), None),
    )
    with pytest.raises(ContextError):
        run(place.database, swap, BY)


@pytest.mark.parametrize("is_known", [False, True], ids=["", "known"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_logged_once(place: Place, change: str, is_known: bool) -> None:
    # Whether this process knows that the namespace logs decides which statement comes first.
    place.database.features.learn(place.document.account, "ns", has_any=is_known)
    make, expected = CHANGES[change]
    make(place)
    events = place.events()
    if change == "a batch":
        assert events[:5] == expected[:5]
    assert sorted(events, key=repr) == sorted(expected, key=repr)
    properties = read_all(place.database, place.document)
    kept = {
        name: json.dumps(value, sort_keys=True)
        for name, value in json.loads(properties, parse_float=str).items()
    }
    replayed = replay(logged_events(place.database, place.document.account))
    assert {name: value for (_, _, name), value in replayed.items()} == kept


STATEMENTS = [
    statement
    for name, statement in PLANNED.items()
    if changes_properties(statement)
    and not name.endswith("_logged")
    and not logs_by_itself(statement)
]


def test_every_statement_that_changes_properties_can_log() -> None:
    assert len(STATEMENTS) >= 15
    for statement in STATEMENTS:
        sql = logged(statement).sql.decode()
        changes = re.findall(r"(?:INSERT INTO|UPDATE|DELETE FROM) property\b", sql)
        assert sql.count("INSERT INTO change_new") == len(changes), statement.name
        assert "n.features = 0" not in sql
    assert {b"save", b"save_one", b"delete_one", b"save_full", b"increment"} <= {
        each.name for each in STATEMENTS if is_guarded(each)
    }


def test_a_guarded_statement_does_nothing_where_changes_are_logged(place: Place) -> None:
    save = saving.SAVE, *place.document.params(), b'{"a": 1}'
    save_one = saving.SAVE_ONE, *place.document.params(), b"a", b"1"
    assert place.database.execute(*save).command_tuples == 0
    assert place.database.execute(*save_one).command_tuples == 0
    change_settings(place.database, place.document.account, "ns", changes="off")
    assert place.database.execute(*save).command_tuples == 1
    assert place.database.execute(*save_one).command_tuples == 1


def test_a_namespace_that_does_not_log_has_no_events(database: Database) -> None:
    document = DocumentKey(f"quiet-{token_hex(6)}", "ns", "s")
    saving.save(database, document, b'{"a": 1}')
    run(database, Increment(document=document, name="a"))
    deleting.delete_one(database, document, "a")
    delete_namespace(database, document.account, "ns", "key:k")
    assert logged_events(database, document.account) == []


def test_names_are_logged_without_values(place: Place) -> None:
    change_settings(place.database, place.document.account, "ns", changes="names")
    saving.save(place.database, place.document, b'{"a": 1}', BY)
    *_, event = logged_events(place.database, place.document.account)
    assert "value" not in event
    assert event["etag"] == etag_of(b"1")


def test_an_event_has_the_expiry_of_its_property(place: Place) -> None:
    account = place.document.account
    assert told(logged_events(place.database, account), "expiresAt") == [(None,), (None,)]
    register_namespace(place.database, account, "ns", 60)
    saving.save(place.database, place.document, b'{"a": 1}', BY)
    *_, event = logged_events(place.database, account)
    assert event["time"] < event["expiresAt"]


def test_what_has_expired_is_told_when_it_is_purged_and_not_before(
    own_database: Database, own_clock: Clock
) -> None:
    document = DocumentKey("a", "ns", "s")
    change_settings(own_database, "a", "ns", changes="values")
    register_namespace(own_database, "a", "ns", 60)
    saving.save(own_database, document, b'{"again": 1, "deleted": 1, "gone": 1}')
    own_clock.advance(seconds=61)
    saving.save(own_database, document, b'{"again": 2}')
    deleting.delete_one(own_database, document, "deleted")
    assert told(logged_events(own_database, "a")[3:], "type", "name") == [
        ("set", "again"),
        ("expired", "deleted"),
    ]
    purge(own_database)
    *_, last = logged_events(own_database, "a")
    assert (last["type"], last["name"], last.get("by")) == ("property.expired", "gone", None)
    assert replay(logged_events(own_database, "a")) == {("ns", "s", "again"): "2"}


def test_another_process_learns_that_a_namespace_logs(database_url: str, place: Place) -> None:
    other = Database(database_url, Settings())
    for number in range(3):
        saving.save(other, place.document, b'{"a": %d}' % number, BY)
    other.release()
    assert place.events() == [("set", "a", number) for number in range(3)]
    assert other.features.has_any(place.document.account, "ns")


def test_a_batch_of_another_process_logs_too(database_url: str, place: Place) -> None:
    other = Database(database_url, Settings())
    operations = [
        Increment(document=place.document, name="n"),
        Set(document=place.document, name="a", properties=b'{"a":1}', count=1),
        Touch(document=place.document, name="a", ttl=60),
    ]
    outcomes = run_atomic(other, operations, lambda _: None, by=BY)
    other.release()
    assert [type(outcome) for outcome in outcomes] == [dict, dict, dict]
    assert place.events() == [("set", "n", 2), ("set", "a", 1), ("touched", "a", None)]


def test_a_batch_that_meets_a_change_of_settings_logs(database: Database) -> None:
    """The batch has begun while nothing was logged, and waits for the change."""
    document = DocumentKey(f"logged-{token_hex(6)}", "ns", "s")
    saving.save(database, document, b'{"a": 0}', BY)
    batch = [
        Set(document=document, name=name, properties=b'{"%b":1}' % name.encode(), count=1)
        for name in ("a", "b")
    ]
    with ThreadPoolExecutor(1) as thread, database.transaction() as connection:
        connection.execute(LOCK_NAMESPACE, (document.account.encode(),))
        done = thread.submit(run_atomic, database, batch, lambda _: None, by=BY)
        wait_until(lambda: bool(database.execute(WAITING).ntuples))
        connection.execute(SWITCH_ON, (document.account.encode(),))
    assert len(done.result()) == len(batch)
    logged_names = database.execute(NOT_IN_ORDER_YET, document.account.encode())
    assert [logged_names.get_value(row, 0) for row in range(2)] == [b"a", b"b"]


def test_statements_are_not_changed_by_what_they_are_made_of() -> None:
    """The form that logs is made once, so that connections prepare it once."""
    statement = Statement.of(
        "touching", "\n    UPDATE property p\n    SET size = size\n    WHERE p.account = $1\n    "
    )
    assert logged(statement) is logged(statement)
    assert b"property.touched" in logged(statement).sql

"""The index: it never changes what is found, only what is looked at, whatever is written while it is filled."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ccs_server.domain.errors import Conflict, InvalidInput
from ccs_server.settings import Settings
from ccs_server.store import deleting, saving, sessions
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.find import (
    LOOK_LIMIT,
    Place,
    find_by_update,
    find_sessions,
    find_step,
    page_of,
)
from ccs_server.store.importing import Import, import_all
from ccs_server.store.jobs import indexing
from ccs_server.store.jobs.indexing import Indexing
from ccs_server.store.jobs.resource import cancel_job, list_jobs
from ccs_server.store.jobs.run import claim_next
from ccs_server.store.jobs.work import carry_on
from ccs_server.store.namespace_settings import change_settings, read_settings
from ccs_server.store.namespaces import delete_namespace
from ccs_server.store.operations.partial import Append, Increment, Merge
from ccs_server.store.operations.run import run, run_atomic
from ccs_server.store.operations.writes import Delete, Set, Touch
from ccs_server.store.purge import purge
from ccs_server.store.search_index import known_index, read_index
from tests.store.test_find import NAMESPACE, ids, queries, search, values
from tests.support.clock import Clock
from tests.support.databases import Cluster, create_migrated_database
from tests.support.jobs import erased, new_deletion

SESSIONS = ["s1", "s2", "😀"]
NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def url(cluster: Cluster, worker_id: str) -> str:
    """A database in which no service carries jobs on."""
    return create_migrated_database(cluster, f"indexed_{worker_id}")


@pytest.fixture(scope="module")
def indexed(url: str) -> Iterator[Database]:
    database = Database(url, Settings())
    yield database
    database.release()


def found_without(database: Database, account: str, where: dict[str, str]) -> list[str]:
    wanted = search(account, where)
    if wanted.where.conditions is None:
        return []
    statement, params = find_step(wanted, after="", limit=1000, look=LOOK_LIMIT)
    return ids(page_of(database.execute(statement, *params)))


def latest_first(database: Database, account: str) -> list[str]:
    """The sessions by the latest save of a live property."""
    query = """
        SELECT p.session_id FROM property p JOIN namespace n ON n.account = p.account AND n.id = p.namespace_id
        WHERE p.account = :account AND p.expires_at > now() GROUP BY p.session_id
        ORDER BY max(coalesce(p.updated_at, '-infinity')) DESC, p.session_id DESC
    """
    with database.begin() as connection:
        return list(connection.scalars(text(query), {"account": account}))


def found_by_update(
    database: Database, account: str, limit: int = 1000, **options: Any
) -> list[str]:
    """All pages, each of at most `limit` sessions."""
    found: list[str] = []
    after: Place | None = Place()
    while after is not None:
        page = find_by_update(database, search(account, **options), after=after, limit=limit)
        found += ids(page)
        after = None if page.last is None else Place.read(page.last)
    return found


Change = Callable[[Database, DocumentKey, str, str], object]


def importing(database: Database, document: DocumentKey, name: str, value: str) -> None:
    given = Import(document.account, keep=False)
    index = given.add_document(document.namespace, document.session_id, 1)
    given.add_property(index, name, value.encode(), None, datetime(2020, 1, 1, tzinfo=UTC))
    import_all(database, given)


def member(name: str, value: str) -> bytes:
    return json.dumps({name: None}).encode().replace(b"null", value.encode())


# Every way to change a property.
CHANGES: dict[str, Change] = {
    "save": lambda db, doc, name, value: saving.save(db, doc, member(name, value)),
    "save of v2": lambda db, doc, name, value: saving.save_document(
        db, doc, member(name, value), ttl=0, max_retention=9999
    ),
    "set": lambda db, doc, name, value: run(
        db, Set(document=doc, name=name, properties=member(name, value), count=1)
    ),
    "set in a batch": lambda db, doc, name, value: run_atomic(
        db,
        [
            Set(document=doc, name=name, properties=member(name, value), count=1),
            Set(document=doc, name="b", properties=member("b", value), count=1),
        ],
        lambda _: None,
    ),
    "import": importing,
    "merge": lambda db, doc, name, _: run(db, Merge(document=doc, name=name, patch=b'"a"')),
    "touch": lambda db, doc, name, _: run(db, Touch(document=doc, name=name, ttl=99)),
    "delete": lambda db, doc, name, _: deleting.delete_one(db, doc, name),
    "delete some": lambda db, doc, name, _: deleting.delete_some(db, doc, [name, "a"]),
    "delete all": lambda db, doc, *_: deleting.delete_all(db, doc),
    "delete as operation": lambda db, doc, name, _: run(db, Delete(document=doc, name=name)),
    "delete the session": lambda db, doc, *_: sessions.delete_session(db, doc),
}
# Settings, and the job that fills the index.
SETTINGS: dict[str, Change] = {
    "index a": lambda db, doc, *_: change_settings(db, doc.account, NAMESPACE, index=["a"]),
    "index a, b": lambda db, doc, *_: change_settings(
        db, doc.account, NAMESPACE, index=["a", "b"], sort_by_update=True
    ),
    "index nothing": lambda db, doc, *_: change_settings(
        db, doc.account, NAMESPACE, index=[], sort_by_update=False
    ),
    "log": lambda db, doc, *_: change_settings(db, doc.account, NAMESPACE, changes="values"),
    "fill": lambda db, *_: carry_on(db),
    "delete the namespace": lambda db, doc, *_: delete_namespace(
        db, doc.account, NAMESPACE, "key:k"
    ),
}
FEW = ['"a"', '"b"', "1", "1.0", "true"]
few_values = st.sampled_from([*FEW, *FEW, "[1]", "1e400"])


def several(kinds: list[str]) -> Any:
    places = st.sampled_from(SESSIONS), st.sampled_from(NAMES)
    return st.lists(st.tuples(st.sampled_from(kinds), *places, few_values | values), max_size=10)


@settings(max_examples=40)
@given(
    before=several([*CHANGES, *SETTINGS]),
    after=several([*CHANGES]),
    wheres=st.lists(queries, min_size=2, max_size=2),
)
def test_find_finds_the_same_with_an_index_and_without(
    indexed: Database,
    before: list[tuple[str, str, str, str]],
    after: list[tuple[str, str, str, str]],
    wheres: list[dict[str, str]],
) -> None:
    account = f"indexed-{token_hex(6)}"
    known = [*wheres, *({name: value} for name in ("a", "b") for value in FEW)]

    def make(changes: list[tuple[str, str, str, str]]) -> None:
        for change, session, name, value in changes:
            document = DocumentKey(account, NAMESPACE, session)
            (CHANGES | SETTINGS)[change](indexed, document, name, value)

    make(before)
    # An index that is not ready is not used.
    for where in known:
        check(indexed, account, where)
    change_settings(indexed, account, NAMESPACE, index=["a", "b"], sort_by_update=True)
    carry_on(indexed)
    make(after)
    assert read_index(indexed, account, NAMESPACE).names == {"a", "b"}
    for where in known:
        check(indexed, account, where)
    assert found_by_update(indexed, account) == latest_first(indexed, account)
    assert found_by_update(indexed, account, limit=1) == latest_first(indexed, account)


def check(database: Database, account: str, where: dict[str, str]) -> None:
    wanted = search(account, where)
    found = find_sessions(database, wanted, limit=1000)
    assert ids(found) == found_without(database, account, where), where
    assert find_sessions(database, wanted, limit=0).matched == len(ids(found))


@pytest.fixture
def account() -> str:
    return f"indexed-{token_hex(6)}"


def fill(database: Database, account: str, count: int) -> None:
    for number in range(count):
        document = DocumentKey(account, NAMESPACE, f"s{number}")
        saving.save(database, document, b'{"a": %d, "b": "x"}' % (number % 3))


def on(database: Database, account: str) -> None:
    change_settings(database, account, NAMESPACE, index=["a"], sort_by_update=True)
    carry_on(database)


def entries(database: Database, account: str) -> int:
    query = "SELECT count(*) FROM search_entry WHERE account = :account"
    with database.engine.connect() as connection:
        return int(connection.scalar(text(query), {"account": account}) or 0)


def test_only_sessions_with_the_value_are_looked_at(indexed: Database, account: str) -> None:
    fill(indexed, account, 9)
    on(indexed, account)
    page = find_sessions(indexed, search(account, {"a": "1"}), limit=100)
    assert (ids(page), page.looked) == (["s1", "s4", "s7"], 3)
    page = find_sessions(indexed, search(account, {"b": '"x"', "a": '{"$in": [0, 2]}'}), limit=4)
    assert (ids(page), page.looked, page.last) == (["s0", "s2", "s3", "s5"], 4, "s5")
    page = find_sessions(indexed, search(account, {"a": "1"}, prefix="s4"), after="s1", limit=9)
    assert (ids(page), page.looked) == (["s4"], 1)
    # What has no end of values, or is not indexed, is looked for in all sessions.
    for where in ({"a": '{"$gte": 1}'}, {"b": '"y"'}, {}):
        assert find_sessions(indexed, search(account, where), limit=0).looked == 9


def test_it_is_filled_in_parts_while_writes_go_on(
    indexed: Database, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_on(indexed)
    monkeypatch.setattr(indexing, "FILLED_AT_ONCE", 3)
    fill(indexed, account, 5)
    changed = change_settings(
        indexed, account, NAMESPACE, index=["a"], sort_by_update=True, by="key:k1"
    )
    assert not changed.is_ready
    claim = claim_next(indexed)
    assert claim
    filling = Indexing(claim)
    steps = 0
    while not filling.step():
        steps += 1
        document = DocumentKey(account, NAMESPACE, f"s{steps % 5}")
        saving.save(indexed, document, b'{"a": "new", "z%d": 1}' % steps)
        check(indexed, account, {"a": '"new"'})
    assert steps > 4
    claim.release()
    carry_on(indexed)
    found = read_settings(indexed, account, NAMESPACE)
    assert found
    assert found.is_ready
    check(indexed, account, {"a": '"new"'})
    assert found_by_update(indexed, account, limit=2) == latest_first(indexed, account)
    (job,) = list_jobs(indexed, account)
    assert (job.kind, job.state, job.actor) == ("index", "done", "key:k1")
    assert job.examined == job.total >= 10


def test_a_canceled_filling_is_begun_again_when_it_is_asked_for(
    indexed: Database, account: str
) -> None:
    fill(indexed, account, 2)
    change_settings(indexed, account, NAMESPACE, index=["a"])
    cancel_job(indexed, account, list_jobs(indexed, account)[0].id, "key:k")
    assert change_settings(indexed, account, NAMESPACE, changes="off").is_ready is False
    assert len(list_jobs(indexed, account)) == 1
    assert change_settings(indexed, account, NAMESPACE, index=["a"]).is_ready is False
    carry_on(indexed)
    assert read_index(indexed, account, NAMESPACE).names == {"a"}
    assert change_settings(indexed, account, NAMESPACE, index=["a"]).is_ready
    assert len(list_jobs(indexed, account)) == 2


def test_an_older_filling_ends_when_another_index_is_asked_for(
    indexed: Database, account: str
) -> None:
    fill(indexed, account, 2)
    change_settings(indexed, account, NAMESPACE, index=["a"])
    change_settings(indexed, account, NAMESPACE, index=["b"])
    carry_on(indexed)
    assert {job.state for job in list_jobs(indexed, account)} == {"done"}
    assert read_index(indexed, account, NAMESPACE).names == {"b"}
    assert entries(indexed, account) == 2


@pytest.fixture
def elsewhere(url: str) -> Iterator[Database]:
    """The same store as another process sees it, with a memory of its own."""
    database = Database(url, Settings())
    yield database
    database.release()


def test_an_index_that_another_process_has_given_up_is_not_used(
    indexed: Database, elsewhere: Database, account: str
) -> None:
    fill(indexed, account, 3)
    on(indexed, account)
    assert find_sessions(indexed, search(account, {"a": "1"}), limit=9).looked == 1
    change_settings(elsewhere, account, NAMESPACE, index=[], sort_by_update=False)
    saving.save(elsewhere, DocumentKey(account, NAMESPACE, "s9"), b'{"a": 1}')
    assert known_index(indexed, account, NAMESPACE).names == {"a"}
    with pytest.raises(InvalidInput):
        find_by_update(indexed, search(account), after=Place(), limit=9)


def test_what_is_remembered_of_an_index_never_changes_what_is_found(
    indexed: Database, elsewhere: Database, account: str
) -> None:
    fill(indexed, account, 3)

    def remember() -> None:
        find_sessions(indexed, search(account, {"a": "1"}), limit=9)

    def check_found() -> None:
        for _ in range(2):
            found = find_sessions(indexed, search(account, {"a": "1"}), limit=9)
            assert ids(found) == [*expected, "s1"]

    expected: list[str] = []
    for number, names in enumerate((["a"], ["b"], ["a", "b"], ["a"])):
        remember()
        change_settings(elsewhere, account, NAMESPACE, index=names, sort_by_update=number % 2 == 0)
        session = f"n{number}"
        saving.save(elsewhere, DocumentKey(account, NAMESPACE, session), b'{"a": 1}')
        expected.append(session)
        check_found()
        remember()
        carry_on(elsewhere)
        check_found()
    remember()
    delete_namespace(elsewhere, account, NAMESPACE, "key:k")
    saving.save(elsewhere, DocumentKey(account, NAMESPACE, "s1"), b'{"a": 1}')
    expected.clear()
    check_found()


def test_a_namespace_of_the_same_name_has_an_index_of_its_own(
    indexed: Database, elsewhere: Database, account: str
) -> None:
    fill(indexed, account, 3)
    on(indexed, account)
    assert ids(find_sessions(indexed, search(account, {"a": "1"}), limit=9)) == ["s1"]
    delete_namespace(elsewhere, account, NAMESPACE, "key:k")
    # Its generations are counted anew, so this has the number that is remembered of the other one.
    change_settings(elsewhere, account, NAMESPACE, index=["b"])
    carry_on(elsewhere)
    fill(elsewhere, account, 9)
    assert ids(find_sessions(indexed, search(account, {"a": "1"}), limit=9)) == ["s1", "s4", "s7"]
    with pytest.raises(InvalidInput):
        find_by_update(indexed, search(account), after=Place(), limit=9)


def test_sorting_is_possible_as_soon_as_another_process_has_filled_the_index(
    indexed: Database, elsewhere: Database, account: str
) -> None:
    fill(indexed, account, 2)
    assert not known_index(indexed, account, NAMESPACE).is_sorted
    change_settings(elsewhere, account, NAMESPACE, sort_by_update=True)
    with pytest.raises(Conflict):
        find_by_update(indexed, search(account), after=Place(), limit=9)
    carry_on(elsewhere)
    assert found_by_update(indexed, account) == ["s1", "s0"]
    change_settings(elsewhere, account, NAMESPACE, index=["a"])
    with pytest.raises(Conflict):
        find_by_update(indexed, search(account), after=Place(), limit=9)
    carry_on(elsewhere)
    assert found_by_update(indexed, account) == ["s1", "s0"]


def test_which_index_there_is_is_not_read_for_each_search(
    indexed: Database, url: str, account: str
) -> None:
    fill(indexed, account, 3)
    on(indexed, account)
    executed: list[bytes] = []
    database = Database(url, Settings(), observe=lambda names, *_: executed.extend(names))
    for _ in range(3):
        find_sessions(database, search(account, {"a": "1"}), limit=9)
        find_by_update(database, search(account), after=Place(), limit=9)
    database.release()
    assert executed.count(b"read_search_index") == 1
    assert executed.count(b"find_sessions_by_key") == 3


def test_sorting_needs_the_setting_and_the_index(indexed: Database, account: str) -> None:
    fill(indexed, account, 3)
    with pytest.raises(InvalidInput):
        find_by_update(indexed, search(account), after=Place(), limit=9)
    change_settings(indexed, account, NAMESPACE, sort_by_update=True)
    with pytest.raises(Conflict, match="when its indexState is 'ready', or sort by 'sessionId'"):
        find_by_update(indexed, search(account), after=Place(), limit=9)
    carry_on(indexed)
    run(indexed, Touch(document=DocumentKey(account, NAMESPACE, "s0"), name="a", ttl=99))
    assert found_by_update(indexed, account) == ["s2", "s1", "s0"]
    run(indexed, Increment(document=DocumentKey(account, NAMESPACE, "s1"), name="a"))
    run(indexed, Append(document=DocumentKey(account, NAMESPACE, "t"), name="l", values=b"[1]"))
    assert found_by_update(indexed, account) == ["t", "s1", "s2", "s0"]
    assert found_by_update(indexed, account, prefix="s", limit=2) == ["s1", "s2", "s0"]
    assert found_by_update(indexed, account, where={"b": '"x"', "a": "2"}) == ["s1", "s2"]
    # The latest save of what is there.
    deleting.delete_one(indexed, DocumentKey(account, NAMESPACE, "s1"), "a")
    assert found_by_update(indexed, account) == ["t", "s2", "s1", "s0"]


def test_properties_of_unknown_times_come_last(indexed: Database, account: str) -> None:
    fill(indexed, account, 3)
    with indexed.engine.connect() as connection:
        forget = (
            "UPDATE property SET updated_at = NULL WHERE account = :account AND session_id <> 's1'"
        )
        connection.execute(text(forget), {"account": account})
    on(indexed, account)
    assert found_by_update(indexed, account, limit=1) == ["s1", "s2", "s0"]


def test_what_expires_leaves_the_index(own_database: Database, own_clock: Clock) -> None:
    fill(own_database, "a", 3)
    on(own_database, "a")
    for number in range(2):
        document = DocumentKey("a", NAMESPACE, f"s{number}")
        run(own_database, Touch(document=document, name="a", ttl=60))
    own_clock.advance(seconds=61)
    assert found_by_update(own_database, "a") == ["s2", "s1", "s0"]
    assert ids(find_sessions(own_database, search("a", {"a": "1"}), limit=9)) == []
    assert entries(own_database, "a") == 6
    purge(own_database)
    assert entries(own_database, "a") == 4
    delete_namespace(own_database, "a", NAMESPACE, "key:k")
    assert purge(own_database).search_entries == 4
    assert entries(own_database, "a") == 0


def test_jobs_that_delete_leave_the_index_too(indexed: Database, account: str) -> None:
    change_settings(indexed, account, "ns", index=["a"], sort_by_update=True)
    for number in range(3):
        saving.save(
            indexed, DocumentKey(account, "ns", f"s{number}"), b'{"a": "x%d", "b": 1}' % number
        )
    carry_on(indexed)
    assert entries(indexed, account) == 6
    erased(indexed, account, values=["x0"])
    erased(indexed, account, sessions=["s1"])
    new_deletion(indexed, account, a="x2")
    carry_on(indexed)
    assert entries(indexed, account) == 1

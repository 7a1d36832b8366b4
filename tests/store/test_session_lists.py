"""Pages of session lists, at any depth."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import delete, text

from ccs_server.domain.errors import InvalidInput
from ccs_server.store import sessions
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.tables import metadata
from tests.support.waiting import wait_until

ACCOUNT = "lists"

# The numbers of properties of consecutive sessions. Strides get longer in some of these, and shorter in others.
SHAPES = {
    "narrow": [1] * 5000,
    "wide": [100] * 60,
    "mixed": ([1] * 300 + [90] * 5 + [700] * 2 + [3] * 50) * 2,
    "expired": [0, 0, 0, 1, 0] * 400,
}

LISTS = {
    "session-ids": sessions.list_session_ids,
    "session-properties": sessions.list_session_properties,
    "session-ttls": sessions.list_session_ttls_page,
}

WAITING = Statement.of(
    "test_deep_pages_waiting",
    """SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'""",
)


def listed(
    database: Database,
    list_: str,
    namespace: str,
    *,
    page: int = 0,
    per_page: int,
    after: str | None = None,
) -> list[str]:
    """Returns the session ids of a page."""
    found = LISTS[list_](database, ACCOUNT, namespace, page=page, per_page=per_page, after=after)
    return [each if isinstance(each, str) else each["sessionId"] for each in json.loads(found)]


@pytest.fixture(scope="module")
def filled(database: Database) -> Iterator[dict[str, list[str]]]:
    """Fills one namespace for each shape; returns its sessions that have live properties."""
    names: dict[str, list[str]] = {}
    fill = """
        WITH place AS (
            INSERT INTO namespace (account, name) VALUES (:account, :namespace) RETURNING account, id
        ), ttl AS (
            INSERT INTO session_ttl (account, namespace_id, session_id, ttl_seconds)
            SELECT account, id, session_id, 60
            FROM place, unnest(CAST(:ids AS text[]), CAST(:widths AS int[])) AS s (session_id, width)
            WHERE width > 0
        )
        INSERT INTO property (account, namespace_id, session_id, name, value, size, expires_at, purge_at)
        SELECT account, id, session_id, 'p' || n, '1', 9,
            CASE width WHEN 0 THEN now() ELSE 'infinity' END, NULL
        FROM place, unnest(CAST(:ids AS text[]), CAST(:widths AS int[])) AS s (session_id, width),
            generate_series(1, greatest(width, 1)) n
    """
    with database.engine.connect() as connection:
        for namespace, widths in SHAPES.items():
            ids = [f"s{number:05}" for number in range(len(widths))]
            params = {"account": ACCOUNT, "namespace": namespace, "ids": ids, "widths": widths}
            connection.execute(text(fill), params)
            names[namespace] = [each for each, width in zip(ids, widths, strict=True) if width]
        connection.execute(text("ANALYZE property"))
    yield names
    with database.engine.connect() as connection:
        for table in ("property", "session_ttl", "namespace"):
            connection.execute(delete(metadata.tables[table]).filter_by(account=ACCOUNT))


@pytest.mark.parametrize("list_", LISTS)
@pytest.mark.parametrize("namespace", SHAPES)
def test_pages_of_any_size_are_correct_at_any_depth(
    database: Database, filled: dict[str, list[str]], namespace: str, list_: str
) -> None:
    expected = filled[namespace]
    for size in (1, 7, 64, 1000):
        last = len(expected) // size
        for number in sorted({0, 1, 2, last // 3, last // 2, max(last - 1, 0), last, last + 9}):
            found = listed(database, list_, namespace, page=number, per_page=size)
            assert found == expected[number * size : (number + 1) * size], f"{number=} {size=}"


@pytest.mark.parametrize("list_", LISTS)
@pytest.mark.parametrize("namespace", SHAPES)
def test_a_page_after_a_session_is_correct_at_any_depth(
    database: Database, filled: dict[str, list[str]], namespace: str, list_: str
) -> None:
    expected = filled[namespace]
    for place in (0, 1, len(expected) // 2, len(expected) - 1):
        found = listed(database, list_, namespace, per_page=50, after=expected[place])
        assert found == expected[place + 1 : place + 51]


@pytest.fixture
def shallow(database: Database) -> Iterator[Database]:
    """The store, where a list may skip a thousand properties."""
    settings = database.settings
    database.settings = replace(settings, list_depth=1000)
    yield database
    database.settings = settings


@pytest.mark.parametrize("list_", LISTS)
def test_a_page_too_far_into_a_list_is_refused_unless_it_follows_a_session(
    shallow: Database, filled: dict[str, list[str]], list_: str
) -> None:
    expected = filled["narrow"]
    page = partial(listed, shallow, list_)
    assert page("narrow", page=5, per_page=100) == expected[500:600]
    for number in (40, 10**9):
        with pytest.raises(InvalidInput, match="after") as caught:
            page("narrow", page=number, per_page=100)
        assert caught.value.field == "page"
    assert page("narrow", per_page=100, after=expected[3999]) == expected[4000:4100]
    # A page past the end of a short list is empty, however deep it is.
    assert page("none", page=10**9, per_page=1000) == []


def test_a_skip_from_one_wide_session_to_the_next_counts_as_32_properties(
    shallow: Database, filled: dict[str, list[str]]
) -> None:
    expected = filled["wide"]
    assert listed(shallow, "session-ids", "wide", page=15, per_page=1) == [expected[15]]
    with pytest.raises(InvalidInput, match="after"):
        listed(shallow, "session-ids", "wide", page=50, per_page=1)


@pytest.mark.parametrize("list_", LISTS)
def test_deep_pages_of_an_account_are_read_one_at_a_time_and_others_do_not_wait(
    database: Database, filled: dict[str, list[str]], list_: str
) -> None:
    deep = sessions.DEEP + 1
    with ThreadPoolExecutor() as pool:
        with database.transaction() as connection:
            connection.execute(sessions.ONE_DEEP_PAGE, (ACCOUNT.encode(),))
            second = pool.submit(listed, database, list_, "narrow", page=deep, per_page=1)
            wait_until(lambda: database.execute(WAITING).ntuples == 1)
            assert listed(database, list_, "narrow", page=1, per_page=1) == [filled["narrow"][1]]
            assert LISTS[list_](database, "another", "none", page=deep, per_page=1) == b"[]"
            assert not second.done()
        assert second.result() == []

"""What an account has and does: counts that are exact or marked as estimates, however much there is."""

from collections.abc import Iterator
from datetime import UTC, datetime
from secrets import token_hex

import pytest
from msgspec.json import decode
from sqlalchemy import text

from ccs_server.settings import Settings
from ccs_server.store import activity, quotas
from ccs_server.store.activity import Count, Overview, read_overview, record
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.namespaces import delete_namespace, register_namespace
from ccs_server.store.purge import purge
from ccs_server.store.saving import save
from tests.support.clock import Clock
from tests.support.databases import Cluster, create_migrated_database


@pytest.fixture
def account() -> str:
    return f"test-{token_hex(6)}"


def overview(
    database: Database, account: str, allowed: list[str] | None = None, after: str = ""
) -> Overview:
    return read_overview(database, account, allowed=allowed, after=after, limit=100)


def exactly(count: int) -> Count:
    return Count(count, estimated=False)


def counts(found: Overview) -> dict[str, tuple[Count, Count]]:
    return {each.name: (each.properties, each.sessions) for each in found.namespaces}


def expiring(found: Overview) -> list[tuple[int, bool]]:
    return [(each.properties.count, each.properties.estimated) for each in found.expiries]


def this_minute(database: Database) -> int:
    with database.begin() as connection:
        seconds: int = connection.execute(
            text("SELECT floor(extract(epoch FROM now()) / 60)::bigint")
        ).scalar_one()
    return seconds


def test_counts_of_a_minute_are_added_up_and_shown_for_an_hour(
    database: Database, account: str
) -> None:
    now = this_minute(database)
    other = f"{account}-2"
    record(database, {(account, now): [1, 20], (account, now - 59): [3, 0], (other, now): [7, 7]})
    record(database, {(account, now): [2, 1], (account, now - 61): [100, 100]})
    found = overview(database, account)
    minutes = decode(found.minutes)
    times = [datetime.fromisoformat(each["time"]) for each in minutes]
    # The hour may have moved on by a minute meanwhile.
    first = now - 59 if times[-1] == datetime.fromtimestamp(now * 60, UTC) else now - 58
    assert times == [datetime.fromtimestamp((first + n) * 60, UTC) for n in range(60)]
    by_minute = {
        first + n: (each["saves"], each["reads"])
        for n, each in enumerate(minutes)
        if each["saves"] or each["reads"]
    }
    assert by_minute.pop(now) == (3, 21)
    assert by_minute in ({}, {now - 59: (3, 0)})


def test_counts_are_purged_after_two_hours(own_database: Database, account: str) -> None:
    database = own_database
    now = this_minute(database)
    record(database, {(account, now - 110): [1, 1], (account, now - 121): [1, 1]})
    assert purge(database).activity == 1
    with database.begin() as connection:
        kept = text("SELECT count(*) FROM activity WHERE account = :account")
        assert connection.execute(kept, {"account": account}).scalar_one() == 1


def test_live_properties_and_their_sessions_are_counted_by_namespace(
    own_database: Database, own_clock: Clock, account: str
) -> None:
    database = own_database
    register_namespace(database, account, "empty", 60)
    register_namespace(database, account, "short", 60)
    save(database, DocumentKey(account, "short", "s1"), b'{"a":1}')
    own_clock.advance(seconds=61)
    save(database, DocumentKey(account, "short", "s2"), b'{"a":1,"b":2}')
    for session in ("__default__", "s1"):
        save(database, DocumentKey(account, "long", session), b'{"a":1}')
        save(database, DocumentKey(f"{account}-2", "long", session), b'{"a":1}')
    save(database, DocumentKey(account, "gone", "s1"), b'{"a":1}')
    delete_namespace(database, account, "gone", "service")
    found = overview(database, account)
    assert (found.properties, found.sessions) == (exactly(4), exactly(3))
    assert counts(found) == {
        "empty": (exactly(0), exactly(0)),
        "long": (exactly(2), exactly(2)),
        "short": (exactly(2), exactly(1)),
    }
    assert [each.ttl_seconds for each in found.namespaces] == [60, 0, 60]


def test_namespaces_are_those_allowed_a_page_at_a_time(database: Database, account: str) -> None:
    for name in ("day_1", "day_2", "night"):
        register_namespace(database, account, name, None)
    assert [*counts(overview(database, account, ["day_*", "nigh"]))] == ["day_1", "day_2"]
    assert [*counts(overview(database, account, after="day_1"))] == ["day_2", "night"]
    page = read_overview(database, account, limit=2).namespaces
    assert [each.name for each in page] == ["day_1", "day_2"]
    assert overview(database, "none").namespaces == []


@pytest.fixture(scope="module")
def large(cluster: Cluster) -> Iterator[Database]:
    """Accounts `a` to `d` with 3,000 properties each, 10 a session, a third of them expired."""
    database = Database(create_migrated_database(cluster, f"large_{token_hex(6)}"), Settings())
    with database.begin() as connection:
        for statement in (
            "INSERT INTO namespace (account, name) SELECT chr(96 + n), 'large' FROM generate_series(1, 4) AS n",
            """INSERT INTO property (account, namespace_id, session_id, name, value, size, expires_at)
            SELECT account, id, 's' || s, 'p' || p, '1', 9,
                CASE WHEN s % 3 = 0 THEN now() - interval '1 day' ELSE 'infinity' END
            FROM namespace, generate_series(1, 300) AS s, generate_series(1, 10) AS p""",
            "ANALYZE property",
        ):
            connection.execute(text(statement))
    yield database
    database.release()


def test_what_cannot_be_looked_at_is_estimated(
    large: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "LOOK_LIMIT", 1500)
    found = overview(large, "a")
    for properties, sessions in ((found.properties, found.sessions), counts(found)["large"]):
        assert properties.estimated
        assert sessions.estimated
        assert properties.count == pytest.approx(2000, rel=0.1)
        assert sessions.count == pytest.approx(200, rel=0.1)
    monkeypatch.setattr(activity, "LOOK_LIMIT", 3001)
    found = overview(large, "a")
    assert (found.properties, found.sessions) == (exactly(2000), exactly(200))


def test_estimates_are_what_the_quota_has_counted(
    large: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    quotas.set_quota(large, "b", {"properties": 10_000})
    with large.begin() as connection:
        connection.execute(
            text("UPDATE quota SET properties_used = 1999, sessions_used = 199 WHERE account = 'b'")
        )
    monkeypatch.setattr(activity, "LOOK_LIMIT", 100)
    found = overview(large, "b")
    assert (found.properties, found.sessions) == (
        Count(1999, estimated=True),
        Count(199, estimated=True),
    )


def test_without_statistics_an_estimate_is_what_was_seen(
    own_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = own_database
    for session in ("s1", "s2", "s3"):
        save(database, DocumentKey("a", "n", session), b'{"a":1}')
    monkeypatch.setattr(activity, "LOOK_LIMIT", 2)
    assert overview(database, "a").properties == Count(2, estimated=True)


def test_expiries_to_come_are_counted_in_steps_of_five_minutes(
    own_database: Database, own_clock: Clock
) -> None:
    database = own_database
    for account, namespace, ttl in (
        ("a", "minute", 60),
        ("a", "quarter", 900),
        ("a", "day", 86_400),
        ("a", "forever", 0),
        ("b", "minute", 60),
    ):
        register_namespace(database, account, namespace, ttl)
        save(database, DocumentKey(account, namespace, "s1"), b'{"a":1,"b":2}')
    expected = [(0, False)] * 12
    expected[0] = expected[2] = (2, False)
    assert expiring(overview(database, "a")) == expected
    assert expiring(overview(database, "a", ["min*"])) == [(2, False), *[(0, False)] * 11]
    own_clock.advance(seconds=60)
    # Saved again, they expire later than the purge looks at them.
    save(database, DocumentKey("a", "quarter", "s1"), b'{"a":1}')
    own_clock.advance(seconds=270)
    expected = [(0, False)] * 12
    expected[1], expected[2] = (1, False), (1, False)
    assert expiring(overview(database, "a")) == expected
    delete_namespace(database, "a", "quarter", "service")
    assert expiring(overview(database, "a")) == [(0, False)] * 12


def test_steps_beyond_what_was_looked_at_are_estimated_by_those_before(
    own_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = own_database
    for namespace, ttl in (("n1", 60), ("n2", 700), ("n3", 1000)):
        register_namespace(database, "a", namespace, ttl)
        save(database, DocumentKey("a", namespace, "s1"), b'{"a":1,"b":2,"c":3}')
    # The six that are due first, of all accounts, expire within 700 s: about three in five minutes.
    monkeypatch.setattr(activity, "LOOK_LIMIT", 6)
    assert expiring(overview(database, "a")) == [
        *[(3, False), (0, False), (3, True)],
        *[(3, True)] * 9,
    ]
    # An account that has fewer properties than that is not concerned.
    register_namespace(database, "c", "n1", 1000)
    save(database, DocumentKey("c", "n1", "s1"), b'{"a":1}')
    assert expiring(overview(database, "c")) == [(int(step == 3), False) for step in range(12)]

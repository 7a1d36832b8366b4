"""Counting for quotas: what is counted, when, by which instance, and how it yields to requests."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import monotonic

import pytest
from sqlalchemy import text

from ccs_server.domain.quotas import Amounts
from ccs_server.settings import Settings
from ccs_server.store.counting import count_due
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.namespaces import delete_namespace, register_namespace
from ccs_server.store.quotas import clear_quota, find_quota, list_quotas, set_quota
from ccs_server.store.saving import save
from ccs_server.store.sessions import set_session_ttl
from tests.support.clock import Clock

INTERVAL = 10.0


def used(database: Database, account: str) -> Amounts:
    found = find_quota(database, account)
    assert found
    return found.quota.used


def never_stopped(_seconds: float) -> bool:
    return False


@pytest.fixture
def fill(own_database: Database, own_clock: Clock) -> None:
    """Gives `a` live, expired and deleted properties, in sessions with and without a TTL, in three namespaces."""
    for account in ("a", "b", "aa", "0"):
        # These names sort before and after those of other accounts, namespaces and sessions.
        save(own_database, DocumentKey(account, "two", "__default__"), b'{"p":1,"q":2}')
        for session in ("s", "s1", "t"):
            save(own_database, DocumentKey(account, "two", session), b'{"a":1,"b":"x","c":null}')
        save(own_database, DocumentKey(account, "one", "s"), b'{"a":1}')
    register_namespace(own_database, "a", "gone", None)
    save(own_database, DocumentKey("a", "gone", "s"), b'{"a":1}')
    set_session_ttl(own_database, DocumentKey("a", "gone", "u"), 60)
    delete_namespace(own_database, "a", "gone", "service")
    # Sessions with a TTL that have live properties, expired properties, or none.
    set_session_ttl(own_database, DocumentKey("a", "two", "s"), 0)
    for session in ("expired", "s0"):
        set_session_ttl(own_database, DocumentKey("a", "two", session), 60)
        save(own_database, DocumentKey("a", "two", session), b'{"a":1,"b":2}')
    set_session_ttl(own_database, DocumentKey("a", "one", "empty"), 60)
    own_clock.advance(seconds=61)
    # A session whose first property by name has expired, while another has not.
    set_session_ttl(own_database, DocumentKey("a", "two", "s0"), 0)
    save(own_database, DocumentKey("a", "two", "s0"), b'{"b":2}')


@pytest.mark.usefixtures("fill")
def test_live_properties_are_counted_once_for_any_batch_size(own_database: Database) -> None:
    with own_database.begin() as connection:
        size = text(
            "SELECT sum(size) FROM property WHERE account = 'a' AND expires_at > now()"
            " AND namespace_id IN (SELECT id FROM namespace)"
        )
        bytes_ = connection.execute(size).scalar_one()
    for batch in (1, 2, 3, 5, 7, 2000):
        set_quota(own_database, "a", {"properties": 1})
        assert count_due(own_database, INTERVAL, batch=batch, wait=never_stopped) == ["a"]
        # two/__default__: 2; two/s, s1, t: 3 each; two/s0: 1; one/s: 1. Without properties: two/expired, one/empty.
        assert used(own_database, "a") == Amounts(13, bytes_, 7), batch
        clear_quota(own_database, "a")


def test_bytes_are_the_greater_of_characters_and_size_on_disk(
    own_database: Database,
) -> None:
    for value, least, most in (
        # The characters that a property adds to its document: "a":1 and a comma.
        ("1", 6, 6),
        # A compressed value counts with its full length,
        (f'"{"x" * 20_000}"', 20_000, 20_010),
        # and a character of four bytes counts as four bytes.
        (f'"{"😀" * 100}"', 400, 420),
    ):
        save(own_database, DocumentKey("a", "n", "s"), b'{"a":%b}' % value.encode())
        set_quota(own_database, "a", {"bytes": 1})
        count_due(own_database, INTERVAL, wait=never_stopped)
        counted = used(own_database, "a").bytes
        assert counted is not None
        assert least <= counted <= most


def test_an_account_without_data_is_counted(own_database: Database) -> None:
    set_quota(own_database, "a", {"sessions": 1})
    count_due(own_database, INTERVAL, wait=never_stopped)
    assert used(own_database, "a") == Amounts(0, 0, 0)


def test_only_accounts_with_a_limit_to_count_for_are_counted(own_database: Database) -> None:
    save(own_database, DocumentKey("none", "n", "s"), b'{"a":1}')
    set_quota(own_database, "rate", {"requests": "1/second"})
    set_quota(own_database, "both", {"requests": "1/second", "bytes": 5})
    assert count_due(own_database, INTERVAL, wait=never_stopped) == ["both"]
    assert used(own_database, "rate") == Amounts()


def test_an_account_is_counted_again_after_the_interval_and_sooner_near_its_limit(
    own_database: Database, own_clock: Clock
) -> None:
    for account, properties in (("far", 8), ("near", 9), ("over", 11)):
        members = b",".join(b'"p%d":1' % number for number in range(properties))
        save(own_database, DocumentKey(account, "n", "s"), b"{%b}" % members)
        # The limit that is nearest to being exceeded decides.
        set_quota(own_database, account, {"properties": 10, "bytes": 10_000})
    everyone = ["far", "near", "over"]
    assert sorted(count_due(own_database, INTERVAL, wait=never_stopped)) == everyone
    assert count_due(own_database, INTERVAL, wait=never_stopped) == []
    own_clock.advance(seconds=INTERVAL / 10)
    assert sorted(count_due(own_database, INTERVAL, wait=never_stopped)) == ["near", "over"]
    own_clock.advance(seconds=INTERVAL)
    assert sorted(count_due(own_database, INTERVAL, wait=never_stopped)) == everyone
    set_quota(own_database, "far", {"properties": 20})
    assert count_due(own_database, INTERVAL, wait=never_stopped) == ["far"]


@pytest.fixture
def instances(own_url: str) -> Iterator[list[Database]]:
    databases = [Database(own_url, Settings()) for _ in range(4)]
    yield databases
    for database in databases:
        database.release()


def test_an_account_is_counted_by_one_of_many_instances(
    own_database: Database, instances: list[Database]
) -> None:
    accounts = [f"a{number}" for number in range(40)]
    for account in accounts:
        set_quota(own_database, account, {"properties": 1})
    together = Barrier(len(instances))

    def run(database: Database) -> list[str]:
        together.wait()
        return count_due(database, INTERVAL, wait=never_stopped)

    with ThreadPoolExecutor(len(instances)) as threads:
        counted = [account for found in threads.map(run, instances) for account in found]
    assert sorted(counted) == sorted(accounts)


def test_an_account_claimed_by_a_dead_instance_is_counted_by_another(
    own_database: Database, own_clock: Clock
) -> None:
    set_quota(own_database, "a", {"properties": 1})

    class Killed(Exception):
        pass

    def die(_seconds: float) -> bool:
        raise Killed

    with pytest.raises(Killed):
        count_due(own_database, INTERVAL, wait=die)
    assert count_due(own_database, INTERVAL, wait=never_stopped) == []
    own_clock.advance(seconds=31)
    assert count_due(own_database, INTERVAL, wait=never_stopped) == ["a"]


def test_an_instance_that_stops_releases_its_claims_at_once(
    own_database: Database,
) -> None:
    save(own_database, DocumentKey("a", "n", "s"), b'{"a":1,"b":2,"c":3}')
    set_quota(own_database, "a", {"properties": 1})
    assert count_due(own_database, INTERVAL, batch=1, wait=lambda _: True) == []
    assert used(own_database, "a") == Amounts()
    assert count_due(own_database, INTERVAL, wait=never_stopped) == ["a"]


def test_a_quota_that_is_cleared_while_it_is_counted_stays_cleared(own_database: Database) -> None:
    save(own_database, DocumentKey("a", "n", "s"), b'{"a":1,"b":2,"c":3}')
    set_quota(own_database, "a", {"properties": 1})
    rests = 0

    def clear(_seconds: float) -> bool:
        nonlocal rests
        rests += 1
        if rests == 1:
            clear_quota(own_database, "a")
        return False

    count_due(own_database, INTERVAL, batch=1, wait=clear)
    assert rests > 1
    assert list_quotas(own_database) == []


def test_a_small_account_is_counted_while_a_large_one_is(own_database: Database) -> None:
    members = b",".join(b'"p%d":1' % number for number in range(20))
    save(own_database, DocumentKey("large", "n", "s"), b"{%b}" % members)
    set_quota(own_database, "large", {"properties": 1000})
    has_begun = False

    def add(_seconds: float) -> bool:
        nonlocal has_begun
        if not has_begun:
            set_quota(own_database, "small", {"properties": 1000})
        has_begun = True
        return False

    assert count_due(own_database, INTERVAL, batch=1, wait=add) == ["small", "large"]


def test_it_pauses_nine_times_as_long_as_it_works(own_database: Database) -> None:
    save(own_database, DocumentKey("a", "n", "s"), b'{"a":1,"b":2,"c":3}')
    set_quota(own_database, "a", {"properties": 1})
    rests: list[float] = []

    def rest(seconds: float) -> bool:
        rests.append(seconds)
        return False

    began = monotonic()
    count_due(own_database, INTERVAL, batch=1, wait=rest)
    # Three steps with one property each, and a last step that finds none.
    assert len(rests) == 4
    assert all(seconds > 0 for seconds in rests)
    assert sum(rests) <= 9 * (monotonic() - began)

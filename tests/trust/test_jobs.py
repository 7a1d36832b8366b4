"""A job is carried on after kills: all is done, nothing is done, told or counted twice, and no write is undone."""

import random
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from signal import SIGKILL
from threading import Event

from msgspec.json import decode, encode
from sqlalchemy import text

from ccs_server.domain.where import read_where
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from ccs_server.store.deleting import delete_one
from ccs_server.store.document import DocumentKey
from ccs_server.store.find import Place, Search, find_by_update, find_sessions
from ccs_server.store.jobs.resource import Job, list_jobs, read_job
from ccs_server.store.jobs.run import CLAIM_SECONDS
from ccs_server.store.jobs.work import carry_on
from ccs_server.store.namespace_settings import change_settings
from ccs_server.store.saving import save
from tests.support.change_log import logged_events
from tests.support.clock import Clock
from tests.support.jobs import new_erasure
from tests.support.waiting import wait_until
from tests.trust.conftest import Form, Record
from tests.trust.reliability import Topic

CARRY_ON = """
import sys
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from ccs_server.store.jobs.work import carry_on
carry_on(Database(sys.argv[1], Settings()))
"""

# Kills itself after some statements.
CARRY_ON_FOR = """
import os, signal, sys
from itertools import count
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from ccs_server.store.jobs.work import carry_on
sent = count(1)
def observe(*_):
    if next(sent) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
carry_on(Database(sys.argv[1], Settings(), observe=observe))
"""

# A connection to this database waits for a lock.
WAITING = """
    SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""

LOCK = "SELECT FROM property WHERE account = 'a' AND session_id = :session FOR UPDATE"

# Every tenth session is a hit.
FILL = """
    INSERT INTO property (account, namespace_id, session_id, name, value, size, updated_at)
    SELECT 'a', n.id, 's' || s, p.name, CASE WHEN s % 10 = 0 THEN '"+49301234567"'::json ELSE '1'::json END, 20, now()
    FROM namespace n, generate_series(1, :sessions) s, (VALUES ('caller'), ('other')) AS p (name)
    WHERE n.account = 'a'
"""


def test_an_erasure_is_carried_on_after_kills(
    own_url: str, own_clock: Clock, form: Form, record: Record
) -> None:
    kills, sessions = form(short=2, full=20), form(short=2000, full=10_000)
    database = Database(own_url, Settings())
    change_settings(database, "a", "ns", changes="names")
    with database.engine.connect() as connection:
        connection.execute(text(FILL), {"sessions": sessions})
    job = new_erasure(database, "a", values=["+49301234567"], takes_sessions=True)
    hits = sessions // 10
    in_order = sorted(f"s{session}" for session in range(10, sessions + 1, 10))

    def now() -> Job:
        return read_job(database, "a", job.id)

    def is_waiting() -> bool:
        with database.begin() as connection:
            return connection.execute(text(WAITING)).first() is not None

    for kill in range(kills):
        with database.begin() as connection:
            # However fast it is, it comes no further than to this session before it is killed.
            session = in_order[hits * (kill + 1) // (kills + 1)]
            connection.execute(text(LOCK), {"session": session})
            process = subprocess.Popen([sys.executable, "-c", CARRY_ON, own_url])
            wait_until(is_waiting)
            process.send_signal(SIGKILL)
            process.wait()
        assert now().state == "running"
        assert carry_on(database) == [], "another run took the job before its claim had ended"
        own_clock.advance(seconds=CLAIM_SECONDS + 1)
    assert carry_on(database) == [("erase", "done")]

    done = now()
    assert (done.sessions, done.properties, done.examined) == (hits, 2 * hits, 2 * sessions)
    with database.engine.connect() as connection:
        left = connection.scalar(text("SELECT count(*) FROM property WHERE account = 'a'"))
        kept = connection.execute(text("SELECT request, position FROM job")).one()
    assert left == 2 * (sessions - hits)
    assert kept == (None, None)
    *deleted, last = logged_events(database, "a")
    told = {(event["session"], event["name"]) for event in deleted}
    assert len(deleted) == len(told) == 2 * hits
    assert all(event["erasure"] == job.id for event in deleted)
    assert last["counts"] == {"sessions": hits, "properties": 2 * hits}
    assert encode("+49301234567").decode() not in str(deleted)
    database.release()
    record(
        Topic.CRASH,
        "An erasure whose process is killed again and again is carried on by others: everything that matches is gone, "
        "nothing else is, and nothing is deleted, told or counted twice",
        f"{kills} kills during an erasure of {hits:,} sessions out of {sessions:,}: 0 left, 0 told twice, counts exact",
    )


def test_an_index_is_filled_after_kills_while_writes_go_on(
    own_url: str, own_clock: Clock, form: Form, record: Record
) -> None:
    kills, sessions = form(short=2, full=20), form(short=3_000, full=40_000)
    database = Database(own_url, Settings())
    change_settings(database, "a", "ns", changes="off")
    with database.engine.connect() as connection:
        connection.execute(text(FILL), {"sessions": sessions})
    change_settings(database, "a", "ns", index=["caller"], sort_by_update=True)
    [job] = list_jobs(database, "a")
    stop, writes = Event(), Counter[str]()

    def write() -> None:
        choose = random.Random(1)
        while not stop.is_set():
            document = DocumentKey("a", "ns", f"s{choose.randrange(sessions)}")
            if choose.randrange(4):
                save(database, document, b'{"caller": "%d"}' % choose.randrange(20))
                writes["saves"] += 1
            else:
                delete_one(database, document, "caller")
                writes["deletions"] += 1

    def now() -> Job:
        return read_job(database, "a", job.id)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            for kill in range(kills):
                command = [sys.executable, "-c", CARRY_ON_FOR, own_url, str(6 + kill % 5)]
                assert subprocess.run(command, check=False).returncode == -SIGKILL
                assert now().state == "running"
                own_clock.advance(seconds=CLAIM_SECONDS + 1)
            assert carry_on(database) == [("index", "done")]
        finally:
            stop.set()
        writing.result()

    with database.engine.connect() as connection:
        stored = connection.execute(text(STORED)).all()
        latest = [*connection.scalars(text(LATEST))]
    for value in ('"+49301234567"', *(f'"{number}"' for number in range(20))):
        expected = sorted(session for session, caller in stored if caller == value)
        found, looked = every_page(database, value)
        assert found == expected
        # An entry may be left of what was deleted while it was made.
        assert looked <= 2 * len(expected) + 10, "the index is not used"
    assert in_order(database) == latest
    database.release()
    record(
        Topic.CRASH,
        "An index that is filled while clients write, by processes that are killed again and again, finds what is "
        "stored, and nothing else; sessions are in the order of their last saves",
        f"{kills} kills, {writes['saves']:,} saves and {writes['deletions']:,} deletions meanwhile, "
        f"{sessions:,} sessions: 0 missed, 0 invented, 0 out of order",
    )


STORED = """
    SELECT session_id, value::text FROM property WHERE account = 'a' AND name = 'caller'
"""
LATEST = """
    SELECT session_id FROM property WHERE account = 'a'
    GROUP BY session_id ORDER BY max(updated_at) DESC, session_id DESC
"""


def every_page(database: Database, value: str) -> tuple[list[str], int]:
    """The sessions whose caller is this, found by the index, and how many were looked at."""
    wanted = Search("a", "ns", read_where({"caller": value.encode()}))
    found: list[str] = []
    looked, after = 0, ""
    while True:
        page = find_sessions(database, wanted, after=after, limit=1000)
        found += [each["sessionId"] for each in decode(page.sessions)]
        looked += page.looked
        if page.last is None:
            return found, looked
        after = page.last


def in_order(database: Database) -> list[str]:
    """All sessions, by their last saves."""
    found: list[str] = []
    place = Place()
    while True:
        page = find_by_update(database, Search("a", "ns", read_where({})), after=place, limit=1000)
        found += [each["sessionId"] for each in decode(page.sessions)]
        if page.last is None:
            return found
        place = Place.read(page.last)

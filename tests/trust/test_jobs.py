"""A job is carried on after kills: all is done, nothing is done, told or counted twice."""

import subprocess
import sys
from signal import SIGKILL

from msgspec.json import encode
from sqlalchemy import text

from ccs_server.settings import Settings
from ccs_server.store.database import Database
from ccs_server.store.jobs.resource import Job, read_job
from ccs_server.store.jobs.run import CLAIM_SECONDS
from ccs_server.store.jobs.work import carry_on
from ccs_server.store.namespace_settings import change_settings
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

    def now() -> Job:
        return read_job(database, "a", job.id)

    for kill in range(kills):
        process = subprocess.Popen([sys.executable, "-c", CARRY_ON, own_url])
        goal = hits * (kill + 1) // (kills + 1)
        wait_until(lambda goal=goal: now().sessions >= goal)  # type: ignore[misc]
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

"""An account moves between two services that are killed meanwhile: what arrives is an exact copy."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from time import sleep

from sqlalchemy import text

from ccs_sdk import ContextClient, RetryPolicy, ServiceUnavailableError, TransportError
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from tests.support.service import new_account
from tests.trust.conftest import Form, Record
from tests.trust.instances import Instance
from tests.trust.reliability import Topic

FILL = """
    INSERT INTO property (account, namespace_id, session_id, name, value, size, expires_at, updated_at)
    SELECT n.account, n.id, 's' || s, p.name, ('{"n":' || s || ', "price": 1.10, "text": "é\\u00e9"}')::json, 40,
        CASE WHEN s % 3 = 0 THEN now() + interval '1 hour' ELSE 'infinity' END, now()
    FROM namespace n, generate_series(1, :sessions) s, (VALUES ('a'), ('b')) AS p (name)
    WHERE n.account = :account
"""

DIFFERENT = """
    WITH stored AS (
        SELECT n.account, n.name AS ns, p.session_id, p.name, p.value::jsonb::text AS value, p.expires_at
        FROM property p JOIN namespace n ON n.account = p.account AND n.id = p.namespace_id
    ), one AS (
        SELECT ns, session_id, name, value, date_trunc('milliseconds', expires_at) FROM stored WHERE account = :one
    ), other AS (
        SELECT ns, session_id, name, value, date_trunc('milliseconds', expires_at) FROM stored WHERE account = :other
    )
    SELECT (SELECT count(*) FROM (SELECT * FROM one EXCEPT ALL SELECT * FROM other) AS lost),
        (SELECT count(*) FROM (SELECT * FROM other EXCEPT ALL SELECT * FROM one) AS invented)
"""


@contextmanager
def killed(instance: Instance, kills: int) -> Iterator[list[int]]:
    """Kills the instance again and again, until the block ends or it was killed often enough; counts the kills."""
    done, count = Event(), [0]

    def kill() -> None:
        while count[0] < kills and not done.wait(0.3):
            instance.kill_and_start()
            count[0] += 1

    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill)
        try:
            yield count
        finally:
            done.set()
        killing.result()


def until_done(transfer: Callable[[], object]) -> int:
    """Begins the transfer again, where it was, until it is done; returns how often it was interrupted."""
    interrupted = 0
    while True:
        try:
            transfer()
        except (TransportError, ServiceUnavailableError):
            interrupted += 1
            sleep(0.05)
        else:
            return interrupted


def test_an_account_is_copied_exactly_whatever_is_killed(
    own_url: str, tmp_path: Path, form: Form, record: Record
) -> None:
    kills, sessions = form(short=1, full=15), form(short=6_000, full=100_000)
    database = Database(own_url, Settings(statement_timeout=60))
    instance = Instance(own_url, tmp_path / "log")
    file = tmp_path / "account.ndjson"
    # The SDK does not try again, so a kill interrupts a transfer, and the test resumes it.
    never = RetryPolicy(attempts=1)
    with (
        closing(instance),
        new_account(instance.server, database) as one,
        new_account(instance.server, database) as other,
        ContextClient(instance.server.url, one.id, api_key=one.key, retry=never) as source,
        ContextClient(instance.server.url, other.id, api_key=other.key, retry=never) as target,
    ):
        assert one.v1("POST", "?ttlSecond=60", json={"name": "orders"}).status_code == 204
        with database.engine.connect() as connection:
            connection.execute(text(FILL), {"account": one.id, "sessions": sessions})
        with killed(instance, kills) as exporting:
            exports = until_done(lambda: source.export(file, resume=True))
        reached = [0]

        def advance(line: int) -> None:
            reached[0] = line

        with killed(instance, kills) as importing:
            imports = until_done(
                lambda: target.import_from(file, from_line=reached[0] + 1, progress=advance)
            )
        with database.engine.connect() as connection:
            names = {"one": one.id, "other": other.id}
            assert connection.execute(text(DIFFERENT), names).one() == (0, 0)
    database.release()
    record(
        Topic.CRASH,
        "An account that is exported to a file, and imported into another, is an exact copy, however often the service "
        "is killed; each transfer goes on where it was",
        f"{2 * sessions:,} properties, {exporting[0] + importing[0]} kills, {exports} exports and {imports} imports "
        "interrupted: 0 lost, 0 invented, 0 different",
    )

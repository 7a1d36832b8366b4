"""The change log is what happened: each committed change once, in one order, whatever is killed meanwhile.

Writers of every kind write at random through several instances, which are killed in turn, and so is the database. A
reader of pages, a reader of a stream and a receiver of a webhook follow the log through all of it. What they have read
must then add up to what the tables hold.
"""

import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from time import sleep
from typing import Any

import pytest
import requests
from requests import Session
from sqlalchemy import text

from ccs_server.settings import Settings
from ccs_server.store import schema
from ccs_server.store.database import Database
from tests.support.change_log import Properties, replay
from tests.support.event_streams import event_stream
from tests.support.receivers import receiving
from tests.support.service import Account, new_account
from tests.support.waiting import wait_until
from tests.trust.conftest import Form, Record
from tests.trust.instances import Instance
from tests.trust.postgres import Cluster
from tests.trust.receivers import Hook
from tests.trust.reliability import Topic

SESSIONS, NAMES = ("s1", "s2"), ("a", "b", "c")
EXPIRING = "SELECT 1 FROM property WHERE account = :account AND expires_at < 'infinity' LIMIT 1"
STREAM_TYPES = ("property.set", "property.touched", "property.deleted", "property.expired")


@dataclass
class Writer:
    """Writes at random, and notes what was acknowledged and what was tried."""

    accounts: list[Account]
    number: int
    acknowledged: list[str] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)

    def run(self, stop: Event) -> None:
        choose = random.Random(self.number)
        sessions = [requests.Session() for _ in self.accounts]
        turn = 0
        while not stop.is_set():
            turn += 1
            which = choose.randrange(len(self.accounts))
            try:
                self._write(choose, self.accounts[which], sessions[which], f"{self.number}-{turn}")
            except requests.RequestException:
                # Its instance is down; whether it took place is unknown.
                sleep(0.05)
        for session in sessions:
            session.close()

    def _write(
        self, choose: random.Random, account: Account, http: requests.Session, mark: str
    ) -> None:
        session, name = choose.choice(SESSIONS), choose.choice(NAMES)
        place = {"ns": "orders", "session": session}
        match choose.randrange(9):
            case 0 | 1:
                self._set(
                    http, account, "PUT", f"/orders/{session}/properties/{name}", mark, [mark]
                )
            case 2:
                both = {name: f"{mark}x", "d": f"{mark}y"}
                self._set(
                    http, account, "PATCH", f"/orders/{session}/properties", both, [*both.values()]
                )
            case 3:
                self._set(http, account, "PUT", f"/brief/{session}/properties/{name}", mark, [mark])
            case 4:
                call(http, account, "DELETE", f"/orders/{session}/properties/{name}")
            case 5:
                call(http, account, "DELETE", f"/orders/{session}/properties")
            case 6:
                operations = [
                    {"op": "incr", "name": "n", **place},
                    {"op": "touch", "name": name, "ttl": choose.choice((0, 2)), **place},
                ]
                ext(http, account, "POST", "/ops", {"ops": operations})
            case 7:
                ext(
                    http,
                    account,
                    "POST",
                    "/ops",
                    {"ops": [{"op": "append", "name": "list", "values": [1], **place}]},
                )
            case _:
                ext(
                    http,
                    account,
                    "POST",
                    "/ops",
                    {"atomic": False, "ops": [{"op": "delete", **place}]},
                )

    def _set(
        self,
        http: requests.Session,
        account: Account,
        method: str,
        path: str,
        body: Any,
        marks: list[str],
    ) -> None:
        self.tried.update(marks)
        if call(http, account, method, path, body) == 204:
            self.acknowledged += marks


@dataclass
class Recreator:
    """Deletes its namespace, and makes it again, with nobody else in it."""

    accounts: list[Account]

    def run(self, stop: Event) -> None:
        with requests.Session() as http:
            turn = 0
            while not stop.is_set():
                account = self.accounts[turn % len(self.accounts)]
                turn += 1
                try:
                    switched = ext(
                        http, account, "PATCH", "/namespaces/again", {"changes": "values"}
                    )
                    if switched == 200:
                        call(http, account, "PUT", "/again/s1/properties/a", turn)
                        call(http, account, "DELETE", "/again")
                except requests.RequestException:
                    sleep(0.05)


def call(http: requests.Session, account: Account, method: str, path: str, body: Any = None) -> int:
    return _send(http, account, method, f"/v1/account/{account.id}{path}", body)


def ext(http: requests.Session, account: Account, method: str, path: str, body: Any) -> int:
    return _send(http, account, method, f"/ext/v1/{account.id}{path}", body)


def _send(http: requests.Session, account: Account, method: str, path: str, body: Any) -> int:
    response = http.request(
        method,
        account.server_url + path,
        headers={"maven-api-key": account.key},
        json=body,
        timeout=20,
    )
    assert response.status_code in {200, 204, 409, 503}, response.text
    return response.status_code


@dataclass
class PageReader:
    """Reads pages, each from whichever instance responds, and never the same cursor's page twice."""

    accounts: list[Account]
    events: list[dict[str, Any]] = field(default_factory=list)
    next: str = "start"

    def run(self, stop: Event) -> None:
        turn = 0
        with requests.Session() as http:
            while not stop.is_set():
                turn += 1
                self.read(http, self.accounts[turn % len(self.accounts)])
                sleep(0.02)

    def read(self, http: requests.Session, account: Account) -> bool:
        """Reads one page; returns whether it had events."""
        try:
            response = http.get(
                f"{account.server_url}/ext/v1/{account.id}/changes",
                headers={"maven-api-key": account.key},
                params={"after": self.next, "limit": "1000"},
                timeout=20,
            )
        except requests.RequestException:
            return False
        if response.status_code == 503:
            return False
        assert response.status_code == 200, response.text
        page = response.json()
        self.events += page["changes"]
        self.next = page["next"]
        return bool(page["changes"])


@dataclass
class StreamReader:
    """Follows a stream, and connects to the next instance when it ends."""

    accounts: list[Account]
    events: list[dict[str, Any]] = field(default_factory=list)
    last: str = ""

    def run(self, stop: Event) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            headers = {"Last-Event-ID": self.last} if self.last else {}
            query = {} if self.last else {"after": "start"}
            try:
                with event_stream(
                    self.accounts[turn % len(self.accounts)],
                    headers=headers,
                    type=STREAM_TYPES,
                    **query,
                ) as stream:
                    for event in stream.events() if stream.status == 200 else ():
                        self.last = event.id
                        if event.type != "position":
                            self.events.append(event.data)
                        if stop.is_set():
                            return
            except (OSError, ValueError):
                sleep(0.1)


@contextmanager
def running(cluster: Cluster, directory: Path, count: int) -> Iterator[list[Instance]]:
    instances = [Instance(cluster.url, directory / f"{number}.log") for number in range(count)]
    try:
        yield instances
    finally:
        for instance in instances:
            instance.close()


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ccs-log-") as name:
        yield Path(name)


class Drill:
    """Writers and readers of one account, through all instances.

    Attributes:
        account: the account, at the first instance.
        writers: those whose acknowledged saves are checked.
        pages: reads pages.
        stream: follows a stream.
        hook: is sent what happens.
    """

    def __init__(self, database: Database, accounts: list[Account], hook: Hook) -> None:
        self.hook = hook
        self._database = database
        self.account = accounts[0]
        self.writers = [Writer(accounts, number) for number in range(4)]
        self._recreator = Recreator(accounts)
        self.pages, self.stream = PageReader(accounts), StreamReader(accounts)

    def run(self, killing: Callable[[], None]) -> None:
        """Writes and reads while `killing` runs, and reads to the end of what was written."""
        stop, stop_reading = Event(), Event()
        with ThreadPoolExecutor(len(self.writers) + 4) as pool:
            writing = [pool.submit(each.run, stop) for each in self.writers]
            writing.append(pool.submit(self._recreator.run, stop))
            reading = [
                pool.submit(self.pages.run, stop_reading),
                pool.submit(self.stream.run, stop_reading),
                pool.submit(self.hook.run, stop_reading),
            ]
            try:
                killing()
            finally:
                stop.set()
            for each in writing:
                each.result()
            try:
                self._await_the_end()
            finally:
                stop_reading.set()
            # It ends when something comes that it can look up from.
            self.account.v1("PUT", "/orders/s1/properties/end", json=1).raise_for_status()
            for each in reading:
                each.result()
        wait_until(self._is_sequenced)
        with requests.Session() as http:
            while self.pages.read(http, self.account):
                pass

    def _await_the_end(self) -> None:
        """Waits until all that expires has expired and was purged, and all that happened was read."""
        wait_until(lambda: not self._rows(EXPIRING), seconds=60)
        wait_until(self._is_sequenced, seconds=60)
        count = len(self.positions())
        wait_until(lambda: len(self.pages.events) >= count, seconds=60)
        wait_until(lambda: len(self.stream.events) >= len(self.told()), seconds=60)
        self.hook.is_kind = True
        wait_until(lambda: len(self.hook.events()) >= count, seconds=60)

    def told(self) -> list[str]:
        """The ids of what the stream has to tell."""
        return [event["id"] for event in self.pages.events if event["type"] in STREAM_TYPES]

    def stored(self) -> Properties:
        """All rows of the account's properties."""
        query = """
            SELECT n.name, p.session_id, p.name, p.value::text FROM property p JOIN namespace n
                ON n.account = p.account AND n.id = p.namespace_id
            WHERE p.account = :account
        """
        rows = self._rows(query)
        return {
            (ns, session, name): json.dumps(json.loads(value)) for ns, session, name, value in rows
        }

    def positions(self) -> list[int]:
        """The positions of the log."""
        query = "SELECT pos FROM change WHERE account = :account ORDER BY pos"
        return [position for (position,) in self._rows(query)]

    def _is_sequenced(self) -> bool:
        return not self._rows("SELECT 1 FROM change_new WHERE account = :account LIMIT 1")

    def _rows(self, query: str) -> list[Any]:
        with self._database.begin() as connection:
            return [*connection.execute(text(query), {"account": self.account.id})]


@contextmanager
def drill(cluster: Cluster, instances: list[Instance]) -> Iterator[Drill]:
    """A drill with an account whose namespaces log values; what is saved in `brief` expires after a second."""
    database = Database(cluster.url, Settings())
    with ExitStack() as stack:
        first = stack.enter_context(new_account(instances[0].server, database, "admin"))
        others = [
            stack.enter_context(replace(first, server_url=each.server.url, session=Session()))
            for each in instances[1:]
        ]
        for namespace in ("orders", "brief"):
            changed = first.ext("PATCH", f"/namespaces/{namespace}", json={"changes": "values"})
            assert changed.status_code == 200, changed.text
        assert first.v1("POST", "?ttlSecond=1", json={"name": "brief"}).status_code == 204
        with receiving() as receiver:
            yield Drill(database, [first, *others], Hook(first, receiver))
    database.release()


def check(done: Drill) -> None:
    """Asserts that what the readers have read is what happened."""
    events = done.pages.events
    assert done.positions() == [*range(1, len(events) + 1)]
    assert replay(events) == done.stored()
    assert max(Counter(event["id"] for event in events).values()) == 1, "repeated"
    values = Counter(
        event["value"]
        for event in events
        if event["type"] == "property.set" and isinstance(event["value"], str)
    )
    acknowledged = [mark for writer in done.writers for mark in writer.acknowledged]
    assert len(acknowledged) > 20
    assert [mark for mark in acknowledged if values[mark] != 1] == [], "skipped, or told twice"
    assert values.keys() <= {mark for writer in done.writers for mark in writer.tried}, "invented"
    assert max(values.values()) == 1
    followed = [event["id"] for event in done.stream.events]
    assert followed == done.told()[: len(followed)]
    assert len(followed) >= len(done.told()) - 1, "only the very last one may be missing"
    delivered = done.hook.events()
    assert delivered == events[: len(delivered)]
    assert len(delivered) >= len(events) - 1, "only the very last one may be missing"


def test_the_log_is_what_was_committed_whatever_is_killed(
    directory: Path, form: Form, record: Record
) -> None:
    seconds, kills = form(short=3, full=90), form(short=3, full=30)
    count = form(short=2, full=4)
    cluster = Cluster(directory / "cluster")
    with cluster.create().removed_afterwards():
        cluster.start()
        schema.migrate(cluster.url)
        with running(cluster, directory, count) as instances, drill(cluster, instances) as done:

            def killing() -> None:
                for kill in range(kills):
                    sleep(seconds / (kills + 1))
                    turn = kill % (count + 1)
                    if turn == count:
                        cluster.kill()
                        cluster.start()
                    else:
                        instances[turn].kill_and_start()
                sleep(seconds / (kills + 1))

            done.run(killing)
            check(done)
            acknowledged = sum(len(writer.acknowledged) for writer in done.writers)
            changes = len(done.pages.events)
            messages = len(done.hook.messages())
            repeated = len(done.hook.receiver.received) - messages
    record(
        Topic.CRASH,
        "The change log has each committed change once, in one order, for readers of pages and of streams, while "
        f"{count} instances and the database are killed in turn; replayed, it equals the tables",
        f"{changes} changes, {acknowledged} acknowledged saves of unique values, {kills} kills: "
        "0 skipped, 0 invented, 0 repeated, positions dense",
    )
    record(
        Topic.CRASH,
        "A webhook's receiver, which fails now and then, is sent each change at least once, in the order of the log, "
        f"while {count} instances and the database are killed in turn; what is sent again is the same to the byte",
        f"{changes} changes in {messages} messages, {repeated} sent again, {kills} kills: "
        "0 lost, 0 invented, 0 out of order",
    )

"""Many concurrent clients of the same properties: their observations fit one order of events."""

import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from itertools import count
from threading import Event
from time import monotonic

import pytest

from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.purge import purge
from tests.support.clock import Clock
from tests.support.service import Account, Server, environment, serving
from tests.support.waiting import wait_until
from tests.trust.checker import document_violation, violations
from tests.trust.clients import Client, Crowd, Notes, Unexpected, Witness
from tests.trust.conftest import Form, Record
from tests.trust.history import (
    ABSENT,
    NEVER,
    UNKNOWN,
    DocumentOperation,
    Look,
    LookAtExpiry,
    Save,
    Stamp,
    read,
    write,
)
from tests.trust.reliability import Topic
from tests.trust.witnesses import Witnesses

DEADLOCKS = Statement.of(
    "test_deadlocks",
    "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
)


@pytest.fixture(scope="module")
def server(database_url: str, form: Form) -> Iterator[Server]:
    """A service with many workers, so that PostgreSQL serves many clients at once.

    Its queue has room for all of them, so that it refuses none while the machine is busy with other tests.
    """
    env = environment(CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off", CCS_QUEUE_LENGTH="64")
    with serving("--workers", form(short="4", full="8"), env=env) as server:
        yield server


@pytest.fixture
def connect(server: Server, account: Account) -> Iterator[Callable[[], Client]]:
    """Returns a function that creates clients of an account. They are closed after the test."""
    with ExitStack() as clients:
        yield lambda: clients.enter_context(closing(Client(server.url, account.id, account.key)))


def test_properties_are_linearizable(
    connect: Callable[[], Client], form: Form, record: Record
) -> None:
    writes = form(short=400, full=10_000)
    with ExitStack() as clients:
        witnesses = Witnesses(connect, clients, writers=32, readers=32)
        with witnesses.crowd:
            witnesses.await_writes(writes, seconds=120)
        witnesses.read_all()
    notes = witnesses.notes
    assert notes.unanswered == []
    assert notes.statuses[503] == 0
    assert violations(notes.history) == [], f"seed {witnesses.seed}"
    record(
        Topic.CONCURRENCY,
        "Every property is linearizable under 32 writers and 32 readers.",
        f"{len(notes.history):,} operations on {len({o.register for o in notes.history})} properties: 0 impossible",
    )


class DocumentWitness:
    """A client of whole documents. A document is one register, because it is written, deleted and read as a whole."""

    NAMES = ("a", "b", "c")

    def __init__(self, client: Client, notes: Notes) -> None:
        self._witness = Witness(client, notes)
        self._notes = notes

    def save(self, document: str, value: str) -> None:
        """Saves all properties with the same value."""
        self._note([document], value, "PATCH", document, dict.fromkeys(self.NAMES, value))

    def delete(self, path: str, documents: list[str]) -> None:
        """Deletes `path`, which contains `documents`."""
        self._note(documents, ABSENT, "DELETE", path)

    def read(self, document: str) -> None:
        """Reads all properties. Either all have the same value, or none exists."""
        invoked = monotonic()
        response = self._witness.send("GET", document)
        assert response is not None
        found: dict[str, str] = json.loads(response.body)
        values = set(found.values())
        if found and (len(found) != len(self.NAMES) or len(values) != 1):
            raise Unexpected(f"{document} was half seen: {found}")
        value = values.pop() if values else ABSENT
        self._notes.history.append(read(document, value, invoked, monotonic()))

    def _note(
        self,
        documents: list[str],
        value: str | None,
        method: str,
        path: str,
        content: object = None,
    ) -> None:
        invoked = monotonic()
        response = self._witness.send(method, path, content)
        acknowledged = response is not None and response.status == 204
        returned = monotonic() if acknowledged else UNKNOWN
        self._notes.history.extend(write(d, value, invoked, returned) for d in documents)


def test_saves_and_deletions_are_all_or_nothing(
    connect: Callable[[], Client], database: Database, form: Form, record: Record
) -> None:
    """Saves, reads, deletions of documents, sessions and namespaces, and the purge run concurrently."""
    operations = form(short=1500, full=25_000)
    notes = Notes()
    values = count()
    chance = random.Random()
    documents = {
        f"/all{n}": [f"/all{n}/properties", f"/all{n}/s1/properties", f"/all{n}/s2/properties"]
        for n in range(2)
    }
    anything = [document for each in documents.values() for document in each]

    def saver(witness: DocumentWitness) -> Callable[[], None]:
        return lambda: witness.save(chance.choice(anything), f"v{next(values)}")

    def reader(witness: DocumentWitness) -> Callable[[], None]:
        return lambda: witness.read(chance.choice(anything))

    def document_deleter(witness: DocumentWitness) -> Callable[[], None]:
        def delete() -> None:
            document = chance.choice(anything)
            witness.delete(document, [document])

        return delete

    def session_deleter(witness: DocumentWitness) -> Callable[[], None]:
        def delete() -> None:
            namespace = chance.choice(list(documents))
            witness.delete(f"/namespace{namespace}/session/s1", [f"{namespace}/s1/properties"])

        return delete

    def namespace_deleter(witness: DocumentWitness) -> Callable[[], None]:
        def delete() -> None:
            namespace = chance.choice(list(documents))
            witness.delete(namespace, documents[namespace])

        return delete

    roles = [*[saver] * 4, *[reader] * 4, document_deleter, session_deleter, namespace_deleter]
    workers = [role(DocumentWitness(connect(), notes)) for role in roles]
    with Crowd([*workers, lambda: purge(database, batch=5)]) as crowd:
        wait_until(lambda: crowd.check() and len(notes.history) >= operations, seconds=120)
    database.release()
    assert notes.statuses[503] == 0
    assert violations(notes.history) == []
    record(
        Topic.CONCURRENCY,
        "PATCH and deletions of documents, sessions and namespaces are atomic and in one order, while the "
        "purge runs: no lost update, no resurrection.",
        f"{len(notes.history):,} operations of {len(roles)} clients on {len(anything)} documents: 0 half seen, "
        "0 impossible",
    )


def test_a_v2_save_renews_the_expiry_of_everything_that_readers_have_seen(
    connect: Callable[[], Client], account: Account, form: Form, record: Record
) -> None:
    """v1 saves `b` while v2 saves `a`. If a reader saw `b` without `a`, the v2 save came later and must renew `b`."""
    rounds = form(short=100, full=3000)
    create = f"/v2/context/document/create?access_token={account.token}"
    saver, stamper, *lookers = (connect() for _ in range(5))

    def save(path: str) -> list[DocumentOperation]:
        invoked = monotonic()
        assert saver.v1("PUT", f"{path}/b", "saved").status == 204
        return [Save(invoked, monotonic(), {"b": "saved"})]

    def stamp(session: str) -> list[DocumentOperation]:
        body = {
            "accountId": account.id,
            "nameSpace": "stamped",
            "sessionId": session,
            "ttlSeconds": 1000,
            "payload": {"a": "stamped"},
        }
        invoked = monotonic()
        assert stamper.call("POST", create, json.dumps(body).encode()).status == 201
        return [Stamp(invoked, monotonic(), {"a": "stamped"}, "stamped")]

    def look(client: Client, path: str, over: Event) -> list[DocumentOperation]:
        looks: list[DocumentOperation] = []
        found: dict[str, str] = {}
        # One read of each state is enough: further ones would be redundant.
        while len(found) < 2 and not over.is_set():
            invoked = monotonic()
            seen = json.loads(client.v1("GET", path).body)
            if seen != found:
                found = seen
                looks.append(Look(invoked, monotonic(), found))
        return looks

    def expiry(session: str) -> DocumentOperation:
        path = f"/v2/context/document/{account.id}/stamped/{session}?access_token={account.token}"
        invoked = monotonic()
        document = json.loads(stamper.call("GET", path).body)
        return LookAtExpiry(invoked, monotonic(), "stamped" if "ttl" in document else NEVER)

    apart = 0
    with ThreadPoolExecutor(2 + len(lookers)) as pool:
        for number in range(rounds):
            session = f"s{number}"
            path = f"/stamped/{session}/properties"
            over = Event()
            looks = [pool.submit(look, client, path, over) for client in lookers]
            saves = [pool.submit(save, path), pool.submit(stamp, session)]
            wait(saves)
            over.set()
            history = [operation for each in saves + looks for operation in each.result()]
            history.append(expiry(session))
            assert document_violation(history) is None
            apart += any(isinstance(each, Look) and len(each.found) == 1 for each in history)
    assert apart, "no reader read between the two saves"
    record(
        Topic.CONCURRENCY,
        "A v2 save gives its expiry to every property that v1 saved before it, as observed by readers.",
        f"{rounds:,} v1 saves concurrent with v2 saves ({apart:,} observed one without the other): 0 missed",
    )


def test_a_namespace_is_deleted_atomically(
    connect: Callable[[], Client], database: Database, form: Form, record: Record
) -> None:
    """One client repeatedly fills a namespace session by session and deletes it. Others read the whole namespace."""
    rounds = form(short=8, full=150)
    sessions = [f"s{n}" for n in range(6)]
    seen: list[dict[str, int]] = []
    finished = count()
    filler = connect()
    done = 0

    def fill_and_delete() -> None:
        nonlocal done
        number = next(finished)
        for session in sessions:
            assert (
                filler.v1("PATCH", f"/half/{session}/properties", {"a": number, "b": number}).status
                == 204
            )
        assert filler.v1("DELETE", "/half").status == 204
        done = number + 1

    def look(client: Client) -> Callable[[], None]:
        def read_once() -> None:
            response = client.v1("GET", "/half/session-properties?perPage=1000")
            assert response.status == 200
            found: dict[str, int] = {}
            for session in json.loads(response.body):
                values = session["property"]
                assert values["a"] == values["b"]
                found[session["sessionId"]] = values["a"]
            seen.append(found)

        return read_once

    with Crowd(
        [fill_and_delete, *(look(connect()) for _ in range(4)), lambda: purge(database, batch=3)]
    ) as crowd:
        wait_until(lambda: crowd.check() and done >= rounds, seconds=120)
    database.release()
    for found in seen:
        # The sessions filled so far, all of the same round. None may be left of an earlier round.
        assert list(found) == sessions[: len(found)]
        assert len(set(found.values())) <= 1
    partly = sum(0 < len(found) < len(sessions) for found in seen)
    assert partly, "no reader read while the namespace was being filled"
    record(
        Topic.CONCURRENCY,
        "A namespace is deleted as a whole, for every reader at once, while the purge deletes its rows in batches.",
        f"{done} deletions, {len(seen):,} reads of the namespace ({partly:,} while it was being filled): "
        "0 half deleted, 0 reappeared",
    )


def test_the_purge_deletes_no_new_value(
    connect: Callable[[], Client],
    database: Database,
    database_url: str,
    clock: Clock,
    form: Form,
    record: Record,
) -> None:
    """In each round, properties are written again while their expired versions are purged."""
    rounds = form(short=5, full=60)
    names = [f"p{n}" for n in range(40)]
    clients = [connect() for _ in range(8)]
    other = Database(database_url, database.settings)
    assert clients[0].v1("POST", "?ttlSecond=100", {"name": "purged"}).status == 204
    purged = 0

    def save(client: Client, names: list[str], value: int) -> None:
        for name in names:
            assert client.v1("PUT", f"/purged/properties/{name}", value).status == 204

    with ThreadPoolExecutor(len(clients) + 2) as pool:
        for number in range(rounds):
            purges = [pool.submit(purge, each, batch=3) for each in (database, other)]
            saves = [
                pool.submit(save, client, names[n :: len(clients)], number)
                for n, client in enumerate(clients)
            ]
            for saved in saves:
                saved.result()
            purged += sum(each.result().properties for each in purges)
            found = json.loads(clients[0].v1("GET", "/purged/properties").body)
            assert found == dict.fromkeys(names, number)
            clock.advance(seconds=101)
            assert json.loads(clients[0].v1("GET", "/purged/properties").body) == {}
        for each in (database, other):
            pool.submit(each.release).result()
    assert purged
    record(
        Topic.CONCURRENCY,
        "The purge deletes nothing that was written again just before.",
        f"{rounds} rounds of {len(names)} properties written by {len(clients)} clients over their expired versions, "
        f"{purged:,} rows purged by two purges at the same time: 0 lost, 0 expired ones seen",
    )


def test_crossing_writes_never_deadlock(
    connect: Callable[[], Client],
    account: Account,
    database: Database,
    form: Form,
    record: Record,
) -> None:
    """Runs saves of many properties in any order, v2 saves of whole documents, and deletions."""
    writes = form(short=1500, full=100_000)
    names = [f"n{number}" for number in range(12)]
    sessions = ["__default__", *(f"s{number}" for number in range(7))]
    create = f"/v2/context/document/create?access_token={account.token}"
    before = deadlocks(database)
    statuses = Notes().statuses

    def writer(client: Client, chance: random.Random) -> Callable[[], None]:
        def write_once() -> None:
            some = chance.sample(names, chance.randrange(2, len(names)))
            session = chance.choice(sessions)
            document = f"/crossing/{session}/properties"
            saved = dict.fromkeys(some, chance.random())
            match chance.choices(["v1", "v2", "delete all", "delete one"], [90, 5, 2, 3]):
                case ["v1"]:
                    statuses[client.v1("PATCH", document, saved).status] += 1
                case ["v2"]:
                    body = {"accountId": account.id, "nameSpace": "crossing", "sessionId": session}
                    statuses[
                        client.call(
                            "POST", create, json.dumps(body | {"payload": saved}).encode()
                        ).status
                    ] += 1
                case ["delete all"]:
                    assert client.v1("DELETE", document).status == 204
                case ["delete one"]:
                    assert client.v1("DELETE", f"{document}/{some[0]}").status == 204

        return write_once

    began = monotonic()
    with Crowd([writer(connect(), random.Random(seed)) for seed in range(16)]) as crowd:
        wait_until(lambda: crowd.check() and statuses.total() >= writes, seconds=300)
    seconds = monotonic() - began
    assert set(statuses) == {204, 201}
    assert deadlocks(database) == before
    record(
        Topic.CONCURRENCY,
        "Crossing writes of many properties, concurrent with deletions, never deadlock.",
        f"{statuses.total():,} writes of 2 to {len(names) - 1} properties in any order by 16 clients on "
        f"{len(sessions)} documents, {statuses.total() / seconds:,.0f}/s: 0 deadlocks, 0 refused",
    )


def deadlocks(database: Database) -> int:
    """Returns how many deadlocks PostgreSQL has found in the database."""
    found = database.execute(DEADLOCKS).get_value(0, 0)
    database.release()
    assert found is not None
    return int(found)

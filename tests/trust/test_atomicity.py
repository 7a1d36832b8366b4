"""Conditional writes, partial changes, batches, leases and repeated requests of many clients at once."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations, count, pairwise, repeat
from threading import Barrier, Event
from time import monotonic
from typing import Any

import pytest

from ccs_server.store.database import Database
from tests.support.clock import Clock
from tests.support.service import Account, Server, environment, serving
from tests.support.waiting import wait_until
from tests.trust.checker import violations
from tests.trust.clients import Client, Crowd, Response
from tests.trust.conftest import Form, Record
from tests.trust.history import ABSENT, Kind, Operation, read, swap, write
from tests.trust.reliability import Topic
from tests.trust.test_concurrency import deadlocks

Connect = Callable[[], Client]

SECONDS = 120


@pytest.fixture(scope="module")
def server(server: Server, database_url: str, form: Form) -> Iterator[Server]:
    """The service of all tests; in the full form, one with many workers."""
    if not form.is_full:
        yield server
        return
    env = environment(CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off")
    with serving("--workers", "8", env=env) as server_of_many:
        yield server_of_many


@pytest.fixture
def connect(server: Server, account: Account) -> Iterator[Connect]:
    """Returns a function that creates clients of an account. They are closed after the test."""
    with ExitStack() as clients:
        yield lambda: clients.enter_context(closing(Client(server.url, account.id, account.key)))


@pytest.fixture(autouse=True)
def _no_deadlocks(database: Database) -> Iterator[None]:
    before = deadlocks(database)
    yield
    assert deadlocks(database) == before


def op(kind: str, session: str, ns: str = "atomic", **members: object) -> dict[str, object]:
    """An operation of a batch."""
    return {"op": kind, "ns": ns, "session": session, **members}


class Swapper:
    """A client that swaps the value of a property for new ones, in each of the ways that there are."""

    PATH = "/atomic/s1/properties/swapped"
    REGISTER = "swapped"

    def __init__(self, client: Client, values: Iterator[int], history: list[Operation]) -> None:
        self._client = client
        self._values = values
        self._history = history
        self._known: tuple[str | None, str | None] = (ABSENT, None)
        self._ways = (self._by_header, self._by_operation, self._in_a_batch)

    def swap(self) -> None:
        """Tries to swap once, under the condition that the value is still the one that it knows."""
        value = f"v{next(self._values)}"
        expected, etag = self._known
        invoked = monotonic()
        response = random.choice(self._ways)(value, etag)
        returned = monotonic()
        if response.status == 412:
            current = response.content["current"]
            self._known = (current["value"], current["etag"]) if current else (ABSENT, None)
            self._history.append(read(self.REGISTER, self._known[0], invoked, returned))
            return
        assert response.status in {200, 204}, response
        self._history.append(swap(self.REGISTER, expected, value, invoked, returned))
        new = response.etag or response.results()[0]["etag"]
        self._known = (value, new)

    def _by_header(self, value: str, etag: str | None) -> Response:
        condition = {"If_Match": etag} if etag else {"If_None_Match": "*"}
        return self._client.v1("PUT", self.PATH, value, **condition)

    def _operation(self, value: str, etag: str | None) -> dict[str, object]:
        condition = {"ifMatch": etag} if etag else {"ifNoneMatch": "*"}
        return op("set", "s1", name="swapped", value=value, **condition)

    def _by_operation(self, value: str, etag: str | None) -> Response:
        return self._client.ops(self._operation(value, etag))

    def _in_a_batch(self, value: str, etag: str | None) -> Response:
        return self._client.ops(
            self._operation(value, etag), op("set", "s2", name="beside", value=value)
        )


def test_no_swap_is_lost(connect: Connect, form: Form, record: Record) -> None:
    """Other clients save, touch and delete properties of the same documents, and delete the property itself."""
    operations = form(short=300, full=10_000)
    history: list[Operation] = []
    values = count()
    neighbour = connect()
    deleter = connect()

    def save_neighbours() -> None:
        assert neighbour.v1("PATCH", "/atomic/s1/properties", {"a": 1, "b": 2}).status == 204
        neighbour.ops(op("touch", "s1", ttl=1000)).results()
        assert neighbour.v1("DELETE", "/atomic/s1/properties/a").status == 204

    def delete() -> None:
        invoked = monotonic()
        assert deleter.v1("DELETE", Swapper.PATH).status == 204
        history.append(write(Swapper.REGISTER, ABSENT, invoked, monotonic()))

    swappers = [Swapper(connect(), values, history) for _ in range(8)]
    with Crowd([*(each.swap for each in swappers), save_neighbours, delete]) as crowd:
        wait_until(lambda: crowd.check() and len(history) >= operations, seconds=SECONDS)
    assert violations(history) == []
    swaps = sum(operation.kind is Kind.SWAP for operation in history)
    assert swaps
    record(
        Topic.CONCURRENCY,
        "Compare-and-swap: writes under If-Match and If-None-Match, by header, operation and batch, are "
        "linearizable with saves and deletions of the same document.",
        f"{len(history):,} operations of {len(swappers)} clients, {swaps:,} swaps: 0 lost, 0 impossible",
    )


def test_of_several_creators_one_wins_and_the_others_see_it(
    connect: Connect, form: Form, record: Record
) -> None:
    rounds = form(short=25, full=300)
    clients = [connect() for _ in range(6)]
    together = Barrier(len(clients))

    def create(number: int, name: str) -> Response:
        client = clients[number]
        together.wait()
        if number % 2:
            return client.ops(op("set", "s1", name=name, value=number, ifNoneMatch="*"))
        path = f"/atomic/s1/properties/{name}"
        return client.v1("PUT", path, number, If_None_Match="*")

    with ThreadPoolExecutor(len(clients)) as pool:
        for turn in range(rounds):
            responses = list(pool.map(create, range(len(clients)), repeat(f"claim{turn}")))
            winners = [n for n, each in enumerate(responses) if each.status in {200, 204}]
            assert len(winners) == 1, responses
            for each in responses:
                if each.status == 412:
                    assert each.content["current"]["value"] == winners[0]
            assert sum(each.status == 412 for each in responses) == len(clients) - 1
    record(
        Topic.CONCURRENCY,
        "Of several that create a property under If-None-Match: *, exactly one succeeds, and the others are "
        "shown its value.",
        f"{rounds:,} properties, {len(clients)} creators of each at once: 0 with two creators, 0 with none",
    )


def test_increments_add_up(connect: Connect, form: Form, record: Record) -> None:
    """Each returned sum is that of another and of one increment. In order, they are the history of the number."""
    rounds = form(short=40, full=2000)
    clients = [connect() for _ in range(8)]

    def increment(client: Client) -> list[tuple[Decimal, Decimal]]:
        chance = random.Random()
        done = []
        for number in range(rounds):
            # `json` would read and write decimals as floats.
            by = f"0.{chance.randrange(1, 10**6):06d}" if chance.random() < 0.8 else "1"
            operation = json.dumps(op("incr", "s1", name="sum", by=0)).replace(
                '"by": 0', f'"by": {by}'
            )
            other = json.dumps(op("incr", "s2", name="beside"))
            body = f'{{"ops": [{operation}{"" if number % 4 else "," + other}]}}'
            results = json.loads(client.operations(body.encode()).body, parse_float=Decimal)
            done.append((Decimal(by), Decimal(results["results"][0]["value"])))
        return done

    with ThreadPoolExecutor(len(clients)) as pool:
        done = [each for some in pool.map(increment, clients) for each in some]
    done.sort(key=lambda each: each[1])
    before = Decimal(0)
    for by, total in done:
        assert total == before + by
        before = total
    found = json.loads(clients[0].v1("GET", "/atomic/s1/properties/sum").body, parse_float=Decimal)
    assert found == before
    record(
        Topic.CONCURRENCY,
        "Increments by decimals add up exactly, alone and in batches, and each sum follows from another.",
        f"{len(done):,} increments of one number by {len(clients)} clients: 0 lost, 0 repeated",
    )


def test_appends_keep_every_element_in_the_order_of_its_client(
    connect: Connect, form: Form, record: Record
) -> None:
    rounds, keep = form(short=(30, 25), full=(600, 100))
    clients = [connect() for _ in range(6)]

    def append(number: int) -> list[int]:
        lengths = []
        for turn in range(rounds):
            element = [number, turn]
            results = (
                clients[number]
                .ops(
                    op("append", "s1", name="log", values=[element, element]),
                    *[op("append", "s2", name="last", values=[element], keep=keep)]
                    * (turn % 3 > 0),
                )
                .results()
            )
            lengths.append(results[0]["length"])
            assert all(result["length"] <= keep for result in results[1:])
        return lengths

    with ThreadPoolExecutor(len(clients)) as pool:
        lengths = [length for some in pool.map(append, range(len(clients))) for length in some]
    log = clients[0].v1("GET", "/atomic/s1/properties/log").content
    assert log[::2] == log[1::2]
    for number in range(len(clients)):
        assert [turn for client, turn in log[::2] if client == number] == list(range(rounds))
    assert sorted(lengths) == list(range(2, len(log) + 1, 2))
    last = clients[0].v1("GET", "/atomic/s2/properties/last").content
    assert len(last) == keep
    for number in range(len(clients)):
        kept = [turn for client, turn in last if client == number]
        # The last of each client, with none missing between them.
        assert kept == [turn for turn in range(rounds) if turn % 3][len(kept) * -1 or rounds :]
    record(
        Topic.CONCURRENCY,
        "Appends to one list keep every element once, in the order of each client; keep drops the oldest only.",
        f"{len(log):,} elements by {len(clients)} clients: 0 lost, 0 repeated, 0 out of order",
    )


PLACES = [(ns, session) for ns in ("left", "right") for session in ("__default__", "s1", "s2")]


def test_transfers_that_cross_each_other_keep_the_sum(
    connect: Connect, form: Form, record: Record
) -> None:
    """Readers read all balances in one batch; some of the writers do too, in the batch that transfers."""
    transfers = form(short=200, full=10_000)
    done = 0
    reads = 0
    opening = [op("set", session, ns, name="balance", value=100) for ns, session in PLACES]
    connect().ops(*opening).results()
    balances = [op("get", session, ns, name="balance") for ns, session in PLACES]

    def check(results: list[Any]) -> None:
        assert sum(result["value"] for result in results) == 100 * len(PLACES)

    def transferring(client: Client, chance: random.Random) -> Callable[[], None]:
        def transfer() -> None:
            nonlocal done
            (ns, session), (other_ns, other) = chance.sample(PLACES, 2)
            amount = chance.randrange(1, 10)
            moves = [
                op("incr", session, ns, name="balance", by=-amount),
                op("incr", other, other_ns, name="balance", by=amount),
            ]
            if chance.random() < 0.2:
                check(client.ops(*moves, *balances).results()[2:])
            elif chance.random() < 0.2:
                refused = client.ops(*moves, op("append", session, ns, name="balance", values=[1]))
                assert (refused.status, refused.content["op"]) == (409, 2)
            else:
                client.ops(*moves).results()
            done += 1

        return transfer

    def reading(client: Client) -> Callable[[], None]:
        def read_all() -> None:
            nonlocal reads
            check(client.ops(*balances).results())
            reads += 1

        return read_all

    writers = [transferring(connect(), random.Random(seed)) for seed in range(6)]
    with Crowd([*writers, *(reading(connect()) for _ in range(2))]) as crowd:
        wait_until(lambda: crowd.check() and done >= transfers and reads > 20, seconds=SECONDS)
    check(connect().ops(*balances).results())
    record(
        Topic.CONCURRENCY,
        "Batches over several documents and namespaces, crossing each other, are done as a whole or not at all; "
        "a batch of reads is one snapshot.",
        f"{done:,} transfers between {len(PLACES)} documents by {len(writers)} clients, {reads:,} reads of all: "
        "0 half seen, 0 deadlocks, 0 refused",
    )


class Mixer:
    """A client that writes two documents in every way. All properties of a document have the value of one write."""

    NAMES = ("a", "b", "c")
    SESSIONS = ("s1", "s2")

    def __init__(
        self, client: Client, account: Account, values: Iterator[int], history: list[Operation]
    ) -> None:
        self._client = client
        self._account = account
        self._values = values
        self._history = history
        self._create = f"/v2/context/document/create?access_token={account.token}"
        self._actions = [
            self._save_all_in_a_batch, self._save_all_in_a_batch, self._delete_all_in_a_batch, self._touch,
            self._save, self._save_v2, self._delete, self._delete_namespace, self._read_all, self._read_all,
        ]  # fmt: skip

    def act(self) -> None:
        """Does anything."""
        random.choice(self._actions)()

    def _note(
        self, sessions: Iterable[str], value: str | None, send: Callable[[], Response]
    ) -> None:
        invoked = monotonic()
        response = send()
        assert response.status in {200, 201, 204}, response
        returned = monotonic()
        self._history.extend(write(session, value, invoked, returned) for session in sessions)

    def _new(self) -> tuple[str, dict[str, str]]:
        value = f"v{next(self._values)}"
        return value, dict.fromkeys(self.NAMES, value)

    def _save_all_in_a_batch(self) -> None:
        value, properties = self._new()
        sets = [op("set", session, "mixed", values=properties) for session in self.SESSIONS]
        random.shuffle(sets)
        self._note(self.SESSIONS, value, lambda: self._client.ops(*sets))

    def _delete_all_in_a_batch(self) -> None:
        deletions = [op("delete", session, "mixed") for session in self.SESSIONS]
        self._note(self.SESSIONS, ABSENT, lambda: self._client.ops(*deletions))

    def _touch(self) -> None:
        touches = [op("touch", session, "mixed", ttl=1000) for session in self.SESSIONS]
        self._client.ops(*touches[random.randrange(2) :]).results()

    def _save(self) -> None:
        value, properties = self._new()
        session = random.choice(self.SESSIONS)
        path = f"/mixed/{session}/properties"
        self._note([session], value, lambda: self._client.v1("PATCH", path, properties))

    def _save_v2(self) -> None:
        value, properties = self._new()
        session = random.choice(self.SESSIONS)
        body = json.dumps(
            {
                "accountId": self._account.id,
                "nameSpace": "mixed",
                "sessionId": session,
                "payload": properties,
            }
        ).encode()
        self._note([session], value, lambda: self._client.call("POST", self._create, body))

    def _delete(self) -> None:
        session = random.choice(self.SESSIONS)
        path = f"/mixed/{session}/properties"
        self._note([session], ABSENT, lambda: self._client.v1("DELETE", path))

    def _delete_namespace(self) -> None:
        self._note(self.SESSIONS, ABSENT, lambda: self._client.v1("DELETE", "/mixed"))

    def _read_all(self) -> None:
        invoked = monotonic()
        results = self._client.ops(
            *(op("get", session, "mixed") for session in self.SESSIONS)
        ).results()
        returned = monotonic()
        for session, result in zip(self.SESSIONS, results, strict=True):
            found = result["values"]
            assert found == {} or found == dict.fromkeys(self.NAMES, found["a"])
            self._history.append(read(session, found.get("a", ABSENT), invoked, returned))


def test_batches_and_other_writes_of_the_same_documents_fit_one_order(
    connect: Connect, account: Account, form: Form, record: Record
) -> None:
    operations = form(short=600, full=20_000)
    history: list[Operation] = []
    values = count()
    mixers = [Mixer(connect(), account, values, history) for _ in range(8)]
    with Crowd(mixer.act for mixer in mixers) as crowd:
        wait_until(lambda: crowd.check() and len(history) >= operations, seconds=SECONDS)
    assert violations(history) == []
    record(
        Topic.CONCURRENCY,
        "Batches, v1 and v2 saves, touches and deletions of documents and of their namespace are atomic and in "
        "one order.",
        f"{len(history):,} operations of {len(mixers)} clients on 2 documents: 0 half seen, 0 impossible",
    )


def test_no_deletion_of_a_namespace_halves_a_batch(
    connect: Connect, form: Form, record: Record
) -> None:
    """A batch writes to a namespace that comes and goes, and to one that stays. Readers compare the two."""
    rounds = form(short=60, full=2000)
    numbers = count(1)
    batches = reads = deletions = 0
    deleter = connect()

    def writing(client: Client) -> Callable[[], None]:
        def write_all() -> None:
            nonlocal batches
            number = next(numbers)
            places = (("s1", "goes"), ("s2", "goes"), ("s1", "stays"))
            client.ops(*(op("set", *place, name="n", value=number) for place in places)).results()
            batches += 1

        return write_all

    def reading(client: Client) -> Callable[[], None]:
        def read_all() -> None:
            nonlocal reads
            places = (("s1", "goes"), ("s2", "goes"), ("s1", "stays"))
            results = client.ops(*(op("get", *place) for place in places)).results()
            one, other, stays = (result["values"] for result in results)
            assert one == other
            assert one in ({}, stays)
            reads += 1

        return read_all

    def delete() -> None:
        nonlocal deletions
        assert deleter.v1("DELETE", "/goes").status == 204
        deletions += 1

    writers = [writing(connect()) for _ in range(4)]
    with Crowd([*writers, *(reading(connect()) for _ in range(2)), delete]) as crowd:
        wait_until(
            lambda: crowd.check() and min(batches, reads, deletions) >= rounds, seconds=SECONDS
        )
    record(
        Topic.CONCURRENCY,
        "No deletion of a namespace halves a batch that writes to it.",
        f"{batches:,} batches, {deletions:,} deletions, {reads:,} reads of all in one batch: 0 half deleted",
    )


@dataclass
class Turn:
    """What a client did with a lease: when it was granted, and when each fenced write was sent that succeeded."""

    fence: int
    granted: float
    writes: list[float] = field(default_factory=list)


class Holder:
    """A client that takes the lease of a session and writes with its fence, in each of the ways that there are."""

    def __init__(self, client: Client, turns: list[Turn], statuses: Counter[str]) -> None:
        self._client = client
        self._turns = turns
        self._statuses = statuses
        self._never = Event()
        self._ways = (self._by_header, self._by_operation, self._with_renewal, self._beside)

    def hold(self) -> None:
        """Takes the lease if it is free, and writes until the lease is lost or the turn is over."""
        granted = self._client.ops(
            op("lease", "s1", owner="me", seconds=5), op("get", "s1", name="fence")
        )
        if granted.status == 423:
            self._statuses["held"] += 1
            self._never.wait(0.002)
            return
        turn = Turn(granted.results()[0]["fence"], monotonic())
        self._turns.append(turn)
        for _ in range(random.randrange(1, 40)):
            sent = monotonic()
            response = random.choice(self._ways)(turn.fence)
            if response.status == 412:
                self._statuses["stale"] += 1
                return
            assert response.status in {200, 204}, response
            turn.writes.append(sent)
        if random.random() < 0.5:
            self._client.ops(op("release", "s1", fence=turn.fence)).results()

    def _by_header(self, fence: int) -> Response:
        return self._client.v1("PUT", "/atomic/s1/properties/fence", fence, Ccs_Fence=f"{fence}")

    def _by_operation(self, fence: int) -> Response:
        return self._client.ops(op("set", "s1", name="fence", value=fence, fence=fence))

    def _with_renewal(self, fence: int) -> Response:
        return self._client.ops(
            op("set", "s1", name="fence", value=fence, fence=fence),
            op("lease", "s1", owner="me", seconds=5, fence=fence),
        )

    def _beside(self, fence: int) -> Response:
        return self._client.ops(
            op("set", "s2", name="beside", value=fence),
            op("set", "s1", name="fence", value=fence, fence=fence),
        )


def test_a_lease_has_one_holder_and_a_stale_fence_never_writes(
    connect: Connect, clock: Clock, form: Form, record: Record
) -> None:
    """The clock is moved on meanwhile, so that holders lose their leases while they write."""
    least = form(short=12, full=600)
    turns: list[Turn] = []
    statuses: Counter[str] = Counter()
    seen: list[int] = []
    never = Event()
    reader = connect()

    def read_fence() -> None:
        response = reader.v1("GET", "/atomic/s1/properties/fence")
        if response.status == 200:
            seen.append(response.content)

    def let_time_pass() -> None:
        never.wait(0.01)
        clock.advance(seconds=6)

    holders = [Holder(connect(), turns, statuses).hold for _ in range(6)]
    with Crowd([*holders, read_fence, let_time_pass]) as crowd:
        wait_until(
            lambda: crowd.check() and len(turns) >= least and statuses["stale"] > 1,
            seconds=SECONDS,
        )
    assert all(before <= after for before, after in pairwise(seen))
    assert len({turn.fence for turn in turns}) == len(turns)
    turns.sort(key=lambda turn: turn.fence)
    for turn, later in combinations(turns, 2):
        assert all(sent < later.granted for sent in turn.writes[-1:])
    writes = sum(len(turn.writes) for turn in turns)
    record(
        Topic.CONCURRENCY,
        "A lease has one holder, fences only grow, and no write with a stale fence takes place after a new grant.",
        f"{len(turns):,} grants, {statuses['held']:,} refused, {writes:,} fenced writes, {statuses['stale']:,} "
        "with a stale fence refused: 0 stale writes, 0 repeated fences",
    )


def test_a_request_that_is_sent_several_times_at_once_takes_place_once(
    connect: Connect, form: Form, record: Record
) -> None:
    rounds = form(short=25, full=300)
    clients = [connect() for _ in range(5)]
    together = Barrier(len(clients))
    statuses: Counter[int] = Counter()

    def send(number: int) -> bytes:
        together.wait()
        batch = [op("incr", "s1", name="once"), op("append", "s2", name="once", values=[turn])]
        while True:
            response = clients[number].ops(*batch[: 1 + turn % 2], Idempotency_Key=f"key-{turn}")
            statuses[response.status] += 1
            if response.status != 409:
                return response.body

    sent: dict[int, set[bytes]] = defaultdict(set)
    with ThreadPoolExecutor(len(clients)) as pool:
        for turn in range(rounds):
            sent[turn].update(pool.map(send, range(len(clients))))
    assert {turn: len(bodies) for turn, bodies in sent.items()} == dict.fromkeys(range(rounds), 1)
    assert set(statuses) <= {200, 409}
    assert clients[0].v1("GET", "/atomic/s1/properties/once").content == rounds
    assert clients[0].v1("GET", "/atomic/s2/properties/once").content == list(range(1, rounds, 2))
    record(
        Topic.CONCURRENCY,
        "A request with an idempotency key takes place once, however many send it at once, and all get one response.",
        f"{rounds:,} requests, each by {len(clients)} clients at once: 0 repeated, 0 lost, 0 differing responses",
    )

"""An hour of mixed load with attacks: nothing grows, failures are brief, and nothing is lost.

Run it with `nox -s trust -- --soak`. `--minutes 3` makes it shorter.
"""

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from secrets import token_hex
from select import select
from statistics import median
from threading import Event, Thread
from time import monotonic
from typing import Self

import pytest
import requests

from ccs_server.embedded import EmbeddedPostgres
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from tests.support import databases
from tests.support.service import Account, Server, environment, new_account, serving
from tests.trust.attackers import LongMethods, SilentConnections, SlowBodies
from tests.trust.checker import violations
from tests.trust.clients import Client, Crowd, Unanswered, Unexpected
from tests.trust.conftest import Record
from tests.trust.reliability import Topic
from tests.trust.witnesses import Witnesses
from tests.trust.workers import connections, memory, workers

_LOG = logging.getLogger("soak")

PHASE_SECONDS = 8.0
WRITERS, READERS, TALKERS = 3, 3, 2
HEALTH_SECONDS = 5.0
"""The usual timeout of an orchestrator's probe."""

LEAST_SHARE = 0.1
"""The minimum rate of acknowledged writes under attack, as a fraction of the rate in calm."""

MOST_GROWTH = {"memory": 24.0, "files": 16, "connections": 16, "series": 20, "disk": 1.0}
"""Allowed growth of the medians from the first third of the run to the last, by allocators, pools and rare statuses."""

MOST_HELD = {"memory": 256.0, "disk": 16.0}
"""Upper limits in MiB: two workers of 90 MB (the target) plus memory that attacks leave in arenas; metrics files."""


@dataclass(frozen=True)
class Sample:
    """The resources that the service holds between attacks."""

    memory: float
    """Resident memory of all workers, in MiB."""
    files: int
    """Open files of all workers, without client connections."""
    connections: int
    """Client connections."""
    series: int
    """Label combinations of the request metric."""
    disk: float
    """Size of the temporary directory, which contains the metrics, in MiB."""


@dataclass
class Found:
    """The findings of the run so far."""

    samples: list[Sample] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    operations: int = 0
    acknowledged: int = 0
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0


class LogReader:
    """Reads the service's log through a pipe, as a container runtime does. It can stop reading."""

    def __init__(self) -> None:
        self._read_end, write_end = os.pipe()
        self.file = os.fdopen(write_end, "w")
        self._reading, self._ending = Event(), Event()
        self._reading.set()
        self._thread = Thread(target=self._read, name="log reader")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._reading.set()
        self._thread.join()
        self.file.close()
        os.close(self._read_end)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stops reading for the length of the block."""
        self._reading.clear()
        try:
            yield
        finally:
            self._reading.set()

    def _read(self) -> None:
        while not self._ending.is_set():
            self._reading.wait()
            if select([self._read_end], [], [], 0.1)[0]:
                os.read(self._read_end, 1 << 16)


@dataclass(frozen=True)
class Soaked:
    """The service under test, with everything that a cycle needs."""

    server: Server
    account: Account
    log: LogReader
    temporary: Path

    def client(self) -> Client:
        return Client(self.server.url, self.account.id, self.account.key)

    def sample(self) -> Sample:
        held = connections(self.server)
        files = sum(worker.num_fds() for worker in workers(self.server))
        return Sample(
            memory(self.server),
            files - held,
            held,
            len(self.series()),
            sum(path.stat().st_size for path in self.temporary.rglob("*") if path.is_file())
            / 2**20,
        )

    def series(self) -> list[str]:
        """Returns the label sets of the request metric."""
        response = requests.get(f"{self.server.operations}/metrics", timeout=HEALTH_SECONDS)
        response.raise_for_status()
        found = re.findall(
            r"^ccs_request_duration_seconds_count\{(.*)\}", response.text, re.MULTILINE
        )
        assert found, "The metric of requests has another name."
        return found

    def phases(self) -> dict[str, Callable[[], AbstractContextManager[object]]]:
        """Returns the phases of a cycle: first a calm one, then each attack."""
        port = self.server.port
        return {
            "calm": nullcontext,
            LongMethods.name: lambda: LongMethods(port),
            SlowBodies.name: lambda: SlowBodies(port),
            SilentConnections.name: lambda: SilentConnections(port),
            "a log reader that stops": self.log.stopped,
        }


@pytest.fixture
def soaked(
    cluster: EmbeddedPostgres, tmp_path: Path, pytestconfig: pytest.Config
) -> Iterator[Soaked]:
    if not pytestconfig.getoption("--soak"):
        pytest.skip("takes an hour: nox -s trust -- --soak")
    url = databases.create_database(cluster, f"soak_{token_hex(6)}")
    env = environment(CCS_DATABASE_URL=url, TMPDIR=str(tmp_path), CCS_PURGE_INTERVAL="10")
    with (
        LogReader() as log,
        serving("--migrate", "--workers", "2", env=env, log=log.file) as server,
    ):
        database = Database(url, Settings())
        account = new_account(server, database)
        database.release()
        with account:
            yield Soaked(server, account, log, tmp_path)


def test_an_hour_of_use_and_attacks_leaks_nothing(
    soaked: Soaked, pytestconfig: pytest.Config, record: Record
) -> None:
    began = monotonic()
    end = began + 60 * pytestconfig.getoption("--minutes")
    found = Found()
    ledger: dict[str, str] = {}
    for cycle in count():
        _cycle(soaked, found)
        _enter(soaked, ledger, f"cycle-{cycle}", found)
        # Stop at the first cycle with faults: it shows what kinds there are.
        if found.faults or monotonic() > end:
            break
    _audit(soaked, ledger, found)
    assert not found.faults, "\n".join(found.faults)
    minutes = (monotonic() - began) / 60
    first, last = _thirds(found.samples)
    record(
        Topic.SOAK,
        "Mixed load with attacks (long unknown methods, 500 slow bodies, 2,600 silent connections, a log reader "
        "that stops): memory, files, connections and series stay flat, no 5xx but 503, nothing is lost.",
        f"{datetime.now(UTC):%Y-%m-%d}, {minutes:.0f} minutes: {found.statuses.total():,} requests, "
        f"{found.statuses[503]} of them returned 503; {found.acknowledged:,} acknowledged writes and "
        f"{found.operations:,} operations: 0 lost, 0 impossible; the slowest {found.slowest:.1f} s; from the first "
        f"third to the last, memory {first.memory:.0f} to {last.memory:.0f} MiB, files {first.files} to {last.files}, "
        f"connections {first.connections} to {last.connections}, series {first.series} to {last.series}",
    )


def _cycle(soaked: Soaked, found: Found) -> None:
    """Runs every phase once under load. Then samples the resources and checks the history."""
    with ExitStack() as clients:
        witnesses = Witnesses(soaked.client, clients, writers=WRITERS, readers=READERS)
        talks = [_talker(soaked, clients, number, found.statuses) for number in range(TALKERS)]
        try:
            with witnesses.crowd, Crowd(talks):
                calm = 0.0
                for name, attack in soaked.phases().items():
                    before = witnesses.notes.acknowledged
                    seconds = _phase(soaked, name, attack, found)
                    rate = (witnesses.notes.acknowledged - before) / seconds
                    calm = calm or rate
                    _LOG.info("%s: %.0f writes a second", name, rate)
                    if rate < LEAST_SHARE * calm:
                        found.faults.append(
                            f"{name}: {rate:.1f} writes a second, {calm:.1f} when it is calm"
                        )
            witnesses.read_all()
        except (Unexpected, TimeoutError) as error:
            found.faults.append(f"{error!r}")
        notes = witnesses.notes
        found.faults += violations(notes.history)
        found.faults += [f"unanswered: {reason}" for reason in set(notes.unanswered)]
        found.operations += len(notes.history)
        found.acknowledged += notes.acknowledged
        found.statuses += notes.statuses
        found.slowest = max(found.slowest, notes.slowest)
    found.samples.append(soaked.sample())
    _LOG.info("%s", found.samples[-1])


def _phase(
    soaked: Soaked,
    name: str,
    attack: Callable[[], AbstractContextManager[object]],
    found: Found,
) -> float:
    """Runs a phase. Meanwhile, health checks on new connections must succeed. Returns the seconds it took."""
    began = monotonic()
    waiting = Event()
    with attack():
        while monotonic() - began < PHASE_SECONDS:
            try:
                response = requests.get(f"{soaked.server.url}/healthz", timeout=HEALTH_SECONDS)
            except requests.RequestException as error:
                found.faults.append(f"{name}: no word of health: {error!r}")
            else:
                if response.status_code != 200:
                    found.faults.append(f"{name}: health is {response.status_code}")
            waiting.wait(1)
        return monotonic() - began


def _talker(
    soaked: Soaked, clients: ExitStack, number: int, statuses: Counter[int]
) -> Callable[[], None]:
    """Returns an action that holds conversations: a new session, saves by both versions, lists, deletion or expiry."""
    client = clients.enter_context(closing(soaked.client()))
    token = soaked.account.token
    numbers = count()

    def call(method: str, path: str, content: object = None, *allowed: int) -> None:
        try:
            response = client.v1(method, path, content)
        except Unanswered as error:
            raise Unexpected(f"{method} {path}: {error!r}") from error
        statuses[response.status] += 1
        if response.status not in {*allowed, 503}:
            raise Unexpected(f"{method} {path}: {response.status} {response.body!r}")

    def talk() -> None:
        session = f"talk-{number}-{next(numbers)}"
        base = f"/talks/{session}/properties"
        call("POST", "/namespace/talks/session?ttlSecond=5", {"sessionId": session}, 204)
        call("PATCH", base, {"step": 1, "topics": ["a", "b"], "text": "x" * 500}, 204)
        call("GET", base, None, 200)
        try:
            response = requests.post(
                f"{soaked.server.url}/v2/context/document/create",
                json={
                    "accountId": soaked.account.id, "nameSpace": "talks", "sessionId": session, "payload": {"step": 2},
                },
                headers={"Authorization": f"Bearer {token}"},
                timeout=30,
            )  # fmt: skip
        except requests.RequestException as error:
            raise Unexpected(f"v2 create on a new connection: {error!r}") from error
        statuses[response.status_code] += 1
        if response.status_code not in {201, 503}:
            raise Unexpected(f"v2 create: {response.status_code} {response.text}")
        call("GET", f"{base}/step", None, 200, 404)
        call("GET", "/talks/session-ids?perPage=10", None, 200)
        # Every second session is left to the purge.
        if next(numbers) % 2:
            call("DELETE", f"/namespace/talks/session/{session}", None, 204)

    return talk


def _enter(soaked: Soaked, ledger: dict[str, str], name: str, found: Found) -> None:
    """Saves one property that is read at the end of the run."""
    value = token_hex(8)
    response = soaked.account.v1("PUT", f"/ledger/properties/{name}", json=value)
    if response.status_code == 204:
        ledger[name] = value
    else:
        found.faults.append(f"the ledger's {name}: {response.status_code}")


def _audit(soaked: Soaked, ledger: dict[str, str], found: Found) -> None:
    """Checks the run as a whole."""
    if soaked.account.v1("GET", "/ledger/properties").json() != ledger:
        found.faults.append("what was saved in earlier cycles is not all there")
    failed = [labels for labels in soaked.series() if re.search('status="5(?!03)', labels)]
    found.faults += [f"returned: {labels[:300]}" for labels in failed]
    first, last = _thirds(found.samples)
    for name, most in MOST_HELD.items():
        held = max(getattr(sample, name) for sample in found.samples)
        if held > most:
            found.faults.append(f"{name} rose to {held:.0f} MiB")
    for name, most in MOST_GROWTH.items():
        grown = getattr(last, name) - getattr(first, name)
        if grown > most:
            found.faults.append(f"{name} grew by {grown:.1f}, from {getattr(first, name):.1f}")


def _thirds(samples: list[Sample]) -> tuple[Sample, Sample]:
    """Returns the medians of the first and the last third of the samples."""
    third = -(-len(samples) // 3)

    def of(part: list[Sample]) -> Sample:
        return Sample(*(median(getattr(each, f.name) for each in part) for f in fields(Sample)))

    return of(samples[:third]), of(samples[-third:])

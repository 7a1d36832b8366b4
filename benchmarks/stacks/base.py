"""Base classes of the stacks."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.load import (
    Client,
    Load,
    Measurement,
    NoResponseError,
    Operation,
    WrongResponseError,
    python,
    wrk,
)
from benchmarks.load.requests import FIRST_SESSION, Request, filled
from benchmarks.processes import Program, Usage, usage_of


class MissingError(Exception):
    """A stack cannot run on this machine. The message says what is missing and how to install it."""


class Stack(ABC):
    """A system that performs the operations, and whose CPU and memory can be measured."""

    name: str
    title: str
    on_postgres = True
    stalls = 0
    """The number of measurements that were repeated because no response arrived, as when the disk stalls."""

    def __init__(self, sessions: int) -> None:
        self.sessions = sessions
        self.operations: Mapping[str, Operation] = {}
        self.programs: Sequence[Program] = ()

    @abstractmethod
    def measure(self, operation: str, load: Load) -> Measurement:
        """Runs an operation under load.

        Raises:
            WrongResponseError: A response was wrong.
            NoResponseError: There was no response, three times in a row.
        """

    def begin(self) -> Usage:
        """Prepares a measurement. Returns the usage of the stack's own programs so far."""
        return self.usage()

    def steps(self, operation: str) -> int:
        """Returns the number of requests in the operation."""
        return len(self.operations[operation].requests)

    def usage(self) -> Usage:
        """Returns the usage of the stack's own programs, without the database."""
        return usage_of(self.programs)

    def stop(self) -> None:
        for program in self.programs:
            program.stop()


class HttpStack(Stack):
    """A stack that is used over HTTP."""

    port: int

    @abstractmethod
    def document(self, client: Client, session: int) -> Mapping[str, object]:
        """Returns the properties of a session."""

    def measure(self, operation: str, load: Load) -> Measurement:
        for _ in range(2):
            try:
                return self._measure(operation, load)
            except NoResponseError:
                self.stalls += 1
        return self._measure(operation, load)

    def _measure(self, operation: str, load: Load) -> Measurement:
        what = self.operations[operation]
        run = wrk.run if wrk.is_installed() and not what.uses_etags else python.run
        try:
            return run(what, self.port, self.sessions, load)
        except (NoResponseError, WrongResponseError) as error:
            where = f"{self.name}, {operation} over {load.connections} connections"
            raise type(error)(f"{where}: {error}") from error

    def check(self, *names: str) -> None:
        """Runs the named operations, or all of them, once each, and checks responses and written data in full.

        Raises:
            WrongResponseError: A response or the written data is wrong.
        """
        client = Client(self.port)
        for name in names or self.operations:
            operation = self.operations[name]
            session = 19_000_000 if operation.new_sessions else FIRST_SESSION
            for request in operation.requests:
                client.send(request, session)
            if operation.writes:
                self._check_written(client, session, operation.writes)
            for request in operation.shown_by:
                client.send(request, session)
        client.close()

    def _check_written(self, client: Client, session: int, writes: Mapping[str, object]) -> None:
        wanted = json.loads(filled(json.dumps(writes), session, session))
        found = self.document(client, session)
        if {name: found.get(name) for name in wanted} != wanted:
            raise WrongResponseError(f"{self.name}: {wanted} was written, {found} was read")


def send_to_all(port: int, request: Request, sessions: Iterable[int], clients: int = 8) -> None:
    """Sends a request for every session."""

    def send(share: Sequence[int]) -> None:
        client = Client(port)
        for session in share:
            client.send(request, session)
        client.close()

    numbers = list(sessions)
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(send, [numbers[start::clients] for start in range(clients)]))


def session_numbers(count: int) -> range:
    return range(FIRST_SESSION, FIRST_SESSION + count)

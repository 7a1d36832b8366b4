"""What every stack has in common."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.load import (
    Client,
    Load,
    Measurement,
    NoAnswerError,
    Operation,
    WrongAnswerError,
    python,
    wrk,
)
from benchmarks.load.requests import FIRST_SESSION, Request, filled
from benchmarks.processes import Program, Usage, usage_of


class MissingError(Exception):
    """A stack cannot run here; the message says what it lacks and how to install that."""


class Stack(ABC):
    """Something that does the operations, and can be asked what it spent on them."""

    name: str
    title: str
    on_postgres = True
    stalls = 0
    """Measurements that were made again, since no answer had come in all of one: the machine's disk stood still."""

    def __init__(self, sessions: int) -> None:
        self.sessions = sessions
        self.operations: Mapping[str, Operation] = {}
        self.programs: Sequence[Program] = ()

    @abstractmethod
    def measure(self, operation: str, load: Load) -> Measurement:
        """Does an operation again and again.

        Raises:
            WrongAnswerError: an answer was not the right one.
            NoAnswerError: there was none, three times in a row.
        """

    def begin(self) -> Usage:
        """Makes ready for a measurement; returns what its own programs have used until then."""
        return self.usage()

    def steps(self, operation: str) -> int:
        """How many requests the operation is made of."""
        return len(self.operations[operation].requests)

    def usage(self) -> Usage:
        """What its own programs have used, the database not among them."""
        return usage_of(self.programs)

    def stop(self) -> None:
        for program in self.programs:
            program.stop()


class HttpStack(Stack):
    """A stack that is asked over HTTP."""

    port: int

    @abstractmethod
    def document(self, client: Client, session: int) -> Mapping[str, object]:
        """The properties that a session has."""

    def measure(self, operation: str, load: Load) -> Measurement:
        for _ in range(2):
            try:
                return self._measure(operation, load)
            except NoAnswerError:
                self.stalls += 1
        return self._measure(operation, load)

    def _measure(self, operation: str, load: Load) -> Measurement:
        run = wrk.run if wrk.is_installed() else python.run
        try:
            return run(self.operations[operation], self.port, self.sessions, load)
        except (NoAnswerError, WrongAnswerError) as error:
            where = f"{self.name}, {operation} over {load.connections} connections"
            raise type(error)(f"{where}: {error}") from error

    def check(self, *names: str) -> None:
        """Does the operations, all unless some are named, once each and looks closely at what comes of them.

        Raises:
            WrongAnswerError: an answer or what was written is not right.
        """
        client = Client(self.port)
        for name in names or self.operations:
            operation = self.operations[name]
            session = 19_000_000 if operation.new_sessions else FIRST_SESSION
            for request in operation.requests:
                client.send(request, session)
            if operation.writes:
                self._check_written(client, session, operation.writes)
        client.close()

    def _check_written(self, client: Client, session: int, writes: Mapping[str, object]) -> None:
        wanted = json.loads(filled(json.dumps(writes), session, session))
        found = self.document(client, session)
        if {name: found.get(name) for name in wanted} != wanted:
            raise WrongAnswerError(f"{self.name}: {wanted} was written, {found} was read")


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

"""Clients that note what they saw, and crowds of them."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from tests.trust.history import ABSENT, UNKNOWN, Operation, read, write

# Longer than the service may take for anything: who waits as long has found a hang.
HANG_SECONDS = 30


class Unanswered(Exception):
    """No answer came. `sent` tells whether the whole request had gone out on an open connection."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class Unexpected(Exception):
    """An answer that the contract does not allow here."""


class Answer(NamedTuple):
    """A response."""

    status: int
    body: bytes
    retry_after: str | None


class Client:
    """One thread's connection to a service; made anew when it is lost."""

    def __init__(self, url: str, account: str = "", key: str = "") -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=HANG_SECONDS)
        self._account = f"/v1/account/{account}"
        self._headers = {"maven-api-key": key, "Content-Type": "application/json"}

    def v1(self, method: str, path: str, content: object = None) -> Answer:
        """A call with the account's key; `path` follows `/v1/account/{id}`.

        Raises:
            Unanswered: no answer came.
            TimeoutError: none within HANG_SECONDS.
        """
        body = None if content is None else json.dumps(content).encode()
        return self.call(method, self._account + path, body)

    def call(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """A call of any path, on the connection that is open or on a new one."""
        connection = self._connection
        sent = False
        try:
            if connection.sock is None:
                connection.connect()
            connection.request(method, path, body, self._headers)
            sent = True
            response = connection.getresponse()
            return Answer(response.status, response.read(), response.getheader("Retry-After"))
        except TimeoutError:
            connection.close()
            raise
        except (OSError, HTTPException) as error:
            connection.close()
            raise Unanswered(repr(error), sent=sent) from error

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


@dataclass
class Notes:
    """What the witnesses of one test have seen, together."""

    history: list[Operation] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    unanswered: list[str] = field(default_factory=list)
    slowest: float = 0.0
    last_refused: float = 0.0
    """When the last call that was answered 503 or not at all came back."""

    @property
    def acknowledged(self) -> int:
        """Writes that were answered 2xx."""
        return self.statuses[204]


class Witness:
    """A client that notes each read and write of a property, called by its path: `/{ns}/properties/{p}`.

    An answer 503 without `Retry-After` or in another form than the contract's, and any status but 200, 204, 404 and
    503, is Unexpected.
    """

    def __init__(self, client: Client, notes: Notes) -> None:
        self._client = client
        self._notes = notes

    def write(self, register: str, value: str) -> bool:
        """Saves the property; whether that was acknowledged."""
        return self._write("PUT", register, value)

    def delete(self, register: str) -> bool:
        """Deletes the property; whether that was acknowledged."""
        return self._write("DELETE", register, ABSENT)

    def read(self, register: str) -> bool:
        """Reads the property; whether there was an answer."""
        invoked = monotonic()
        answer = self.ask("GET", register)
        if answer is None or answer.status == 503:
            return False
        value = json.loads(answer.body) if answer.status == 200 else ABSENT
        self._notes.history.append(read(register, value, invoked, monotonic()))
        return True

    def _write(self, method: str, register: str, value: str | None) -> bool:
        invoked = monotonic()
        answer = self.ask(method, register, value)
        acknowledged = answer is not None and answer.status == 204
        returned = monotonic() if acknowledged else UNKNOWN
        self._notes.history.append(write(register, value, invoked, returned))
        return acknowledged

    def ask(self, method: str, path: str, content: object = None) -> Answer | None:
        """Any call; None if there is no answer."""
        began = monotonic()
        try:
            answer = self._client.v1(method, path, content)
        except Unanswered as error:
            self._notes.unanswered.append(str(error))
            self._notes.last_refused = monotonic()
            return None
        self._notes.slowest = max(self._notes.slowest, monotonic() - began)
        self._notes.statuses[answer.status] += 1
        if answer.status == 503:
            self._notes.last_refused = monotonic()
            check_unavailable(answer)
        elif answer.status not in {200, 204, 404}:
            raise Unexpected(f"{method} {path}: {answer.status} {answer.body!r}")
        return answer


def check_unavailable(answer: Answer) -> None:
    """Returns if this is a 503 as the contract has it.

    Raises:
        Unexpected: it is not.
    """
    envelope = json.loads(answer.body)
    if (envelope["code"], envelope["status"]) != (503, "Service Unavailable") or not (
        answer.retry_after and int(answer.retry_after) > 0 and envelope["message"].endswith(".")
    ):
        raise Unexpected(f"{answer}")


class Crowd:
    """Threads that repeat an action each, for the length of a block; an error of theirs is raised at its end."""

    def __init__(self, actions: Iterable[Callable[[], object]]) -> None:
        self._stop = Event()
        self._errors: list[BaseException] = []
        self._threads = [Thread(target=self._run, args=(action,)) for action in actions]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0] from error

    def check(self) -> bool:
        """True, so that it can stand in a condition.

        Raises:
            BaseException: what the first of the threads that failed has raised.
        """
        if self._errors:
            raise self._errors[0]
        return True

    def _run(self, action: Callable[[], object]) -> None:
        try:
            while not self._stop.is_set():
                action()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for this one
            self._errors.append(error)

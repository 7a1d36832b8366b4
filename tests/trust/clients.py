"""Clients that record what they observe, and groups of threads."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from tests.trust.history import ABSENT, UNKNOWN, Operation, read, write

# Longer than any response may take, so a client that waits this long has found a hang.
HANG_SECONDS = 30


class Unanswered(Exception):
    """There was no response. `sent` is whether the whole request was sent on an open connection."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class Unexpected(Exception):
    """A response that the contract does not allow."""


class Response(NamedTuple):
    """A response."""

    status: int
    body: bytes
    retry_after: str | None
    etag: str | None = None

    @property
    def content(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)

    def results(self) -> list[Any]:
        """Returns the results of operations that have all succeeded.

        Raises:
            Unexpected: They have not.
        """
        if self.status != 200:
            raise Unexpected(f"{self}")
        results: list[Any] = self.content["results"]
        return results


class Client:
    """The connection of one thread to a service. It reconnects when the connection is lost."""

    def __init__(self, url: str, account: str = "", key: str = "") -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=HANG_SECONDS)
        self._account = f"/v1/account/{account}"
        self._operations = f"/ext/v1/{account}/ops"
        self._headers = {"maven-api-key": key, "Content-Type": "application/json"}

    def v1(self, method: str, path: str, content: object = None, **headers: str) -> Response:
        """Sends a request with the account's key. `path` follows `/v1/account/{id}`. `If_Match` is `If-Match`.

        Raises:
            Unanswered: There was no response.
            TimeoutError: There was none within HANG_SECONDS.
        """
        body = None if content is None else json.dumps(content).encode()
        return self.call(method, self._account + path, body, **headers)

    def ops(self, *operations: Mapping[str, object], **headers: str) -> Response:
        """Sends operations of the extension as one batch.

        Raises:
            Unanswered: There was no response.
            TimeoutError: There was none within HANG_SECONDS.
        """
        return self.operations(json.dumps({"ops": operations}).encode(), **headers)

    def operations(self, body: bytes, **headers: str) -> Response:
        """As `ops`, with the body as JSON."""
        return self.call("POST", self._operations, body, **headers)

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Response:
        """Sends a request to any path, on the open connection or on a new one."""
        connection = self._connection
        sent = False
        try:
            if connection.sock is None:
                connection.connect()
            named = {name.replace("_", "-"): text for name, text in headers.items()}
            connection.request(method, path, body, self._headers | named)
            sent = True
            response = connection.getresponse()
            return Response(
                response.status,
                response.read(),
                response.getheader("Retry-After"),
                response.getheader("ETag"),
            )
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
    """The observations of all witnesses of a test."""

    history: list[Operation] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    unanswered: list[str] = field(default_factory=list)
    slowest: float = 0.0
    last_refused: float = 0.0
    """When the last call ended that got 503 or no response."""

    @property
    def acknowledged(self) -> int:
        """The number of acknowledged writes."""
        return self.statuses[204]


class Witness:
    """A client that records each read and write of a property. A property is named by its path: `/{ns}/properties/{p}`.

    It raises Unexpected for a 503 without `Retry-After` or in another form than the contract's, and for any status
    except 200, 204, 404 and 503.
    """

    def __init__(self, client: Client, notes: Notes) -> None:
        self._client = client
        self._notes = notes

    def write(self, register: str, value: str) -> bool:
        """Saves the property. Returns whether the write was acknowledged."""
        return self._write("PUT", register, value)

    def delete(self, register: str) -> bool:
        """Deletes the property. Returns whether the deletion was acknowledged."""
        return self._write("DELETE", register, ABSENT)

    def read(self, register: str) -> bool:
        """Reads the property. Returns whether the read succeeded."""
        invoked = monotonic()
        response = self.send("GET", register)
        if response is None or response.status == 503:
            return False
        value = json.loads(response.body) if response.status == 200 else ABSENT
        self._notes.history.append(read(register, value, invoked, monotonic()))
        return True

    def _write(self, method: str, register: str, value: str | None) -> bool:
        invoked = monotonic()
        response = self.send(method, register, value)
        acknowledged = response is not None and response.status == 204
        returned = monotonic() if acknowledged else UNKNOWN
        self._notes.history.append(write(register, value, invoked, returned))
        return acknowledged

    def send(self, method: str, path: str, content: object = None) -> Response | None:
        """Sends any request. Returns None if there is no response."""
        began = monotonic()
        try:
            response = self._client.v1(method, path, content)
        except Unanswered as error:
            self._notes.unanswered.append(str(error))
            self._notes.last_refused = monotonic()
            return None
        self._notes.slowest = max(self._notes.slowest, monotonic() - began)
        self._notes.statuses[response.status] += 1
        if response.status == 503:
            self._notes.last_refused = monotonic()
            check_unavailable(response)
        elif response.status not in {200, 204, 404}:
            raise Unexpected(f"{method} {path}: {response.status} {response.body!r}")
        return response


def check_unavailable(response: Response) -> None:
    """Checks that this is a 503 as the contract defines it.

    Raises:
        Unexpected: It is not.
    """
    envelope = json.loads(response.body)
    if (envelope["code"], envelope["status"]) != (503, "Service Unavailable") or not (
        response.retry_after and int(response.retry_after) > 0 and envelope["message"].endswith(".")
    ):
        raise Unexpected(f"{response}")


class Crowd:
    """Threads that each repeat an action for the length of a block. Their first error is raised at its end."""

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
        """Raises the error of the first thread that failed. Returns True, for use in conditions.

        Raises:
            BaseException: The error of that thread.
        """
        if self._errors:
            raise self._errors[0]
        return True

    def _run(self, action: Callable[[], object]) -> None:
        try:
            while not self._stop.is_set():
                action()
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self._errors.append(error)

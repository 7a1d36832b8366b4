"""Receiving the bodies of requests without a thread that waits for them.

The HTTP server says when a part of a body has come, in a thread of its pool; between the parts a body costs its
memory and nothing else. So what is bounded here is memory and time: how many bytes are on their way, in all and for
one account, how long a body may take, and how slowly it may come.
"""

import logging
from asyncio import CancelledError
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from threading import Event, Lock
from time import monotonic
from typing import Protocol

from ccs_server.serving.exchange import BodyFuture, Exchange
from ccs_server.serving.repeating import repeat

TOTAL_BYTES = 64 << 20
"""Bytes of bodies that a worker takes in at once, as they were announced."""

ACCOUNT_BYTES = TOTAL_BYTES // 4
"""Bytes of bodies that a worker takes in at once for one account."""

ACCOUNT_BODIES = 200
"""Bodies that a worker takes in at once for one account: a fifth of `CCS_CONNECTION_LIMIT`."""

LEAST_RATE = 1024
"""Bytes a second that a body has to come at, after `GRACE_SECONDS`: a slow mobile network has ten times as much."""

GRACE_SECONDS = 2.0

LINGER_SECONDS = 2.0
"""Seconds for which the body of a request that was refused without it is still received."""

LINGER_BYTES = 4 << 20
"""Bytes of such a body that are received."""

_LOOK_SECONDS = 0.25

LINGER_COUNT = 4
"""Such bodies that a worker begins to receive in `_LOOK_SECONDS`. To receive all of a flood would slow others down."""

_log = logging.getLogger("ccs.connections")


class Truncated(BytesIO):
    """What came of a body that was cut off, or whose framing was broken: it cannot be read.

    Raises:
        ConnectionError: from every `read`.
    """

    def read(self, size: int | None = -1, /) -> bytes:  # noqa: ARG002 - as its class has it
        """Says so."""
        raise ConnectionError("The body is not all there.")


class Outcome(Protocol):
    """Callbacks for the outcome of a body."""

    def take_turn(self, exchange: Exchange) -> None:
        """The body is in `wsgi.input`, or a `Truncated`."""

    def too_many(self, exchange: Exchange) -> None:
        """There is no room for it now; none of it was read."""

    def too_slow(self, exchange: Exchange) -> None:
        """It took too long; the rest of it will not be read."""


@dataclass(slots=True, eq=False)
class _Body:
    exchange: Exchange
    began: float
    length: int | None
    announced: int
    is_discarded: bool = False
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0
    future: BodyFuture | None = None


class Bodies:
    """The bodies of a worker that are on their way. Safe to share between threads.

    Args:
        outcome: is called once for each body.
        longest: seconds that a body may take.
        largest: bytes that are received of a body of unknown length: one more than may be accepted.
        clock: the monotonic clock, in seconds.
    """

    def __init__(
        self,
        outcome: Outcome,
        *,
        longest: float,
        largest: int,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._outcome = outcome
        self._longest = longest
        self._largest = largest
        self._clock = clock
        self._lock = Lock()
        self._open: set[_Body] = set()
        # Since the last look.
        self._discards = 0
        # By account, for those that have bodies here.
        self._bytes: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._total = 0

    def receive(self, exchange: Exchange) -> None:
        """Receives the exchange's body, at the expense of its account."""
        length = exchange.body_length
        announced = self._largest if length is None else length
        body = _Body(exchange, self._clock(), length, announced)
        if not self._open_one(body):
            self._outcome.too_many(exchange)
            return
        self._go_on(body)

    def discard(self, exchange: Exchange) -> None:
        """Receives the body of an exchange that has its response, and drops it.

        The HTTP server closes the connection when this ends. A connection that is closed while its client still sends
        is reset, and the client, or a proxy, may lose the response (RFC 9112, section 9.6). A flood has to bear that.
        """
        with self._lock:
            self._discards += 1
            if self._discards > LINGER_COUNT:
                return
        body = _Body(exchange, self._clock(), length=None, announced=0, is_discarded=True)
        if self._open_one(body):
            self._go_on(body)

    def cut_off_slow(self) -> int:
        """Ends the bodies that take too long or come too slowly; returns how many requests are refused for it."""
        now = self._clock()
        with self._lock:
            self._discards = 0
            slow = [body for body in self._open if self._is_slow(body, now)]
        count = 0
        for body in slow:
            if self._close(body):
                if body.future is not None:
                    body.future.cancel()
                if not body.is_discarded:
                    count += 1
                    self._outcome.too_slow(body.exchange)
        return count

    def keep_cutting_off(self, stop: Event) -> None:
        """Cuts off slow bodies until `stop`, in a thread of its own."""

        def look() -> None:
            if count := self.cut_off_slow():
                _log.warning("Refused %d bodies that came too slowly.", count)

        repeat(look, seconds=_LOOK_SECONDS, stop=stop, name="slow-bodies")

    def _is_slow(self, body: _Body, now: float) -> bool:
        took = now - body.began
        if body.is_discarded:
            return took > LINGER_SECONDS
        return took > self._longest or body.size < (took - GRACE_SECONDS) * LEAST_RATE

    def _open_one(self, body: _Body) -> bool:
        account = body.exchange.account
        with self._lock:
            total = self._total + body.announced
            size = self._bytes.get(account, 0) + body.announced
            count = self._counts.get(account, 0) + 1
            if total > TOTAL_BYTES or size > ACCOUNT_BYTES or count > ACCOUNT_BODIES:
                return False
            self._open.add(body)
            self._total, self._bytes[account], self._counts[account] = total, size, count
            return True

    def _close(self, body: _Body) -> bool:
        """Forgets the body; returns whether it was still open: of two threads, one goes on with it."""
        account = body.exchange.account
        with self._lock:
            if body not in self._open:
                return False
            self._open.remove(body)
            self._total -= body.announced
            self._bytes[account] -= body.announced
            self._counts[account] -= 1
            if not self._counts[account]:
                del self._counts[account], self._bytes[account]
            return True

    def _go_on(self, body: _Body) -> None:
        while True:
            body.future = future = body.exchange.channel.receive()
            if not future.done():
                future.add_done_callback(lambda done: self._take(done, body))
                return
            if self._is_whole(future, body):
                return

    def _take(self, future: BodyFuture, body: _Body) -> None:
        # The future holds this callback, and so the body: the server's futures are unknown to the garbage collector.
        body.future = None
        if not self._is_whole(future, body):
            self._go_on(body)

    def _is_whole(self, future: BodyFuture, body: _Body) -> bool:
        """Takes one part; returns whether nothing is to follow."""
        try:
            message = future.result()
        except CancelledError:
            return True
        if body.is_discarded:
            return self._drop(message, body)
        stream = self._stream(message, body)
        if stream is None:
            return False
        if self._close(body):
            body.exchange.environ["wsgi.input"] = stream
            self._outcome.take_turn(body.exchange)
        return True

    def _drop(self, message: dict[str, object], body: _Body) -> bool:
        """Drops one part; returns whether nothing is to follow."""
        chunk = message.get("body")
        if isinstance(chunk, bytes):
            body.size += len(chunk)
        if message.get("more_body") and body.size < LINGER_BYTES and body in self._open:
            return False
        self._close(body)
        return True

    def _stream(self, message: dict[str, object], body: _Body) -> BytesIO | None:
        """The body if this part was its last; None if more is to come."""
        chunk = message.get("body", b"")
        if message["type"] != "http.request" or not isinstance(chunk, bytes):
            return Truncated()
        body.chunks.append(chunk)
        body.size += len(chunk)
        is_last = not message.get("more_body") or body.size >= self._largest
        if body.length is None:
            return BytesIO(b"".join(body.chunks)) if is_last else None
        if body.size >= body.length:
            return BytesIO(body.chunks[0] if len(body.chunks) == 1 else b"".join(body.chunks))
        return Truncated() if is_last else None

"""The change log as event streams (Server-Sent Events): one thread of a worker feeds all of its streams.

The thread looks where the logs of the accounts end that have streams, all in one statement, and reads what is new in
each, once for all streams of the account. A stream that begins in the past first catches up by reads of its own. So an
idle stream costs its place in a list, an event every 15 seconds, and its part in checking credentials.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from threading import Condition, Thread
from time import monotonic, sleep
from typing import Any

from flask import Flask, current_app
from msgspec import Struct
from msgspec.json import Decoder

from ccs_server.api.services import services_of
from ccs_server.domain.access import is_covered
from ccs_server.domain.change_log import Position, cursor_of
from ccs_server.domain.errors import BUSY, ContextError, Unavailable
from ccs_server.http.streaming import Sink
from ccs_server.store.changes import (
    Event,
    Filter,
    event_json,
    is_known,
    read_changes,
    read_heads,
)

POLL_SECONDS = 0.1

POSITION_SECONDS = 15.0
"""How often a stream is told its position, if nothing else happens: so it never grows too old, and is not idle."""

SLOW_SECONDS = 10.0
"""A stream whose client has not taken what was sent for so long is ended."""

READ_LIMIT = 1000
"""The maximum number of events that are read at once."""

_AFTER_FAILURE_SECONDS = 1.0

_RETRY = b"retry: 1000\n\n"

_NAME = "ccs.streams"

_log = logging.getLogger("ccs.streams")


class _Place(Struct):
    """What an event is about."""

    type: str
    ns: str
    session: str = ""
    name: str = ""


_place = Decoder(_Place)


class Stream:
    """An event stream of one client.

    Args:
        account: its account.
        wanted: which events it wants.
        position: what its client has.
        check: raises a ContextError if its credential has ended.
        sink: the way to its client.
    """

    def __init__(
        self,
        account: str,
        wanted: Filter,
        position: Position,
        check: Callable[[], None],
        sink: Sink,
    ) -> None:
        self.account = account
        self.wanted = wanted
        self.position = position
        self.sink = sink
        self._check = check
        now = monotonic()
        self.checked_at = self._told_at = self._ready_at = now
        sink.send(_RETRY + self._position_event())

    def check(self) -> None:
        """Raises a ContextError if the stream's credential has ended."""
        self._check()
        self.checked_at = monotonic()

    def wants(self, place: _Place) -> bool:
        """Whether an event is for this stream."""
        wanted = self.wanted
        is_whole = not place.session
        return (
            (wanted.namespaces is None or place.ns in wanted.namespaces)
            and (wanted.session_id is None or is_whole or place.session == wanted.session_id)
            and (wanted.names is None or is_whole or place.name in wanted.names)
            and (wanted.types is None or place.type in wanted.types)
            and (wanted.allowed is None or is_covered(place.ns, wanted.allowed))
        )

    def take(self, reached: Position, events: Sequence[tuple[Event, str]]) -> None:
        """Sends events, of which it has the types, and goes on to the position that was reached."""
        parts = [
            b"id: %b\nevent: %b\ndata: %b\n\n"
            % (
                cursor_of(self.account, Position(reached.epoch, event.position)).encode(),
                kind.encode(),
                # White space in JSON may be a line break, which would end the field.
                event_json(self.account, reached.epoch, event)
                .replace(b"\n", b" ")
                .replace(b"\r", b" "),
            )
            for event, kind in events
        ]
        self.position = reached
        if parts:
            self._send(b"".join(parts))

    def tell_position(self, seconds: float) -> None:
        """Tells its position, unless something was sent within so many seconds."""
        if monotonic() - self._told_at >= seconds and self.is_ready():
            self._send(self._position_event())

    def is_ready(self) -> bool:
        """Whether its client takes what is sent."""
        if self.sink.is_ready:
            self._ready_at = monotonic()
            return True
        return False

    def is_slow(self, seconds: float) -> bool:
        """Whether its client has taken nothing for so many seconds."""
        return monotonic() - self._ready_at > seconds

    def end(self) -> None:
        """Ends the stream, with its position."""
        if not self.sink.is_closed:
            if self.is_ready():
                self._send(self._position_event())
            self.sink.close()

    def _send(self, data: bytes) -> None:
        self.sink.send(data)
        self._told_at = monotonic()

    def _position_event(self) -> bytes:
        cursor = cursor_of(self.account, self.position).encode()
        return b"id: %b\nevent: position\ndata: {}\n\n" % cursor


class Streams:
    """The streams of a worker. Safe to share between threads."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        app.extensions[_NAME] = self
        services = services_of(app)
        self._database = services.database
        self._limit = services.settings.stream_limit
        self._check_seconds = services.settings.credential_cache
        # A connection that is sent nothing for twice the request time is closed (`serving/connections.py`).
        self._position_seconds = min(POSITION_SECONDS, services.settings.request_time)
        self._slow_seconds = min(SLOW_SECONDS, services.settings.request_time)
        self._new: list[Stream] = []
        self._streams: list[Stream] = []
        self._changed = Condition()
        self._thread: Thread | None = None

    @staticmethod
    def of(app: Flask) -> "Streams":
        """The streams of an app."""
        found: Streams = app.extensions[_NAME]
        return found

    def count(self) -> int:
        """How many streams are open."""
        return len(self._streams) + len(self._new)

    def check_room(self) -> None:
        """Raises Unavailable if the worker has as many streams as it may have."""
        if self.count() >= self._limit:
            raise Unavailable(BUSY, retry_after=5)

    def add(self, stream: Stream) -> None:
        """Feeds the stream from now on."""
        with self._changed:
            self._new.append(stream)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="streams", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._new and not self._streams:
                    self._changed.wait()
                self._streams += self._new
                self._new.clear()
            try:
                with self._app.app_context():
                    self._feed()
                sleep(POLL_SECONDS)
            except Unavailable as error:
                _log.warning("%s", error)
                sleep(_AFTER_FAILURE_SECONDS)
            except Exception:  # noqa: BLE001 - a fault of ours must not end all streams
                _log.exception("The streams could not be fed.")
                sleep(_AFTER_FAILURE_SECONDS)

    def _feed(self) -> None:
        by_account: defaultdict[str, list[Stream]] = defaultdict(list)
        for stream in self._keep_alive():
            by_account[stream.account].append(stream)
        if not by_account:
            return
        for account, head in read_heads(self._database, by_account).items():
            # Streams that are at the same position, as those that have all of the log are, read together.
            groups: defaultdict[Position, list[Stream]] = defaultdict(list)
            for stream in by_account[account]:
                if stream.position != head and stream.is_ready():
                    groups[stream.position].append(stream)
            for position, group in groups.items():
                self._feed_group(account, position, head, group)

    def _keep_alive(self) -> Sequence[Stream]:
        """Ends the streams that must end; tells the others their positions where that is due, and returns them."""
        kept = []
        now = monotonic()
        for stream in self._streams:
            if stream.sink.is_ending or stream.sink.is_closed or stream.is_slow(self._slow_seconds):
                stream.end()
                continue
            if now - stream.checked_at >= self._check_seconds:
                try:
                    stream.check()
                except Unavailable:
                    pass  # It could not be checked now; nothing can be read now either.
                except ContextError:
                    stream.end()
                    continue
            stream.is_ready()
            stream.tell_position(self._position_seconds)
            kept.append(stream)
        self._streams = kept
        return kept

    def _feed_group(
        self, account: str, position: Position, head: Position, group: Sequence[Stream]
    ) -> None:
        is_one = len(group) == 1
        page = read_changes(
            self._database,
            account,
            group[0].wanted if is_one else Filter(),
            after=position.number,
            limit=READ_LIMIT,
            backward=False,
        )
        if page.epoch != head.epoch or not is_known(position, page):
            # It is told 410 when it connects again.
            for stream in group:
                stream.sink.close()
            return
        # What has come since `head` was read is left to the next time, so that all streams meet at one position.
        reached = min(Position(page.epoch, page.next or 0), head)
        events = [
            (event, _place.decode(b"{%b}" % event.members))
            for event in page.events
            if event.position <= reached.number
        ]
        for stream in group:
            stream.take(
                reached,
                [(event, place.type) for event, place in events if is_one or stream.wants(place)],
            )


def streams() -> Streams:
    """The streams of the app that handles the current request."""
    app: Any = current_app
    return Streams.of(app)

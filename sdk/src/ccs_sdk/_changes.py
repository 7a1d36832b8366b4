# Generated from aio/_changes.py by sdk/generate.py. Edit that file.
"""The change log: following it, and reading the history of a property."""

from collections.abc import Iterator
from typing import Final

from ccs_sdk import _wire
from ccs_sdk._concurrency import sleep
from ccs_sdk._event_stream import EventParser, StreamEvent
from ccs_sdk._ext import Extension
from ccs_sdk._http import Parts
from ccs_sdk._paths import filters
from ccs_sdk.errors import ConnectionFailedError, ServerError, StatusError, TimedOutError
from ccs_sdk.models import Change

PAGE_SIZE: Final = 1000

POSITION: Final = "position"
"""The event that tells how far the log was read."""


def follow(extension: Extension, selection: str, after: str, pause: float) -> Iterator[Change]:
    """Iterates over what follows a position, without an end.

    It reads an event stream, or pages where there is none: the service is away or has as many streams as it may, or
    something on the way does not pass them on. `pause`, in seconds, is between two pages, and before another stream.
    """
    streams = True
    while True:
        query = f"{filters([('after', after)])}{selection}"
        parts = None
        if streams:
            parts, streams = _open(extension, f"/changes?{query[1:]}")
        try:
            if parts is not None:
                for event in _events(parts):
                    if event.type != POSITION:
                        yield extension.event(event.data, _wire.change)
                    after = event.id
                page: list[Change] = []
            else:
                query = f"/changes?limit={PAGE_SIZE}{query}"
                page, reached = extension.get(query, _wire.page_of_changes)
                for change in page:
                    yield change
                after = reached or after
        except (ConnectionFailedError, TimedOutError, ServerError):
            # The service, or the way to it, is away for longer than one call may take. The position is not.
            page = []
        finally:
            if parts is not None:
                parts.close()
        if not page:
            sleep(pause)


def _open(extension: Extension, path: str) -> tuple[Parts | None, bool]:
    """Returns an event stream, if there is one now, and whether there may be one later."""
    try:
        parts = extension.open(path)
    except (ConnectionFailedError, ServerError):
        return None, True
    except (StatusError, TimedOutError):
        # A page tells why, or does without.
        return None, False
    return parts, parts is not None


def _events(parts: Parts) -> Iterator[StreamEvent]:
    parser = EventParser()
    for part in parts:
        for event in parser.feed(part):
            yield event


def position(extension: Extension) -> str:
    """Returns the position at the end of the log."""
    _, reached = extension.get("/changes?after=now&limit=0", _wire.page_of_changes)
    return reached or "start"


def history(extension: Extension, selection: str, limit: int) -> list[Change]:
    """Returns the latest changes, the newest first."""
    found: list[Change] = []
    after: str | None = "start"
    while after is not None and len(found) < limit:
        size = min(limit - len(found), PAGE_SIZE)
        query = f"/changes?order=desc&limit={size}{filters([('after', after)])}{selection}"
        page, after = extension.get(query, _wire.page_of_changes)
        found += page
    return found

# Generated from aio/_changes.py by sdk/generate.py. Edit that file.
"""The change log: following it, and reading the history of a property."""

from collections.abc import Iterator
from typing import Final

from ccs_sdk import _wire
from ccs_sdk._concurrency import sleep
from ccs_sdk._ext import Extension
from ccs_sdk._paths import filters
from ccs_sdk.errors import ConnectionFailedError, ServerError, TimedOutError
from ccs_sdk.models import Change

PAGE_SIZE: Final = 1000


def follow(extension: Extension, selection: str, after: str, pause: float) -> Iterator[Change]:
    """Iterates over what follows a position, without an end; `pause` is in seconds."""
    while True:
        query = f"/changes?limit={PAGE_SIZE}{filters([('after', after)])}{selection}"
        try:
            page, reached = extension.get(query, _wire.page_of_changes)
        except (ConnectionFailedError, TimedOutError, ServerError):
            # The service, or the way to it, is away for longer than one call may take. The position is not.
            sleep(pause)
            continue
        for change in page:
            yield change
        after = reached or after
        if not page:
            sleep(pause)


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

"""The files of exports and imports: lines of JSON."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from urllib.parse import urlencode

from ccs_sdk import _wire
from ccs_sdk._call import MAX_BODY_BYTES
from ccs_sdk._json import Value
from ccs_sdk.errors import BadAnswerError
from ccs_sdk.models import ImportResult

Progress = Callable[[int], object]

_LINES_OF_A_PAGE = 10_000
_LINES_AT_ONCE = 1_000
"""An import changes at most so many sessions."""


class Part:
    """The file of an export until it is complete. Only its owner can read it.

    Attributes:
        count: How many lines it has beside those that end pages.
        cursor: Where the next page begins; None for the first one.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self.count = 0
        self.cursor: str | None = None
        self._text = _opened(self._part, resume=resume)
        self._cut()

    def close(self) -> None:
        """Closes the file, which may be continued later."""
        self._text.close()

    def add(self, page: bytes) -> bool:
        """Adds a page; returns whether the export is complete, and so has its name."""
        last = _mark(page[page.rfind(b"\n", 0, -1) + 1 :])
        if last is None:
            raise BadAnswerError("The page of the export is not complete; check base_url.")
        self._text.write(page)
        self._text.flush()
        self.count += page.count(b"\n") - 1
        self.cursor = last.get("next")
        if self.cursor is not None:
            return False
        os.fsync(self._text.fileno())
        self._part.replace(self._path)
        return True

    def _cut(self) -> None:
        """Cuts off what follows the last whole page."""
        count = place = end = 0
        for line in self._text:
            place += len(line)
            mark = _mark(line)
            if mark is None:
                count += 1
            elif "next" in mark:
                self.count, end, self.cursor = count, place, mark["next"]
        self._text.seek(end)
        self._text.truncate()


def path_of_page(namespace: str | None, cursor: str | None) -> str:
    """Returns the path of a page, after that of the account."""
    query = {"limit": str(_LINES_OF_A_PAGE)}
    if namespace is not None:
        query["ns"] = namespace
    if cursor is not None:
        query["after"] = cursor
    return f"/export?{urlencode(query)}"


def _opened(path: Path, *, resume: bool) -> IO[bytes]:
    """Opens the file of an export that is not complete. Only its owner can read it."""
    flags = os.O_RDWR | os.O_CREAT | (0 if resume else os.O_TRUNC)
    return os.fdopen(os.open(path, flags, 0o600), "r+b")


def _mark(line: bytes) -> dict[str, str] | None:
    """Returns what a line says that ends a page; None for any other line."""
    if not line.startswith((b'{"next"', b'{"end"')) or not line.endswith(b"\n"):
        return None
    mark: dict[str, str] = json.loads(line)
    return mark


def batches(file: IO[bytes], from_line: int) -> Iterator[tuple[int, list[bytes]]]:
    """The lines of a file, as many as one request may have, each time with the number of the first."""
    first, size = from_line, 0
    lines: list[bytes] = []
    for number, line in enumerate(file, 1):
        if number < from_line:
            continue
        if lines and (len(lines) == _LINES_AT_ONCE or size + len(line) > MAX_BODY_BYTES):
            yield first, lines
            first, lines, size = number, [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield first, lines


def import_result(value: Value) -> ImportResult:
    """Converts the response to an import."""
    wire = _wire.properties(value)
    return ImportResult(_wire.integer(wire["saved"]), _wire.integer(wire["skipped"]))

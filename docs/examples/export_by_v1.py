"""Reads all of an account by version 1, and writes lines for `ccs import`: python docs/examples/export_by_v1.py FILE.

It asks any server of the contract with plain GET requests, so it works on the vendor's service and on this one. It
needs `requests` and `msgspec`, which are installed with the SDK and the server, and the variables SOURCE_URL,
SOURCE_ACCOUNT and SOURCE_API_KEY.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import msgspec
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

PER_PAGE = int(os.environ.get("SOURCE_PER_PAGE", "100"))
TIMEOUT_SECONDS = 60
NO_SESSION = "__default__"

# Waits as long as the server says, or longer after each failure. Reading twice is harmless.
PATIENT = HTTPAdapter(
    max_retries=Retry(10, backoff_factor=0.5, status_forcelist=[429, 500, 502, 503, 504])
)


class Account:
    """Reads an account, page by page."""

    def __init__(self) -> None:
        self._url = f"{os.environ['SOURCE_URL']}/v1/account/{os.environ['SOURCE_ACCOUNT']}"
        self._http = requests.Session()
        self._http.headers["maven-api-key"] = os.environ["SOURCE_API_KEY"]
        self._http.mount(self._url, PATIENT)

    def read(self, path: str, of_type: Any, **parameters: int) -> Any:  # noqa: ANN401 - of that type
        """Returns what a path returns. What `of_type` leaves raw keeps its text, so each digit of a number."""
        response = self._http.get(f"{self._url}{path}", params=parameters, timeout=TIMEOUT_SECONDS)
        response.raise_for_status()
        return msgspec.json.decode(response.content, type=of_type)

    def pages(self, path: str, of_type: Any) -> Iterator[Any]:  # noqa: ANN401 - of that type
        """The elements of a list, from all of its pages: the last one is followed by an empty one.

        A list that a server returns whole comes again as the second page, and ends there.
        """
        page, before = 0, None
        while elements := self.read(path, list[of_type], page=page, perPage=PER_PAGE):
            if elements[0] == before:
                return
            yield from elements
            page, before = page + 1, elements[0]


class Named(msgspec.Struct):
    """A namespace, or a session that has a time to live."""

    name: str = ""
    sessionId: str = ""  # noqa: N815 - as on the wire
    ttlSecond: int = 0  # noqa: N815


class Session(msgspec.Struct):
    """A session with its properties."""

    sessionId: str  # noqa: N815
    property: dict[str, msgspec.Raw]


def lines(account: Account) -> Iterator[dict[str, Any]]:
    """A line for each namespace, each time to live of a session, and each property."""
    for namespace in account.read("", list[Named]):
        place = {"ns": namespace.name}
        yield {**place, "ttlSecond": namespace.ttlSecond}
        path = f"/{quote(namespace.name)}"
        for session in account.pages(f"/namespace{path}/session", Named):
            yield {**place, "session": session.sessionId, "ttlSecond": session.ttlSecond}
        own = account.read(f"{path}/properties", dict[str, msgspec.Raw])
        for name, value in own.items():
            yield {**place, "name": name, "value": value}
        for session in account.pages(f"{path}/session-properties", Session):
            if session.sessionId == NO_SESSION:
                continue  # these are the namespace's own
            for name, value in session.property.items():
                yield {**place, "session": session.sessionId, "name": name, "value": value}
    yield {"end": True}


def write(file: IO[bytes]) -> int:
    """Writes the lines, and returns how many there are."""
    count = 0
    for count, line in enumerate(lines(Account())):  # noqa: B007 - the last line is not counted
        file.write(msgspec.json.encode(line) + b"\n")
    return count


if __name__ == "__main__":
    target = Path(sys.argv[1])
    part = target.with_name(f"{target.name}.part")
    with part.open("wb") as file:
        part.chmod(0o600)  # it contains customers' data
        written = write(file)
    part.rename(target)  # only when it is complete
    print(f"{written} lines in {target}")

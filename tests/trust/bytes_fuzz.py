"""Corrupted requests, as raw bytes."""

import socket
from contextlib import suppress
from dataclasses import dataclass
from http.client import BadStatusLine, HTTPResponse
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

from hypothesis import strategies as st

from tests.support.service import Account
from tests.trust.operations import EITHER, KEY, Operation, Place

ANSWER_SECONDS = 10

METHODS = [
    b"GET",
    b"PUT",
    b"POST",
    b"PATCH",
    b"DELETE",
    b"OPTIONS",
    b"HEAD",
    b"TRACE",
    b"CONNECT",
    b"get",
    b"pUT",
    b"X",
    b"A" * 60_000,
]

# Input that often breaks parsers: truncated, overlong and empty encodings; separators; numbers at their limits.
TRAPS = [
    b"%", b"%0", b"%00", b"%zz", b"%ff", b"%C0%80", b"%ED%A0%80", b"%0D%0A", b"%2F", b"%2e%2e", b"..", b"/", b"//",
    b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x00", b"\x7f", b"\t", b" ", b"?", b"#", b"&", b"=", b";", b",",
    b'"', b"\\", b"\\u0000", b"\\ud800", b"\\u12", b"[", b"]", b"{", b"}", b":", b"-", b"+", b"e", b"1e999999",
    b"-0", b"9" * 40, b"2147483648", b"18446744073709551616", b"NaN", b"Infinity", b"null", b"true", b"'", b"--",
    b"%s", b"{}", b"${7*7}", b"__default__", b"properties", b"session-ids", b"faas", "ß\u2028\U0001f600".encode(),
    b"?meta=true", b"?meta=", b"?pointer=/a/0", b"?pointer=%2F~", b"~", b"~1", b'"op"',
]  # fmt: skip

HEADER_NAMES = [
    b"Content-Type", b"Accept", b"Authorization", b"maven-api-key", b"X-Request-ID", b"Host", b"Origin", b"Expect",
    b"Transfer-Encoding", b"Content-Encoding", b"Connection", b"Upgrade", b"Range", b"If-Match", b"Cookie",
    b"X-HTTP-Method-Override", b"Content-Disposition", b"X-Forwarded-For", b"Accept-Encoding", b"Te",
    b"maven_api_key", b"Content_Length", b"Transfer_Encoding", b"If-None-Match", b"Ccs-TTL", b"Ccs-Fence",
    b"Idempotency-Key",
]  # fmt: skip

HEADER_VALUES = [
    b"", b"application/json", b"application/json; charset=utf-16", b"text/plain", b"*/*;q=2", b"multipart/form-data",
    b"application/x-www-form-urlencoded", b"Basic", b"Basic !!!!", b"Basic Og==", b"Bearer", b"Bearer a.b.c",
    b"Bearer eyJhbGciOiJub25lIn0.e30.", b"Digest x", b"identity", b"gzip", b"chunked", b"100-continue", b"upgrade",
    b"bytes=0-", b"close", b"h2c", b"http://a", b"0", b"-1", b"a" * 300, b"*", b'"a"', b'W/"a", "b"', b'""', b"keep",
    b"1", b"9007199254740991", b'"' * 9, b'"a",' * 99,
]  # fmt: skip


@dataclass(frozen=True)
class Corruption:
    """A corruption: `count` bytes of a text are replaced by `trap`, at a position given as a fraction."""

    where: int
    count: int
    trap: bytes

    def of(self, text: bytes) -> bytes:
        at = self.where * len(text) // 256
        return text[:at] + self.trap + text[at + self.count :]


traps = st.sampled_from(TRAPS) | st.binary(max_size=4)
spoilings = st.lists(
    st.builds(Corruption, st.integers(0, 256), st.integers(0, 3), traps), max_size=2
)


@dataclass(frozen=True)
class Case:
    """One request."""

    operation: int
    method: bytes | None
    path: list[Corruption]
    body: list[Corruption]
    headers: list[tuple[bytes, bytes]]
    credential: list[Corruption]
    framing: str

    @property
    def is_whole(self) -> bool:
        """Whether the request is complete. If not, the sender shuts down its side, so that the server stops waiting."""
        framed = {name for name, _ in self.headers} & {b"Transfer-Encoding", b"Expect"}
        return self.framing in {"length", "chunks"} and not framed

    def request(self, operations: list[Operation], account: Account) -> bytes:
        operation = operations[self.operation % len(operations)]
        place = Place(account.id)
        media, body = operation.content(place)
        if self.body:
            body = _corrupted(body, self.body)
        method = self.method or operation.method.encode()
        credential = _corrupted(_credential(operation, account), self.credential)
        lines = [
            method + b" " + _corrupted(operation.target(place).encode(), self.path) + b" HTTP/1.1",
            b"Host: x",
        ]
        lines += [credential, b"Content-Type: " + media.encode()]
        lines += [name + b": " + value for name, value in self.headers]
        match self.framing:
            case "length":
                lines.append(b"Content-Length: %d" % len(body))
            case "chunks":
                lines.append(b"Transfer-Encoding: chunked")
                middle = len(body) // 2
                body = (
                    b"".join(_chunk(part) for part in (body[:middle], body[middle:]) if part)
                    + b"0\r\n\r\n"
                )
            case "short":
                lines.append(b"Content-Length: %d" % (len(body) + 5))
            case "cut chunk":
                lines.append(b"Transfer-Encoding: chunked")
                body = _chunk(body + b" ")[:-3]
        return b"\r\n".join(lines) + b"\r\n\r\n" + body


cases = st.builds(
    Case,
    operation=st.integers(0, 255),
    method=st.none() | st.sampled_from(METHODS),
    path=spoilings,
    body=spoilings,
    headers=st.lists(
        st.tuples(st.sampled_from(HEADER_NAMES), st.sampled_from(HEADER_VALUES) | traps), max_size=2
    ),
    credential=st.just([]) | spoilings,
    framing=st.sampled_from(["length"] * 6 + ["chunks"] * 2 + ["short", "cut chunk"]),
)


def _corrupted(text: bytes, spoilings: list[Corruption]) -> bytes:
    for spoiling in spoilings:
        text = spoiling.of(text)
    return text


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _credential(operation: Operation, account: Account) -> bytes:
    if operation.credential in {KEY, EITHER}:
        return f"maven-api-key: {account.key}".encode()
    return f"Authorization: Bearer {account.token}".encode()


def status_of(server_url: str, request: bytes, *, is_whole: bool) -> int | None:
    """Returns the status of the response, or None if the connection was closed without one.

    Raises:
        TimeoutError: Neither happened within 10 seconds.
    """
    address: Any = urlsplit(server_url)
    with socket.create_connection((address.hostname, address.port), ANSWER_SECONDS) as connection:
        # Reset the connection instead of closing it, because 100,000 closed ones would use up the ports.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        try:
            connection.sendall(request)
            if not is_whole:
                connection.shutdown(socket.SHUT_WR)
            line = connection.recv(64)
        except (ConnectionResetError, BrokenPipeError):
            return None
    return int(line.split(b" ", 2)[1]) if line.startswith(b"HTTP/1.") else None


def status_before_another(server_url: str, request: bytes, *, method: str, is_whole: bool) -> int:
    """Returns the status of the first response, after another request on the same connection.

    If the first request left bytes behind, the service would treat them as a request and respond to them instead.

    Raises:
        TimeoutError: There was no complete response within 10 seconds.
        http.client.HTTPException: There was no valid response.
    """
    address: Any = urlsplit(server_url)
    mark = token_hex(8)
    with socket.create_connection((address.hostname, address.port), ANSWER_SECONDS) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.sendall(request)
        if not is_whole:
            connection.shutdown(socket.SHUT_WR)
        response = HTTPResponse(connection, method=method)
        response.begin()
        response.read()
        if is_whole and not response.will_close:
            with suppress(ConnectionResetError, BrokenPipeError, BadStatusLine):
                connection.sendall(
                    f"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-ID: {mark}\r\n\r\n".encode()
                )
                another = HTTPResponse(connection, method="GET")
                another.begin()
                assert another.getheader("X-Request-ID") == mark, (another.status, another.read())
    return response.status

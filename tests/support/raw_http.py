"""Sends raw HTTP requests, which client libraries would refuse or normalise."""

import socket
from http.client import HTTPResponse
from typing import NamedTuple
from urllib.parse import urlsplit

SECONDS = 10


class Answer(NamedTuple):
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes


def send(server_url: str, request: bytes) -> Answer:
    """Sends these bytes on a new connection and reads one response.

    Raises:
        TimeoutError: There was no complete response within 10 seconds.
    """
    address = urlsplit(server_url)
    method = request.partition(b" ")[0].decode()
    with socket.create_connection((address.hostname, address.port), timeout=SECONDS) as connection:
        connection.sendall(request)
        response = HTTPResponse(connection, method=method)
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())

"""HTTP byte for byte: what no client library would send, or would tidy up before it sends it."""

import socket
from http.client import HTTPResponse
from typing import NamedTuple
from urllib.parse import urlsplit

SECONDS = 10


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


def send(server_url: str, request: bytes) -> Answer:
    """Sends these bytes on a connection of their own and reads one answer.

    Raises:
        TimeoutError: no whole answer within 10 seconds.
    """
    address = urlsplit(server_url)
    method = request.partition(b" ")[0].decode()
    with socket.create_connection((address.hostname, address.port), timeout=SECONDS) as connection:
        connection.sendall(request)
        response = HTTPResponse(connection, method=method)
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())

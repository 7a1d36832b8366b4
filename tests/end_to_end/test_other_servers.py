"""The application under another WSGI server (operate/service.md): gunicorn, with connections that are kept alive."""

import http.client
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.ports import free_port
from tests.support.service import environment
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def port(database_url: str) -> Iterator[int]:
    port = free_port()
    command = [
        sys.executable, "-m", "gunicorn", "--worker-class=gthread", "--threads=4", "--keep-alive=5",
        f"--bind=127.0.0.1:{port}", "ccs_server.app:create_app()",
    ]  # fmt: skip
    env = environment(CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off")
    with subprocess.Popen(command, env=env) as process:
        wait_until(lambda: _is_ready(port))
        yield port
        process.terminate()


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        return _status(connection, "GET") == 200
    except OSError:
        return False
    finally:
        connection.close()


def _status(
    connection: http.client.HTTPConnection, method: str, body: bytes = b"", *, chunked: bool = False
) -> int:
    if chunked:
        headers = {"Transfer-Encoding": "chunked"}
        connection.request(method, "/readyz", iter([body]), headers, encode_chunked=True)
    else:
        connection.request(method, "/readyz", body)
    response = connection.getresponse()
    response.read()
    return response.status


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [10, 60_000, 1_000_000])
def test_a_refused_body_leaves_the_connection_to_the_next_request(
    port: int, size: int, chunked: bool
) -> None:  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    assert _status(connection, "POST", b"x" * size, chunked=chunked) == 405
    assert _status(connection, "GET") == 200
    connection.close()

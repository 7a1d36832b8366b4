"""nginx and Caddy with the files of docs/operate/ serve the API over TLS, and change nothing on the way."""

import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from urllib.parse import quote

import pytest

from benchmarks.pages import DOCS, blocks, replaced
from ccs_server.store.database import Database
from ccs_server.store.namespace_settings import change_settings
from tests.support.ports import free_port
from tests.support.service import Account, Server
from tests.support.waiting import wait_until

HOST = "ccs.example.org"
PAGES = DOCS / "operate"
_PLACES = {"nginx": "/etc/nginx/nginx.conf", "caddy": "/etc/caddy/Caddyfile"}
NAMES = ["a/b", "a//b", "a/", "a%2Fb", "ü?#", "..a", "a b+c&d", "%"]


class Proxy:
    """A running proxy with its certificate."""

    def __init__(self, port: int, plain_port: int, certificate: Path, account: Account) -> None:
        self.plain_port = plain_port
        context = ssl.create_default_context(cafile=str(certificate))
        self._connection = HTTPSConnection(HOST, context=context, timeout=30)
        # The name leads to this machine, and is the one that the certificate is for.
        self._connection._create_connection = (  # type: ignore[attr-defined]
            lambda _address, *_: socket.create_connection(("127.0.0.1", port), timeout=30)
        )
        self._account = account

    def call(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        given = {
            "Host": HOST,
            "maven-api-key": self._account.key,
            "Content-Type": "application/json",
        }
        self._connection.request(
            method,
            path,
            body,
            given | {name.replace("_", "-"): text for name, text in headers.items()},
        )
        response = self._connection.getresponse()
        return (
            response.status,
            {name.lower(): text for name, text in response.getheaders()},
            response.read(),
        )

    def lines(self, path: str) -> Iterator[bytes]:
        """The lines of an event stream, as they come."""
        headers = {
            "Host": HOST,
            "maven-api-key": self._account.key,
            "Accept": "text/event-stream",
        }
        self._connection.request("GET", path, headers=headers)
        response = self._connection.getresponse()
        assert response.status == 200
        assert response.getheader("Content-Type", "").startswith("text/event-stream")
        return iter(response.readline, b"")

    def close(self) -> None:
        self._connection.close()


@contextmanager
def running(
    program: str,
    heading: str,
    configuration: str,
    server: Server,
    account: Account,
    directory: Path,
) -> Iterator[Proxy]:
    if not shutil.which(program):
        pytest.skip(f"NOT TESTED: {program} is not installed (apt-get install {program})")
    certificate, key = directory / "ccs.pem", directory / "ccs.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    port, plain = free_port(), free_port()
    places = {
        "/etc/ssl/ccs.pem": str(certificate),
        "/etc/ssl/ccs.key": str(key),
        "/run/nginx.pid": str(directory / "nginx.pid"),
        "127.0.0.1:8000": server.url.removeprefix("http://"),
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
        "http_port 80": f"http_port {plain}",
        "https_port 443": f"https_port {port}",
    }
    file = directory / configuration
    file.write_text(replaced((PAGES / configuration).read_text(), places))
    check, run = blocks(PAGES / "tls.md", heading, {_PLACES[program]: str(file)})
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(directory)}
    checked = subprocess.run(
        check, shell=True, check=False, capture_output=True, text=True, env=env
    )
    assert checked.returncode == 0, checked.stderr
    # As a child of this process, so that it ends with the test.
    command = run.split() + (["-g", "daemon off;"] if program == "nginx" else [])
    with (
        (directory / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=env) as process,
    ):
        proxy = Proxy(port, plain, certificate, account)
        try:
            wait_until(lambda: listens(port))
            yield proxy
        finally:
            proxy.close()
            process.terminate()
            process.wait(30)


def listens(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.connect()
    except OSError:
        return False
    connection.close()
    return True


@pytest.fixture(
    params=[("nginx", "## nginx", "ccs.nginx"), ("caddy", "## Caddy", "Caddyfile")],
    ids=["nginx", "caddy"],
)
def proxy(
    request: pytest.FixtureRequest, server: Server, account: Account, tmp_path: Path
) -> Iterator[Proxy]:
    tmp_path.chmod(0o755)
    program, heading, configuration = request.param
    with running(program, heading, configuration, server, account, tmp_path) as proxy:
        yield proxy


def test_the_api_over_tls_is_the_api(proxy: Proxy, account: Account) -> None:
    base = f"/v1/account/{account.id}/orders/s1/properties"
    for name in NAMES:
        path = f"{base}/{quote(name, safe='/')}"
        status, headers, _ = proxy.call("PUT", path, json.dumps(name).encode())
        assert status == 204, name
        etag = headers["etag"]
        status, headers, body = proxy.call("GET", path)
        assert (status, json.loads(body), headers["etag"]) == (200, name, etag)
        status, headers, _ = proxy.call("GET", path, If_None_Match=etag)
        assert (status, headers["etag"]) == (304, etag)
    stored = account.v1("GET", "/orders/s1/properties").json()
    assert stored == {name.replace("%2F", "%2F"): name for name in NAMES}


def test_a_body_as_large_as_the_service_accepts_passes_and_a_larger_one_is_refused(
    proxy: Proxy, account: Account
) -> None:
    """The service refuses it before the proxy has sent all of it."""
    path = f"/v1/account/{account.id}/orders/s2/properties"
    status, _, _ = proxy.call("PATCH", path, json.dumps({"a": "x" * 790_000}).encode())
    assert status == 204
    status, _, body = proxy.call("PATCH", path, json.dumps({"a": "x" * 1_100_000}).encode())
    assert status == 413
    assert json.loads(body)["code"] == 413
    assert account.v1("GET", "/orders/s2/properties/a").json() == "x" * 790_000


def test_errors_come_from_the_service_and_responses_are_told_to_stay_on_tls(
    proxy: Proxy, account: Account
) -> None:
    status, headers, body = proxy.call(
        "GET", f"/v1/account/{account.id}/orders/s1/properties/absent"
    )
    assert (status, json.loads(body)["status"]) == (404, "Not Found")
    assert headers["strict-transport-security"] == "max-age=31536000"


def test_an_event_stream_passes_as_it_comes(
    proxy: Proxy, account: Account, database: Database
) -> None:
    change_settings(database, account.id, "orders", changes="values")
    lines = proxy.lines(f"/ext/v1/{account.id}/changes")
    assert next(lines) == b"retry: 1000\n"
    for number in range(3):
        account.v1("PUT", "/orders/s1/properties/a", json=number).raise_for_status()
        data = next(line for line in lines if line.startswith(b'data: {"id"'))
        assert json.loads(data.removeprefix(b"data: "))["value"] == number


def test_plain_http_is_redirected_with_its_path(proxy: Proxy) -> None:
    connection = HTTPConnection("127.0.0.1", proxy.plain_port, timeout=30)
    connection.request("GET", "/v1/a%2Fb?page=1", headers={"Host": HOST})
    response = connection.getresponse()
    connection.close()
    assert (response.status, response.getheader("Location")) == (
        308,
        f"https://{HOST}/v1/a%2Fb?page=1",
    )

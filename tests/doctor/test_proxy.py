"""Proxies that do not pass requests on as they are: haproxy, configured to do so."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from ccs_server.doctor.finding import Finding, Severity
from ccs_server.doctor.proxy import check_proxy
from tests.support.haproxy import HAPROXY, needs_haproxy
from tests.support.ports import free_port
from tests.support.service import TIMEOUT_SECONDS, Server
from tests.support.waiting import wait_until

pytestmark = needs_haproxy


@contextmanager
def proxied(server: Server, directory: Path, *lines: str) -> Iterator[str]:
    """Runs haproxy in front of the service, with these lines in its configuration; yields its URL."""
    port = free_port()
    configuration = directory / "haproxy.cfg"
    timeouts = [f"timeout {kind} 30s" for kind in ("connect", "client", "server")]
    configuration.write_text(
        "\n".join(
            [
                "defaults", "mode http", *timeouts, "listen ccs", f"bind 127.0.0.1:{port}", *lines,
                f"server ccs 127.0.0.1:{server.port}", "",
            ]
        )
    )  # fmt: skip
    with subprocess.Popen([HAPROXY, "-db", "-q", "-f", configuration]) as process:
        try:
            wait_until(lambda: _listens(port))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    try:
        return bool(requests.get(f"http://127.0.0.1:{port}", timeout=TIMEOUT_SECONDS).status_code)
    except requests.ConnectionError:
        return False


def check(server: Server, directory: Path, *lines: str) -> list[Finding]:
    with proxied(server, directory, *lines) as url:
        return check_proxy(url)


def test_the_service_itself_and_a_proxy_that_changes_nothing_are_fine(
    server: Server, tmp_path: Path
) -> None:
    assert check_proxy(server.url) == []
    assert check(server, tmp_path) == []


def test_a_prefix_of_the_path_is_kept(server: Server, tmp_path: Path) -> None:
    strip = "http-request replace-path /prefix(/.*) \\1"
    with proxied(server, tmp_path, strip) as url:
        assert check_proxy(f"{url}/prefix/") == []


def test_a_proxy_that_removes_the_key_is_found(server: Server, tmp_path: Path) -> None:
    (found,) = check(server, tmp_path, "http-request del-header maven-api-key")
    assert found.what == "The proxy removes the header maven-api-key."


def test_a_proxy_that_refuses_a_method_is_found(server: Server, tmp_path: Path) -> None:
    (found,) = check(server, tmp_path, "http-request deny deny_status 405 if METH_PUT")
    assert found.what == "The proxy responds to PUT itself: 405 Method Not Allowed, not as JSON."


def test_a_proxy_that_refuses_large_bodies_is_found(server: Server, tmp_path: Path) -> None:
    small = "http-request deny deny_status 413 if { req.hdr(content-length) -m int gt 100000 }"
    (found,) = check(server, tmp_path, small)
    assert (
        found.what
        == "The proxy refuses a body of 1,048,576 bytes: 413 Payload Too Large, not as JSON."
    )


def test_a_proxy_that_buffers_is_found(server: Server, tmp_path: Path) -> None:
    (found,) = check(server, tmp_path, "option http-buffer-request")
    assert found.what == "The proxy passes a request on only when it has all of it."
    assert found.severity is Severity.WARNING


def test_a_url_where_something_else_or_nothing_is_is_found(server: Server, tmp_path: Path) -> None:
    (found,) = check_proxy(f"http://127.0.0.1:{free_port()}")
    assert "Connection refused" in found.what
    (found,) = check(
        server, tmp_path, "http-request return status 200 content-type text/html string <p>"
    )
    assert "200 OK, not as JSON" in found.what
    (found,) = check_proxy(server.url.replace("http:", "https:"))
    assert "SSL" in found.what

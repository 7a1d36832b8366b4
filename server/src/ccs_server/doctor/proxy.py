"""Checks what is in front of the service: whether requests pass through it unchanged and at once."""

import json
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from ccs_server.doctor.finding import Finding, Severity
from ccs_server.domain.limits import MAX_BODY_BYTES

_SECONDS = 5.0
_PATH = "/v1/account/doctor/doctor/properties"
# No such key can exist, so nothing is ever changed.
_HEADERS = {"maven-api-key": "ccs_doctor", "Content-Type": "application/json"}
_MISSING_KEY, _UNKNOWN_KEY = 401, 403


class _NotTheServiceError(Exception):
    """The response is not one of the service; the message says what came instead."""


@dataclass(frozen=True)
class _Proxy:
    """The service's public URL."""

    url: str

    def send(
        self, method: str, path: str, *, body: bytes = b"", withheld: int = 0
    ) -> tuple[int, dict[str, Any]]:
        """Sends a request, or all but `withheld` bytes of its body; returns the status and the JSON of the response.

        Raises:
            OSError: there was no response, or not in time.
            _NotTheServiceError: the response is not JSON, as all of the service's are.
        """
        parts = urlsplit(self.url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=_SECONDS)
        try:
            connection.putrequest(method, parts.path.rstrip("/") + path)
            for name, value in _HEADERS.items():
                connection.putheader(name, value)
            if length := len(body) + withheld:
                connection.putheader("Content-Length", str(length))
            connection.endheaders(body or None)
            response = connection.getresponse()
            status, content = response.status, response.read()
        except HTTPException as error:
            raise OSError(f"the response is not HTTP ({type(error).__name__})") from error
        finally:
            connection.close()
        try:
            said = json.loads(content)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise _NotTheServiceError(f"{status} {response.reason}, not as JSON")
        return status, said


def check_proxy(url: str) -> list[Finding]:
    """Sends requests to the service's public URL. They carry a key that cannot exist, so they change nothing."""
    proxy = _Proxy(url)
    try:
        _, said = proxy.send("GET", "/healthz")
    except (OSError, _NotTheServiceError) as error:
        return [_not_reached(url, str(error))]
    if "status" not in said:
        return [_not_reached(url, "it has no /healthz")]
    found = []
    for check in (_check_header, _check_methods, _check_body):
        try:
            found += check(proxy)
        except OSError as error:
            found.append(_not_reached(url, str(error)))
    return found


def _not_reached(url: str, reason: str) -> Finding:
    return Finding(
        f"The service cannot be reached at {url}: {reason}.",
        "Clients that use this URL do not reach it either, if they are where this command runs.",
        "Check the name, the certificate, and where the proxy passes requests to ('curl -v URL/healthz').",
    )


def _check_header(proxy: _Proxy) -> list[Finding]:
    try:
        status, _ = proxy.send("GET", _PATH)
    except _NotTheServiceError as error:
        return [_changed("GET", str(error))]
    if status != _MISSING_KEY:
        return []
    return [
        Finding(
            "The proxy removes the header maven-api-key.",
            "It carries the key, so every request to v1 gets 401.",
            "Let the proxy pass this header on.",
        )
    ]


def _check_methods(proxy: _Proxy) -> list[Finding]:
    found = []
    for method, body in (("PUT", b"1"), ("PATCH", b"{}"), ("DELETE", b"")):
        path = f"{_PATH}/doctor" if method == "PUT" else _PATH
        try:
            status, _ = proxy.send(method, path, body=body)
        except _NotTheServiceError as error:
            found.append(_changed(method, str(error)))
            continue
        if status not in {_MISSING_KEY, _UNKNOWN_KEY}:
            found.append(_changed(method, str(status)))
    return found


def _changed(method: str, came: str) -> Finding:
    return Finding(
        f"The proxy responds to {method} itself: {came}.",
        "The service needs GET, POST, PUT, PATCH and DELETE.",
        f"Let the proxy pass {method} on.",
    )


def _check_body(proxy: _Proxy) -> list[Finding]:
    """Sends all of a request but its body. The service refuses an unknown key before it has the body."""
    try:
        proxy.send("PATCH", _PATH, withheld=MAX_BODY_BYTES)
    except TimeoutError:
        return [
            Finding(
                "The proxy passes a request on only when it has all of it.",
                "A request with a bad key or of an account over its quota is refused only after its whole body was"
                " sent. Such a proxy often holds back responses in the same way.",
                "For nginx: proxy_request_buffering off and proxy_buffering off, with proxy_http_version 1.1."
                " For haproxy: remove http-buffer-request.",
                Severity.WARNING,
            )
        ]
    except _NotTheServiceError as error:
        return [
            Finding(
                f"The proxy refuses a body of {MAX_BODY_BYTES:,} bytes: {error}.",
                "The service takes bodies of up to this size, and says itself what is too large.",
                "Raise the proxy's limit; for nginx: client_max_body_size 2m.",
            )
        ]
    return []

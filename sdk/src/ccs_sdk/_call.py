"""A request and its response, apart from the HTTP library that sends it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ccs_sdk._auth import Credential
from ccs_sdk.errors import TooLargeError

# The service may refuse a larger body without reading all of it and close the connection, which would
# look like a connection failure. So the SDK refuses it first.
MAX_BODY_BYTES: Final = 1_048_576
REQUEST_ID: Final = "X-Request-ID"


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A request, apart from the service that it is sent to.

    Attributes:
        method: GET, PUT, …
        path: Path and query, percent-encoded; sent unchanged.
        credential: The header that proves who sends it; None for public paths.
        body: JSON text, or None for no body.
        idempotency_key: With this key, the service performs the request once, however often it is sent.
        repeatable: Whether the request may be sent again. Only one with side effects and no key may not.
        content_type: The type of the body.
        accept: The type of the response.
    """

    method: str
    path: str
    credential: Credential | None
    body: bytes | None = None
    idempotency_key: str | None = None
    repeatable: bool = True
    content_type: str = "application/json"
    accept: str = "application/json"

    def headers(self, request_id: str, user_agent: str) -> dict[str, str]:
        """Returns the headers to send, without the credential, or raises TooLargeError."""
        if self.body is not None and len(self.body) > MAX_BODY_BYTES:
            raise TooLargeError(
                f"The body has {len(self.body):,} bytes; send at most {MAX_BODY_BYTES:,} (1 MiB)."
            )
        headers = {
            "Accept": self.accept,
            "User-Agent": user_agent,
            REQUEST_ID: request_id,
        }
        if self.body is not None:
            headers["Content-Type"] = self.content_type
        if self.idempotency_key is not None:
            headers["Idempotency-Key"] = self.idempotency_key
        return headers


@dataclass(frozen=True, slots=True, eq=False)
class RawResponse:
    """A complete response. The names of its headers are not case-sensitive."""

    status: int
    headers: Mapping[str, str]
    content: bytes

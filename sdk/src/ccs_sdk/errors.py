"""Everything that can go wrong, as one tree. Nothing of `requests` or `urllib3` leaves the SDK.

```text
CCSError
├── ConfigurationError (ValueError)       a client cannot work with these settings
├── ClientClosedError (RuntimeError)      a client is used after close()
├── TransportError                        no answer that could be used
│   ├── ConnectionFailedError             refused, reset, cut off, TLS, name resolution
│   ├── TimedOutError (TimeoutError)      nothing came within the timeout
│   └── BadAnswerError                    an answer, but not of this service
└── StatusError                           the service said no
    ├── BadRequestError (ValueError) 400
    │   └── InvalidArgumentError          an argument that cannot be sent as it is meant
    ├── AuthenticationError 401           credentials missing or wrong
    ├── PermissionDeniedError 403         credentials of nobody or of another account
    ├── NotFoundError 404
    │   └── PropertyNotFoundError (KeyError)
    ├── MethodNotAllowedError 405
    ├── TooLargeError 413
    ├── UnsupportedMediaTypeError 415
    ├── TooManyRequestsError 429
    └── ServerError 5xx
        └── ServiceUnavailableError 503
```
"""

from typing import Any


class CCSError(Exception):
    """Base of every error that the SDK raises.

    Attributes:
        message: One sentence that says what to change.
        status: The HTTP status, or None when there was no answer.
        body: The answer's body, parsed if it was JSON, else its text; None when there was no
            answer.
        request_id: The id under which the service logged the request; None when nothing was sent.
        retry_after: Seconds the service asked to wait before another try, or None.
    """

    status: int | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        body: object = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = self.status if status is None else status
        self.body: Any = body
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        origin = [] if self.status is None else [str(self.status)]
        if self.request_id is not None:
            origin.append(f"request id {self.request_id}")
        return f"{self.message} ({', '.join(origin)})" if origin else self.message


class ConfigurationError(CCSError, ValueError):
    """A client cannot work with these arguments and environment variables."""


class ClientClosedError(CCSError, RuntimeError):
    """The client was closed; nothing was sent."""


class TransportError(CCSError):
    """No answer came that could be used; whether the service acted is not known."""


class ConnectionFailedError(TransportError):
    """The connection could not be made, or broke before the whole answer was there."""


class TimedOutError(TransportError, TimeoutError):
    """Nothing came within the connect or the read timeout."""


class BadAnswerError(TransportError):
    """What answered is not this service: it redirects, or its body is not the contract's."""


class StatusError(CCSError):
    """The service answered with an error; statuses outside of the contract have this very class."""


class BadRequestError(StatusError, ValueError):
    """400: a name, number, value or body breaks a rule; `body["errors"]` names the field."""

    status = 400


class InvalidArgumentError(BadRequestError):
    """An argument that cannot be sent, or would be taken for another; nothing was sent."""

    def __str__(self) -> str:
        return self.message


class AuthenticationError(StatusError):
    """401: credentials are missing, wrong or expired."""

    status = 401


class PermissionDeniedError(StatusError):
    """403: the key is unknown or revoked, or the credentials are another account's."""

    status = 403


class NotFoundError(StatusError):
    """404: the document or the path is not there."""

    status = 404


class PropertyNotFoundError(NotFoundError, KeyError):
    """404: the property is not there, or not any more; a `KeyError` for the mapping protocol."""


class MethodNotAllowedError(StatusError):
    """405: this path does not know this method."""

    status = 405


class TooLargeError(StatusError):
    """413: the body is over 1 MiB, or the document would hold more than 800,000 characters."""

    status = 413


class UnsupportedMediaTypeError(StatusError):
    """415: the body does not call itself JSON."""

    status = 415


class TooManyRequestsError(StatusError):
    """429: more requests than are allowed; `retry_after` says how long to wait."""

    status = 429


class ServerError(StatusError):
    """5xx: the service, or a proxy before it, failed."""


class ServiceUnavailableError(ServerError):
    """503: the service or its database cannot be used now."""

    status = 503

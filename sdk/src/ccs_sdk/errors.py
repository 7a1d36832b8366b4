"""The errors of the SDK, as one tree. It lets no exception of `requests` or `urllib3` through.

```text
CCSError
├── ConfigurationError (ValueError)       the settings of a client are missing or invalid
├── ClientClosedError (RuntimeError)      the client was closed before the call
├── UnexpectedValueError (ValueError)     a value is not of the type that the caller asked for
├── WebhookVerificationError (ValueError) a message of a webhook is not signed by its secret, or is old
├── JobFailedError                        a job has failed, or was canceled; `job` tells how far it came
├── TransportError                        there is no usable response
│   ├── ConnectionFailedError             refused, reset, cut off, TLS, name resolution
│   ├── TimedOutError (TimeoutError)      nothing arrived within the timeout
│   └── BadAnswerError                    the response did not come from the service
└── StatusError                           the service returned an error
    ├── BadRequestError (ValueError) 400
    │   └── InvalidArgumentError          the argument cannot be sent as the caller means it
    ├── AuthenticationError 401           the credentials are missing or wrong
    ├── PermissionDeniedError 403         the credentials are unknown or another account's
    ├── NotFoundError 404
    │   └── PropertyNotFoundError (KeyError)
    ├── MethodNotAllowedError 405
    ├── ConflictError 409                 the stored value does not allow the operation
    ├── GoneError 410                     the change log has forgotten what follows a position
    ├── PreconditionFailedError 412       a condition does not hold; `current` is what is stored
    │   └── LeaseLostError                the lease ended, or another holder has it
    ├── TooLargeError 413
    ├── UnsupportedMediaTypeError 415
    ├── KeyReusedError 422                an idempotency key was used for another request
    ├── LeasedError 423                   another holder has the lease; `lease` tells which
    ├── TooManyRequestsError 429
    └── ServerError 5xx
        └── ServiceUnavailableError 503
```
"""

from typing import Any

from ccs_sdk._states import Job, LeaseHolder, Property


class CCSError(Exception):
    """Base of every error that the SDK raises.

    Attributes:
        message: One sentence that says what to change.
        status: The HTTP status, or None if there was no response.
        body: The body of the response, decoded if it is JSON, else as text; None if there was no
            response.
        request_id: The id with which the service logged the request; None if nothing was sent.
        retry_after: How many seconds to wait before a retry, as requested by the service, or None.
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
    """An argument or environment variable of a client is missing or invalid."""


class ClientClosedError(CCSError, RuntimeError):
    """The client was closed before the call. Nothing was sent."""


class UnexpectedValueError(CCSError, ValueError):
    """The stored value is not of the type that the caller asked for (`get(…, type=…)`)."""


class WebhookVerificationError(CCSError, ValueError):
    """A message of a webhook was not sent by the service, or not now. Respond with 400, and do nothing."""


class JobFailedError(CCSError):
    """The job has failed, or was canceled.

    Attributes:
        job: The job.
    """

    def __init__(self, message: str, *, job: Job) -> None:
        super().__init__(message)
        self.job = job


class TransportError(CCSError):
    """There is no usable response. It is unknown whether the service processed the request."""


class ConnectionFailedError(TransportError):
    """The connection could not be opened, or broke before the response was complete."""


class TimedOutError(TransportError, TimeoutError):
    """Nothing arrived within the connect or the read timeout."""


class BadAnswerError(TransportError):
    """The response did not come from the service: a redirect, or a body outside the contract."""


class StatusError(CCSError):
    """The service returned an error. Statuses outside the contract raise this class itself.

    Attributes:
        op: The position in its batch, from 0, of the operation that failed; None outside of batches.
        line: The line of an import that was refused, from 1; None for other errors.
    """

    op: int | None = None
    line: int | None = None


class BadRequestError(StatusError, ValueError):
    """400: a name, number, value or body is invalid; `body["errors"]` names the field."""

    status = 400


class InvalidArgumentError(BadRequestError):
    """An argument cannot be sent, or would be sent as something else. Nothing was sent."""

    def __str__(self) -> str:
        return self.message


class AuthenticationError(StatusError):
    """401: the credentials are missing, wrong or expired."""

    status = 401


class PermissionDeniedError(StatusError):
    """403: the key is unknown or revoked, or the credentials belong to another account."""

    status = 403


class NotFoundError(StatusError):
    """404: the document or the path does not exist."""

    status = 404


class PropertyNotFoundError(NotFoundError, KeyError):
    """404: the property does not exist, or no longer. It is a `KeyError`, as of a mapping."""


class MethodNotAllowedError(StatusError):
    """405: the path does not have this method."""

    status = 405


class ConflictError(StatusError):
    """409: the stored value is not of the type that the operation needs. Nothing was changed.

    With `retry_after` it means instead that an earlier attempt of the same request still runs. The SDK
    then retries by itself.
    """

    status = 409


class GoneError(StatusError):
    """410: the change log no longer has all that follows `after`. Read what there is now, and go on from now."""

    status = 410


class PreconditionFailedError(StatusError):
    """412: `if_match` or `if_none_match` does not hold. Nothing was changed.

    Attributes:
        current: The property that is stored instead; None if there is none, or if the condition is
            about all properties.
        etag: The entity tag of all properties, if the condition is about them, else None.
    """

    status = 412
    current: Property | None = None
    etag: str | None = None


class LeaseLostError(PreconditionFailedError):
    """The fence of a write is no longer, or not yet, that of the session's lease. Nothing was changed.

    The lease expired before it was renewed, or was released, or another holder got it since.
    """


class TooLargeError(StatusError):
    """413: the body exceeds 1 MiB, or the document would exceed 800,000 characters."""

    status = 413


class UnsupportedMediaTypeError(StatusError):
    """415: the Content-Type of the body is not `application/json`."""

    status = 415


class KeyReusedError(StatusError):
    """422: an idempotency key was used for another request. The SDK uses a new key for each call."""

    status = 422


class LeasedError(StatusError):
    """423: another holder has the lease of the session. `retry_after` says when it ends at the latest.

    Attributes:
        lease: The holder; None if the service did not tell.
    """

    status = 423
    lease: LeaseHolder | None = None


class TooManyRequestsError(StatusError):
    """429: too many requests; `retry_after` says how long to wait."""

    status = 429


class ServerError(StatusError):
    """5xx: the service, or a proxy in front of it, failed."""


class ServiceUnavailableError(ServerError):
    """503: the service or its database is unavailable."""

    status = 503

"""The errors of the service, independent of HTTP and SQL.

The message of each error is one sentence that says what to change. `http/errors.py` maps each class to an HTTP status.

    ContextError
    ├── InvalidInput            a name, number, body or value breaks a rule
    ├── Unauthenticated         the credentials are missing or not valid
    ├── Forbidden               the credentials are unknown, revoked or of another account
    ├── NotFound                the property or document does not exist
    ├── Gone                    the change log has forgotten what follows a cursor
    ├── LimitReached            the account has the maximum number of something
    ├── Conflict                the stored value, or another request, does not allow the operation now
    ├── PreconditionFailed      a condition or a fence does not hold
    ├── KeyReused               an idempotency key was used for another request
    ├── Leased                  another holder has the lease; retry after `retry_after` seconds
    ├── TooLarge                a body, document or page exceeds its limit
    ├── UnsupportedMediaType    the Content-Type of a body is not application/json
    ├── TooManyRequests         a rate limit is exceeded; retry after `retry_after` seconds
    └── Unavailable             the database cannot be used now; retry after `retry_after` seconds
"""

from ccs_server.domain.quotas import RateStanding


class ContextError(Exception):
    """Base class of all errors that are reported to clients.

    Attributes:
        message: one sentence that says what to change.
        members: further members of the error's JSON body.
    """

    def __init__(self, message: str, **members: object) -> None:
        super().__init__(message)
        self.message = message
        self.members = members


class InvalidInput(ContextError):
    """A part of the request breaks a rule of the contract; `field` names that part."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class Unauthenticated(ContextError):
    """The credentials are missing or not valid; `scheme` is the authentication scheme to request, if any."""

    def __init__(self, message: str, scheme: str | None = None) -> None:
        super().__init__(message)
        self.scheme = scheme


class Forbidden(ContextError):
    """The credentials are unknown, revoked or of another account."""


class NotFound(ContextError):
    """The requested property or document does not exist, or has expired."""


class Gone(ContextError):
    """The change log no longer has what follows a cursor."""


class LimitReached(ContextError):
    """The account has the maximum number of something; one must be deleted before another can be created."""


class Conflict(ContextError):
    """The stored value is not of the type that the operation needs, or the same request is still running.

    `retry_after` is in seconds; None if waiting does not help.
    """

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PreconditionFailed(ContextError):
    """A condition or a fence does not hold, so nothing was changed.

    The member `current` describes the property that the condition is about, if it is about one. If it is about a
    document, the member `etag` is the document's entity tag.
    """


class KeyReused(ContextError):
    """An idempotency key was used before, for a request with another path or body."""


class Leased(ContextError):
    """The session is leased by another holder, whom the member `lease` describes; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int, **members: object) -> None:
        super().__init__(message, **members)
        self.retry_after = retry_after


class TooLarge(ContextError):
    """A body, document or page exceeds its limit."""


class UnsupportedMediaType(ContextError):
    """The Content-Type of the body is not application/json."""


class TooManyRequests(ContextError):
    """A rate limit is exceeded; `retry_after` is in seconds, and `standing` says how the account stands to it."""

    def __init__(self, message: str, retry_after: int, standing: RateStanding) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.standing = standing


ENDING = "The service is about to end; use another instance."
BUSY = "The service is busy; try again shortly."


class Unavailable(ContextError):
    """The database cannot be reached, is read-only, is starting or is too busy; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after

"""The errors of the service, independent of HTTP and SQL.

The message of each error is one sentence that says what to change. `http/errors.py` maps each class to an HTTP status.

    ContextError
    ├── InvalidInput            a name, number, body or value breaks a rule
    ├── Unauthenticated         the credentials are missing or not valid
    ├── Forbidden               the credentials are unknown, revoked or of another account
    ├── NotFound                the property or document does not exist
    ├── LimitReached            the account has the maximum number of something
    ├── TooLarge                a body, document or page exceeds its limit
    ├── UnsupportedMediaType    the Content-Type of a body is not application/json
    ├── TooManyRequests         a rate limit is exceeded; retry after `retry_after` seconds
    └── Unavailable             the database cannot be used now; retry after `retry_after` seconds
"""


class ContextError(Exception):
    """Base class of all errors that are reported to clients."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


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


class LimitReached(ContextError):
    """The account has the maximum number of something; one must be deleted before another can be created."""


class TooLarge(ContextError):
    """A body, document or page exceeds its limit."""


class UnsupportedMediaType(ContextError):
    """The Content-Type of the body is not application/json."""


class TooManyRequests(ContextError):
    """A rate limit is exceeded; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


BUSY = "The service is busy; try again shortly."


class Unavailable(ContextError):
    """The database cannot be reached, is read-only, is starting or is too busy; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after

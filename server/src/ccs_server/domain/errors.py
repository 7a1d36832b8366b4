"""What can go wrong, said once, with no word of HTTP or SQL.

Every error's text is one sentence that says what to change; `http/errors.py` turns each class into its status.

    ContextError
    ├── InvalidInput            a name, number, body or value breaks a rule
    ├── Unauthenticated         no credential, or one that proves nothing
    ├── Forbidden               a credential of nobody or of another account
    ├── NotFound                the property or document is not there
    ├── LimitReached            the account has as many of something as it may have
    ├── TooLarge                a body, document or page over its limit
    ├── UnsupportedMediaType    a body that does not call itself JSON
    ├── TooManyRequests         over a rate; try again after `retry_after` seconds
    └── Unavailable             the database cannot be used now; try again after `retry_after` seconds
"""


class ContextError(Exception):
    """Base of all errors that a client is told about."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidInput(ContextError):
    """Input that breaks a rule of the contract; `field` names the part that does."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class Unauthenticated(ContextError):
    """No credential, or one that proves nothing; `scheme` is the challenge to answer with, if any."""

    def __init__(self, message: str, scheme: str | None = None) -> None:
        super().__init__(message)
        self.scheme = scheme


class Forbidden(ContextError):
    """A credential that is unknown, revoked or of another account."""


class NotFound(ContextError):
    """The property or document that was asked for is not there (any more)."""


class LimitReached(ContextError):
    """The account has as many of something as it may have; one must go before another can come."""


class TooLarge(ContextError):
    """A body, document or page over its limit."""


class UnsupportedMediaType(ContextError):
    """A body whose content type is not JSON."""


class TooManyRequests(ContextError):
    """More requests than are allowed; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


BUSY = "The service is busy; try again shortly."


class Unavailable(ContextError):
    """The database cannot be reached, is read-only, starting or too busy; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after

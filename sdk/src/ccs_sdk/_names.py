"""What a name may be (contract, section 1), refused here with the sentences of the service."""

import re

from ccs_sdk.errors import InvalidArgumentError

DEFAULT_SESSION = "__default__"
"""The session id that means "no session": a namespace's own properties live there."""

RESERVED_NAMESPACES = frozenset(
    {"consumer", "operational", "conversation", "custom", "sde", "faas"}
)
RESERVED_SESSIONS = frozenset({"properties", "session-ids", "session-properties"})

_is_account = re.compile("[A-Za-z0-9_-]{1,64}").fullmatch
_is_namespace = re.compile("[A-Za-z0-9_-]{1,128}").fullmatch
_is_document_namespace = re.compile("[A-Za-z0-9_]{1,128}").fullmatch
# Control characters are Unicode's category Cc; lone surrogates are not characters at all.
_is_session = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff/]{1,256}").fullmatch
_is_property = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,256}").fullmatch


def check_account(account_id: str) -> str:
    """Returns `account_id`, or raises InvalidArgumentError."""
    if not _is_account(account_id):
        raise InvalidArgumentError(
            "An accountId must be 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'."
        )
    return account_id


def check_namespace(namespace: str) -> str:
    """Returns `namespace` if v1 may use it, or raises InvalidArgumentError."""
    if not _is_namespace(namespace):
        raise InvalidArgumentError(
            "A namespace must be 1 to 128 characters of A-Z, a-z, 0-9, '_' and '-'."
        )
    return _check_not_reserved(namespace)


def check_document_namespace(namespace: str) -> str:
    """Returns `namespace` if v2, which knows no hyphen, may use it, or raises the same."""
    if not _is_document_namespace(namespace):
        raise InvalidArgumentError(
            "A nameSpace must be 1 to 128 characters of A-Z, a-z, 0-9 and '_'."
        )
    return _check_not_reserved(namespace)


def _check_not_reserved(namespace: str) -> str:
    if namespace in RESERVED_NAMESPACES:
        raise InvalidArgumentError(f"The namespace '{namespace}' is reserved; use another one.")
    return namespace


def check_session(session_id: str) -> str:
    """Returns `session_id`, `__default__` included, or raises InvalidArgumentError."""
    if not _is_session(session_id):
        raise InvalidArgumentError(
            "A sessionId must be 1 to 256 characters, none of them a control character or '/'."
        )
    if session_id in RESERVED_SESSIONS:
        raise InvalidArgumentError(
            f"The sessionId '{session_id}' clashes with a path; use another one."
        )
    return session_id


def check_property(name: str) -> str:
    """Returns `name`, or raises InvalidArgumentError."""
    if not _is_property(name):
        raise InvalidArgumentError(
            "A property name must be 1 to 256 characters, none of them a control character."
        )
    return name

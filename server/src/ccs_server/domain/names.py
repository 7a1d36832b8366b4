"""Validates names (contract, section 1). Each check of one name returns it, so that the call can be an expression."""

import re
from collections.abc import Iterable

from ccs_server.domain.errors import InvalidInput

DEFAULT_SESSION = "__default__"
"""The session id of namespace properties, which belong to no session."""

RESERVED_NAMESPACES = frozenset(
    {"consumer", "operational", "conversation", "custom", "sde", "faas"}
)
RESERVED_SESSIONS = frozenset({"properties", "session-ids", "session-properties"})

ACCOUNT_PATTERN = "[A-Za-z0-9_-]{1,64}"
NAMESPACE_PATTERN = "[A-Za-z0-9_-]{1,128}"
NAMESPACE_PREFIX_PATTERN = "[A-Za-z0-9_-]{0,128}"
NAMESPACE_PATTERN_V2 = "[A-Za-z0-9_]{1,128}"
# Control characters are those of the Unicode category Cc. Lone surrogates are excluded because they are not characters.
SESSION_PATTERN = r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff/]{1,256}"
PROPERTY_PATTERN = r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,256}"
LABEL_PATTERN = r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{0,256}"

_is_account = re.compile(ACCOUNT_PATTERN).fullmatch
_is_namespace = re.compile(NAMESPACE_PATTERN).fullmatch
_is_namespace_prefix = re.compile(NAMESPACE_PREFIX_PATTERN).fullmatch
_is_namespace_v2 = re.compile(NAMESPACE_PATTERN_V2).fullmatch
_is_session = re.compile(SESSION_PATTERN).fullmatch
_is_label = re.compile(LABEL_PATTERN).fullmatch
_is_property = re.compile(PROPERTY_PATTERN).fullmatch


def check_account(account: str) -> str:
    """Raises InvalidInput if `account` is not a valid account id."""
    if not _is_account(account):
        raise InvalidInput(
            "An accountId must be 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'.", "accountId"
        )
    return account


def check_namespace(namespace: str, field: str = "namespace") -> str:
    """Raises InvalidInput for `field` if `namespace` is not a valid namespace in v1."""
    if not _is_namespace(namespace):
        raise InvalidInput(
            "A namespace must be 1 to 128 characters of A-Z, a-z, 0-9, '_' and '-'.", field
        )
    if namespace in RESERVED_NAMESPACES:
        raise _reserved(namespace, field)
    return namespace


def check_namespace_pattern(pattern: str, field: str) -> str:
    """Raises InvalidInput for `field` if `pattern` is neither a namespace nor the beginning of one and a `*`."""
    if not pattern.endswith("*"):
        return check_namespace(pattern, field)
    if not _is_namespace_prefix(pattern[:-1]):
        raise InvalidInput(
            "A '*' may stand only at the end, after at most 128 characters of A-Z, a-z, 0-9, '_' and '-'.",
            field,
        )
    return pattern


def check_namespace_v2(namespace: str) -> str:
    """Raises InvalidInput if `namespace` is not a valid namespace in v2, which does not allow hyphens."""
    if not _is_namespace_v2(namespace):
        raise InvalidInput(
            "A nameSpace must be 1 to 128 characters of A-Z, a-z, 0-9 and '_'.", "nameSpace"
        )
    if namespace in RESERVED_NAMESPACES:
        raise _reserved(namespace, "nameSpace")
    return namespace


def _reserved(namespace: str, field: str) -> InvalidInput:
    return InvalidInput(f"The namespace '{namespace}' is reserved; use another one.", field)


def check_session(session_id: str, field: str = "sessionId") -> str:
    """Raises InvalidInput for `field` if `session_id` is not a valid session id; `__default__` is valid."""
    if not _is_session(session_id):
        raise InvalidInput(
            "A sessionId must be 1 to 256 characters, none of them a control character or '/'.",
            field,
        )
    if session_id in RESERVED_SESSIONS:
        raise InvalidInput(
            f"The sessionId '{session_id}' clashes with a path; use another one.", field
        )
    return session_id


def check_session_prefix(prefix: str, field: str = "sessionPrefix") -> str:
    """Raises InvalidInput for `field` if no session id can begin with `prefix`; all begin with an empty one."""
    if prefix and not _is_session(prefix):
        raise InvalidInput(
            f"A {field} must be at most 256 characters, none of them a control character or '/'.",
            field,
        )
    return prefix


def check_property(name: str, field: str = "property") -> str:
    """Raises InvalidInput for `field` if `name` is not a valid property name."""
    if not _is_property(name):
        raise InvalidInput(
            "A property name must be 1 to 256 characters, none of them a control character.", field
        )
    return name


def check_properties(names: Iterable[str], field: str = "property") -> None:
    """Raises InvalidInput for `field` if any of `names` is not a valid property name."""
    for name in names:
        if not _is_property(name):
            check_property(name, field)


def check_label(label: str, field: str = "label") -> str:
    """Raises InvalidInput for `field` if `label` cannot be the label of a key; an empty one can."""
    if not _is_label(label):
        raise InvalidInput(
            "A label must be at most 256 characters, none of them a control character.", field
        )
    return label

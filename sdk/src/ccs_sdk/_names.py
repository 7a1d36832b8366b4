"""Checks of names: whether a path can contain them.

The service checks everything else about names (lengths, characters, reserved names). The names
refused here would form the path of something else.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeAlias

from ccs_sdk.errors import InvalidArgumentError

DEFAULT_SESSION = "__default__"
"""The session id that means "no session": the namespace's own properties."""

PATH_WORDS = frozenset({"properties", "session-ids", "session-properties"})
"""Words that take the place of a session id in paths, so they cannot be session ids."""


class _Strings(Protocol):
    """A collection of strings that is not a `str`: `str.__contains__` only accepts strings."""

    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def __contains__(self, value: object, /) -> bool: ...


Names: TypeAlias = _Strings | Iterator[str]
"""Several names. A single string is excluded, because it would be treated as a list of its letters."""


def check_text(name: object, what: str) -> str:
    """Returns `name` if it is a string that UTF-8 can encode, or raises InvalidArgumentError."""
    if not isinstance(name, str):
        raise InvalidArgumentError(f"{what} must be a str, not {type(name).__name__}.")
    if not name.isascii() and any("\ud800" <= character <= "\udfff" for character in name):
        raise InvalidArgumentError(
            f"{what} contains a lone surrogate, which is not a character; leave it out."
        )
    return name


def check_segment(name: object, what: str) -> str:
    """Returns `name` if it can be one segment of a path, or raises InvalidArgumentError."""
    text = check_text(name, what)
    if not text or "/" in text:
        raise InvalidArgumentError(f"{what} must have at least one character and no '/'.")
    return text


def check_namespace(namespace: object) -> str:
    """Returns `namespace`, or raises InvalidArgumentError."""
    return check_segment(namespace, "A namespace")


def check_session(session_id: object) -> str:
    """Returns `session_id`, or raises InvalidArgumentError."""
    text = check_segment(session_id, "A session id")
    if text in PATH_WORDS:  # /{namespace}/properties/properties is a property of the namespace
        raise InvalidArgumentError(f"The session id '{text}' clashes with a path; use another one.")
    return text


def check_property(name: object) -> str:
    """Returns `name`, or raises InvalidArgumentError."""
    text = check_text(name, "A property name")
    if not text:  # the path /properties/ means all properties
        raise InvalidArgumentError("A property name must have at least one character.")
    return text


def check_properties(names: Names) -> list[str]:
    """Returns the names as a list, or raises InvalidArgumentError."""
    return [check_property(name) for name in _strings(names, "property names")]


def check_texts(names: Names, what: str) -> list[str]:
    """Returns the strings as a list, or raises InvalidArgumentError."""
    return [check_text(name, what) for name in _strings(names, what)]


def check_namespaces(names: Names) -> list[str]:
    """Returns the names as a list, or raises InvalidArgumentError."""
    return [check_text(name, "A namespace") for name in _strings(names, "namespaces")]


def _strings(names: Names, what: str) -> Iterable[object]:
    given: object = names
    if isinstance(given, str) or not isinstance(given, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError(
            f"Give {what} as a list or another collection, not as {type(given).__name__}."
        )
    return names

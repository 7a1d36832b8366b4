"""Handles used like a mapping, and their TTL like an attribute: what has no form with `await`."""

from abc import ABC, abstractmethod
from datetime import timedelta

from ccs_sdk._json import JSON


class MappingSyntax(ABC):
    """Items that are saved, deleted and looked for."""

    __slots__ = ()

    @abstractmethod
    def set(self, name: str, value: JSON) -> object:
        """Saves one property."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Deletes one property."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Returns whether a property exists."""

    def __setitem__(self, name: str, value: JSON) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        self.delete(name)

    def __contains__(self, name: str) -> bool:
        return self.has(name)


class SessionTTLSyntax(ABC):
    """The TTL of a session."""

    __slots__ = ()

    @abstractmethod
    def get_ttl(self) -> timedelta | None:
        """Returns the TTL."""

    @abstractmethod
    def set_ttl(self, ttl: timedelta | int) -> None:
        """Sets the TTL."""

    @property
    def ttl(self) -> timedelta | None:
        """The session's TTL, or None if it has none and the namespace's TTL is in force.

        Setting it is `set_ttl`.
        """
        return self.get_ttl()

    @ttl.setter
    def ttl(self, ttl: timedelta | int) -> None:
        self.set_ttl(ttl)


class NamespaceTTLSyntax(ABC):
    """The TTL of a namespace."""

    __slots__ = ()

    @abstractmethod
    def get_ttl(self) -> timedelta:
        """Returns the TTL."""

    @abstractmethod
    def set_ttl(self, ttl: timedelta | int) -> None:
        """Sets the TTL."""

    @property
    def ttl(self) -> timedelta:
        """The namespace's TTL, or `FOREVER` (zero) if it has none. Setting it is `set_ttl`."""
        return self.get_ttl()

    @ttl.setter
    def ttl(self, ttl: timedelta | int) -> None:
        self.set_ttl(ttl)

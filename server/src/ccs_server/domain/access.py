"""What a credential may do: its scope, and the namespaces, session and properties that it is limited to.

Sections 0 and 6 of the extension's contract (docs/extension.md) define the rules.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from ccs_server.domain.errors import Forbidden


class Scope(StrEnum):
    """What a credential may do. Each scope includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    _rank: int

    def includes(self, other: Self) -> bool:
        """Whether a credential of this scope may do what needs the other one."""
        return self._rank >= other._rank


for _rank, _scope in enumerate(Scope):
    _scope._rank = _rank  # noqa: SLF001 - an attribute, since an enumeration's member is slow to hash


@dataclass(frozen=True, slots=True)
class SessionLimit:
    """The session that a session token is limited to; `names` are the only properties, None for all of them."""

    namespace: str
    session_id: str
    names: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """The rights of a credential in its account.

    Attributes:
        scope: what it may do.
        namespaces: the namespaces that it may use, None for all. A `*` at the end of one stands for any characters, or
            none.
        session: the session that it is limited to; None for all.
    """

    scope: Scope = Scope.WRITE
    namespaces: tuple[str, ...] | None = None
    session: SessionLimit | None = None

    def require(self, scope: Scope) -> None:
        """Raises Forbidden unless the credential has the scope."""
        if not self.scope.includes(scope):
            raise Forbidden(
                f"The credential has the scope '{self.scope}'; use one of the scope '{scope}'."
            )

    def covers(self, namespace: str) -> bool:
        """Whether the credential may use the namespace."""
        return self.namespaces is None or is_covered(namespace, self.namespaces)

    def require_account(self) -> None:
        """Raises Forbidden if the credential is limited to a session."""
        if self.session is not None:
            raise Forbidden("A session token reaches its session only; use a key of the account.")

    def require_namespace(self, namespace: str) -> None:
        """Raises Forbidden unless the credential may use the whole namespace."""
        self.require_account()
        if not self.covers(namespace):
            raise Forbidden(
                f"The credential may not use the namespace '{namespace}'; use one that may."
            )

    def require_document(
        self, namespace: str, session_id: str, names: Iterable[str] | None
    ) -> None:
        """Raises Forbidden unless the credential may use these properties.

        Args:
            namespace: their namespace.
            session_id: their session; `__default__` for none.
            names: their names; None for all properties of the session.
        """
        limit = self.session
        if limit is None:
            if self.namespaces is not None:
                self.require_namespace(namespace)
        elif (namespace, session_id) != (limit.namespace, limit.session_id):
            raise Forbidden("The session token is of another session; get a token of this one.")
        else:
            self.require_names(names)

    def require_names(self, names: Iterable[str] | None) -> None:
        """Raises Forbidden unless the credential may use properties of these names, in whatever session it may use.

        Args:
            names: the names; None for all properties of a session.
        """
        allowed = self.session.names if self.session is not None else None
        if allowed is not None and (names is None or not allowed.issuperset(names)):
            raise Forbidden(
                "The session token does not reach these properties; name those that it does."
            )


ALL_DATA = Access()
"""The rights of keys and credentials that were created without any: all of v1 and v2, and nothing administrative."""


def is_covered(namespace: str, allowed: Iterable[str]) -> bool:
    """Whether the namespace is one of these; a `*` at the end of one stands for any characters, or none."""
    # A loop: `any` of a generator takes three times as long, at each request of a limited key.
    for each in allowed:  # noqa: SIM110
        if each == namespace or (each.endswith("*") and namespace.startswith(each[:-1])):
            return True
    return False

"""What every operation is: how it is executed, and what comes of it.

An operation is executed in one of two ways. Alone, it is one statement, or a few in one round trip, under rules that
let others write to the same document meanwhile. If that does nothing, or if the operation belongs to a batch, it is
executed under the exclusive locks of all documents of the batch (`run`). It then reads what it depends on first, so
that it can say why it is refused.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from functools import cache

import msgspec
from psycopg.pq.abc import PGresult

from ccs_server.domain.conditions import UNCONDITIONAL, Conditions, Tags, etag_of
from ccs_server.domain.errors import ContextError, PreconditionFailed, TooLarge
from ccs_server.store.connection import Statement, Step, array_parameter
from ccs_server.store.document import DocumentKey
from ccs_server.store.reading import (
    NOTHING,
    READ_ALL,
    READ_ONE_DESCRIBED,
    Described,
    described,
)

KEEP_TTL = -1
"""The TTL of a save that leaves the expiry of existing properties as it is."""

Outcome = dict[str, object] | ContextError
"""The members of an operation's result, or why it has none."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """An operation on the properties, or the lease, of one document."""

    document: DocumentKey

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        return False

    @property
    def creates(self) -> bool:
        """Whether it creates the namespace if that does not exist."""
        return False

    @property
    def grows(self) -> bool:
        """Whether the document may exceed its limit through it."""
        return False

    def alone(self) -> Sequence[Step]:
        """The steps that execute it alone; none if it must be executed under the document's exclusive lock."""
        raise NotImplementedError

    def outcome_alone(self, results: Sequence[PGresult]) -> Outcome | None:
        """What came of these steps; None if nothing was done, and it must be executed under the lock."""
        raise NotImplementedError

    def locked(self) -> Sequence[Step]:
        """The steps that execute it under the document's exclusive lock."""
        raise NotImplementedError

    def outcome_locked(self, results: Sequence[PGresult]) -> Outcome:
        """What came of these steps.

        Raises:
            ContextError: it is refused; the transaction must be rolled back.
        """
        raise NotImplementedError


class Write(Operation, frozen=True, kw_only=True):
    """An operation that changes properties, under conditions and a fence if there are any.

    Attributes:
        name: the property that it is about; None for several, or the whole document.
        conditions: of the property, or of the document if it is not about one property.
        fence: the fence of a lease of the session, which must be in force.
    """

    name: str | None = None
    conditions: Conditions = UNCONDITIONAL
    fence: int | None = None

    def judge(self) -> list[Step]:
        """The steps that read what the conditions and the fence are about."""
        address = self.document.params()
        steps: list[Step] = []
        if self.conditions:
            steps.append(
                (READ_ALL, address)
                if self.name is None
                else (READ_ONE_DESCRIBED, (*address, self.name.encode()))
            )
        if self.fence is not None:
            steps.append((CHECK_FENCE, (*address, b"%d" % self.fence)))
        return steps

    def check(self, results: Sequence[PGresult]) -> Sequence[PGresult]:
        """Checks the results of `judge`, and returns the rest.

        Raises:
            PreconditionFailed: a condition does not hold, or the fence is not in force.
        """
        if self.conditions:
            self._check_conditions(results[0])
            results = results[1:]
        if self.fence is not None:
            if not results[0].ntuples:
                raise PreconditionFailed(
                    "The session's lease does not have this fence now; take the lease again."
                )
            results = results[1:]
        return results

    def _check_conditions(self, result: PGresult) -> None:
        if self.name is None:
            properties = result.get_value(0, 0)
            etag = etag_of(properties or NOTHING)
            if not self.conditions.hold(etag, present=properties is not None):
                raise document_mismatch(etag)
        else:
            current = described(result)
            etag_now = current.etag if current else None
            if not self.conditions.hold(etag_now, present=current is not None):
                raise property_mismatch(current)


def property_mismatch(current: Described | None) -> PreconditionFailed:
    """The error for a condition that does not hold of a property, which is now `current`."""
    return PreconditionFailed(
        "The property is not as the condition says; read it again.",
        current=current.members() if current else None,
    )


def document_mismatch(etag: str) -> PreconditionFailed:
    """The error for a condition that does not hold of a document, which now has this entity tag."""
    return PreconditionFailed(
        "The document is not as the condition says; read it again.", etag=etag
    )


# Returns whether the document exceeds its limit (contract, section 1).
IS_TOO_LARGE = Statement.of(
    "document_is_too_large",
    """
    SELECT coalesce(sum(p.size), 0) >= 800000 FROM property p
    WHERE p.account = $1
        AND p.namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
        AND p.session_id = $3 AND p.expires_at > now()
    """,
)


def check_size(result: PGresult) -> None:
    """Raises TooLarge if IS_TOO_LARGE says so."""
    if result.get_value(0, 0) == b"t":
        raise TooLarge("document too large")


# Locks the lease's row in shared mode, so that nobody else is granted the lease before this transaction ends.
CHECK_FENCE = Statement.of(
    "check_fence",
    """
    SELECT 1 AS one FROM lease l
    WHERE l.account = $1
        AND l.namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
        AND l.session_id = $3 AND l.fence = $4::bigint AND l.expires_at > now()
    FOR SHARE
    """,
)


_FENCE = re.compile(rb"fence AS MATERIALIZED \(.*?\n    \), ", re.DOTALL)


@cache
def unfenced(statement: Statement) -> Statement:
    """The statement for a request without a fence: it knows no leases, which takes PostgreSQL a fifteenth less.

    The parameter stays; if it is given, nothing is done.
    """
    sql = _FENCE.sub(b"", statement.sql).replace(b" OR EXISTS (SELECT 1 FROM fence)", b"")
    return Statement(statement.name + b"_unfenced", sql)


def number(value: int | None) -> bytes | None:
    """A number as a parameter."""
    return None if value is None else b"%d" % value


def flag(value: bool) -> bytes:  # noqa: FBT001 - a conversion
    """A boolean as a parameter."""
    return b"t" if value else b"f"


def names_parameter(names: Collection[str]) -> bytes:
    """Names as a parameter: a JSON array."""
    return msgspec.json.encode(list(names))


def text_array(texts: Iterable[str]) -> bytes:
    """Texts without U+0000 as a parameter of type `text[]`, which PostgreSQL reads faster than an array of JSON."""
    return array_parameter(
        [b'"%b"' % text.replace("\\", "\\\\").replace('"', '\\"').encode() for text in texts]
    )


_STAR = '"*"'


def tags_parameter(tags: Tags | None) -> bytes | None:
    """Entity tags as a parameter of type `text[]`, without their quotes; `*` is itself.

    The tag `"*"`, which no property has, keeps its quotes: it is not `*`.
    """
    if tags is None:
        return None
    return text_array(tag if tag == _STAR else tag.strip('"') for tag in tags)

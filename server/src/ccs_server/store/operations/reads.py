"""Reads one property, some, or all of a document."""

from collections.abc import Sequence

import msgspec
from psycopg.pq.abc import PGresult

from ccs_server.domain.errors import NotFound
from ccs_server.domain.pointers import resolve
from ccs_server.store.connection import Step
from ccs_server.store.operations.base import Operation, Outcome, names_parameter
from ccs_server.store.reading import (
    NOTHING,
    READ_ALL,
    READ_ALL_DESCRIBED,
    READ_ONE_DESCRIBED,
    READ_SOME,
    READ_SOME_DESCRIBED,
    described,
)

ABSENT = "There is no such property; it was never saved, was deleted or has expired."
NO_PART = "The property has no such part; change the pointer."


class Get(Operation, frozen=True, kw_only=True):
    """Reads properties.

    Attributes:
        name: the property to read; None for several.
        names: the properties to read; None for all.
        meta: whether each value comes with its entity tag, expiry and last save.
        pointer: the reference tokens of the part of the value to read; needs `name`.
    """

    name: str | None = None
    names: tuple[str, ...] | None = None
    meta: bool = False
    pointer: tuple[str, ...] = ()

    @property
    def is_read(self) -> bool:  # noqa: D102 - as its base's
        return True

    def alone(self) -> Sequence[Step]:  # noqa: D102
        return self.locked()

    def outcome_alone(self, results: Sequence[PGresult]) -> Outcome:  # noqa: D102
        return self.outcome_locked(results)

    def locked(self) -> Sequence[Step]:  # noqa: D102
        address = self.document.params()
        if self.name is not None:
            return [(READ_ONE_DESCRIBED, (*address, self.name.encode()))]
        if self.names is not None:
            statement = READ_SOME_DESCRIBED if self.meta else READ_SOME
            return [(statement, (*address, names_parameter(self.names)))]
        return [(READ_ALL_DESCRIBED if self.meta else READ_ALL, address)]

    def outcome_locked(self, results: Sequence[PGresult]) -> Outcome:  # noqa: D102
        (result,) = results
        if self.name is None:
            return {"values": msgspec.Raw(result.get_value(0, int(self.meta)) or NOTHING)}
        found = described(result)
        if found is None:
            return NotFound(ABSENT)
        part = resolve(found.value, self.pointer)
        if part is None:
            return NotFound(NO_PART)
        return {"value": found.members(part) if self.meta else msgspec.Raw(part)}

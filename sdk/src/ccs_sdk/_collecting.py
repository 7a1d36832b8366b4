"""Operations that are collected in a batch, and their results. Nothing here sends a request."""

from decimal import Decimal
from typing import Any, Generic, TypeAlias, TypeVar

from ccs_sdk import _ops
from ccs_sdk._json import JSON, Default, JSONObject, Value
from ccs_sdk._names import Names, check_namespace, check_session
from ccs_sdk._ops import Op, Place
from ccs_sdk._states import LeaseGrant, Property
from ccs_sdk._ttl import TTL, TTLOrKeep
from ccs_sdk.errors import InvalidArgumentError, StatusError

T = TypeVar("T")

Outcomes: TypeAlias = list[tuple[Any, StatusError | None]]
"""The result or the error of each operation, in their order; empty until the batch was sent."""


class Result(Generic[T]):
    """The result of an operation of a batch, known after the batch's block."""

    __slots__ = ("_index", "_outcomes")

    def __init__(self, outcomes: Outcomes, index: int) -> None:
        self._outcomes = outcomes
        self._index = index

    def __repr__(self) -> str:
        known = self._outcomes[self._index : self._index + 1]
        return "<Result: not known>" if not known else f"<Result: {known[0][1] or known[0][0]!r}>"

    @property
    def value(self) -> T:
        """What the operation returned.

        Raises:
            StatusError: The operation failed.
            InvalidArgumentError: The batch was not performed.
        """
        value, error = self._outcome()
        if error is not None:
            raise error
        return value

    @property
    def error(self) -> StatusError | None:
        """Why the operation failed, or None.

        Raises:
            InvalidArgumentError: The batch was not performed.
        """
        return self._outcome()[1]

    def _outcome(self) -> tuple[T, StatusError | None]:
        if not self._outcomes:
            raise InvalidArgumentError(
                "The batch was not performed; read its results after its `with` block."
            )
        return self._outcomes[self._index]


class _Collection:
    """The operations of a batch, until they are sent."""

    def __init__(self) -> None:
        self.ops: list[Op[Any]] = []
        self.outcomes: Outcomes = []
        self.ended = False

    def add(self, op: Op[T]) -> Result[T]:
        if self.ended:
            raise InvalidArgumentError("The batch has ended; create another one.")
        self.ops.append(op)
        return Result(self.outcomes, len(self.ops) - 1)


class Collecting:
    """Where operations are added to a batch."""

    def __init__(self, default: Default | None) -> None:
        self._default = default
        self._collection = _Collection()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self._collection.ops)} operations>"

    def namespace(self, namespace: str) -> "BatchProperties":
        """Returns the namespace's own properties, to add operations on them."""
        return BatchProperties(
            self._collection, Place(check_namespace(namespace), None, self._default)
        )

    def session(self, namespace: str, session_id: str) -> "BatchProperties":
        """Returns the properties of a session, to add operations on them."""
        return BatchProperties(
            self._collection,
            Place(check_namespace(namespace), check_session(session_id), self._default),
        )


class BatchProperties:
    """The properties of a session, or a namespace's own, in a batch.

    Each method adds an operation and returns its result, which is known after the batch's block. The
    options and results are those of the methods of `PropertiesHandle`.
    """

    __slots__ = ("_collection", "_place")

    def __init__(self, collection: _Collection, place: Place) -> None:
        self._collection = collection
        self._place = place

    def __repr__(self) -> str:
        place = [name for name in (self._place.namespace, self._place.session_id) if name]
        return f"BatchProperties({', '.join(map(repr, place))})"

    def get(self, name: str, default: Value = None, *, pointer: str | None = None) -> Result[Value]:
        """Reads the value of one property, or `default` if it does not exist."""
        return self._collection.add(_ops.get(self._place, name, default, pointer))

    def read(self, name: str) -> Result[Property]:
        """Reads one property with its entity tag. If it is absent, its result has an error."""
        return self._collection.add(_ops.read(self._place, name))

    def all(self) -> Result[dict[str, Value]]:
        """Reads all properties, as values by name."""
        return self._collection.add(_ops.get_all(self._place, None))

    def only(self, names: Names) -> Result[dict[str, Value]]:
        """Reads the properties in `names` that exist."""
        return self._collection.add(_ops.get_all(self._place, names))

    def set(  # noqa: PLR0913 - every option is written out
        self,
        name: str,
        value: JSON,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
        ttl: TTLOrKeep | None = None,
        fence: int | None = None,
    ) -> Result[str]:
        """Saves one property. The result is its new entity tag."""
        more = _ops.terms(if_match=if_match, if_none_match=if_none_match, ttl=ttl, fence=fence)
        return self._collection.add(_ops.set_one(self._place, name, value, more))

    def update(
        self,
        properties: JSONObject,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
        ttl: TTLOrKeep | None = None,
        fence: int | None = None,
    ) -> Result[None]:
        """Saves several properties."""
        more = _ops.terms(if_match=if_match, if_none_match=if_none_match, ttl=ttl, fence=fence)
        return self._collection.add(_ops.set_all(self._place, properties, more))

    def delete(
        self, name: str, *, if_match: str | None = None, fence: int | None = None
    ) -> Result[int]:
        """Deletes one property. The result is how many there were, 0 or 1."""
        more = _ops.terms(if_match=if_match, fence=fence)
        return self._collection.add(_ops.delete(self._place, name, more))

    def clear(
        self,
        names: Names | None = None,
        *,
        if_match: str | None = None,
        fence: int | None = None,
    ) -> Result[int]:
        """Deletes all properties, or those of `names`. The result is how many there were."""
        more = _ops.terms(if_match=if_match, fence=fence)
        return self._collection.add(_ops.delete_all(self._place, names, more))

    def touch(
        self, names: Names | None = None, *, ttl: TTL | None = None, fence: int | None = None
    ) -> Result[int]:
        """Gives properties a new time to live. The result is how many there were."""
        return self._collection.add(_ops.touch(self._place, names, ttl, fence))

    def increment(
        self,
        name: str,
        by: int | Decimal = 1,
        *,
        ttl: TTL | None = None,
        fence: int | None = None,
    ) -> Result[int | Decimal]:
        """Adds `by` to a number. The result is the sum."""
        more = _ops.terms(ttl=ttl, fence=fence)
        return self._collection.add(_ops.increment(self._place, name, by, more))

    def append(
        self,
        name: str,
        *values: JSON,
        keep: int | None = None,
        ttl: TTL | None = None,
        fence: int | None = None,
    ) -> Result[int]:
        """Appends values to a list. The result is its length."""
        more = _ops.terms(ttl=ttl, fence=fence)
        return self._collection.add(_ops.append(self._place, name, values, keep, more))

    def merge(
        self,
        name: str,
        patch: JSON,
        *,
        ttl: TTL | None = None,
        fence: int | None = None,
    ) -> Result[str]:
        """Changes some members of an object, and keeps the others (RFC 7396). The result is the entity tag."""
        more = _ops.terms(ttl=ttl, fence=fence)
        return self._collection.add(_ops.merge(self._place, name, patch, more))

    def lease(self, seconds: TTL, *, owner: str, fence: int | None = None) -> Result[LeaseGrant]:
        """Takes the lease of the session, or renews it with its `fence`. Nothing renews it by itself."""
        return self._collection.add(_ops.lease(self._place, seconds, owner, fence))

    def release(self, fence: int) -> Result[None]:
        """Ends the lease that has this fence. It is no error if it ended before."""
        return self._collection.add(_ops.release(self._place, fence))

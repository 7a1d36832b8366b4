"""What handles do with the extension of the service: writes that depend on what is stored."""

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeVar

from ccs_sdk import _ops
from ccs_sdk._json import JSON, Value
from ccs_sdk._names import Names
from ccs_sdk._ops import Op, Place, Terms
from ccs_sdk._states import Property
from ccs_sdk._ttl import TTL, TTLOrKeep
from ccs_sdk.aio._concurrency import sleep
from ccs_sdk.aio._ext import AsyncExtension
from ccs_sdk.errors import LeaseLostError, PreconditionFailedError, PropertyNotFoundError

T = TypeVar("T")

MODIFY_TRIES: Final = 10
_LONGEST_PAUSE: Final = 0.25  # seconds between two tries of `modify`


class AsyncOperations:
    """AsyncOperations on the properties of one session, or on a namespace's own."""

    __slots__ = ("_extension", "_place")

    def __init__(self, extension: AsyncExtension, place: Place) -> None:
        self._extension = extension
        self._place = place

    async def read(self, name: str) -> Property:
        """Returns one property with its entity tag, its expiry and the time of its last save.

        Raises:
            PropertyNotFoundError: It does not exist, or has expired.
        """
        return await self._run(_ops.read(self._place, name))

    async def create(
        self, name: str, value: JSON, *, ttl: TTL | None = None, fence: int | None = None
    ) -> bool:
        """Saves one property only if it does not exist. Returns whether it was saved.

        Of several concurrent callers, exactly one gets true. For `ttl` and `fence` see `set`.
        """
        try:
            await self._run(
                _ops.set_one(
                    self._place, name, value, self._terms(if_none_match="*", ttl=ttl, fence=fence)
                )
            )
        except LeaseLostError:
            raise
        except PreconditionFailedError:
            return False
        return True

    async def modify(
        self,
        name: str,
        change: Callable[[Value], JSON],
        *,
        default: Value = None,
        ttl: TTLOrKeep | None = None,
        fence: int | None = None,
    ) -> Value:
        """Replaces a value by `change(value)`, without losing what others save meanwhile.

        It reads, calls `change`, and saves if the property is still as it was read. Otherwise it tries
        again with the newer value, ten times at most, so `change` may be called several times. An
        exception of `change` ends it, and nothing is saved.

        Args:
            name: The name of the property.
            change: Returns the new value. To change a container, return a new one or the same.
            default: What `change` gets if the property does not exist.
            ttl: How long the property lives; see `set`.
            fence: Save only while the session's lease has this fence.

        Returns:
            The value that was saved.

        Raises:
            PreconditionFailedError: Others saved the property during each of the ten tries.
            LeaseLostError: The lease no longer has the fence.
        """
        current = await self._current(name)
        for attempt in range(1, MODIFY_TRIES + 1):
            value = change(default if current is None else current.value)
            if_match, if_none_match = (None, "*") if current is None else (current.etag, None)
            more = self._terms(if_match=if_match, if_none_match=if_none_match, ttl=ttl, fence=fence)
            try:
                await self._run(_ops.set_one(self._place, name, value, more))
            except LeaseLostError:
                raise
            except PreconditionFailedError as error:
                if attempt == MODIFY_TRIES:
                    raise
                current = error.current
            else:
                return value
            # A random pause, so that callers that collided do not collide again.
            await sleep(random.random() * min(_LONGEST_PAUSE, 0.005 * 2**attempt))  # noqa: S311
        raise AssertionError  # the last try returned or raised

    async def touch(
        self, names: Names | None = None, *, ttl: TTL | None = None, fence: int | None = None
    ) -> int:
        """Gives properties a new time to live from now on. Their values are not written again.

        Args:
            names: The properties; None for all of the session.
            ttl: How long they live, as a timedelta or in whole seconds; 0 means forever. None
                applies the TTL in force.
            fence: Only while the session's lease has this fence.

        Returns:
            How many properties there were.
        """
        return await self._run(_ops.touch(self._place, names, ttl, self._fence(fence)))

    async def increment(
        self,
        name: str,
        by: int | Decimal = 1,
        *,
        ttl: TTL | None = None,
        fence: int | None = None,
    ) -> int | Decimal:
        """Adds `by` to a number, and returns the sum. An absent property counts as 0.

        The sum is exact, and concurrent increments all count. For `ttl` and `fence` see `set`.

        Args:
            name: The name of the property.
            by: An int or a Decimal, which may be negative. It may have 100 digits and an exponent
                of up to 100. Floats are refused, because few decimals are exact as floats.
            ttl: How long the property lives.
            fence: Only while the session's lease has this fence.

        Raises:
            ConflictError: The stored value is not a number, or has too many digits.
        """
        more = self._terms(ttl=ttl, fence=fence)
        return await self._run(_ops.increment(self._place, name, by, more))

    async def append(
        self,
        name: str,
        *values: JSON,
        keep: int | None = None,
        ttl: TTL | None = None,
        fence: int | None = None,
    ) -> int:
        """Appends values to a list, and returns its length. An absent property counts as empty.

        Concurrent appends all take place. For `ttl` and `fence` see `set`.

        Args:
            name: The name of the property.
            *values: The values, 1 to 1,000. Each becomes one item, a list too.
            keep: How many items are kept; older ones are dropped. None keeps all.
            ttl: How long the property lives.
            fence: Only while the session's lease has this fence.

        Raises:
            ConflictError: The stored value is not a list.
        """
        more = self._terms(ttl=ttl, fence=fence)
        return await self._run(_ops.append(self._place, name, values, keep, more))

    async def merge(
        self,
        name: str,
        patch: JSON,
        *,
        ttl: TTL | None = None,
        fence: int | None = None,
    ) -> str:
        """Changes some members of an object, and keeps the others (JSON Merge Patch, RFC 7396).

        A member that is None in the patch is removed, and objects are merged in depth. Lists and other
        values are replaced. An absent property counts as empty. For `ttl` and `fence` see `set`.

        Returns:
            The new entity tag.
        """
        return await self._run(
            _ops.merge(self._place, name, patch, self._terms(ttl=ttl, fence=fence))
        )

    async def _current(self, name: str) -> Property | None:
        try:
            return await self.read(name)
        except PropertyNotFoundError:
            return None

    def _terms(
        self,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
        ttl: TTLOrKeep | None = None,
        fence: int | None = None,
    ) -> Terms:
        return _ops.terms(
            if_match=if_match, if_none_match=if_none_match, ttl=ttl, fence=self._fence(fence)
        )

    def _fence(self, fence: int | None) -> int | None:
        """Returns the fence to send with a write. A turn replaces None by its own."""
        return fence

    async def _run(self, op: Op[T]) -> T:
        return await self._extension.run(op)

"""The lease of a session: while it is held, its writes take place, and those of earlier holders do not.

A task renews it at each third of its time. A lease belongs to the process that took it: a child neither renews nor
releases it.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import TypeAlias

from ccs_sdk import _ops
from ccs_sdk._deadline import Deadline
from ccs_sdk._ops import Op, Place, T
from ccs_sdk._states import LeaseGrant
from ccs_sdk._ttl import TTL, whole_seconds
from ccs_sdk.aio._concurrency import AsyncBackground, cleanup
from ccs_sdk.aio._v1 import AsyncAccount
from ccs_sdk.aio.properties import AsyncPropertiesHandle
from ccs_sdk.errors import CCSError, ClientClosedError, InvalidArgumentError, LeaseLostError

AsyncOnLost: TypeAlias = Callable[["AsyncTurn"], object]
"""A function that is called when a lease is lost, in the task that finds it out."""

_LOST = "The lease is lost: it was not renewed in time, or another holder has it; take it again."
_LONGEST_PAUSE = 1.0  # seconds between a failed renewal and the next


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    """What is asked for."""

    account: AsyncAccount
    place: Place
    seconds: int
    owner: str
    on_lost: AsyncOnLost | None


class AsyncTurn(AsyncPropertiesHandle):
    """The properties of a session while its lease is held. `async with session.lease(…)` returns it.

    It has the methods of the session's handle. Its writes take place only while the lease is held; once
    it is lost, they raise `LeaseLostError` and change nothing.

    Tasks may share it.
    """

    __slots__ = (
        "_expires_at",
        "_first_to_lose",
        "_lasts_until",
        "_lost",
        "_process",
        "_renewal",
        "_request",
        "_token",
    )

    def __init__(
        self, request: _Request, grant: LeaseGrant, asked_at: float, renewal: AsyncBackground
    ) -> None:
        super().__init__(request.account, request.place.namespace, request.place.session_id)
        self._request = request
        self._token = grant.fence
        self._process = os.getpid()
        self._renewal = renewal
        self._first_to_lose = threading.Lock()  # taken once, and never waited for
        self._lost = False
        self._extend(grant, asked_at)

    @property
    def owner(self) -> str:
        """The label that the holder gave itself."""
        return self._request.owner

    @property
    def fence(self) -> int:
        """The number of this lease, for `fence=` of other writes. Later leases have larger ones."""
        return self._token

    @property
    def expires_at(self) -> datetime:
        """When the lease ends unless it is renewed, in UTC and by the service's clock."""
        return self._expires_at

    @property
    def lost(self) -> bool:
        """Whether the lease is known to be lost. No request is sent."""
        return self._lost

    async def release(self) -> None:
        """Ends the lease now. The end of the block does this by itself.

        A process that did not take the lease does not release it.

        Raises:
            LeaseLostError: The lease was lost before.
        """
        if os.getpid() != self._process or self._renewal.stopped:
            return
        # A renewal that is under way is not waited for: after the release, the service refuses it.
        self._renewal.stop()
        if time.monotonic() >= self._lasts_until:
            self._lose()
        if self._lost:
            raise LeaseLostError(_LOST)
        await self._extension.run(_ops.release(self._place, self._token))

    def _fence(self, fence: int | None) -> int | None:
        if self._renewal.stopped:
            raise LeaseLostError("The lease was released; take it again.")
        if self._lost:
            raise LeaseLostError(_LOST)
        return self._token if fence is None else fence

    async def _run(self, op: Op[T]) -> T:
        try:
            return await super()._run(op)
        except LeaseLostError:
            self._lose()
            raise

    async def renew(self) -> None:
        """Renews the lease until it is released or lost. The lease's block runs it in the background."""
        seconds = self._request.seconds
        renewal = _ops.lease(self._place, seconds, self.owner, self._token)
        pause = seconds / 3
        while not await self._renewal.wait(pause):
            asked_at = time.monotonic()
            try:
                grant = await self._extension.run(renewal, Deadline(self._lasts_until))
            except (LeaseLostError, ClientClosedError):
                break
            except CCSError:  # the service may be back before the lease ends
                if time.monotonic() >= self._lasts_until:
                    break
                pause = min(seconds / 3, _LONGEST_PAUSE)
            else:
                self._extend(grant, asked_at)
                pause = seconds / 3
        if not self._renewal.stopped:
            self._lose()

    def _extend(self, grant: LeaseGrant, asked_at: float) -> None:
        self._expires_at = grant.expires_at
        # It began after it was asked for, so it lasts at least until then.
        self._lasts_until = asked_at + self._request.seconds

    def _lose(self) -> None:
        if self._first_to_lose.acquire(blocking=False):
            self._lost = True
            if self._request.on_lost is not None:
                self._request.on_lost(self)


class AsyncLease:
    """A lease that is taken at the beginning of an `async with` block and released at its end.

    ```python
    async with session.lease(30, owner="bot-7") as turn:
        await turn.set("intent", "rebook")
    ```

    If the lease is lost meanwhile, `turn.lost` becomes true, `on_lost` is called, and the next write and
    the end of the block raise `LeaseLostError`.
    """

    __slots__ = ("_renewal", "_request", "_turn")

    def __init__(
        self,
        account: AsyncAccount,
        place: Place,
        seconds: TTL,
        owner: str,
        on_lost: AsyncOnLost | None,
    ) -> None:
        _ops.lease(place, seconds, owner, None)  # refuses invalid arguments before the block begins
        if on_lost is not None and not callable(on_lost):
            raise InvalidArgumentError(
                f"on_lost must be a function of the turn, not {type(on_lost).__name__}."
            )
        self._request = _Request(account, place, whole_seconds(seconds), owner, on_lost)
        self._turn: AsyncTurn | None = None

    def __repr__(self) -> str:
        lasts = timedelta(seconds=self._request.seconds)
        return f"<AsyncLease for {self._request.owner!r}, {lasts}>"

    async def __aenter__(self) -> AsyncTurn:
        if self._turn is not None:
            raise InvalidArgumentError("The lease is taken already; call lease() for another one.")
        request = self._request
        asked_at = time.monotonic()
        grant = await request.account.extension.run(
            _ops.lease(request.place, request.seconds, request.owner, None)
        )
        self._renewal = AsyncBackground()
        self._turn = AsyncTurn(request, grant, asked_at, self._renewal)
        await self._renewal.start(self._turn.renew)
        return self._turn

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._turn is None:
            return
        turn, self._turn = self._turn, None
        try:
            with cleanup(error):
                await turn.release()
        except CCSError as failure:
            if error is None:
                raise
            # The error of the block tells more. The lease ends by itself.
            error.add_note(f"The lease was not released: {failure}")
        finally:
            await self._renewal.finish()

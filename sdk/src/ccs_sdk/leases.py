# Generated from aio/leases.py by sdk/generate.py. Edit that file.
"""The lease of a session: while it is held, its writes take place, and those of earlier holders do not.

A thread renews it at each third of its time. Locks are not used, so a process that is forked meanwhile
cannot inherit a locked one. A lease belongs to the process that took it: a child neither renews nor
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
from ccs_sdk._concurrency import Background, cleanup
from ccs_sdk._deadline import Deadline
from ccs_sdk._ops import Op, Place, T
from ccs_sdk._states import LeaseGrant
from ccs_sdk._ttl import TTL, whole_seconds
from ccs_sdk._v1 import Account
from ccs_sdk.errors import CCSError, ClientClosedError, InvalidArgumentError, LeaseLostError
from ccs_sdk.properties import PropertiesHandle

OnLost: TypeAlias = Callable[["Turn"], object]
"""A function that is called when a lease is lost, in the thread that finds it out."""

_LOST = "The lease is lost: it was not renewed in time, or another holder has it; take it again."
_LONGEST_PAUSE = 1.0  # seconds between a failed renewal and the next


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    """What is asked for."""

    account: Account
    place: Place
    seconds: int
    owner: str
    on_lost: OnLost | None


class Turn(PropertiesHandle):
    """The properties of a session while its lease is held. `with session.lease(…)` returns it.

    It has the methods of the session's handle. Its writes take place only while the lease is held; once
    it is lost, they raise `LeaseLostError` and change nothing.

    Threads may share it. A process that is forked meanwhile may write with it as long as its parent
    renews the lease.
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
        self, request: _Request, grant: LeaseGrant, asked_at: float, renewal: Background
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

    def release(self) -> None:
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
        self._extension.run(_ops.release(self._place, self._token))

    def _fence(self, fence: int | None) -> int | None:
        if self._renewal.stopped:
            raise LeaseLostError("The lease was released; take it again.")
        if self._lost:
            raise LeaseLostError(_LOST)
        return self._token if fence is None else fence

    def _run(self, op: Op[T]) -> T:
        try:
            return super()._run(op)
        except LeaseLostError:
            self._lose()
            raise

    def renew(self) -> None:
        """Renews the lease until it is released or lost. The lease's block runs it in the background."""
        seconds = self._request.seconds
        renewal = _ops.lease(self._place, seconds, self.owner, self._token)
        pause = seconds / 3
        while not self._renewal.wait(pause):
            asked_at = time.monotonic()
            try:
                grant = self._extension.run(renewal, Deadline(self._lasts_until))
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


class Lease:
    """A lease that is taken at the beginning of a `with` block and released at its end.

    ```python
    with session.lease(30, owner="bot-7") as turn:
        turn["intent"] = "rebook"
    ```

    If the lease is lost meanwhile, `turn.lost` becomes true, `on_lost` is called, and the next write and
    the end of the block raise `LeaseLostError`.
    """

    __slots__ = ("_renewal", "_request", "_turn")

    def __init__(
        self,
        account: Account,
        place: Place,
        seconds: TTL,
        owner: str,
        on_lost: OnLost | None,
    ) -> None:
        _ops.lease(place, seconds, owner, None)  # refuses invalid arguments before the block begins
        if on_lost is not None and not callable(on_lost):
            raise InvalidArgumentError(
                f"on_lost must be a function of the turn, not {type(on_lost).__name__}."
            )
        self._request = _Request(account, place, whole_seconds(seconds), owner, on_lost)
        self._turn: Turn | None = None

    def __repr__(self) -> str:
        lasts = timedelta(seconds=self._request.seconds)
        return f"<Lease for {self._request.owner!r}, {lasts}>"

    def __enter__(self) -> Turn:
        if self._turn is not None:
            raise InvalidArgumentError("The lease is taken already; call lease() for another one.")
        request = self._request
        asked_at = time.monotonic()
        grant = request.account.extension.run(
            _ops.lease(request.place, request.seconds, request.owner, None)
        )
        self._renewal = Background()
        self._turn = Turn(request, grant, asked_at, self._renewal)
        self._renewal.start(self._turn.renew)
        return self._turn

    def __exit__(
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
                turn.release()
        except CCSError as failure:
            if error is None:
                raise
            # The error of the block tells more. The lease ends by itself.
            error.add_note(f"The lease was not released: {failure}")
        finally:
            self._renewal.finish()

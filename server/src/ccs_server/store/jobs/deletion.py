"""Deletes the sessions of a namespace that are found by what is stored in them, as if each was deleted by itself.

Whether a session is still as it was found is looked at again under the lock of its document: one that was changed
meanwhile, and is not found any more, stays.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.json import Decoder, encode

from ccs_server.domain.where import Condition, Where
from ccs_server.store.connection import LibpqConnection
from ccs_server.store.find import Search, find_step, page_of
from ccs_server.store.jobs import taking
from ccs_server.store.jobs.estimating import estimate_sessions
from ccs_server.store.jobs.run import Claim, Counts, number_in
from ccs_server.store.jobs.taking import Namespace

LOOK_LIMIT = 1000
"""The maximum number of sessions that a step looks at."""

FOUND_AT_ONCE = 100
"""The maximum number of sessions that a step deletes."""


class DeleteRequest(Struct):
    """Which sessions to delete.

    Attributes:
        namespace: their namespace.
        conditions: what each must meet; None if none can.
        prefix: what their ids begin with.
    """

    namespace: str
    conditions: tuple[Condition, ...] | None
    prefix: str = ""


class _Found(Struct):
    sessionId: str  # noqa: N815 - as `find` returns it


class _Position(Struct, omit_defaults=True):
    """How far a deletion is.

    Attributes:
        session: the session id after which to go on; None at the beginning.
        taking: the session that is being deleted: what it was found by may be gone already.
    """

    session: str | None = None
    taking: str | None = None


_request = Decoder(DeleteRequest)
_position = Decoder(_Position)
_found = Decoder(Sequence[_Found])


class Deletion:
    """A deletion that this run carries on, step by step."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        request = _request.decode(claim.request)
        self._search = Search(
            claim.account, request.namespace, Where("", request.conditions), request.prefix
        )
        self._position = _position.decode(claim.position) if claim.position else _Position()

    def step(self) -> bool:
        """Does the next step; returns whether the deletion is done."""
        search, position, claim = self._search, self._position, self._claim
        if search.where.conditions is None:
            return True
        if position.taking is not None:
            self._take(position.taking, is_found=True)
        total = None
        with claim.step() as connection:
            if position.session is None:
                total = estimate_sessions(connection, claim.account, search.namespace)
            step = find_step(
                search, after=position.session or "", limit=FOUND_AT_ONCE, look=LOOK_LIMIT
            )
            page = page_of(connection.execute(*step))
        counts = Counts(examined=page.looked)
        for found in _found.decode(page.sessions):
            if claim.is_dry_run:
                self._count(found.sessionId, counts)
            else:
                self._take(found.sessionId)
        position.session = page.last or ""
        with claim.step() as connection:
            claim.save(connection, encode(position), counts, total)
        return page.last is None

    def _count(self, session_id: str, counts: Counts) -> None:
        """Counts what would be deleted of a session."""
        with self._claim.step() as connection:
            namespace = self._namespace(connection)
            if namespace is None:
                return
            params = self._claim.account.encode(), namespace.param, session_id.encode()
            counts.properties += number_in(connection.execute(taking.COUNT_SESSION, params), 0)
            counts.sessions += 1

    def _take(self, session_id: str, *, is_found: bool = False) -> None:
        """Deletes a session, if it is still found or `is_found` says that it was, under its lock."""
        position, claim = self._position, self._claim
        while True:
            with claim.step() as connection:
                counts = Counts()
                namespace = self._namespace(connection)
                if namespace is not None:
                    taking.lock_session(connection, claim.account, namespace, session_id)
                    is_found = is_found or self._is_found(connection, session_id)
                if namespace is not None and is_found:
                    place = claim.account.encode(), namespace.param, session_id.encode()
                    by = None, claim.actor.encode()
                    params = (*place, b"%d" % taking.BATCH, *by)
                    counts.properties = number_in(
                        connection.execute(taking.TAKE_PROPERTIES, params), 0
                    )
                    if counts.properties < taking.BATCH:
                        connection.execute(taking.TAKE_TTL, place)
                        counts.sessions = 1
                is_over = counts.properties < taking.BATCH
                position.taking = None if is_over else session_id
                claim.save(connection, encode(position), counts)
            if is_over:
                return

    def _is_found(self, connection: LibpqConnection, session_id: str) -> bool:
        only = self._search._replace(prefix=session_id)
        page = page_of(connection.execute(*find_step(only, after="", limit=1, look=1)))
        return any(each.sessionId == session_id for each in _found.decode(page.sessions))

    def _namespace(self, connection: LibpqConnection) -> Namespace | None:
        return taking.find_namespace_called(connection, self._claim.account, self._search.namespace)

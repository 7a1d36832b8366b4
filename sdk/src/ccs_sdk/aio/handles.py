"""Handles of a namespace and of a session."""

from collections.abc import AsyncIterator, Mapping
from copy import copy
from datetime import timedelta
from typing import Literal, Self

from ccs_sdk import _json, _paths, _queries, _wire
from ccs_sdk._json import JSON
from ccs_sdk._names import DEFAULT_SESSION, Names, check_properties, check_text
from ccs_sdk._options import UNCHANGED, Unchanged, changes
from ccs_sdk._retry import RetryPolicy
from ccs_sdk._ttl import refuse_none, whole_seconds
from ccs_sdk.aio import _changes, _find
from ccs_sdk.aio._mapping import AsyncNamespaceTTLSyntax, AsyncSessionTTLSyntax
from ccs_sdk.aio._pages import DEFAULT_PAGE_SIZE, AsyncPages
from ccs_sdk.aio._v1 import AsyncAccount
from ccs_sdk.aio.jobs import AsyncJobHandle, AsyncJobs
from ccs_sdk.aio.leases import AsyncLease, AsyncOnLost
from ccs_sdk.aio.properties import AsyncPropertiesHandle
from ccs_sdk.models import (
    FOREVER,
    Change,
    Hit,
    NamespaceSettings,
    SessionProperties,
    SessionToken,
    SessionTTL,
)


class _Handle(AsyncPropertiesHandle):
    """What a session and a namespace's own properties have beside their properties."""

    __slots__ = ()

    def with_options(
        self,
        *,
        timeout: float | tuple[float, float] | Unchanged = UNCHANGED,
        retry: RetryPolicy | Unchanged | None = UNCHANGED,
    ) -> Self:
        """Returns a handle of the same properties whose calls have other options.

        ```python
        await call.with_options(timeout=0.5, retry=None).get("intent")
        ```

        Args:
            timeout: The timeout; see `AsyncContextClient`.
            retry: The retry policy; None disables retries.
        """
        other = copy(self)
        other._account = self._account.with_options(changes(timeout, retry))  # noqa: SLF001 - of its own class
        other._extension = other._account.extension  # noqa: SLF001 - of its own class
        return other

    def lease(
        self, seconds: timedelta | int, *, owner: str, on_lost: AsyncOnLost | None = None
    ) -> AsyncLease:
        """Returns a lease, to be held by one program at a time, for an `async with` statement.

        ```python
        async with call.lease(30, owner="bot-7") as turn:
            await turn.set("intent", "rebook")
        ```

        The block begins when the lease is granted; if another holder has it, that raises `LeasedError`.
        A task renews it at each third of its time, and the end of the block releases it. Writes
        through `turn` take place only while it is held, so those of a program that was stopped for
        longer are refused. A lease does not bind writes that have no `fence`.

        Args:
            seconds: How long the lease lasts without being renewed: 1 to 3,600 seconds, or a
                timedelta. After a crash, others wait that long.
            owner: A label that others see while it is held, at most 256 characters.
            on_lost: Called with the turn when the lease is found to be lost, in the task that finds
                it out.
        """
        return AsyncLease(self._account, self._place, seconds, owner, on_lost)

    async def history(self, name: str, *, limit: int = 20) -> list[Change]:
        """Returns the latest changes of a property, the newest first: who set it, when, and to what.

        The namespace must log values; see `AsyncNamespaceHandle.configure`. What was changed before, or longer
        ago than the log keeps it, is not there.

        Args:
            name: The name of the property.
            limit: How many changes are returned at most.
        """
        place = self._place
        selection = _queries.changes(
            place.namespace, place.session_id or DEFAULT_SESSION, name, _queries.HISTORY_TYPES
        )
        checked = _queries.check_limit(limit, "limit")
        return await _changes.history(self._extension, selection, checked)

    async def token(
        self,
        *,
        scope: Literal["read", "write"] = "read",
        expires_in: timedelta | int | None = None,
        names: Names | None = None,
    ) -> SessionToken:
        """Makes a token that reaches this session only, to hand to a browser or a widget.

        It is used in place of the account's key: `AsyncContextClient(api_key=token.value)`. It ends with the
        key of this client.

        Args:
            scope: `read`, or `write` to read and write.
            expires_in: How long it is valid, as a timedelta or in whole seconds, 60 to 3,600. None
                means 15 minutes.
            names: The properties that it reaches; None for all of the session.
        """
        body = {**self._place.members(), "scope": check_text(scope, "A scope")}
        if expires_in is not None:
            body["expiresIn"] = whole_seconds(expires_in, "expires_in")
        if names is not None:
            body["names"] = check_properties(names)
        # Without a key, since a replayed response has no token. One too many does no harm.
        return await self._extension.post("/tokens", body, _wire.session_token, keyed=False)


class AsyncSessionHandle(_Handle, AsyncSessionTTLSyntax):
    """One session of a namespace, for example a conversation, a user or a task."""

    __slots__ = ()

    _session_id: str

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self._session_id

    async def get_ttl(self) -> timedelta | None:
        """Returns the session's TTL, or None if it has none and the namespace's TTL is in force."""
        for session in await self._account.list_session_ttls(self._namespace):
            if session.session_id == self._session_id:
                return session.ttl
        return None

    async def set_ttl(self, ttl: timedelta | int) -> None:
        """Sets the session's TTL, which applies from the next write of each property.

        Args:
            ttl: A timedelta, or whole seconds; `FOREVER` (zero) means forever, even if the namespace
                has a TTL. None cannot be set, because the service removes a session's TTL only
                together with the session.
        """
        refuse_none(ttl, "A session's TTL", "set FOREVER, or drop() the session")
        await self._account.set_session_ttl(self._namespace, self._session_id, ttl)

    async def drop(self) -> None:
        """Deletes the session: its properties and its TTL."""
        path = _paths.session_ttls(self._namespace)
        await self._account.write("DELETE", f"{path}/{_paths.segment(self._session_id)}")


class AsyncNamespaceHandle(_Handle, AsyncNamespaceTTLSyntax):
    """One namespace: its own properties, its sessions and its TTL."""

    __slots__ = ()

    def __init__(self, account: AsyncAccount, namespace: str) -> None:
        super().__init__(account, namespace, None)

    @property
    def name(self) -> str:
        """The namespace's name."""
        return self._namespace

    def session(self, session_id: str) -> AsyncSessionHandle:
        """Returns a handle of a session, which need not exist yet, without sending a request."""
        return AsyncSessionHandle(self._account, self._namespace, session_id)

    async def get_ttl(self) -> timedelta:
        """Returns the namespace's TTL, or `FOREVER` (zero) if it has none."""
        for namespace in await self._account.list_namespaces():
            if namespace.name == self._namespace:
                return namespace.ttl
        return FOREVER

    async def set_ttl(self, ttl: timedelta | int) -> None:
        """Sets the namespace's TTL, which applies from the next write of each property.

        Args:
            ttl: A timedelta, or whole seconds; `FOREVER` (zero) removes it.
        """
        refuse_none(ttl, "A namespace's TTL", "set FOREVER, which removes it")
        await self.register(ttl=ttl)

    async def register(self, *, ttl: timedelta | int | None = None) -> None:
        """Registers the namespace, and sets its TTL if one is given."""
        query = _paths.query(ttlSecond=None if ttl is None else whole_seconds(ttl))
        await self._account.write("POST", query, _json.encode({"name": self._namespace}))

    def iter_sessions(
        self, *, after: str | None = None, page_size: int = DEFAULT_PAGE_SIZE
    ) -> AsyncPages[str]:
        """Returns the ids of all sessions with live properties, in order, or those that follow the id `after`."""
        path = f"/{_paths.segment(self._namespace)}/session-ids"
        return self._account.pages(path, _wire.text, page_size, str, after)

    def iter_session_properties(
        self, *, after: str | None = None, page_size: int = DEFAULT_PAGE_SIZE
    ) -> AsyncPages[SessionProperties]:
        """Returns all sessions with their live properties, in order, or those that follow the id `after`."""
        path = f"/{_paths.segment(self._namespace)}/session-properties"
        return self._account.pages(
            path, _wire.session_properties, page_size, lambda session: session.session_id, after
        )

    def find(  # noqa: PLR0913 - every member of a query is written out
        self,
        *,
        where: Mapping[str, JSON] | None = None,
        fields: Names | bool = False,
        prefix: str = "",
        sort: Literal["sessionId", "-updatedAt"] = "sessionId",
        limit: int | None = None,
        page_size: int = DEFAULT_PAGE_SIZE,
    ) -> AsyncIterator[Hit]:
        """Finds sessions by their properties, in the order of their ids. AsyncPages are requested as needed.

        ```python
        async for hit in namespace.find(where={"status": "open", "score": {"$gte": 5}}, fields=["status"]):
            print(hit.session_id, hit.properties["status"])
        ```

        Args:
            where: Conditions by name, of at most 8 properties, which must all hold. A value stands for
                equality. The operators are `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, `$in`,
                `$prefix` and `$exists`. Values of different types never match.
            fields: The properties that the hits contain: names, or True for all.
            prefix: What the session ids begin with.
            sort: `-updatedAt` for the order of the last save, the latest first. The namespace must be
                configured with `sort_by_update`. A session that is saved meanwhile may come again, or not.
            limit: How many sessions are found at most; None for all.
            page_size: The number of sessions for each request, 1 to 1,000.
        """
        body = {**_queries.query(where, prefix), **_queries.wanted(fields)}
        if sort != "sessionId":
            body["sort"] = check_text(sort, "sort")
        if limit is not None:
            _queries.check_limit(limit, "limit")
        size = _queries.check_limit(page_size, "page_size")
        return _find.hits(self._extension, self._namespace, body, limit, size)

    async def count(self, *, where: Mapping[str, JSON] | None = None, prefix: str = "") -> int:
        """Returns how many sessions `find` would find. It sends a request for each 10,000 sessions."""
        return await _find.count(self._extension, self._namespace, _queries.query(where, prefix))

    async def delete_sessions(
        self,
        *,
        where: Mapping[str, JSON] | None = None,
        prefix: str = "",
        reference: str = "",
        dry_run: bool = False,
    ) -> AsyncJobHandle:
        """Begins to delete the sessions that `find` would find, and returns the job that does it.

        A session that is not found any more when its turn comes stays. Needs a key of the scope `admin`.

        Args:
            where: Conditions; see `find`. They or a prefix are needed.
            prefix: What the session ids begin with.
            reference: What you call the job.
            dry_run: Whether only to count what would go.
        """
        return await AsyncJobs(self._extension).delete_sessions(
            self._namespace, where=where, prefix=prefix, reference=reference, dry_run=dry_run
        )

    async def get_settings(self) -> NamespaceSettings:
        """Returns what is switched on in the namespace, which must exist. Needs a key of the scope `admin`."""
        return await self._extension.get(self._settings_path, _wire.namespace_settings)

    async def configure(
        self,
        *,
        changes: Literal["off", "names", "values"] | None = None,
        keep_changes: timedelta | int | None = None,
        index: Names | None = None,
        sort_by_update: bool | None = None,
    ) -> NamespaceSettings:
        """Switches features of the namespace on or off; returns all its settings.

        It needs a key of the scope `admin`, and creates the namespace if it does not exist.

        Args:
            changes: What the change log has of the namespace: nothing (`off`), what was changed
                (`names`), or the new values too (`values`). It holds for every write that begins later.
            keep_changes: How long the log keeps what is changed from then on, as a timedelta or in
                whole seconds, at most 395 days.
            index: The names by which `find` finds sessions with an index, at most 8; an empty list for
                none. It makes `find` faster where such a property equals a value, and saves of it slower.
            sort_by_update: Whether `find` can sort by the last save, which makes all saves slower.
        """
        body: dict[str, JSON] = {}
        if changes is not None:
            body["changes"] = check_text(changes, "changes")
        if keep_changes is not None:
            body["keepChanges"] = whole_seconds(keep_changes, "keep_changes")
        if index is not None:
            body["index"] = check_properties(index)
        if sort_by_update is not None:
            body["sortByUpdate"] = sort_by_update
        return await self._extension.patch(self._settings_path, body, _wire.namespace_settings)

    @property
    def _settings_path(self) -> str:
        return f"/namespaces/{_paths.segment(self._namespace)}"

    async def list_session_ttls(self) -> list[SessionTTL]:
        """Returns the sessions that have a TTL."""
        return await self._account.list_session_ttls(self._namespace)

    async def drop(self) -> None:
        """Deletes the namespace with its properties, sessions and TTLs."""
        await self._account.write("DELETE", f"/{_paths.segment(self._namespace)}")

# Generated from aio/client.py by sdk/generate.py. Edit that file.
"""`ContextClient`: version 1 of the service, one method for each of its operations."""

import os
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from datetime import timedelta
from pathlib import Path
from typing import Literal, Self, TypeVar, overload

import requests

from ccs_sdk import _changes, _paths, _queries, _transfer, _wire
from ccs_sdk._auth import api_key_auth
from ccs_sdk._events import OnRequest, OnResponse
from ccs_sdk._http import HTTP
from ccs_sdk._json import JSON, Default, JSONObject, Value
from ccs_sdk._names import Names, check_namespace, check_segment, check_session, check_text
from ccs_sdk._options import (
    DEFAULT_POOL_SIZE,
    DEFAULT_RETRY,
    DEFAULT_TIMEOUT,
    UNCHANGED,
    Unchanged,
    call_options,
    changes,
    connecting,
    option,
    setting,
)
from ccs_sdk._pages import DEFAULT_PAGE_SIZE, Pages
from ccs_sdk._retry import OnRetry, RetryPolicy
from ccs_sdk._transport import Transport
from ccs_sdk._typed import as_type
from ccs_sdk._v1 import Account
from ccs_sdk.batches import Batch
from ccs_sdk.handles import NamespaceHandle
from ccs_sdk.jobs import JobHandle, Jobs
from ccs_sdk.keys import Keys
from ccs_sdk.models import (
    Activity,
    Change,
    ImportResult,
    Namespace,
    SessionProperties,
    SessionTTL,
)
from ccs_sdk.properties import PropertiesHandle
from ccs_sdk.scopes import Scopes
from ccs_sdk.webhooks import Webhooks

T = TypeVar("T")


class ContextClient:
    """A client of version 1, with the account's API key.

    Threads may share it, and so may the processes of a server that forks: each process has its own
    connections. Close it, or use it in a `with` statement; later calls raise `ClientClosedError`. It
    cannot be pickled, because it holds the key.

    The methods of this class are the operations of the service. To work with one namespace or one
    session, use the handles that `namespace()` and `scopes()` return:

    ```python
    with ContextClient("http://127.0.0.1:8000", "acme", api_key="…") as client:
        call = client.namespace("airline").session("conv-1")
        call["intent"] = "rebook"
    ```

    If a method accepts `session_id`, omitting it means the namespace's own properties.

    A method raises `InvalidArgumentError`, before it sends anything, if an argument cannot be sent as
    the caller means it. It raises a `TransportError` if the service cannot be reached, and a
    `StatusError` if the service refuses the request: for example `BadRequestError` if a name is
    not allowed.

    Args:
        base_url: The URL of the service. The default is the environment variable `CCS_URL`.
        account_id: The account. The default is `CCS_ACCOUNT`.
        api_key: The account's key, or a session token (`SessionHandle.token`), which reaches its
            session only. The default is `CCS_API_KEY`.
        timeout: Seconds to wait for a connection and then for each part of the response: one number
            for both, or a pair `(connect, read)`. Each is at most 86,400 (a day).
        retry: The retry policy; None disables retries.
        on_retry: Called with a `RetryEvent` before each retry, for logs and metrics.
        on_request: Called with a `RequestEvent` before each attempt; it may add headers.
        on_response: Called with a `ResponseEvent` for each response, also for those that are retried
            or raised as errors.
        pool_size: How many connections are kept open. Set it to the number of threads that share
            the client. Additional threads work too, but their connections are closed after use.
        decimals: Whether to read numbers with a point or an exponent as `decimal.Decimal`, with all
            digits, instead of as floats.
        default: Called for each value that JSON does not know, for example a datetime or a dataclass;
            returns what is stored instead. Without it, such values are refused.
        user_agent: Added to the header `User-Agent`: `airline-bot/1.2`.
        verify: Whether certificates are verified, or the file of a CA bundle to verify them with.
        cert: A client certificate: the file with its key, or a pair (certificate, key).
        proxies: The proxy for each scheme: `{"https": "http://proxy:3128"}`; `all` is every scheme. The
            default is that of the environment (`HTTPS_PROXY`, `NO_PROXY`).
        http_session: A `requests.Session` to send with, for its adapters and in tests. Its retries and
            pool are not changed, and `close()` leaves it open. Its settings take precedence over the
            environment. A session that was used before a fork cannot be used after it.

    Raises:
        ConfigurationError: A setting is missing or invalid.
    """

    def __init__(  # noqa: PLR0913 - every option is written out
        self,
        base_url: str | None = None,
        account_id: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float | tuple[float, float] = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = DEFAULT_RETRY,
        on_retry: OnRetry | None = None,
        on_request: OnRequest | None = None,
        on_response: OnResponse | None = None,
        pool_size: int = DEFAULT_POOL_SIZE,
        decimals: bool = False,
        default: Default | None = None,
        user_agent: str | None = None,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        proxies: Mapping[str, str] | None = None,
        http_session: requests.Session | None = None,
    ) -> None:
        credential = api_key_auth(setting(api_key, "api_key", "CCS_API_KEY"))
        self._transport = Transport(
            HTTP(
                connecting(
                    setting(base_url, "base_url", "CCS_URL"),
                    pool_size=pool_size,
                    verify=verify,
                    cert=cert,
                    proxies=proxies,
                ),
                http_session,
            ),
            call_options(
                timeout=timeout,
                retry=retry,
                on_retry=on_retry,
                on_request=on_request,
                on_response=on_response,
                decimals=decimals,
                default=default,
                user_agent=user_agent,
            ),
        )
        self._account_id = check_segment(
            setting(account_id, "account_id", "CCS_ACCOUNT"), "account_id"
        )
        self._account = Account.of(self._transport, self._account_id, credential)

    def __repr__(self) -> str:
        return f"ContextClient({self._transport.base_url!r}, {self._account_id!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections, except those of a given `http_session`."""
        self._transport.close()

    def with_options(
        self,
        *,
        timeout: float | tuple[float, float] | Unchanged = UNCHANGED,
        retry: RetryPolicy | Unchanged | None = UNCHANGED,
    ) -> Self:
        """Returns a client with other options that shares the connections of this one.

        ```python
        client.with_options(timeout=0.5, retry=None).get_property("airline", "hubs")
        ```

        Closing one of the two closes both.

        Args:
            timeout: The timeout; see `ContextClient`.
            retry: The retry policy; None disables retries.
        """
        other = copy(self)
        other._account = self._account.with_options(changes(timeout, retry))  # noqa: SLF001 - of its own class
        other._transport = other._account.transport  # noqa: SLF001 - of its own class
        return other

    # Handles

    def namespace(self, namespace: str) -> NamespaceHandle:
        """Returns a handle of the namespace, without sending a request."""
        return NamespaceHandle(self._account, namespace)

    def scopes(
        self, namespace: str, *, user_id: str | None = None, conversation_id: str | None = None
    ) -> Scopes:
        """Returns handles of the scopes global, user and conversation, without sending a request."""
        return Scopes(self.namespace(namespace), user_id, conversation_id)

    # The extension

    def batch(self, *, atomic: bool = True) -> Batch:
        """Returns a batch, to send many operations in one request at the end of a `with` block.

        ```python
        with client.batch() as batch:
            batch.session("airline", "conv-1").set("intent", "rebook")
            batch.session("airline", "conv-2").delete("intent")
        ```

        Args:
            atomic: Whether all operations take place or none does. Otherwise each takes place by
                itself.
        """
        return Batch(self._account.extension, atomic=option("atomic", atomic, bool))

    def changes(  # noqa: PLR0913 - every filter is written out
        self,
        namespaces: Names | str | None = None,
        *,
        session_id: str | None = None,
        name: str | None = None,
        types: Names | str | None = None,
        after: str = "start",
        pause: float = 1.0,
    ) -> Iterator[Change]:
        """Follows the change log: yields each change once, in their order, and waits for the next one.

        ```python
        for change in client.changes("airline", after=saved):
            show(change)
            saved = change.id
        ```

        Only namespaces that log changes are told of; see `NamespaceHandle.configure`. The iterator has
        no end. It goes on through restarts of the service. A program that keeps the `id` of the last
        change that it has dealt with, and gives it as `after` when it starts again, misses nothing and
        sees nothing twice.

        Iterating raises `GoneError` if the log no longer has all that follows `after`: read what there is
        now, and go on from there.

        Args:
            namespaces: Only these namespaces, at most 20.
            session_id: Only this session; needs one namespace.
            name: Only this property; needs `session_id`.
            types: Only changes of these types, such as `property.set`.
            after: The `id` of a change; `start` for the beginning of the log, `now` for its end.
            pause: How many seconds to wait before it connects again; and, where there are no event streams,
                between two requests while nothing happens.
        """
        selection = _queries.changes(namespaces, session_id, name, types)
        return _changes.follow(
            self._account.extension, selection, check_text(after, "after"), pause
        )

    def position(self) -> str:
        """Returns the position at the end of the change log, for `after`.

        To copy what there is and then follow it, take the position before you read.
        """
        return _changes.position(self._account.extension)

    def activity(self, *, after: str | None = None) -> Activity:
        """Returns how much the account has, its saves and reads in the last hour, and what is about to expire.

        Args:
            after: The `next` of the page of namespaces before.
        """
        cursor = None if after is None else check_text(after, "after")
        query = _paths.query(after=cursor)
        return self._account.extension.get(f"/activity{query}", _wire.activity)

    def erase(  # noqa: PLR0913 - every member is written out
        self,
        *,
        session_id: Names | str | None = None,
        name: Names | str | None = None,
        value: Names | str | None = None,
        contains: bool = False,
        scope: Literal["property", "session"] = "property",
        namespaces: Names | str | None = None,
        reference: str = "",
        dry_run: bool = False,
    ) -> JobHandle:
        """Begins to erase what is stored of a person or a thing, and returns the job that does it.

        ```python
        job = client.erase(value=["+49301234567"], reference="T-17")
        job.wait(progress=True)
        ```

        What is like any of the strings is erased, with what the change log and stored responses have of
        it. Needs a key of the scope `admin`.

        Args:
            session_id: Ids of sessions, which go with all that they have.
            name: Names of properties.
            value: Strings anywhere in values, or names of members.
            contains: Whether a part of an id, a name or a string is enough.
            scope: What goes if a name or a value matches: the property, or its whole session.
            namespaces: Only in these namespaces.
            reference: What you call the job. It is kept, so it should name nobody.
            dry_run: Whether only to count what would go.
        """
        return self.jobs.erase(
            session_id=session_id,
            name=name,
            value=value,
            contains=contains,
            scope=scope,
            namespaces=namespaces,
            reference=reference,
            dry_run=dry_run,
        )

    @property
    def jobs(self) -> Jobs:
        """The jobs of the account, for a client whose key has the scope `admin`."""
        return Jobs(self._account.extension)

    @property
    def keys(self) -> Keys:
        """The keys of the account, for a client whose key has the scope `admin`."""
        return Keys(self._account.extension)

    @property
    def webhooks(self) -> Webhooks:
        """The webhooks of the account, for a client whose key has the scope `admin`."""
        return Webhooks(self._account.extension)

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        namespace: str | None = None,
        resume: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """Writes all that the account stores to a file, as lines of JSON, and returns their number.

        The file appears when it is complete, and replaces one that exists. Until then, its name ends
        with `.part`. Lines without `ns` say where the pages of the export end; they are not counted.

        Args:
            path: The file.
            namespace: The only namespace to export; None for all that the key may use.
            resume: Whether to continue an export to this file that was interrupted.
            progress: Called after each page with the number of lines so far.

        Raises:
            OSError: The file cannot be written.
        """
        place = None if namespace is None else check_namespace(namespace)
        return _transfer.export(
            self._account.extension,
            Path(path),
            namespace=place,
            resume=option("resume", resume, bool),
            progress=progress,
        )

    def import_from(
        self,
        path: str | os.PathLike[str],
        *,
        keep: bool = False,
        from_line: int = 1,
        progress: Callable[[int], object] | None = None,
    ) -> ImportResult:
        """Saves the lines of an export, up to 1,000 in each request, and returns what became of them.

        What the account has already is overwritten. If a request fails, its lines are not saved, and
        those before it are. It is harmless to import lines again.

        Args:
            path: The file.
            keep: Whether to leave what the account has already as it is.
            from_line: The first line to import, from 1.
            progress: Called after each request with the number of the last line that it imported.

        Raises:
            OSError: The file cannot be read.
            StatusError: A line was refused; `line` of the error is its number in the file.
            TooLargeError: A line is longer than 1 MiB. The command `ccs import` has no such limit.
        """
        return _transfer.import_from(
            self._account.extension,
            Path(path),
            keep=option("keep", keep, bool),
            from_line=option("from_line", from_line, int),
            progress=progress,
        )

    # Namespaces

    def register_namespace(self, namespace: str, *, ttl: timedelta | int | None = None) -> None:
        """Registers a namespace, and sets its TTL if one is given.

        Registering a namespace again is harmless. Registering it is optional: saving a property
        creates its namespace.

        Args:
            namespace: The name of the namespace.
            ttl: How long properties live after each future write, as a timedelta or in whole
                seconds; 0 means forever. None keeps the current TTL.
        """
        self.namespace(namespace).register(ttl=ttl)

    def list_namespaces(self) -> list[Namespace]:
        """Returns all namespaces of the account."""
        return self._account.list_namespaces()

    def delete_namespace(self, namespace: str) -> None:
        """Deletes a namespace with its properties, sessions and TTLs, if it exists."""
        self.namespace(namespace).drop()

    # Properties

    def set_properties(
        self, namespace: str, properties: JSONObject, *, session_id: str | None = None
    ) -> None:
        """Saves `properties` atomically. Other properties are not changed."""
        self._place(namespace, session_id).update(properties)

    def set_property(
        self, namespace: str, name: str, value: JSON, *, session_id: str | None = None
    ) -> None:
        """Saves one property. None is stored as the value `null`."""
        self._place(namespace, session_id).set(name, value)

    def get_properties(
        self, namespace: str, *, only: Names | None = None, session_id: str | None = None
    ) -> dict[str, Value]:
        """Returns all properties, or those named in `only` that exist, as values by name."""
        place = self._place(namespace, session_id)
        return place.all() if only is None else place.only(only)

    @overload
    def get_property(
        self, namespace: str, name: str, *, session_id: str | None = None
    ) -> Value: ...

    @overload
    def get_property(
        self, namespace: str, name: str, *, session_id: str | None = None, type: type[T]
    ) -> T: ...

    def get_property(
        self,
        namespace: str,
        name: str,
        *,
        session_id: str | None = None,
        type: type[T] | None = None,  # noqa: A002 - reads well where it is called
    ) -> Value:
        """Returns the value of one property.

        Args:
            namespace: The name of the namespace.
            name: The name of the property.
            session_id: The session.
            type: The type of the value; see `PropertiesHandle.get`.

        Raises:
            PropertyNotFoundError: It does not exist, or has expired.
            UnexpectedValueError: The value is not of this type.
        """
        value = self._place(namespace, session_id)[name]
        return value if type is None else as_type(value, type, f"The property {name!r}")

    def delete_properties(self, namespace: str, *, session_id: str | None = None) -> None:
        """Deletes all properties of the session, or the namespace's own, and keeps the TTL."""
        self._place(namespace, session_id).clear()

    def delete_property(self, namespace: str, name: str, *, session_id: str | None = None) -> None:
        """Deletes one property, if it exists.

        Raises:
            InvalidArgumentError: The name is invalid, or it is `.` or `..`. No path can contain these
                two, and version 1 deletes by path. Use `DocumentClient.delete_properties`.
        """
        self._place(namespace, session_id).delete(name)

    # Sessions

    def iter_sessions(
        self, namespace: str, *, after: str | None = None, page_size: int = DEFAULT_PAGE_SIZE
    ) -> Pages[str]:
        """Returns the ids of all sessions with live properties, in order.

        `DEFAULT_SESSION` is included if the namespace has its own properties.

        Args:
            namespace: The name of the namespace.
            after: The id after which to begin; it need not exist. None begins with the first.
            page_size: The number of sessions for each request, 1 to 1,000.
        """
        return self.namespace(namespace).iter_sessions(after=after, page_size=page_size)

    def iter_session_properties(
        self, namespace: str, *, after: str | None = None, page_size: int = DEFAULT_PAGE_SIZE
    ) -> Pages[SessionProperties]:
        """Returns all sessions with their live properties, in the order of their ids.

        Args:
            namespace: The name of the namespace.
            after: The id after which to begin; it need not exist. None begins with the first.
            page_size: The number of sessions for each request, 1 to 1,000. A session may have
                800,000 characters.
        """
        return self.namespace(namespace).iter_session_properties(after=after, page_size=page_size)

    def set_session_ttl(
        self, namespace: str, session_id: str, ttl: timedelta | int | None = None
    ) -> None:
        """Sets the TTL of a session, which takes precedence over the namespace's.

        Args:
            namespace: The name of the namespace.
            session_id: The session, which need not exist yet.
            ttl: How long its properties live after each future write, as a timedelta or in whole
                seconds; 0 means forever, even if the namespace has a TTL. None keeps the current
                TTL.
        """
        self._account.set_session_ttl(check_namespace(namespace), check_session(session_id), ttl)

    def list_session_ttls(self, namespace: str) -> list[SessionTTL]:
        """Returns the sessions that have a TTL."""
        return self.namespace(namespace).list_session_ttls()

    def delete_session(self, namespace: str, session_id: str) -> None:
        """Deletes a session's properties and its TTL, if it exists."""
        self.namespace(namespace).session(session_id).drop()

    def _place(self, namespace: str, session_id: str | None) -> PropertiesHandle:
        return PropertiesHandle(self._account, namespace, session_id)

"""`ContextClient`: version 1 of the service, one method for each of its operations."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Self, TypeVar, Unpack

from ccs_sdk import _json, _paths, _wire
from ccs_sdk._answers import is_envelope
from ccs_sdk._auth import api_key_auth
from ccs_sdk._json import JSON, Value
from ccs_sdk._names import check_account, check_namespace, check_property, check_session
from ccs_sdk._options import ClientOptions, setting
from ccs_sdk._pages import DEFAULT_PAGE_SIZE, Pages
from ccs_sdk._reading import Answer, read
from ccs_sdk._transport import Transport
from ccs_sdk._ttl import ttl_second
from ccs_sdk.errors import InvalidArgumentError, NotFoundError, PropertyNotFoundError
from ccs_sdk.handles import NamespaceHandle
from ccs_sdk.models import Namespace, SessionProperties, SessionTTL
from ccs_sdk.scopes import Scopes

T = TypeVar("T")

_NO_SUCH_PROPERTY = "There is no such property; it was never saved, was deleted or has expired."


class ContextClient:
    """A client of version 1, with the account's API key.

    Threads may share it. Close it, or use it in a `with`.

    The methods here are the operations of the service. To work with one namespace or one session,
    `namespace()` and `scopes()` give handles that read better:

    ```python
    with ContextClient("http://127.0.0.1:8000", "acme", api_key="…") as client:
        call = client.namespace("airline").session("conv-1")
        call["intent"] = "rebook"
    ```

    Where a method takes `session_id`, leaving it out means the namespace itself.

    Every method raises `InvalidArgumentError` before anything is sent if a name, a number or a
    value breaks a rule; after that, one of the `StatusError` and `TransportError` classes if the
    service cannot be reached or says no.

    Args:
        base_url: Where the service is; else `CCS_URL`.
        account_id: The account; else `CCS_ACCOUNT`.
        api_key: The account's key; else `CCS_API_KEY`.
        options: See `ClientOptions`.

    Raises:
        ConfigurationError: A setting is missing or cannot work.
    """

    def __init__(
        self,
        base_url: str | None = None,
        account_id: str | None = None,
        *,
        api_key: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        self._auth = api_key_auth(setting(api_key, "api_key", "CCS_API_KEY"))
        self._transport = Transport(setting(base_url, "base_url", "CCS_URL"), **options)
        self._account_id = check_account(setting(account_id, "account_id", "CCS_ACCOUNT"))
        self._account = f"/v1/account/{self._account_id}"
        self._decimals = options.get("decimals", False)

    def __repr__(self) -> str:
        return f"ContextClient({self._transport.base_url!r}, {self._account_id!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections, unless they belong to an `http_session` of yours."""
        self._transport.close()

    # Handles

    def namespace(self, namespace: str) -> NamespaceHandle:
        """A handle of the namespace; nothing is sent."""
        return NamespaceHandle(self, check_namespace(namespace))

    def scopes(
        self, namespace: str, *, user_id: str | None = None, conversation_id: str | None = None
    ) -> Scopes:
        """Handles of a bot's scopes: global, one user's, one conversation's; nothing is sent."""
        return Scopes(self.namespace(namespace), user_id, conversation_id)

    # Namespaces

    def register_namespace(self, namespace: str, *, ttl: timedelta | int | None = None) -> None:
        """Registers a namespace, and sets its TTL if one is given.

        Registering twice is harmless, and so is not registering at all: saving a property brings
        its namespace into being.

        Args:
            namespace: Its name.
            ttl: How long properties live after each write that comes from now on, in whole seconds;
                0 is forever. None leaves what is set.
        """
        query = _paths.query(ttlSecond=None if ttl is None else ttl_second(ttl))
        self._call("POST", query, _json.encode({"name": check_namespace(namespace)}))

    def list_namespaces(self) -> list[Namespace]:
        """Every namespace that was registered or brought into being, and not deleted."""
        return self._read("", _wire.list_of(_wire.namespace))

    def delete_namespace(self, namespace: str) -> None:
        """Deletes a namespace, its properties, its sessions and every TTL in it. Absent is fine."""
        self._call("DELETE", f"/{check_namespace(namespace)}")

    # Properties

    def set_properties(
        self, namespace: str, properties: Mapping[str, JSON], *, session_id: str | None = None
    ) -> None:
        """Saves each of `properties`, all or none; those that are not named stay."""
        for name in properties:
            check_property(name)
        path = self._properties(namespace, session_id)
        self._call("PATCH", path, _json.encode(properties, wrapping=1))

    def set_property(
        self, namespace: str, name: str, value: JSON, *, session_id: str | None = None
    ) -> None:
        """Saves one property. None is a value (`null`) that is stored, not a deletion."""
        if _paths.fits_path(check_property(name)):
            path = self._property(namespace, name, session_id)
            self._call("PUT", path, _json.encode(value))
        else:
            self.set_properties(namespace, {name: value}, session_id=session_id)

    def get_properties(
        self, namespace: str, *, only: Iterable[str] | None = None, session_id: str | None = None
    ) -> dict[str, Value]:
        """Values by name: of all properties, or of those named in `only` that exist."""
        path = self._properties(namespace, session_id)
        if only is None:
            return self._read(path, _wire.properties)
        names = {check_property(name) for name in only}
        if not names:
            return {}
        query = _paths.include(sorted(names))
        found = self._read(path + (query or ""), _wire.properties)
        return {name: value for name, value in found.items() if name in names}

    def get_property(self, namespace: str, name: str, *, session_id: str | None = None) -> Value:
        """The value of one property.

        Raises:
            PropertyNotFoundError: It is not there, or has expired.
        """
        if not _paths.fits_path(check_property(name)):
            found = self.get_properties(namespace, only=[name], session_id=session_id)
            if name not in found:
                raise PropertyNotFoundError(_NO_SUCH_PROPERTY)
            return found[name]
        path = self._property(namespace, name, session_id)
        try:
            return self._read(path, _wire.anything)
        except NotFoundError as error:
            raise _property_not_found(error) from None

    def delete_properties(self, namespace: str, *, session_id: str | None = None) -> None:
        """Deletes all properties of the namespace itself or of the session, and keeps its TTL."""
        self._call("DELETE", self._properties(namespace, session_id))

    def delete_property(self, namespace: str, name: str, *, session_id: str | None = None) -> None:
        """Deletes one property. Absent is fine.

        Raises:
            InvalidArgumentError: Also for the names `.` and `..` and those that end in `/`: a path
                cannot carry them, and version 1 deletes by path only.
                `DocumentClient.delete_properties` can.
        """
        if not _paths.fits_path(check_property(name)):
            raise InvalidArgumentError(
                f"Version 1 cannot delete the property '{name}' alone, for no path can carry its"
                " name; use DocumentClient.delete_properties."
            )
        self._call("DELETE", self._property(namespace, name, session_id))

    # Sessions

    def iter_sessions(self, namespace: str, *, page_size: int = DEFAULT_PAGE_SIZE) -> Pages[str]:
        """The ids of all sessions with live properties, in order.

        `DEFAULT_SESSION` among them stands for the namespace itself.

        Args:
            namespace: Its name.
            page_size: How many to ask for at a time, 1 to 1,000.
        """
        path = f"/{check_namespace(namespace)}/session-ids"
        return self._pages(path, _wire.text, page_size, str)

    def iter_session_properties(
        self, namespace: str, *, page_size: int = DEFAULT_PAGE_SIZE
    ) -> Pages[SessionProperties]:
        """All sessions with their live properties, in the order of their ids.

        Args:
            namespace: Its name.
            page_size: How many to ask for at a time, 1 to 1,000; a session may hold 800,000
                characters.
        """
        path = f"/{check_namespace(namespace)}/session-properties"
        return self._pages(
            path, _wire.session_properties, page_size, lambda session: session.session_id
        )

    def set_session_ttl(
        self, namespace: str, session_id: str, ttl: timedelta | int | None = None
    ) -> None:
        """Sets a TTL of the session's own, which goes before the namespace's.

        Args:
            namespace: Its name.
            session_id: The session, which need not exist yet.
            ttl: How long its properties live after each write that comes from now on, in whole
                seconds; 0 is forever, whatever the namespace says. None leaves what is set.
        """
        query = _paths.query(ttlSecond=None if ttl is None else ttl_second(ttl))
        path = f"/namespace/{check_namespace(namespace)}/session"
        self._call("POST", path + query, _json.encode({"sessionId": check_session(session_id)}))

    def list_session_ttls(self, namespace: str) -> list[SessionTTL]:
        """The sessions that have a TTL of their own."""
        path = f"/namespace/{check_namespace(namespace)}/session"
        return self._read(path, _wire.list_of(_wire.session_ttl))

    def delete_session(self, namespace: str, session_id: str) -> None:
        """Deletes a session's properties and its TTL. Absent is fine."""
        session = _paths.segment(check_session(session_id))
        self._call("DELETE", f"/namespace/{check_namespace(namespace)}/session/{session}")

    def _properties(self, namespace: str, session_id: str | None) -> str:
        check_namespace(namespace)
        if session_id is None:
            return f"/{namespace}/properties"
        return f"/{namespace}/{_paths.segment(check_session(session_id))}/properties"

    def _property(self, namespace: str, name: str, session_id: str | None) -> str:
        return f"{self._properties(namespace, session_id)}/{_paths.segment(name)}"

    def _pages(
        self,
        path: str,
        read_item: Callable[[Value], T],
        page_size: int,
        session_id: Callable[[T], str],
    ) -> Pages[T]:
        def fetch(page: int, size: int, after: str | None) -> list[T]:
            query = _paths.query(page=page, perPage=size, after=after)
            return self._read(path + query, _wire.list_of(read_item))

        return Pages(fetch, page_size, session_id)

    def _read(self, path: str, convert: Callable[[Value], T]) -> T:
        return read(self._call("GET", path), convert, decimals=self._decimals)

    def _call(self, method: str, path: str, body: bytes | None = None) -> Answer:
        deadline = self._transport.deadline()
        return self._transport.call(method, self._account + path, self._auth, body, deadline)


def _property_not_found(error: NotFoundError) -> NotFoundError:
    """`error` as the absence of a property, unless it was not the service that said so."""
    if not is_envelope(error.body):
        return error
    return PropertyNotFoundError(error.message, body=error.body, request_id=error.request_id)

"""Handles that read like the model: a namespace, a session, the properties that they hold."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from ccs_sdk._json import JSON, Value
from ccs_sdk._names import check_session
from ccs_sdk._pages import DEFAULT_PAGE_SIZE, Pages
from ccs_sdk.models import FOREVER, SessionProperties, SessionTTL

if TYPE_CHECKING:
    from ccs_sdk.client import ContextClient


class PropertiesHandle:
    """The properties of one place, by method or as a mapping; each use asks the service.

    ```python
    place["intent"] = "rebook"    # set
    place["intent"]               # get, or PropertyNotFoundError, which is a KeyError
    "intent" in place
    del place["intent"]           # absent is fine, unlike with a dict
    for name in place: ...
    ```

    There is no `len()` and so no truth value, for `if place:` would ask the service.
    """

    __slots__ = ("_client", "_namespace", "_session_id")

    def __init__(self, client: "ContextClient", namespace: str, session_id: str | None) -> None:
        self._client = client
        self._namespace = namespace
        self._session_id = session_id

    def __repr__(self) -> str:
        place = (
            (self._namespace,) if self._session_id is None else (self._namespace, self._session_id)
        )
        return (
            f"{type(self).__name__}{place!r}"
            if self._session_id
            else f"{type(self).__name__}({self._namespace!r})"
        )

    def set(self, name: str, value: JSON) -> None:
        """Saves one property."""
        self._client.set_property(self._namespace, name, value, session_id=self._session_id)

    def update(self, properties: Mapping[str, JSON]) -> None:
        """Saves several properties, all or none, in one request; the others stay."""
        self._client.set_properties(self._namespace, properties, session_id=self._session_id)

    def get(self, name: str, default: Value = None) -> Value:
        """The value of one property, or `default` if it is not there."""
        # Not by a path: its 404 may also mean a wrong base_url, which must not pass for absence.
        return self.only([name]).get(name, default)

    def all(self) -> dict[str, Value]:
        """Every property, by name."""
        return self._client.get_properties(self._namespace, session_id=self._session_id)

    def only(self, names: Iterable[str]) -> dict[str, Value]:
        """Those properties of `names` that exist, in one request."""
        return self._client.get_properties(self._namespace, only=names, session_id=self._session_id)

    def delete(self, name: str) -> None:
        """Deletes one property, see `ContextClient.delete_property`. Absent is fine."""
        self._client.delete_property(self._namespace, name, session_id=self._session_id)

    def clear(self) -> None:
        """Deletes all properties of this place, and keeps its TTL."""
        self._client.delete_properties(self._namespace, session_id=self._session_id)

    def __getitem__(self, name: str) -> Value:
        return self._client.get_property(self._namespace, name, session_id=self._session_id)

    def __setitem__(self, name: str, value: JSON) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        self.delete(name)

    def __contains__(self, name: str) -> bool:
        return bool(self.only([name]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.all())


class SessionHandle(PropertiesHandle):
    """One session of a namespace: what belongs to one conversation, user or task."""

    __slots__ = ()

    _session_id: str

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self._session_id

    @property
    def ttl(self) -> timedelta | None:
        """The session's own TTL, which may be `FOREVER` (zero); None: the namespace's is in force.

        Setting it takes a timedelta or whole seconds. It counts from the next write of each
        property.
        """
        for session in self._client.list_session_ttls(self._namespace):
            if session.session_id == self._session_id:
                return session.ttl
        return None

    @ttl.setter
    def ttl(self, ttl: timedelta | int) -> None:
        self._client.set_session_ttl(self._namespace, self._session_id, ttl)

    def drop(self) -> None:
        """Deletes the session: its properties and its TTL."""
        self._client.delete_session(self._namespace, self._session_id)


class NamespaceHandle(PropertiesHandle):
    """One namespace: its own properties, and the way to its sessions."""

    __slots__ = ()

    def __init__(self, client: "ContextClient", namespace: str) -> None:
        super().__init__(client, namespace, None)

    @property
    def name(self) -> str:
        """The namespace's name."""
        return self._namespace

    def session(self, session_id: str) -> SessionHandle:
        """A handle of one of its sessions, which need not exist yet; nothing is sent."""
        return SessionHandle(self._client, self._namespace, check_session(session_id))

    @property
    def ttl(self) -> timedelta:
        """The namespace's TTL; `FOREVER` (zero) if none is set.

        Setting it takes a timedelta or whole seconds. It counts from the next write of each
        property.
        """
        for namespace in self._client.list_namespaces():
            if namespace.name == self._namespace:
                return namespace.ttl
        return FOREVER

    @ttl.setter
    def ttl(self, ttl: timedelta | int) -> None:
        self._client.register_namespace(self._namespace, ttl=ttl)

    def register(self, *, ttl: timedelta | int | None = None) -> None:
        """Registers the namespace, and sets its TTL if one is given."""
        self._client.register_namespace(self._namespace, ttl=ttl)

    def iter_sessions(self, *, page_size: int = DEFAULT_PAGE_SIZE) -> Pages[str]:
        """The ids of all its sessions with live properties, in order."""
        return self._client.iter_sessions(self._namespace, page_size=page_size)

    def iter_session_properties(
        self, *, page_size: int = DEFAULT_PAGE_SIZE
    ) -> Pages[SessionProperties]:
        """All its sessions with their live properties, in the order of their ids."""
        return self._client.iter_session_properties(self._namespace, page_size=page_size)

    def list_session_ttls(self) -> list[SessionTTL]:
        """Its sessions that have a TTL of their own."""
        return self._client.list_session_ttls(self._namespace)

    def drop(self) -> None:
        """Deletes the namespace: its properties, those of all its sessions, and every TTL in it."""
        self._client.delete_namespace(self._namespace)

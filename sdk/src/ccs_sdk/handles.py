"""Handles of a namespace, of a session, and of their properties."""

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from datetime import timedelta
from typing import Final

from ccs_sdk import _json, _paths, _wire
from ccs_sdk._json import JSON, JSONObject, Value
from ccs_sdk._names import Names, check_namespace, check_properties, check_property, check_session
from ccs_sdk._pages import DEFAULT_PAGE_SIZE, Pages
from ccs_sdk._responses import is_envelope
from ccs_sdk._ttl import whole_seconds
from ccs_sdk._v1 import Account
from ccs_sdk.errors import InvalidArgumentError, NotFoundError, PropertyNotFoundError
from ccs_sdk.models import FOREVER, SessionProperties, SessionTTL

_NO_SUCH_PROPERTY = "There is no such property; it was never saved, was deleted or has expired."
_REQUIRED: Final = object()


class PropertiesHandle:
    """The properties of a session, or a namespace's own. Each use sends a request.

    It can be used like a mapping:

    ```python
    place["intent"] = "rebook"    # saves
    place["intent"]               # reads, or raises PropertyNotFoundError, which is a KeyError
    "intent" in place
    del place["intent"]           # no error if it does not exist, unlike a dict
    for name in place: ...
    place.items()                 # also keys() and values(): a snapshot at the time of the call
    ```

    `dict(place)` sends one request for each property; `all()` returns the same with one request. There
    is no `len()` and so no truth value, because `if place:` would send a request.
    """

    __slots__ = ("_account", "_namespace", "_path", "_session_id")

    def __init__(self, account: Account, namespace: str, session_id: str | None) -> None:
        self._account = account
        self._namespace = check_namespace(namespace)
        self._session_id = None if session_id is None else check_session(session_id)
        place = [name for name in (self._namespace, self._session_id) if name is not None]
        self._path = "".join(f"/{_paths.segment(name)}" for name in place) + "/properties"

    def __repr__(self) -> str:
        place = [repr(name) for name in (self._namespace, self._session_id) if name is not None]
        return f"{type(self).__name__}({', '.join(place)})"

    def set(self, name: str, value: JSON) -> None:
        """Saves one property. None is stored as the value `null`."""
        if _paths.fits_path(check_property(name)):
            self._account.write("PUT", self._property(name), _json.encode(value))
        else:
            self.update({name: value})

    def update(self, properties: JSONObject) -> None:
        """Saves several properties atomically, in one request. Others are not changed."""
        _json.check_object(properties)
        self._account.write("PATCH", self._path, _json.encode(properties, wrapping=1))

    def get(self, name: str, default: Value = None) -> Value:
        """Returns the value of one property, or `default` if it does not exist."""
        # The path of the property is not used: a 404 may also mean a wrong base_url, which must not be
        # treated as absence.
        return self.only([name]).get(name, default)

    def all(self) -> dict[str, Value]:
        """Returns all properties, as values by name."""
        return self._account.read(self._path, _wire.properties)

    def only(self, names: Names) -> dict[str, Value]:
        """Returns the properties in `names` that exist, with one request."""
        wanted = set(check_properties(names))
        if not wanted:
            return {}
        query = _paths.include(sorted(wanted))
        found = self._account.read(self._path + (query or ""), _wire.properties)
        return {name: value for name, value in found.items() if name in wanted}

    def delete(self, name: str) -> None:
        """Deletes one property, if it exists.

        Raises:
            InvalidArgumentError: The name is invalid, or it is `.` or `..`. No path can contain these
                two, and version 1 deletes by path. Use `DocumentClient.delete_properties`.
        """
        if not _paths.fits_path(check_property(name)):
            raise InvalidArgumentError(
                f"Version 1 cannot delete the property '{name}' by itself, because no path can"
                " contain its name; use DocumentClient.delete_properties."
            )
        self._account.write("DELETE", self._property(name))

    def clear(self) -> None:
        """Deletes all properties of the session, or the namespace's own, and keeps the TTL."""
        self._account.write("DELETE", self._path)

    def keys(self) -> KeysView[str]:
        """Returns the names of all properties, read at the time of the call."""
        return self.all().keys()

    def values(self) -> ValuesView[Value]:
        """Returns the values of all properties, read at the time of the call."""
        return self.all().values()

    def items(self) -> ItemsView[str, Value]:
        """Returns all properties with their values, read at the time of the call."""
        return self.all().items()

    def pop(self, name: str, default: Value = _REQUIRED) -> Value:
        """Deletes one property and returns its value, or `default` if it does not exist.

        It sends two requests, so two concurrent callers may both get the value.

        Raises:
            PropertyNotFoundError: It does not exist, and no default was given.
        """
        value = self[name] if default is _REQUIRED else self.get(name, _REQUIRED)
        if value is _REQUIRED:
            return default
        self.delete(name)
        return value

    def setdefault(self, name: str, default: JSON = None) -> Value:
        """Returns the value of one property, and saves `default` first if it does not exist.

        It then sends two requests, so two concurrent callers may both save, and the last one wins.
        """
        value = self.get(name, _REQUIRED)
        if value is not _REQUIRED:
            return value
        self.set(name, default)
        return default

    def __getitem__(self, name: str) -> Value:
        if not _paths.fits_path(check_property(name)):
            value = self.get(name, _REQUIRED)
            if value is _REQUIRED:
                raise PropertyNotFoundError(_NO_SUCH_PROPERTY)
            return value
        try:
            return self._account.read(self._property(name), _wire.anything)
        except NotFoundError as error:
            failure = _property_not_found(error)
        raise failure

    def __setitem__(self, name: str, value: JSON) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        self.delete(name)

    def __contains__(self, name: str) -> bool:
        return bool(self.only([name]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.all())

    def _property(self, name: str) -> str:
        return f"{self._path}/{_paths.segment(name)}"


class SessionHandle(PropertiesHandle):
    """One session of a namespace, for example a conversation, a user or a task."""

    __slots__ = ()

    _session_id: str

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self._session_id

    @property
    def ttl(self) -> timedelta | None:
        """The session's TTL, or None if it has none and the namespace's TTL is in force.

        Set it to a timedelta or whole seconds; `FOREVER` (zero) means forever, even if the namespace
        has a TTL. It applies from the next write of each property. None cannot be set, because
        the service removes a session's TTL only together with the session.
        """
        for session in self._account.list_session_ttls(self._namespace):
            if session.session_id == self._session_id:
                return session.ttl
        return None

    @ttl.setter
    def ttl(self, ttl: timedelta | int) -> None:
        _refuse_none(ttl, "A session's TTL", "set FOREVER, or drop() the session")
        self._account.set_session_ttl(self._namespace, self._session_id, ttl)

    def drop(self) -> None:
        """Deletes the session: its properties and its TTL."""
        path = _paths.session_ttls(self._namespace)
        self._account.write("DELETE", f"{path}/{_paths.segment(self._session_id)}")


class NamespaceHandle(PropertiesHandle):
    """One namespace: its own properties, its sessions and its TTL."""

    __slots__ = ()

    def __init__(self, account: Account, namespace: str) -> None:
        super().__init__(account, namespace, None)

    @property
    def name(self) -> str:
        """The namespace's name."""
        return self._namespace

    def session(self, session_id: str) -> SessionHandle:
        """Returns a handle of a session, which need not exist yet, without sending a request."""
        return SessionHandle(self._account, self._namespace, session_id)

    @property
    def ttl(self) -> timedelta:
        """The namespace's TTL, or `FOREVER` (zero) if it has none.

        Set it to a timedelta or whole seconds. It applies from the next write of each property.
        """
        for namespace in self._account.list_namespaces():
            if namespace.name == self._namespace:
                return namespace.ttl
        return FOREVER

    @ttl.setter
    def ttl(self, ttl: timedelta | int) -> None:
        _refuse_none(ttl, "A namespace's TTL", "set FOREVER, which removes it")
        self.register(ttl=ttl)

    def register(self, *, ttl: timedelta | int | None = None) -> None:
        """Registers the namespace, and sets its TTL if one is given."""
        query = _paths.query(ttlSecond=None if ttl is None else whole_seconds(ttl))
        self._account.write("POST", query, _json.encode({"name": self._namespace}))

    def iter_sessions(self, *, page_size: int = DEFAULT_PAGE_SIZE) -> Pages[str]:
        """Returns the ids of all sessions with live properties, in order."""
        path = f"/{_paths.segment(self._namespace)}/session-ids"
        return self._account.pages(path, _wire.text, page_size, str)

    def iter_session_properties(
        self, *, page_size: int = DEFAULT_PAGE_SIZE
    ) -> Pages[SessionProperties]:
        """Returns all sessions with their live properties, in the order of their ids."""
        path = f"/{_paths.segment(self._namespace)}/session-properties"
        return self._account.pages(
            path, _wire.session_properties, page_size, lambda session: session.session_id
        )

    def list_session_ttls(self) -> list[SessionTTL]:
        """Returns the sessions that have a TTL."""
        return self._account.list_session_ttls(self._namespace)

    def drop(self) -> None:
        """Deletes the namespace with its properties, sessions and TTLs."""
        self._account.write("DELETE", f"/{_paths.segment(self._namespace)}")


def _refuse_none(ttl: object, whose: str, instead: str) -> None:
    if ttl is None:
        raise InvalidArgumentError(f"{whose} cannot be set to None; {instead}.")


def _property_not_found(error: NotFoundError) -> NotFoundError:
    """Returns a PropertyNotFoundError if the 404 is the service's, and `error` if it is a proxy's."""
    if not is_envelope(error.body):
        return error
    return PropertyNotFoundError(
        error.message, body=error.body, request_id=error.request_id, retry_after=error.retry_after
    )

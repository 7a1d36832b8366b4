"""Handles that read like the model: a namespace, a session, the properties that they hold."""

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from datetime import timedelta
from typing import Final

from ccs_sdk import _json, _paths, _wire
from ccs_sdk._answers import is_envelope
from ccs_sdk._json import JSON, JSONObject, Value
from ccs_sdk._names import Names, check_namespace, check_properties, check_property, check_session
from ccs_sdk._pages import DEFAULT_PAGE_SIZE, Pages
from ccs_sdk._ttl import whole_seconds
from ccs_sdk._v1 import Account
from ccs_sdk.errors import InvalidArgumentError, NotFoundError, PropertyNotFoundError
from ccs_sdk.models import FOREVER, SessionProperties, SessionTTL

_NO_SUCH_PROPERTY = "There is no such property; it was never saved, was deleted or has expired."
_REQUIRED: Final = object()


class PropertiesHandle:
    """The properties of one place, by method or as a mapping; each use asks the service.

    ```python
    place["intent"] = "rebook"    # set
    place["intent"]               # get, or PropertyNotFoundError, which is a KeyError
    "intent" in place
    del place["intent"]           # absent is fine, unlike with a dict
    for name in place: ...
    place.items()                 # keys() and values() too: what was there when they were called
    ```

    `dict(place)` makes one request for each property; `all()` is the same in one request. There is
    no `len()` and so no truth value, for `if place:` would ask the service.
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
        """Saves one property. None is a value (`null`) that is stored, not a deletion."""
        if _paths.fits_path(check_property(name)):
            self._account.write("PUT", self._property(name), _json.encode(value))
        else:
            self.update({name: value})

    def update(self, properties: JSONObject) -> None:
        """Saves several properties, all or none, in one request; the others stay."""
        _json.check_object(properties)
        self._account.write("PATCH", self._path, _json.encode(properties, wrapping=1))

    def get(self, name: str, default: Value = None) -> Value:
        """The value of one property, or `default` if it is not there."""
        # Not by a path: its 404 may also mean a wrong base_url, which must not pass for absence.
        return self.only([name]).get(name, default)

    def all(self) -> dict[str, Value]:
        """Every property, by name."""
        return self._account.read(self._path, _wire.properties)

    def only(self, names: Names) -> dict[str, Value]:
        """Those properties of `names` that exist, in one request."""
        wanted = set(check_properties(names))
        if not wanted:
            return {}
        query = _paths.include(sorted(wanted))
        found = self._account.read(self._path + (query or ""), _wire.properties)
        return {name: value for name, value in found.items() if name in wanted}

    def delete(self, name: str) -> None:
        """Deletes one property. Absent is fine.

        Raises:
            InvalidArgumentError: Also for the names `.` and `..`: a path cannot carry them, and
                version 1 deletes by path only. `DocumentClient.delete_properties` can.
        """
        if not _paths.fits_path(check_property(name)):
            raise InvalidArgumentError(
                f"Version 1 cannot delete the property '{name}' alone, for no path can carry its"
                " name; use DocumentClient.delete_properties."
            )
        self._account.write("DELETE", self._property(name))

    def clear(self) -> None:
        """Deletes all properties of this place, and keeps its TTL."""
        self._account.write("DELETE", self._path)

    def keys(self) -> KeysView[str]:
        """The names of all properties, read now."""
        return self.all().keys()

    def values(self) -> ValuesView[Value]:
        """The values of all properties, read now."""
        return self.all().values()

    def items(self) -> ItemsView[str, Value]:
        """All properties with their values, read now."""
        return self.all().items()

    def pop(self, name: str, default: Value = _REQUIRED) -> Value:
        """Deletes one property and returns its value, or `default` if it is not there.

        These are two requests: two callers may both get the value.

        Raises:
            PropertyNotFoundError: It is not there, and no default was given.
        """
        value = self[name] if default is _REQUIRED else self.get(name, _REQUIRED)
        if value is _REQUIRED:
            return default
        self.delete(name)
        return value

    def setdefault(self, name: str, default: JSON = None) -> Value:
        """The value of one property, which is set to `default` first if it is not there.

        These are two requests if it is not: of two callers, both may set it, and the last one wins.
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
        property. None cannot be set: the service takes a session's TTL away only with the session.
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
    """One namespace: its own properties, and the way to its sessions."""

    __slots__ = ()

    def __init__(self, account: Account, namespace: str) -> None:
        super().__init__(account, namespace, None)

    @property
    def name(self) -> str:
        """The namespace's name."""
        return self._namespace

    def session(self, session_id: str) -> SessionHandle:
        """A handle of one of its sessions, which need not exist yet; nothing is sent."""
        return SessionHandle(self._account, self._namespace, session_id)

    @property
    def ttl(self) -> timedelta:
        """The namespace's TTL; `FOREVER` (zero) if none is set.

        Setting it takes a timedelta or whole seconds. It counts from the next write of each
        property.
        """
        for namespace in self._account.list_namespaces():
            if namespace.name == self._namespace:
                return namespace.ttl
        return FOREVER

    @ttl.setter
    def ttl(self, ttl: timedelta | int) -> None:
        _refuse_none(ttl, "A namespace's TTL", "set FOREVER, which is none")
        self.register(ttl=ttl)

    def register(self, *, ttl: timedelta | int | None = None) -> None:
        """Registers the namespace, and sets its TTL if one is given."""
        query = _paths.query(ttlSecond=None if ttl is None else whole_seconds(ttl))
        self._account.write("POST", query, _json.encode({"name": self._namespace}))

    def iter_sessions(self, *, page_size: int = DEFAULT_PAGE_SIZE) -> Pages[str]:
        """The ids of all its sessions with live properties, in order."""
        path = f"/{_paths.segment(self._namespace)}/session-ids"
        return self._account.pages(path, _wire.text, page_size, str)

    def iter_session_properties(
        self, *, page_size: int = DEFAULT_PAGE_SIZE
    ) -> Pages[SessionProperties]:
        """All its sessions with their live properties, in the order of their ids."""
        path = f"/{_paths.segment(self._namespace)}/session-properties"
        return self._account.pages(
            path, _wire.session_properties, page_size, lambda session: session.session_id
        )

    def list_session_ttls(self) -> list[SessionTTL]:
        """Its sessions that have a TTL of their own."""
        return self._account.list_session_ttls(self._namespace)

    def drop(self) -> None:
        """Deletes the namespace: its properties, those of all its sessions, and every TTL in it."""
        self._account.write("DELETE", f"/{_paths.segment(self._namespace)}")


def _refuse_none(ttl: object, whose: str, instead: str) -> None:
    if ttl is None:
        raise InvalidArgumentError(f"{whose} cannot be set to None; {instead}.")


def _property_not_found(error: NotFoundError) -> NotFoundError:
    """The service's own "not found" is about the property; any other, a proxy's, is not."""
    if not is_envelope(error.body):
        return error
    return PropertyNotFoundError(
        error.message, body=error.body, request_id=error.request_id, retry_after=error.retry_after
    )

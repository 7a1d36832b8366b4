# Generated from aio/properties.py by sdk/generate.py. Edit that file.
"""The properties of a session or a namespace: what both handles share."""

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Final, TypeVar, overload

from ccs_sdk import _json, _ops, _paths, _wire
from ccs_sdk._json import JSON, JSONObject, Value
from ccs_sdk._mapping import MappingSyntax
from ccs_sdk._names import Names, check_namespace, check_properties, check_property, check_session
from ccs_sdk._operations import Operations
from ccs_sdk._ops import REQUIRED, Place
from ccs_sdk._responses import absent_or_elsewhere, property_not_found
from ccs_sdk._ttl import TTLOrKeep
from ccs_sdk._typed import as_type
from ccs_sdk._v1 import Account
from ccs_sdk.errors import InvalidArgumentError, NotFoundError

T = TypeVar("T")
D = TypeVar("D")

_ABSENT: Final = object()


class PropertiesHandle(Operations, MappingSyntax):
    """The properties of a session, or a namespace's own. Each use sends a request.

    ```python
    place["intent"] = "rebook"  # saves
    place["intent"]  # reads, or raises PropertyNotFoundError, which is a KeyError
    "intent" in place
    del place["intent"]  # no error if it does not exist, unlike a dict
    for name in place: ...
    place.items()  # also keys() and values(): a snapshot at the time of the call
    ```

    `dict(place)` sends one request for each property; `all()` returns the same with one request. There
    is no `len()` and so no truth value, because `if place:` would send a request.

    Writes with a condition, a `ttl` or a `fence`, and those that change a part of a value, are
    operations of the extension. Each is sent with an idempotency key, so a retry does not perform
    it twice.
    """

    __slots__ = ("_account", "_namespace", "_path", "_session_id")

    def __init__(self, account: Account, namespace: str, session_id: str | None) -> None:
        self._account = account
        self._namespace = check_namespace(namespace)
        self._session_id = None if session_id is None else check_session(session_id)
        place = [name for name in (self._namespace, self._session_id) if name is not None]
        self._path = "".join(f"/{_paths.segment(name)}" for name in place) + "/properties"
        default = account.transport.options.default
        super().__init__(account.extension, Place(self._namespace, self._session_id, default))

    def __repr__(self) -> str:
        place = [repr(name) for name in (self._namespace, self._session_id) if name is not None]
        return f"{type(self).__name__}({', '.join(place)})"

    def set(  # noqa: PLR0913 - every option is written out
        self,
        name: str,
        value: JSON,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
        ttl: TTLOrKeep | None = None,
        fence: int | None = None,
    ) -> str | None:
        """Saves one property. None is stored as the value `null`.

        Args:
            name: The name of the property.
            value: The value.
            if_match: Save only if the stored property has this entity tag (`read(name).etag`), or one
                of several, separated by commas; `*` if there is one at all.
            if_none_match: Save only if it has none of these; `*` only if there is none.
            ttl: How long the property lives, as a timedelta or in whole seconds; 0 means forever.
                "keep" leaves its expiry as it is. None applies the TTL in force. It is not
                remembered: the next save without it applies the TTL in force.
            fence: Save only while the session's lease has this fence.

        Returns:
            The new entity tag, or None if no option was given.

        Raises:
            PreconditionFailedError: A condition does not hold; `current` is what is stored.
            LeaseLostError: The lease no longer has the fence.
        """
        more = self._terms(if_match=if_match, if_none_match=if_none_match, ttl=ttl, fence=fence)
        if more:
            return self._run(_ops.set_one(self._place, name, value, more))
        if _paths.fits_path(check_property(name)):
            self._account.write("PUT", self._property(name), self._account.encode(value))
        else:
            self.update({name: value})
        return None

    def update(
        self,
        properties: JSONObject,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
        ttl: TTLOrKeep | None = None,
        fence: int | None = None,
    ) -> None:
        """Saves several properties atomically, in one request. Others are not changed.

        The conditions are about all properties of the session together: `if_none_match="*"` saves
        only if it has none. For `ttl`, `fence` and the errors see `set`.
        """
        more = self._terms(if_match=if_match, if_none_match=if_none_match, ttl=ttl, fence=fence)
        if more:
            self._run(_ops.set_all(self._place, properties, more))
            return
        _json.check_object(properties)
        self._account.write("PATCH", self._path, self._account.encode(properties, wrapping=1))

    @overload
    def get(self, name: str, default: Value = None, *, pointer: str | None = None) -> Value: ...

    @overload
    def get(
        self, name: str, default: None = None, *, pointer: str | None = None, type: type[T]
    ) -> T | None: ...

    @overload
    def get(self, name: str, default: D, *, pointer: str | None = None, type: type[T]) -> T | D: ...

    def get(
        self,
        name: str,
        default: Value = None,
        *,
        pointer: str | None = None,
        type: type[T] | None = None,  # noqa: A002 - reads well where it is called
    ) -> Value:
        """Returns the value of one property, or `default` if it does not exist.

        Args:
            name: The name of the property.
            default: What is returned if there is no such property, or no such part of it.
            pointer: The part of the value to return, as a JSON pointer (RFC 6901): `/items/0/price`.
            type: The type of the value. `str`, `bool`, `int`, `float`, `list`, `dict` and pydantic's
                models need nothing else; dataclasses, `TypedDict`s, datetimes, enums and types like
                `list[int]` are converted by msgspec (`ccs-sdk[typed]`). None returns any value as it is.

        Raises:
            UnexpectedValueError: The value is not of this type.
        """
        if pointer is not None:
            value = self._run(_ops.get(self._place, name, _ABSENT, pointer))
        else:
            # The path of the property is not used: a 404 may also mean a wrong base_url, which must not
            # be treated as absence.
            found = self.only([name])
            value = found.get(name, _ABSENT)
        if value is _ABSENT:
            return default
        return value if type is None else as_type(value, type, f"The property {name!r}")

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

    def delete(self, name: str, *, if_match: str | None = None, fence: int | None = None) -> None:
        """Deletes one property, if it exists.

        Args:
            name: The name of the property.
            if_match: Delete only if the stored property has this entity tag; see `set`.
            fence: Delete only while the session's lease has this fence.

        Raises:
            InvalidArgumentError: The name is invalid, or it is `.` or `..`. No path can contain these
                two, and version 1 deletes by path. Use `DocumentClient.delete_properties`.
            PreconditionFailedError: The condition does not hold; `current` is what is stored.
            LeaseLostError: The lease no longer has the fence.
        """
        more = self._terms(if_match=if_match, fence=fence)
        if more:
            self._run(_ops.delete(self._place, name, more))
            return
        if not _paths.fits_path(check_property(name)):
            raise InvalidArgumentError(
                f"Version 1 cannot delete the property '{name}' by itself, because no path can"
                " contain its name; use DocumentClient.delete_properties."
            )
        self._account.write("DELETE", self._property(name))

    def clear(self, *, if_match: str | None = None, fence: int | None = None) -> None:
        """Deletes all properties of the session, or the namespace's own, and keeps the TTL.

        The condition is about all properties together; for it and `fence` see `update`.
        """
        more = self._terms(if_match=if_match, fence=fence)
        if more:
            self._run(_ops.delete_all(self._place, None, more))
        else:
            self._account.write("DELETE", self._path)

    def keys(self) -> KeysView[str]:
        """Returns the names of all properties, read at the time of the call."""
        everything = self.all()
        return everything.keys()

    def values(self) -> ValuesView[Value]:
        """Returns the values of all properties, read at the time of the call."""
        everything = self.all()
        return everything.values()

    def items(self) -> ItemsView[str, Value]:
        """Returns all properties with their values, read at the time of the call."""
        everything = self.all()
        return everything.items()

    def pop(self, name: str, default: Value = REQUIRED) -> Value:
        """Deletes one property and returns its value, or `default` if it does not exist.

        It sends two requests, so two concurrent callers may both get the value.

        Raises:
            PropertyNotFoundError: It does not exist, and no default was given.
        """
        value = self[name] if default is REQUIRED else self.get(name, REQUIRED)
        if value is REQUIRED:
            return default
        self.delete(name)
        return value

    def setdefault(self, name: str, default: JSON = None) -> Value:
        """Returns the value of one property, and saves `default` first if it does not exist.

        It then sends two requests, so two concurrent callers may both save, and the last one wins.
        """
        value = self.get(name, REQUIRED)
        if value is not REQUIRED:
            return value
        self.set(name, default)
        return default

    def __getitem__(self, name: str) -> Value:
        if not _paths.fits_path(check_property(name)):
            value = self.get(name, REQUIRED)
            if value is REQUIRED:
                raise property_not_found()
            return value
        try:
            return self._account.read(self._property(name), _wire.anything)
        except NotFoundError as error:
            failure = absent_or_elsewhere(error)
        raise failure

    def has(self, name: str) -> bool:
        """Returns whether a property exists."""
        return bool(self.only([name]))

    def __iter__(self) -> Iterator[str]:
        for name in self.all():
            yield name

    def _property(self, name: str) -> str:
        return f"{self._path}/{_paths.segment(name)}"

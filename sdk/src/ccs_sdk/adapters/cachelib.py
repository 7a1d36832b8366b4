"""A cache of cachelib, and with it of Flask-Session and Flask-Caching: `pip install 'ccs-sdk[cachelib]'`.

Each entry is a session of one namespace, with one property, `value`, so entries do not share the size limit of a
document. Integers are stored as numbers, so that `inc` and `dec` are exact. Everything else is stored as text, as
cachelib's serializer writes it: pickle, unless `serializer` is replaced.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial
from pickle import PicklingError
from typing import Any, Final

from cachelib import BaseCache
from cachelib.serializers import BaseSerializer

from ccs_sdk import BatchProperties, ContextClient, Result, SessionHandle
from ccs_sdk._json import JSON, Value
from ccs_sdk.adapters._entries import completed, perform, session_id

_VALUE: Final = "value"


class ContextCache(BaseCache):
    """A cache in a namespace of its own: `clear` deletes the namespace.

    Args:
        client: The client to send with. It stays open.
        namespace: The namespace of the entries.
        default_timeout: How long an entry lives, unless `set` says otherwise, in seconds or as a timedelta;
            0 means forever.
    """

    serializer = BaseSerializer()

    def __init__(
        self,
        client: ContextClient,
        namespace: str = "cache",
        default_timeout: int | timedelta = 300,
    ) -> None:
        super().__init__(default_timeout)
        self._client = client
        self._namespace = client.namespace(namespace)

    def get(self, key: str) -> Any:  # noqa: ANN401 - any value was stored
        """Returns the value of an entry, or None."""
        return self._load(self._entry(key).get(_VALUE))

    def get_many(self, *keys: str) -> list[Any]:
        """Returns the values of the entries, or None where there is none. It sends a request for 100 of them."""
        values = self._perform(keys, lambda _, entry: entry.get(_VALUE))
        return [self._load(value) for value in values]

    def set(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:  # noqa: ANN401
        """Saves an entry."""
        self._entry(key).set(_VALUE, self._dump(value), ttl=self._normalize_timeout(timeout))
        return True

    def add(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:  # noqa: ANN401
        """Saves an entry only if it does not exist. Of several concurrent callers, one gets true."""
        entry = self._entry(key)
        return entry.create(_VALUE, self._dump(value), ttl=self._normalize_timeout(timeout))

    def set_many(
        self, mapping: Mapping[str, Any], timeout: int | timedelta | None = None
    ) -> list[Any]:
        """Saves entries, with a request for 100 of them. Returns the keys."""
        ttl = self._normalize_timeout(timeout)
        values = {key: self._dump(value) for key, value in mapping.items()}
        self._perform(values, lambda key, entry: entry.set(_VALUE, values[key], ttl=ttl))
        return list(mapping)

    def delete(self, key: str) -> bool:
        """Deletes an entry. Returns whether it existed."""
        return self._delete([key]) == [1]

    def delete_many(self, *keys: str) -> list[Any]:
        """Deletes entries, with a request for 100 of them. Returns the keys."""
        self._delete(keys)
        return list(keys)

    def has(self, key: str) -> bool:
        """Returns whether an entry exists."""
        return self._entry(key).has(_VALUE)

    def clear(self) -> bool:
        """Deletes all entries."""
        self._namespace.drop()
        return True

    def inc(self, key: str, delta: int = 1) -> int | None:
        """Adds to an integer, from 0 if it does not exist, and returns the sum. Concurrent calls all count."""
        return int(self._entry(key).increment(_VALUE, delta, ttl=self.default_timeout))

    def dec(self, key: str, delta: int = 1) -> int | None:
        """Subtracts from an integer, as `inc` adds."""
        return self.inc(key, -delta)

    def _entry(self, key: str) -> SessionHandle:
        return self._namespace.session(session_id("entry", key))

    def _delete(self, keys: Iterable[str]) -> list[int]:
        return self._perform(keys, lambda _, entry: entry.delete(_VALUE))

    def _perform(
        self, keys: Iterable[str], add: Callable[[str, BatchProperties], Result[Any]]
    ) -> list[Any]:
        work = [(session_id("entry", key), partial(add, key)) for key in keys]
        return completed(perform(self._client, self._namespace.name, work))

    def _dump(self, value: object) -> JSON:
        if type(value) is int:  # not a bool
            return value
        text = self.serializer.dumps(value)
        if text is None:
            raise PicklingError(f"The serializer refused a {type(value).__name__}.")
        return b64encode(text).decode()

    def _load(self, stored: Value) -> Any:  # noqa: ANN401
        return self.serializer.loads(b64decode(stored)) if isinstance(stored, str) else stored


def flask_cache(
    namespace: str = "cache", *, default_timeout: int = 300, **_unused: object
) -> ContextCache:
    """Makes the cache of Flask-Caching (`CACHE_TYPE`), with a client from the environment."""
    return ContextCache(ContextClient(), namespace, default_timeout)

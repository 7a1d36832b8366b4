"""The state of a bot of the Bot Framework, as its `Storage`: `pip install 'ccs-sdk[botbuilder]'`.

Each item is a session of one namespace, with one property, `item`: the JSON that jsonpickle makes of it. The `e_tag`
of an item is the entity tag of this property. Microsoft ended the support of the framework in December 2025.
"""

# pyright: reportMissingTypeStubs=false

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from botbuilder.core import Storage
from jsonpickle.pickler import Pickler
from jsonpickle.unpickler import Unpickler

from ccs_sdk import BatchProperties, InvalidArgumentError, Result
from ccs_sdk.adapters._entries import parts, session_id
from ccs_sdk.aio import AsyncBatch, AsyncContextClient

_ITEM: Final = "item"
_E_TAG: Final = "e_tag"


class ContextStorage(Storage):
    """A storage in a namespace of its own.

    An item whose `e_tag` is missing, None or `*` is saved unconditionally. With another `e_tag` it is saved only if
    that is still the stored item's, and then gets its new one, so that a turn may save it again.

    Args:
        client: The client to send with. It stays open.
        namespace: The namespace of the items.
        ttl: How long an item lives after it was saved, as a timedelta or in whole seconds; 0 means forever. None
            applies the TTL of the namespace.
    """

    def __init__(
        self,
        client: AsyncContextClient,
        namespace: str = "bot-state",
        *,
        ttl: timedelta | int | None = None,
    ) -> None:
        self._client = client
        self._namespace = client.namespace(namespace).name
        self._ttl = ttl

    async def read(self, keys: Iterable[str]) -> dict[str, Any]:
        """Returns the items that exist, by their keys. It sends a request for 100 of them."""
        items: dict[str, Any] = {}
        for part in parts(_given(keys, "Keys are required when reading")):
            async with self._client.batch() as batch:
                results = [(key, self._in(batch, key).read(_ITEM)) for key in part]
            for key, result in results:
                if result.error is None:  # else there is none
                    item = result.value
                    items[key] = _restored({**item.value, _E_TAG: item.etag})
        return items

    async def write(self, changes: Mapping[str, Any]) -> None:
        """Saves items by their keys. It sends a request for 100 of them, which saves all or none.

        Raises:
            PreconditionFailedError: The stored item has another `e_tag`, or there is none.
        """
        for part in parts(_given(changes, "Changes are required when writing")):
            async with self._client.batch() as batch:
                results = [(key, self._save(batch, key, changes[key])) for key in part]
            for key, result in results:
                if _condition(changes[key]) is not None:
                    _set_e_tag(changes[key], result.value)

    async def delete(self, keys: Iterable[str]) -> None:
        """Deletes the items that exist. It sends a request for 100 of them."""
        for part in parts(_given(keys, "Keys are required when deleting")):
            async with self._client.batch() as batch:
                for key in part:
                    self._in(batch, key).delete(_ITEM)

    def _in(self, batch: AsyncBatch, key: str) -> BatchProperties:
        return batch.session(self._namespace, session_id("item", key))

    def _save(self, batch: AsyncBatch, key: str, item: Any) -> Result[str]:  # noqa: ANN401
        return self._in(batch, key).set(
            _ITEM, _flat(item), if_match=_condition(item), ttl=self._ttl
        )


def _given(keys: Iterable[str] | None, otherwise: str) -> list[str]:
    if keys is None:
        raise InvalidArgumentError(otherwise)
    return list(keys)


def _flat(item: Any) -> dict[str, Any]:  # noqa: ANN401 - any class of the bot's
    pickler: Any = Pickler()
    return {name: value for name, value in pickler.flatten(item).items() if name != _E_TAG}


def _restored(flat: Mapping[str, Any]) -> Any:  # noqa: ANN401
    unpickler: Any = Unpickler()
    return unpickler.restore(flat)


def _condition(item: Any) -> str | None:  # noqa: ANN401
    """Returns the entity tag that the stored item must have, or None."""
    e_tag: str | None = item.get(_E_TAG) if _is_dict(item) else getattr(item, _E_TAG, None)
    if e_tag == "":
        raise InvalidArgumentError(
            "An item's e_tag must not be empty; use * to save unconditionally."
        )
    return None if e_tag == "*" else e_tag


def _set_e_tag(item: Any, e_tag: str) -> None:  # noqa: ANN401
    if _is_dict(item):
        item[_E_TAG] = e_tag
    else:
        item.e_tag = e_tag


def _is_dict(item: object) -> bool:
    return isinstance(item, dict)

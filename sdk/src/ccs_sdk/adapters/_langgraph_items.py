"""How an item of LangGraph is stored: its session, and its properties."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import takewhile
from math import ceil
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import quote

from langgraph.store.base import GetOp, Item, MatchCondition, PutOp, SearchOp

from ccs_sdk import BatchProperties, Result
from ccs_sdk._json import JSON
from ccs_sdk.adapters._entries import LONGEST_ID, digest

ItemT = TypeVar("ItemT", bound=Item)

Properties: TypeAlias = dict[str, Any]
Work: TypeAlias = tuple[str, Callable[[BatchProperties], Result[Any]]]
"""A session, and a function that adds one or two operations on it to a batch."""

ITEM: Final = "item"
"""The property that tells an item's address, times and time to live."""
_FIELD: Final = "value."


def prefix_of(namespace: Iterable[str]) -> str:
    """Returns how the sessions of a namespace, and of those below it, begin."""
    return "".join(_escaped(label) + ":" for label in namespace)


def id_of(op: GetOp | PutOp) -> str:
    """Returns the session of an item: a readable one, unless its key is too long."""
    begin = prefix_of(op.namespace) + ":"
    readable = begin + _escaped(op.key)
    return readable if len(readable) <= LONGEST_ID else f"{begin}sha256:{digest(op.key)}"


def _escaped(text: str) -> str:
    """Returns the text without colons, and without what no session id can contain."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f%/:]", lambda found: quote(found[0], safe=""), text)


def item_of(kind: type[ItemT], properties: Properties) -> ItemT:
    """Returns the item that is stored as these properties."""
    about = properties[ITEM]
    fields = [name for name in properties if name.startswith(_FIELD)]
    return kind(
        namespace=tuple(about["namespace"]),
        key=about["key"],
        value={name.removeprefix(_FIELD): properties[name] for name in fields},
        created_at=datetime.fromisoformat(about["created"]),
        updated_at=datetime.fromisoformat(about["updated"]),
    )


def write(op: PutOp, stored: Properties | None) -> Work:
    """Returns the work of saving or deleting an item. `stored` is what the service has of it."""
    if op.value is None:
        return id_of(op), BatchProperties.clear
    now = datetime.now(UTC).isoformat()
    seconds = 0 if op.ttl is None else max(1, ceil(op.ttl * 60))  # 0 means forever
    about = {
        "namespace": list(op.namespace),
        "key": op.key,
        "created": stored[ITEM]["created"] if stored else now,
        "updated": now,
        "ttl": seconds,
    }
    properties = {ITEM: about} | {_FIELD + name: value for name, value in op.value.items()}

    def replace(session: BatchProperties) -> Result[None]:
        session.clear()
        return session.update(properties, ttl=seconds)

    return id_of(op), replace


def renew(found: Iterable[Properties]) -> list[Work]:
    """Returns the work of renewing the time to live of the items that have one."""
    return [
        (
            id_of(GetOp(about["namespace"], about["key"])),
            partial(BatchProperties.touch, ttl=about["ttl"]),
        )
        for about in (properties[ITEM] for properties in found)
        if about["ttl"]
    ]


def conditions_of(op: SearchOp) -> tuple[Properties, Properties]:
    """Returns what a search asks of the properties: the conditions of `find`, and what remains to be compared."""
    wanted = {_FIELD + name: value for name, value in (op.filter or {}).items()}
    containers = {name: value for name, value in wanted.items() if _is_container(value)}
    return wanted | {name: {"$exists": True} for name in containers}, containers


def _is_container(wanted: JSON) -> bool:
    """Whether a field must equal a list or an object, which `find` does not compare."""
    if isinstance(wanted, Mapping):
        return not any(str(name).startswith("$") for name in wanted)
    return isinstance(wanted, list)


def common_prefix(conditions: Iterable[MatchCondition]) -> tuple[str, ...]:
    """Returns labels with which all namespaces that fulfil the conditions begin."""
    prefixes = [condition.path for condition in conditions if condition.match_type == "prefix"]
    known = [tuple(takewhile(lambda label: label != "*", path)) for path in prefixes]
    return max(known, key=len, default=())


def matches(condition: MatchCondition, namespace: tuple[str, ...]) -> bool:
    """Whether a namespace begins or ends as the condition says; `*` stands for any label."""
    length = len(condition.path)
    labels = namespace[:length] if condition.match_type == "prefix" else namespace[-length:]
    return length <= len(namespace) and all(
        wanted in ("*", label) for wanted, label in zip(condition.path, labels, strict=False)
    )

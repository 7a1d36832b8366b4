"""Converts JSON of the wire format to models. Malformed JSON raises one of MALFORMED."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, TypeGuard, TypeVar

from ccs_sdk._json import Value
from ccs_sdk._states import Job, JobProgress, LeaseGrant, LeaseHolder, Property
from ccs_sdk.models import (
    Activity,
    APIKey,
    Change,
    Count,
    Document,
    DocumentReceipt,
    Expiries,
    Hit,
    MinuteCounts,
    Namespace,
    NamespaceCounts,
    NamespaceSettings,
    SessionProperties,
    SessionToken,
    SessionTTL,
    Token,
    Webhook,
)

MALFORMED: Final = (KeyError, TypeError, ValueError, OverflowError)
"""The exceptions that these functions raise for JSON that does not conform to the contract."""

T = TypeVar("T")


def typed(value: Value, kind: type[T]) -> T:
    """Returns `value` if it is a `kind`."""
    if not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} expected")
    return value


def anything(value: Value) -> Value:
    """Returns `value`, of any type."""
    return value


def text(value: Value) -> str:
    """Returns `value` if it is a string."""
    return typed(value, str)


def integer(value: Value) -> int:
    """Returns `value` if it is an integer."""
    if isinstance(value, bool):
        raise TypeError("int expected")
    return typed(value, int)


def number(value: Value) -> int | Decimal:
    """Returns `value` if it is a number that was decoded with all its digits."""
    return value if isinstance(value, Decimal) else integer(value)


def properties(value: Value) -> dict[str, Value]:
    """Returns `value` if it is an object: values by name."""
    if not _is_object(value):
        raise TypeError("object expected")
    return value


def values(value: Value) -> list[Value]:
    """Returns `value` if it is a list."""
    if not _is_list(value):
        raise TypeError("list expected")
    return value


def list_of(read_item: Callable[[Value], T]) -> Callable[[Value], list[T]]:
    """Returns a function that converts each item of a list with `read_item`."""
    return lambda value: [read_item(item) for item in values(value)]


def namespace(value: Value) -> Namespace:
    """Converts an item of the list of namespaces."""
    wire = properties(value)
    return Namespace(
        name=text(wire["name"]),
        created_at=_time(wire["createdAt"]),
        ttl=_seconds(wire.get("ttlSecond", 0)),
    )


def session_ttl(value: Value) -> SessionTTL:
    """Converts an item of the list of session TTLs."""
    wire = properties(value)
    return SessionTTL(
        session_id=text(wire["sessionId"]),
        created_at=_time(wire["createdAt"]),
        ttl=_seconds(wire["ttlSecond"]),
    )


def session_properties(value: Value) -> SessionProperties:
    """Converts an item of the list of sessions with their properties."""
    wire = properties(value)
    return SessionProperties(text(wire["sessionId"]), properties(wire["property"]))


def document(value: Value) -> Document:
    """Converts a document of version 2."""
    wire = properties(value)
    return Document(
        account_id=text(wire["accountId"]),
        document_key=text(wire["documentKey"]),
        document_type=text(wire["documentType"]),
        namespace=text(wire["nameSpace"]),
        session_id=optional(wire, "sessionId", text),
        payload=properties(wire["payload"]),
        tenant_id=text(wire["tenantId"]),
        expires_at=optional(wire, "ttl", _time),
    )


def document_receipt(value: Value) -> DocumentReceipt:
    """Converts the response to a write of version 2, which must say `"success": true`."""
    wire = properties(value)
    if wire["success"] is not True:
        raise ValueError("success expected")
    return DocumentReceipt(text(wire["documentKey"]), text(wire["tenantId"]))


def token(value: Value) -> Token:
    """Converts the response to a login."""
    wire = properties(value)
    return Token(text(wire["access_token"]), _seconds(wire["expires_in"]))


def json_web_keys(value: Value) -> list[dict[str, Value]]:
    """Returns the keys of a JSON Web Key Set (RFC 7517)."""
    return list_of(properties)(properties(value)["keys"])


def property_(value: Value) -> Property:
    """Converts a property with what the service knows of it."""
    wire = properties(value)
    return Property(
        value=wire["value"],
        etag=text(wire["etag"]),
        expires_at=optional(wire, "expiresAt", _time),
        updated_at=optional(wire, "updatedAt", _time),
    )


def lease_holder(value: Value) -> LeaseHolder:
    """Converts the lease of another holder."""
    wire = properties(value)
    return LeaseHolder(text(wire["owner"]), _time(wire["expiresAt"]))


def lease_grant(value: Value) -> LeaseGrant:
    """Converts the result of the operation `lease`."""
    wire = properties(value)
    return LeaseGrant(integer(wire["fence"]), _time(wire["expiresAt"]))


def hit(value: Value) -> Hit:
    """Converts a session that was found."""
    wire = properties(value)
    return Hit(
        session_id=text(wire["sessionId"]),
        updated_at=optional(wire, "updatedAt", _time),
        properties=properties(wire.get("properties", {})),
    )


def page_of_hits(value: Value) -> tuple[list[Hit], str | None]:
    """Converts a page of sessions that were found. The second part is the cursor of the next page."""
    wire = properties(value)
    return list_of(hit)(wire["sessions"]), optional(wire, "next", text)


def page_of_count(value: Value) -> tuple[int, str | None]:
    """Converts a count of one page. The second part is the cursor of the next page."""
    wire = properties(value)
    return integer(wire["count"]), optional(wire, "next", text)


def namespace_settings(value: Value) -> NamespaceSettings:
    """Converts the settings of a namespace."""
    wire = properties(value)
    return NamespaceSettings(
        text(wire["changes"]),
        _seconds(wire["keepChanges"]),
        # A service that does not know these has neither.
        tuple(list_of(text)(wire.get("index", []))),
        wire.get("sortByUpdate") is True,
        wire.get("indexState", "ready") == "ready",
    )


def change(value: Value) -> Change:
    """Converts an event of the change log."""
    wire = properties(value)
    return Change(
        id=text(wire["id"]),
        type=text(wire["type"]),
        time=_time(wire["time"]),
        namespace=text(wire["ns"]),
        session_id=optional(wire, "session", text),
        name=optional(wire, "name", text),
        has_value="value" in wire,
        value=wire.get("value"),
        etag=optional(wire, "etag", text),
        expires_at=optional(wire, "expiresAt", _time),
        by=optional(wire, "by", text),
        erasure=optional(wire, "erasure", text),
        erased=optional(wire, "counts", _erased),
    )


def _erased(value: Value) -> int:
    return integer(properties(value)["properties"])


def job(value: Value) -> Job:
    """Converts a job."""
    wire = properties(value)
    progress = properties(wire["progress"])
    return Job(
        id=text(wire["id"]),
        kind=text(wire["kind"]),
        state=text(wire["state"]),
        reference=text(wire["reference"]),
        dry_run=wire["dryRun"] is True,
        by=text(wire["by"]),
        created_at=_time(wire["createdAt"]),
        started_at=optional(wire, "startedAt", _time),
        finished_at=optional(wire, "finishedAt", _time),
        progress=JobProgress(
            examined=integer(progress["examined"]),
            total=integer(progress["total"]),
            sessions=integer(progress["sessions"]),
            properties=integer(progress["properties"]),
            changes=integer(progress["changes"]),
        ),
    )


def page_of_jobs(value: Value) -> tuple[list[Job], str | None]:
    """Converts a page of jobs. The second part says where the next page begins."""
    wire = properties(value)
    return list_of(job)(wire["jobs"]), optional(wire, "next", text)


def page_of_changes(value: Value) -> tuple[list[Change], str | None]:
    """Converts a page of the change log. The second part is the position that it has reached."""
    wire = properties(value)
    return list_of(change)(wire["changes"]), optional(wire, "next", text)


def session_token(value: Value) -> SessionToken:
    """Converts a new session token."""
    wire = properties(value)
    return SessionToken(text(wire["token"]), _time(wire["expiresAt"]))


def api_key(value: Value) -> APIKey:
    """Converts an item of the list of keys."""
    wire = properties(value)
    return APIKey(
        key_id=text(wire["keyId"]),
        label=text(wire["label"]),
        scope=text(wire["scope"]),
        namespaces=optional(wire, "ns", list_of(text)),
        created_at=_time(wire["createdAt"]),
        expires_at=optional(wire, "expiresAt", _time),
    )


def api_keys(value: Value) -> list[APIKey]:
    """Converts the list of keys."""
    return list_of(api_key)(properties(value)["keys"])


def new_api_key(value: Value) -> tuple[APIKey, str | None]:
    """Converts a new key. The second part, its secret, is None in a replay of the response."""
    return api_key(value), optional(properties(value), "key", text)


def webhook(value: Value) -> Webhook:
    """Converts a webhook."""
    wire = properties(value)
    return Webhook(
        id=text(wire["id"]),
        url=text(wire["url"]),
        namespaces=list_of(text)(wire["ns"]),
        types=list_of(text)(wire["types"]),
        is_paused=text(wire["state"]) == "paused",
        created_at=_time(wire["createdAt"]),
        after=text(wire["after"]),
        lag=integer(wire["lag"]),
        failing_since=optional(wire, "failingSince", _time),
        last_error=optional(wire, "lastError", text),
    )


def webhooks(value: Value) -> list[Webhook]:
    """Converts the list of webhooks."""
    return list_of(webhook)(properties(value)["webhooks"])


def new_webhook(value: Value) -> tuple[Webhook, str | None]:
    """Converts a new webhook. The second part, its secret, is None in a replay of the response."""
    return webhook(value), optional(properties(value), "secret", text)


def rotated_webhook(value: Value) -> tuple[Webhook, str]:
    """Converts a webhook and its new secret."""
    return webhook(value), text(properties(value)["secret"])


def message_of_changes(value: Value) -> list[Change]:
    """Converts the body of a webhook's message."""
    wire = properties(value)
    if text(wire["type"]) != "changes":
        raise ValueError("changes expected")
    return list_of(change)(properties(wire["data"])["events"])


def _is_object(value: Value) -> TypeGuard[dict[str, Value]]:
    return isinstance(value, dict)


def _is_list(value: Value) -> TypeGuard[list[Value]]:
    return isinstance(value, list)


def activity(value: Value) -> Activity:
    """Converts the activity of an account."""
    wire = properties(value)
    return Activity(
        time=_time(wire["time"]),
        properties=optional(wire, "properties", _count),
        sessions=optional(wire, "sessions", _count),
        namespaces=list_of(_namespace_counts)(wire["namespaces"]),
        minutes=list_of(_minute_counts)(wire.get("minutes", [])),
        expiring=list_of(_expiries)(wire["expiring"]),
        next=optional(wire, "next", text),
    )


def _count(value: Value) -> Count:
    wire = properties(value)
    return Count(integer(wire["count"]), typed(wire["estimated"], bool))


def _namespace_counts(value: Value) -> NamespaceCounts:
    wire = properties(value)
    return NamespaceCounts(
        text(wire["ns"]),
        _seconds(wire["ttlSecond"]),
        _count(wire["properties"]),
        _count(wire["sessions"]),
    )


def _minute_counts(value: Value) -> MinuteCounts:
    wire = properties(value)
    return MinuteCounts(_time(wire["time"]), integer(wire["saves"]), integer(wire["reads"]))


def _expiries(value: Value) -> Expiries:
    wire = properties(value)
    return Expiries(_time(wire["time"]), _count(wire["properties"]))


def optional(wire: Mapping[str, Value], name: str, read: Callable[[Value], T]) -> T | None:
    """Returns a member, converted with `read`, or None if it is absent or null."""
    value = wire.get(name)
    return None if value is None else read(value)


def _time(value: Value) -> datetime:
    return datetime.fromisoformat(text(value))


def _seconds(value: Value) -> timedelta:
    return timedelta(seconds=typed(value, int))

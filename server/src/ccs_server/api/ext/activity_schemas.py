"""The response of `activity`, and its documentation. The fields are called as on the wire."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from ccs_server.api import openapi as docs
from ccs_server.domain.cursors import MAX_CURSOR_LENGTH
from ccs_server.store.activity import Count, Expiries

_MOMENT = {"type": "string", "format": "date-time"}
_NUMBER = {"type": "integer", "minimum": 0}


def _list_of(**members: docs.Doc) -> docs.Doc:
    item = {"type": "object", "properties": members, "required": [*members]}
    return {"type": "array", "items": item}


class NamespaceActivity(Struct):
    """A namespace, and how much it has."""

    ns: str
    ttlSecond: Annotated[int, Meta(description="Its time to live; 0 is forever.")]
    properties: Count
    sessions: Count


class ActivityResponse(Struct, omit_defaults=True):
    """What an account has, what is done with it, and what is about to expire."""

    time: Annotated[str, Meta(extra_json_schema=_MOMENT)]
    namespaces: Annotated[
        list[NamespaceActivity],
        Meta(description="Ordered by name, at most 100; those that the key may use."),
    ]
    expiring: Annotated[
        list[Expiries],
        Meta(
            description="How many properties expire in each of the next 12 steps of five minutes, "
            "unless they are saved again."
        ),
    ]
    minutes: (
        Annotated[
            Raw,
            Meta(
                description="Saves and reads in each of the last 60 minutes, of which the last one is not over. "
                "Left out for a key that is limited to namespaces.",
                extra_json_schema=_list_of(time=_MOMENT, saves=_NUMBER, reads=_NUMBER),
            ),
        ]
        | UnsetType
    ) = UNSET
    properties: (
        Annotated[
            Count,
            Meta(description="Of the account. Left out for a key that is limited to namespaces."),
        ]
        | UnsetType
    ) = UNSET
    sessions: (
        Annotated[
            Count,
            Meta(description="With properties. Left out for a key that is limited to namespaces."),
        ]
        | UnsetType
    ) = UNSET
    next: (
        Annotated[
            str,
            Meta(description="Where the next page of namespaces begins; left out on the last one."),
        ]
        | UnsetType
    ) = UNSET


def activity_docs() -> dict[str, Any]:
    """The documentation of GET `/activity`."""
    after = {
        "name": "after",
        "in": "query",
        "schema": {"type": "string", "pattern": f"^[A-Za-z0-9_-]{{1,{MAX_CURSOR_LENGTH}}}$"},
        "description": "The `next` of the page of namespaces before.",
        "examples": {"none": {"summary": "Leave it out for the first page."}},
    }
    time, count = "2021-02-26T02:46:38.220Z", {"count": 3, "estimated": False}
    namespace = {"ns": "myNamespace", "ttlSecond": 3600, "properties": count, "sessions": count}
    example = {
        "time": time,
        "namespaces": [namespace],
        "expiring": [{"time": time, "properties": count}],
        "minutes": [{"time": "2021-02-26T02:46:00.000Z", "saves": 5, "reads": 20}],
        "properties": {"count": 12_000_000, "estimated": True},
        "sessions": {"count": 4_000_000, "estimated": True},
    }
    return {
        "operationId": "getActivity",
        "parameters": [after],
        "responses": docs.response("What there is.", ActivityResponse, activity=example)
        | docs.errors(400, 401, 403),
    }

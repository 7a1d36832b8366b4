"""Finding sessions without an index: how many sessions a request looks at in a second."""

import json
import time
from collections.abc import Mapping
from statistics import median
from typing import Any

from benchmarks import bulk
from benchmarks.lab import Lab
from benchmarks.load import Client, Request
from benchmarks.operations import compact
from benchmarks.parts.growth import LARGE
from benchmarks.stacks.base import session_numbers
from benchmarks.stacks.service import ACCOUNT

_LOOKED_AT = 10_000
_REPEATS = 10
_NAMESPACES = {"narrow": 10, "wide": 100}
_NAMES = [name for name, _ in bulk.numbered(8)]
_WHERES: dict[str, dict[str, object]] = {
    "no condition": {},
    "1 string": {_NAMES[0]: "none"},
    "2 ranges": {_NAMES[0]: {"$gt": "w"}, _NAMES[1]: {"$gt": 1}},
    "8 strings": dict.fromkeys(_NAMES, "none"),
}


def run(lab: Lab) -> dict[str, Any]:
    """Measures counts over 10,000 sessions of 10 and of 100 properties, with more and fewer conditions."""
    instance = lab.instance(LARGE)
    with lab.postgres.connect(LARGE) as connection:
        for namespace, properties in _NAMESPACES.items():
            sessions = session_numbers(_LOOKED_AT + 1)
            bulk.load(connection, f"find_{namespace}", sessions, bulk.numbered(properties))
        bulk.settle(connection)
    client = Client(instance.port)
    figures = {
        f"{what}, sessions of {properties} properties": _per_second(
            client, _count(namespace, where, instance.headers)
        )
        for namespace, properties in _NAMESPACES.items()
        for what, where in _WHERES.items()
    }
    client.close()
    return {"sessions_per_second": figures}


def _count(namespace: str, where: dict[str, object], headers: Mapping[str, str]) -> Request:
    body = {"where": where, "limit": 0, "count": True}
    return Request(
        "POST",
        f"/ext/v1/{ACCOUNT}/namespaces/find_{namespace}/find",
        compact(body),
        headers=headers,
        right=lambda answer: "next" in json.loads(answer),
    )


def _per_second(client: Client, request: Request) -> float:
    times = []
    for _ in range(_REPEATS):
        begin = time.perf_counter()
        client.send(request)
        times.append(time.perf_counter() - begin)
    return _LOOKED_AT / median(times)

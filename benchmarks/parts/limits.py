"""The largest requests that the contract allows, one at a time. None may take disproportionately long."""

import json
import time
from statistics import median
from typing import Any

from benchmarks.lab import Lab
from benchmarks.load import Client, Request
from benchmarks.operations import compact
from benchmarks.parts.comparison import DATABASE
from benchmarks.stacks.service import ACCOUNT

_NAMESPACES = 10_000
_PROPERTIES = 1_000
_CHARACTERS = 800_000 - 1  # a document may have at most 800,000
_REPEATS = 20


def run(lab: Lab) -> dict[str, Any]:
    """Measures 10,000 namespaces, a document at the size limit, and a session with 1,000 properties."""
    instance = lab.instance(DATABASE)
    base = f"/v1/account/{ACCOUNT}"

    def get(path: str, shortest: int) -> Request:
        return Request("GET", base + path, headers=instance.headers, shortest=shortest)

    def save(path: str, body: object) -> Request:
        return Request("PATCH", base + path, compact(body), 204, instance.headers)

    large = {f"part{part}": "x" * 79_980 for part in range(10)}
    large["rest"] = "x" * (_CHARACTERS - len(compact(large)) - len(',"rest":""'))
    assert len(compact(large)) == _CHARACTERS
    thousand = {f"property{number:04d}": f"value {number}" for number in range(_PROPERTIES)}
    requests = {
        "list 10,000 namespaces": get("", 30 * _NAMESPACES),
        "save a document at the size limit": save("/limits/large/properties", large),
        "read a document at the size limit": get("/limits/large/properties", _CHARACTERS - 100),
        "save 1 into a document at the size limit": save(
            "/limits/large/properties", {"rest": large["rest"]}
        ),
        "save 1,000 properties": save("/limits/thousand/properties", thousand),
        "read 1,000 properties": Request(
            "GET",
            f"{base}/limits/thousand/properties",
            headers=instance.headers,
            right=lambda body: len(json.loads(body)) == _PROPERTIES,
        ),
        "save 1 beside 1,000": save("/limits/thousand/properties", {"property0500": "new"}),
    }
    client = Client(instance.port)
    # Saves first, because its namespace counts towards the limit.
    client.send(requests["save 1,000 properties"])
    _create_namespaces(lab)
    figures = {name: _times(client, request) for name, request in requests.items()}
    client.close()
    return figures


def _create_namespaces(lab: Lab) -> None:
    """Creates namespaces until the account has reached its limit."""
    with lab.postgres.connect(DATABASE) as connection:
        connection.execute(
            "INSERT INTO namespace (account, name) SELECT %(account)s, 'namespace_' || n FROM generate_series("
            "1, %(most)s - (SELECT count(*) FROM namespace WHERE account = %(account)s)) AS n",
            {"account": ACCOUNT, "most": _NAMESPACES},
        )


def _times(client: Client, request: Request) -> dict[str, float]:
    times = []
    for _ in range(_REPEATS):
        begin = time.perf_counter()
        client.send(request)
        times.append(1000 * (time.perf_counter() - begin))
    return {"p50": median(times), "max": max(times)}

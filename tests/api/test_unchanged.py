"""A request with a 4xx response changes nothing."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.api.answers import assert_error
from tests.api.everyway import JSON
from tests.support.service import Account


class Refused(NamedTuple):
    """A request that is refused, with the status of its response."""

    version: str
    method: str
    path: str
    status: int
    arguments: dict[str, Any]


def v1(method: str, path: str, status: int, **arguments: Any) -> Refused:
    return Refused("v1", method, path, status, arguments)


def create(status: int, **fields: Any) -> Refused:
    body = {"nameSpace": "orders", "sessionId": "s1", "payload": {"a": 2, "new": 2}} | fields
    return Refused("v2", "POST", "/context/document/create", status, {"json": body})


def delete(status: int, **fields: Any) -> Refused:
    body = {"nameSpace": "orders", "sessionId": "s1"} | fields
    return Refused("v2", "DELETE", "/context/document/delete", status, {"json": body})


PROPERTIES = "/orders/s1/properties"
REFUSED = {
    "a bad name among good ones": v1("PATCH", PROPERTIES, 400, json={"a": 2, "new": 2, "": 2}),
    "a long name among good ones": v1("PATCH", PROPERTIES, 400, json={"a": 2, "x" * 257: 2}),
    "a control character": v1("PATCH", PROPERTIES, 400, json={"a": 2, "\x07": 2}),
    "U+0000 in the last value": v1("PATCH", PROPERTIES, 400, json={"a": 2, "b": "\0"}),
    "a surrogate in the last value": v1("PATCH", PROPERTIES, 400, json={"a": 2, "b": "\ud800"}),
    "NaN at the end": v1("PATCH", PROPERTIES, 400, data='{"a":2,"b":NaN}', headers=JSON),
    "half a body": v1("PATCH", PROPERTIES, 400, data='{"a":2,"b":', headers=JSON),
    "a deep value": v1(
        "PATCH", PROPERTIES, 400, data='{"a":2,"b":' + "[" * 101 + "]" * 101 + "}", headers=JSON
    ),
    "an array": v1("PATCH", PROPERTIES, 400, json=[{"a": 2}]),
    "a large document": v1("PATCH", PROPERTIES, 413, json={"a": 2, "b": "x" * 800_000}),
    "a large body": v1("PATCH", PROPERTIES, 413, data=b'{"a":2}'.ljust(2**20 + 1), headers=JSON),
    "another type": v1("PATCH", PROPERTIES, 415, data=b'{"a":2}'),
    "another method": v1("PUT", PROPERTIES, 405, json={"a": 2}),
    "a new namespace with a bad name": v1("PATCH", "/new/properties", 400, json={"a": 1, "": 2}),
    "a new namespace with a large value": v1(
        "PATCH", "/new/properties", 413, json={"b": "x" * 800_000}
    ),
    "a new session with a bad value": v1("PUT", "/orders/new/properties/a", 400, json="\0"),
    "a bad TTL of a namespace": v1("POST", "?ttlSecond=-1", 400, json={"name": "orders"}),
    "a bad TTL of a new namespace": v1("POST", "?ttlSecond=x", 400, json={"name": "new"}),
    "a reserved namespace": v1("POST", "?ttlSecond=5", 400, json={"name": "sde"}),
    "a bad TTL of a session": v1(
        "POST", "/namespace/orders/session?ttlSecond=-1", 400, json={"sessionId": "s1"}
    ),
    "a TTL of the default session": v1(
        "POST", "/namespace/orders/session?ttlSecond=5", 400, json={"sessionId": "__default__"}
    ),
    "a TTL of no session in a new namespace": v1(
        "POST", "/namespace/new/session?ttlSecond=5", 400, json={}
    ),
    "v2: a bad name": create(400, payload={"a": 2, "": 2}),
    "v2: a bad value": create(400, payload={"a": 2, "b": "\0"}),
    "v2: a large document": create(413, payload={"a": 2, "b": "x" * 800_000}),
    "v2: a bad TTL": create(400, ttlSeconds=-1),
    "v2: a bad session": create(400, sessionId="properties"),
    "v2: a bad namespace": create(400, nameSpace="new-one"),
    "v2: another account": create(403, accountId="another"),
    "v2: a bad name to delete": delete(400, propertyToDelete=["a", ""]),
    "v2: one name to delete": delete(400, propertyToDelete="a"),
    "v2: null to delete": delete(400, propertyToDelete=None),
    "v2: delete of another account": delete(403, accountId="another"),
}


def everything(account: Account) -> Iterator[object]:
    """Returns everything that an account has, by the reads of both versions."""
    namespaces = account.v1("GET", "").json()
    yield sorted(namespaces, key=lambda namespace: str(namespace["name"]))
    for namespace in namespaces:
        name = namespace["name"]
        yield account.v1("GET", f"/namespace/{name}/session").json()
        sessions = account.v1("GET", f"/{name}/session-properties").json()
        yield sessions
        for session in sessions:
            path = f"/context/document/{account.id}/{name}/{session['sessionId']}"
            yield account.v2("GET", path).json()  # with its `ttl`


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_a_request_with_a_4xx_response_changes_nothing(account: Account, refused: Refused) -> None:
    account.v1("POST", "?ttlSecond=1000", json={"name": "orders"})
    account.v1("PATCH", "/orders/properties", json={"a": 1})
    account.v1("POST", "/namespace/orders/session?ttlSecond=500", json={"sessionId": "s1"})
    account.v1("PATCH", "/orders/s1/properties", json={"a": 1, "b": {"c": [1]}})
    before = list(everything(account))

    call = account.v1 if refused.version == "v1" else account.v2
    arguments = dict(refused.arguments)
    if refused.version == "v2":
        arguments["json"] = {"accountId": account.id} | arguments["json"]
    response = call(refused.method, refused.path, **arguments)

    assert_error(response, refused.status)
    assert list(everything(account)) == before
    assert json.dumps(before).count('"a": 1') == 4

"""The operations that are measured, and their requests in the v1 and v2 API."""

import json
from collections.abc import Mapping

from benchmarks.load import Operation, Request
from benchmarks.load.requests import SESSION, VALUE, has_members

# A conversation: ten properties of the kinds and sizes that bots store.
DOCUMENT: Mapping[str, object] = {
    "firstName": "Ada",
    "lastName": "Lovelace",
    "email": "ada.lovelace@example.org",
    "language": "en-GB",
    "verified": True,
    "orderNumber": f"A-{VALUE}",
    "amount": 129.95,
    "topics": ["delivery", "refund"],
    "address": {"street": "12 St James's Square", "city": "London", "postcode": "SW1Y 4JH"},
    "lastIntent": f"track_order {VALUE}",
}
ONE = "lastIntent"
ONE_VALUE = DOCUMENT[ONE]
NAMES = set(DOCUMENT)

# The properties saved in each turn of a conversation, and how often all are read after each turn.
TALK = ["firstName", "orderNumber", "topics", "address", ONE]
READS_AFTER_SAVE = [2, 2, 2, 3, 3]

TITLES = {
    "read_all": "read all of 10 properties",
    "read_one": "read one property",
    "patch_1": "save 1 by PATCH",
    "patch_10": "save 10 by PATCH",
    "put_1": "save 1 by PUT",
    "new_session": "save 10 into a new session",
    "conversation": "conversation: new session, 5 saves, 12 reads, delete",
    "list_sessions": "list 100 sessions",
    "v2_create": "v2: create a document of 10",
    "v2_save": "v2: save 1 into a document of 10",
    "v2_read": "v2: read a document of 10",
}

PAGE = 100


def compact(value: object) -> str:
    """Returns JSON without spaces, with placeholders left in."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def v1(account: str, namespace: str, headers: Mapping[str, str]) -> dict[str, Operation]:
    """Returns the operations of v1. New sessions are created in a separate namespace."""
    base = f"/v1/account/{account}"
    properties = f"{base}/{namespace}/{SESSION}/properties"
    come_and_go = f"{base}/{namespace}_new"
    passing = f"{come_and_go}/{SESSION}/properties"

    def get(path: str, shortest: int, names: set[str] | None = None) -> Request:
        if names is None:
            return Request("GET", path, headers=headers, shortest=shortest)
        right = has_members(names)
        return Request("GET", path, headers=headers, shortest=shortest, right=right)

    def save(method: str, path: str, value: object) -> Request:
        return Request(method, path, compact(value), 204, headers)

    leave = Request(
        "DELETE", f"{base}/namespace/{namespace}_new/session/{SESSION}", None, 204, headers
    )
    talk: list[Request] = []
    for turn, name in enumerate(TALK):
        talk += [save("PATCH", passing, {name: DOCUMENT[name]})]
        talk += [get(passing, 2)] * READS_AFTER_SAVE[turn]
    return {
        "read_all": Operation.of(get(properties, 200, NAMES)),
        "read_one": Operation.of(get(f"{properties}/{ONE}", 10)),
        "patch_1": Operation.of(
            save("PATCH", properties, {ONE: ONE_VALUE}), writes={ONE: ONE_VALUE}
        ),
        "patch_10": Operation.of(save("PATCH", properties, DOCUMENT), writes=DOCUMENT),
        "put_1": Operation.of(
            save("PUT", f"{properties}/{ONE}", ONE_VALUE), writes={ONE: ONE_VALUE}
        ),
        "new_session": Operation.of(save("PATCH", passing, DOCUMENT), new_sessions=True),
        "conversation": Operation.of(*talk, leave, new_sessions=True),
        "list_sessions": Operation.of(
            Request(
                "GET",
                f"{base}/{namespace}/session-ids?perPage={PAGE}",
                headers=headers,
                shortest=PAGE * 11,
                right=lambda body: len(json.loads(body)) == PAGE,
            )
        ),
    }


def v2(account: str, namespace: str, token: str) -> dict[str, Operation]:
    """Returns the operations of v2."""
    base = "/v2/context/document"
    headers = {"Authorization": f"Bearer {token}"}

    def create(namespace: str, payload: Mapping[str, object]) -> Request:
        body = {
            "accountId": account,
            "nameSpace": namespace,
            "sessionId": SESSION,
            "payload": payload,
        }
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
        return Request("POST", f"{base}/create", text, 201, headers, shortest=20)

    read = Request(
        "GET",
        f"{base}/{account}/{namespace}/{SESSION}",
        headers=headers,
        shortest=300,
        right=lambda body: set(json.loads(body)["payload"]) == NAMES,
    )
    return {
        "v2_create": Operation.of(create(f"{namespace}_new", DOCUMENT), new_sessions=True),
        "v2_save": Operation.of(create(namespace, {ONE: ONE_VALUE}), writes={ONE: ONE_VALUE}),
        "v2_read": Operation.of(read),
    }

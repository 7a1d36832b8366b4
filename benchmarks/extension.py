"""The operations of the extension that are measured, and what each is compared with.

Their sessions are in a namespace of their own, which `bulk.load_extension` fills.
"""

import json
from collections.abc import Callable, Mapping

from benchmarks.load import Operation, Request
from benchmarks.load.requests import ETAG, SESSION, VALUE
from benchmarks.operations import DOCUMENT, ONE, ONE_VALUE, compact
from ccs_server.domain.conditions import etag_of

EXTENSION_TITLES = {
    "ext_304": "read one property that has not changed (304)",
    "ext_meta": "read one property with meta",
    "ext_get_10": "read one property in each of 10 sessions, in one batch",
    "ext_put_if_match": "save 1 by PUT with If-Match",
    "ext_put_ttl": "save 1 by PUT with Ccs-TTL",
    "ext_put_fenced": "save 1 by PUT with Ccs-Fence",
    "ext_set_full": "save 1 by an operation with a TTL and a condition",
    "ext_touch": "touch 1",
    "ext_incr": "add to a number",
    "ext_append": "append to an array of 10",
    "ext_merge": "merge into an object",
    "ext_set_10": "save 1 in each of 10 sessions, in one batch",
    "ext_lease": "take the lease of a session",
    "ext_set_new": "save 1 into a new session by an operation",
    "ext_set_once": "save 1 into a new session by an operation with an Idempotency-Key",
    "ext_cas": "compare and swap: read 1, save it with If-Match",
}

LIMITED_TITLES = {
    "limited_read_one": "read one property with a key for some namespaces",
    "limited_put_1": "save 1 by PUT with a key for some namespaces",
}

BATCH = 10
"""The sessions of a batch. Their ids are that of a session with one more digit."""

_TTL_SECONDS = 86_400
_CONSTANT = "email"  # no operation changes it
_CONSTANT_ETAG = etag_of(compact(DOCUMENT[_CONSTANT]).encode())
_OTHER_ETAG = etag_of(b"null")


def namespace_of(namespace: str) -> str:
    """Returns the namespace of these operations."""
    return f"{namespace}_ext"


def ext(account: str, namespace: str, headers: Mapping[str, str]) -> dict[str, Operation]:
    """Returns the operations, each with the requests that show that an older version lacks it."""
    here = namespace_of(namespace)
    properties = f"/v1/account/{account}/{here}/{SESSION}/properties"

    def get(
        name: str, more: Mapping[str, str], right: Callable[[bytes], bool], status: int = 200
    ) -> Request:
        return Request("GET", f"{properties}/{name}", None, status, {**headers, **more}, 0, right)

    def put(name: str, more: Mapping[str, str], status: int = 204) -> Request:
        value = compact(DOCUMENT[name])
        return Request("PUT", f"{properties}/{name}", value, status, {**headers, **more})

    def ops(
        *given: Mapping[str, object], session: str = SESSION, key: str | None = None
    ) -> Request:
        placed = [{"ns": here, "session": session, **each} for each in given]
        more = {} if key is None else {"Idempotency-Key": key}
        return Request(
            "POST", f"/ext/v1/{account}/ops", compact({"ops": placed}), 200, {**headers, **more}, 20,
            lambda body: [each["status"] for each in json.loads(body)["results"]] == [200] * len(given),
        )  # fmt: skip

    one = {"op": "set", "name": ONE, "value": ONE_VALUE}
    batch = [f"{SESSION}{digit}" for digit in range(BATCH)]
    return {
        "ext_304": Operation.of(
            get(_CONSTANT, {"If-None-Match": _CONSTANT_ETAG}, lambda body: not body, 304)
        ),
        "ext_meta": Operation.of(get(f"{ONE}?meta=true", {}, lambda body: b'"etag"' in body)),
        "ext_get_10": Operation.of(
            ops(*({"op": "get", "name": ONE, "session": session} for session in batch))
        ),
        "ext_put_if_match": Operation.of(
            put(_CONSTANT, {"If-Match": _CONSTANT_ETAG}),
            shown_by=(put(_CONSTANT, {"If-Match": _OTHER_ETAG}, 412),),
        ),
        "ext_put_ttl": Operation.of(
            put(ONE, {"Ccs-TTL": f"{_TTL_SECONDS}"}),
            shown_by=(get(f"{ONE}?meta=true", {}, lambda body: b'"expiresAt":"' in body),),
        ),
        "ext_put_fenced": Operation.of(
            put(ONE, {"Ccs-Fence": SESSION}), shown_by=(put(ONE, {"Ccs-Fence": "1"}, 412),)
        ),
        "ext_set_full": Operation.of(ops({**one, "ttl": _TTL_SECONDS, "ifNoneMatch": _OTHER_ETAG})),
        "ext_touch": Operation.of(ops({"op": "touch", "name": ONE, "ttl": _TTL_SECONDS})),
        "ext_incr": Operation.of(ops({"op": "incr", "name": "amount"})),
        "ext_append": Operation.of(
            ops({"op": "append", "name": "topics", "values": [f"topic {VALUE}"], "keep": 10})
        ),
        "ext_merge": Operation.of(
            ops({"op": "merge", "name": "address", "patch": {"street": f"St James's {VALUE}"}})
        ),
        "ext_set_10": Operation.of(ops(*({**one, "session": session} for session in batch))),
        "ext_lease": Operation.of(
            ops({"op": "lease", "owner": "bot-7", "seconds": 1}), new_sessions=True
        ),
        "ext_set_new": Operation.of(ops(one), new_sessions=True),
        "ext_set_once": Operation.of(ops(one, key=f"turn-{SESSION}"), new_sessions=True),
        "ext_cas": Operation.of(
            get(ONE, {}, lambda body: len(body) > 10), put(ONE, {"If-Match": ETAG}), conflict=412
        ),
    }  # fmt: skip

"""Many operations in one request."""

from collections.abc import Callable, Sequence

from flask import Response
from msgspec.json import Decoder, encode

from ccs_server.api import openapi as docs
from ccs_server.api.accounts import Account, current_account
from ccs_server.api.ext import idempotency, schemas
from ccs_server.api.ext.batches import read_operations
from ccs_server.api.ext.blueprint import ACCOUNT, operations_blueprint
from ccs_server.api.ext.queries import check_no_parameters
from ccs_server.api.services import database, services
from ccs_server.domain.errors import ContextError, InvalidInput
from ccs_server.http.blueprint import Resource
from ccs_server.http.body import decode_json, read_body
from ccs_server.http.errors import error_members
from ccs_server.http.responses import json_response
from ccs_server.store.operations.base import Operation, Outcome
from ccs_server.store.operations.idempotency import Answer, Once, Request
from ccs_server.store.operations.leases import Lease, Release
from ccs_server.store.operations.run import run_atomic, run_each

_batch = Decoder(schemas.Batch)

_LEASES = Lease, Release

_EXAMPLE = {
    "atomic": True,
    "ops": [
        {"op": "set", "ns": "myNamespace", "session": "mySession", "name": "step", "value": 1},
        {"op": "incr", "ns": "myNamespace", "session": "mySession", "name": "messages"},
        {"op": "get", "ns": "myNamespace", "session": "mySession"},
    ],
}
_TURN = {
    "ops": [
        {
            "op": "lease",
            "ns": "myNamespace",
            "session": "mySession",
            "owner": "bot-7",
            "seconds": 30,
        },
        {"op": "get", "ns": "myNamespace", "session": "mySession"},
    ]
}


@operations_blueprint.route("/<account>/ops", parameters=[ACCOUNT])
class Operations(Resource):
    """Many operations in one request."""

    @operations_blueprint.doc(
        operationId="executeOperations",
        parameters=[idempotency.PARAMETER],
        requestBody=docs.body(schemas.BatchOfOperations, several=_EXAMPLE, beginTurn=_TURN),
        responses=docs.response("The results, in the order of the operations.", schemas.Results)
        | docs.errors(400, 401, 403, 409, 412, 413, 415, 422, 423),
    )
    def post(self, account: str) -> Response:
        """Execute operations.

        With `atomic` (the default) all of them take place or none, and nobody sees a part of them; the first that is
        refused is the response's error. Without, each takes place by itself. A key or token needs the scope `read` for
        `get`, and `write` for everything else.
        """
        check_no_parameters()
        body = read_body()
        batch = decode_json(_batch, body)
        caller = current_account()
        operations = read_operations(account, caller.access, batch.ops)
        request = idempotency.once(body)
        if batch.atomic:
            response = _run_atomic(operations, caller, request)
            _count(account, operations)
            return response
        if request:
            raise InvalidInput(
                f"Operations that are not atomic take no {idempotency.HEADER}; send it without.",
                "atomic",
            )
        outcomes = run_each(database(), operations, _quota_check(caller), caller.actor)
        _count(
            account,
            [
                operation
                for operation, outcome in zip(operations, outcomes, strict=True)
                if not isinstance(outcome, ContextError)
            ],
        )
        return json_response(_results(outcomes))


@idempotency.replaying
def _run_atomic(
    operations: Sequence[Operation], caller: Account, request: Request | None
) -> Response:
    def answer_once(outcomes: Sequence[Outcome]) -> Answer:
        return Answer(200, _results(outcomes), _addresses(operations))

    once = Once(request, answer_once) if request else None
    return json_response(
        _results(run_atomic(database(), operations, _quota_check(caller), once, caller.actor))
    )


def _count(account: str, done: Sequence[Operation]) -> None:
    """Counts the operations as saves and reads. A lease is neither."""
    saves = reads = 0
    for operation in done:
        if operation.is_read:
            reads += 1
        elif not isinstance(operation, _LEASES):
            saves += 1
    services().activity.add(account, saves=saves, reads=reads)


def _quota_check(caller: Account) -> Callable[[Operation], None]:
    def check(operation: Operation) -> None:
        if operation.grows:
            caller.check_quota()

    return check


def _results(outcomes: Sequence[Outcome]) -> bytes:
    return encode({"results": [_result(outcome) for outcome in outcomes]})


def _addresses(operations: Sequence[Operation]) -> bytes | None:
    """What the results tell of. That of a lease tells nothing of what is stored."""
    addresses = [
        (each.document.namespace, each.document.session_id, getattr(each, "name", None))
        for each in operations
        if not isinstance(each, _LEASES)
    ]
    return encode(addresses) if addresses else None


def _result(outcome: Outcome) -> dict[str, object]:
    if not isinstance(outcome, ContextError):
        return {"status": 200, **outcome}
    members = error_members(outcome)
    # Here `status` is the number, which an error's response calls `code`.
    members["status"] = members.pop("code")
    return members

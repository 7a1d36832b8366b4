"""Answers a repeated request with the stored answer of its first try.

The answer is stored in the transaction of the request's changes, so neither exists without the other. While the first
try runs it holds a lock on its key, and repetitions are refused at once.
"""

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from psycopg.pq.abc import PGresult
from sqlalchemy import Connection, Text, cast, func, literal, select, text
from sqlalchemy.dialects.postgresql import JSON, insert

from ccs_server.domain.errors import Conflict, KeyReused
from ccs_server.store.connection import Statement, Step
from ccs_server.store.database import Database
from ccs_server.store.tables import idempotent_response

Made = TypeVar("Made")

# In all statements: $1 account, $2 credential, $3 the hash of the key.

# Two statements, so that the second one's snapshot is taken when the lock is held, and includes the answer of a try
# that has just ended. Either fails on purpose, by a division by zero, which ends the whole pipeline: what follows must
# not run, and must not wait for the locks that the first try holds. The lock reads a table for the reason that LOCK
# does (`store/document.py`).
_TRY_LOCK = Statement.of(
    "idempotency_try_lock",
    """
    SELECT 1 / pg_try_advisory_xact_lock(
        hashtextextended('idempotency/' || $1 || '/' || $2 || '/' || $3, 0))::integer
    FROM (
        SELECT count(*) FROM idempotent_response
        WHERE account = $1 AND credential = $2 AND key_hash = $3::bytea
    ) AS place
    """,
)
_CHECK_NEW = Statement.of(
    "idempotency_check_new",
    """
    SELECT 1 / (NOT EXISTS (
        SELECT 1 FROM idempotent_response
        WHERE account = $1 AND credential = $2 AND key_hash = $3::bytea
            AND created_at > now() - interval '24 hours'
    ))::integer
    """,
)
DIVISION_BY_ZERO = "22012"

# $4 the hash of the request, $5 status, $6 the answer, $7 what it tells of. A row that is there is older than a day.
_STORE = Statement.of(
    "idempotency_store",
    """
    INSERT INTO idempotent_response
        (account, credential, key_hash, request_hash, status, body, created_at, addresses)
    VALUES ($1, $2, $3::bytea, $4::bytea, $5::smallint, $6::json, now(), $7::json)
    ON CONFLICT (account, credential, key_hash) DO UPDATE
    SET request_hash = excluded.request_hash, status = excluded.status, body = excluded.body,
        created_at = excluded.created_at, addresses = excluded.addresses
    """,
)

_FIND = Statement.of(
    "idempotency_find",
    """
    SELECT request_hash = $4::bytea, status, body FROM idempotent_response
    WHERE account = $1 AND credential = $2 AND key_hash = $3::bytea
        AND created_at > now() - interval '24 hours'
    """,
)


class Answer(NamedTuple):
    """A successful response.

    Attributes:
        status: its status.
        body: its body, as JSON.
        addresses: the properties that it tells of, as JSON; see the column.
    """

    status: int
    body: bytes
    addresses: bytes | None = None


class Replay(Exception):
    """The request has been answered before; `answer` is what it was answered."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


class Request(NamedTuple):
    """A request with an idempotency key.

    Attributes:
        account: its account.
        credential: the key id, user name or token id that made it.
        key_hash: the SHA-256 of the idempotency key.
        request_hash: the SHA-256 of its path and body.
    """

    account: str
    credential: str
    key_hash: bytes
    request_hash: bytes

    def params(self) -> tuple[bytes, bytes, bytes]:
        """The first three parameters of a statement about it."""
        return self.account.encode(), self.credential.encode(), _bytea(self.key_hash)


class Once(NamedTuple, Generic[Made]):
    """A request that takes place once, and how its answer is made of what it has made."""

    request: Request
    answer: Callable[[Made], Answer]


def check_new(request: Request) -> list[Step]:
    """The steps that let a transaction continue only if the request is new. They fail with DIVISION_BY_ZERO."""
    return [(_TRY_LOCK, request.params()), (_CHECK_NEW, request.params())]


def store(request: Request, answer: Answer) -> Step:
    """The step that stores the answer."""
    return _STORE, (
        *request.params(),
        _bytea(request.request_hash),
        b"%d" % answer.status,
        answer.body,
        answer.addresses,
    )


def refuse_repeated(database: Database, request: Request) -> Replay | KeyReused | Conflict:
    """Why `check_new` has failed: the answer to replay, or the error."""
    found = database.execute(_FIND, *request.params(), _bytea(request.request_hash))
    return _refusal(found)


def run_once(
    database: Database, once: Once[Made] | None, make: Callable[[Connection], Made]
) -> Made:
    """Calls `make` in a transaction of SQLAlchemy Core, which also stores the answer if there is `once`.

    Raises:
        Replay: the request has been answered before.
        KeyReused: the key was used for another request.
        Conflict: the first try is still running.
    """
    with database.begin() as connection:
        if once is None:
            return make(connection)
        _check_new_in(connection, once.request)
        made = make(connection)
        answer = once.answer(made)
        row = {
            **_columns(once.request),
            "request_hash": once.request.request_hash,
            "status": answer.status,
            # Cast from text, so that it is stored as it is.
            "body": cast(literal(answer.body.decode(), Text), JSON),
            "created_at": func.now(),
            "addresses": None,
        }
        upsert = insert(idempotent_response).values(row)
        keys = idempotent_response.primary_key.columns
        set_ = {name: upsert.excluded[name] for name in row}
        connection.execute(upsert.on_conflict_do_update(index_elements=keys, set_=set_))
        return made


def _check_new_in(connection: Connection, request: Request) -> None:
    address = "/".join(
        ("idempotency", request.account, request.credential, rf"\x{request.key_hash.hex()}")
    )
    stored = idempotent_response.c
    is_its = [stored[name] == value for name, value in _columns(request).items()]
    lock = func.pg_try_advisory_xact_lock(func.hashtextextended(address, 0))
    place = select(func.count()).select_from(idempotent_response).where(*is_its).subquery()
    if not connection.scalar(select(lock).select_from(place)):
        raise _still_running()
    found = select(stored.request_hash, stored.status, cast(stored.body, Text)).where(
        *is_its, stored.created_at > func.now() - text("interval '24 hours'")
    )
    row = connection.execute(found).one_or_none()
    if row is not None:
        request_hash, status, body = row
        is_same = request_hash == request.request_hash
        raise _repeated(Answer(status, body.encode()), is_same=is_same)


def _columns(request: Request) -> dict[str, object]:
    return {
        "account": request.account,
        "credential": request.credential,
        "key_hash": request.key_hash,
    }


def _refusal(found: PGresult) -> Replay | KeyReused | Conflict:
    if not found.ntuples:
        return _still_running()
    is_same, status, body = (found.get_value(0, column) or b"" for column in range(3))
    return _repeated(Answer(int(status), body), is_same=is_same == b"t")


def _still_running() -> Conflict:
    return Conflict("The first try of this request is still running; try again.", retry_after=1)


def _repeated(answer: Answer, *, is_same: bool) -> Replay | KeyReused:
    if is_same:
        return Replay(answer)
    return KeyReused(
        "This Idempotency-Key was used for another request; make a new key for each request."
    )


def _bytea(value: bytes) -> bytes:
    return rb"\x" + value.hex().encode()

"""Answers a repeated request with the stored answer of its first try.

The answer is stored in the transaction of the request's changes, so neither exists without the other. While the first
try runs it holds a lock on its key, and repetitions are refused at once.
"""

from typing import NamedTuple

from psycopg.pq.abc import PGresult

from ccs_server.domain.errors import Conflict, KeyReused
from ccs_server.store.connection import Statement, Step
from ccs_server.store.database import Database

# In all statements: $1 account, $2 credential, $3 the hash of the key.

# Two statements, so that the second one's snapshot is taken when the lock is held, and includes the answer of a try
# that has just ended. Either fails on purpose, by a division by zero, which ends the whole pipeline: what follows must
# not run, and must not wait for the locks that the first try holds.
_TRY_LOCK = Statement.of(
    "idempotency_try_lock",
    """
    SELECT 1 / pg_try_advisory_xact_lock(
        hashtextextended('idempotency/' || $1 || '/' || $2 || '/' || $3, 0))::integer
    """,
)
_CHECK_NEW = Statement.of(
    "idempotency_check_new",
    """
    SELECT 1 / (NOT EXISTS (
        SELECT FROM idempotent_response
        WHERE account = $1 AND credential = $2 AND key_hash = $3::bytea
            AND created_at > now() - interval '24 hours'
    ))::integer
    """,
)
DIVISION_BY_ZERO = "22012"

# $4 the hash of the request, $5 status, $6 the answer. A row that is there is older than a day.
_STORE = Statement.of(
    "idempotency_store",
    """
    INSERT INTO idempotent_response (account, credential, key_hash, request_hash, status, body)
    VALUES ($1, $2, $3::bytea, $4::bytea, $5::smallint, $6::json)
    ON CONFLICT (account, credential, key_hash) DO UPDATE
    SET request_hash = excluded.request_hash, status = excluded.status, body = excluded.body,
        created_at = now()
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
    """A successful response: its status and its JSON body."""

    status: int
    body: bytes


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
    )


def refuse_repeated(database: Database, request: Request) -> Replay | KeyReused | Conflict:
    """Why `check_new` has failed: the answer to replay, or the error."""
    found = database.execute(_FIND, *request.params(), _bytea(request.request_hash))
    return _refusal(found)


def _refusal(found: PGresult) -> Replay | KeyReused | Conflict:
    if not found.ntuples:
        return Conflict("The first try of this request is still running; try again.", retry_after=1)
    is_same, status, body = (found.get_value(0, column) or b"" for column in range(3))
    if is_same != b"t":
        return KeyReused(
            "This Idempotency-Key was used for another request; make a new key for each request."
        )
    return Replay(Answer(int(status), body))


def _bytea(value: bytes) -> bytes:
    return rb"\x" + value.hex().encode()

"""Executes operations: alone, as a snapshot of reads, or as a batch that is done as a whole or not at all."""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from msgspec.json import encode
from psycopg.pq.abc import PGresult

from ccs_server.domain.errors import BUSY, ContextError, TooLarge, Unavailable
from ccs_server.domain.limits import MAX_ANSWER_CHARACTERS
from ccs_server.store.connection import LibpqConnection, Statement, Step
from ccs_server.store.database import BEGIN, COMMIT, ROLLBACK, Database
from ccs_server.store.faults import StoreFault
from ccs_server.store.logged import logging_step
from ccs_server.store.namespaces import limit_reached
from ccs_server.store.operations.base import Operation, Outcome, names_parameter
from ccs_server.store.operations.idempotency import (
    DIVISION_BY_ZERO,
    Once,
    Replay,
    Request,
    check_new,
    refuse_repeated,
    store,
)

_ATTEMPTS = 10
"""How often a batch is tried again if one of its namespaces is deleted or gets features concurrently."""

_READS_AT_A_TIME = 10
"""How many reads are sent at once: their results, of 800,000 characters each, are in memory together."""

_BEGIN_SNAPSHOT = Statement.of("begin_snapshot", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

# $1 account, $2 a JSON array of [namespace, session id]. In order of the locks, so that two batches cannot deadlock. It
# reads a table for the reason that LOCK does.
LOCK_DOCUMENTS = Statement.of(
    "lock_documents",
    """
    SELECT pg_advisory_xact_lock(key) FROM (
        SELECT DISTINCT hashtextextended($1 || '/' || (d->>0) || '/' || (d->>1), 0) AS key
        FROM json_array_elements($2) AS d,
            (SELECT count(*) FROM namespace WHERE account = $1 AND name = '') AS place
        ORDER BY key
    ) AS document
    """,
)

# $1 account, $2 a JSON array of namespaces, $3 the limit of the account. Returns whether they are within the limit.
_ENSURE_NAMESPACES = Statement.of(
    "ensure_namespaces",
    """
    WITH missing AS MATERIALIZED (
        SELECT DISTINCT name FROM (
            SELECT name COLLATE "C" AS name FROM json_array_elements_text($2) AS name
        ) AS given
        WHERE NOT EXISTS (SELECT 1 FROM namespace n WHERE n.account = $1 AND n.name = given.name)
    ), allowed AS MATERIALIZED (
        SELECT NOT EXISTS (SELECT 1 FROM missing)
            OR (SELECT count(*) FROM namespace WHERE account = $1)
                + (SELECT count(*) FROM missing) <= $3::bigint AS is_allowed
    ), made AS (
        INSERT INTO namespace (account, name)
        SELECT $1, name FROM missing, allowed WHERE is_allowed ORDER BY name
        ON CONFLICT DO NOTHING
    )
    SELECT is_allowed FROM allowed
    """,
)

# $1 account, $2 a JSON array of namespaces. Returns a row for each that exists, which says whether it has features.
# None of them can be deleted before the transaction ends, so no deletion halves a batch; nor can its features change,
# since that locks the row too (`namespace_settings`).
_LOCK_NAMESPACES = Statement.of(
    "lock_namespaces",
    """
    SELECT name, features <> 0 FROM namespace
    WHERE account = $1 AND name = ANY (ARRAY(SELECT json_array_elements_text($2)))
    ORDER BY name
    FOR KEY SHARE
    """,
)


class _NamespaceChanged(ContextError):
    """A namespace was deleted or has got features, unknown to the batch that began; it has to begin again."""


class _Waited(NamedTuple):
    """What statements have to know that follow locks.

    Attributes:
        by: who asks for them.
        logging: the namespaces that are known to have features.
    """

    by: bytes
    logging: Collection[str]


class _Repeated(ContextError):
    """The request is not new."""


def run(database: Database, operation: Operation, by: str = "") -> Outcome:
    """Executes one operation.

    Args:
        database: the database.
        operation: what to execute.
        by: the credential that asks for it, for the change log.

    Raises:
        ContextError: it is refused, and has changed nothing.
    """
    outcome = _run_alone(database, operation, by)
    if outcome is not None:
        return outcome
    try:
        return _run_locked(database, [operation], by)[0]
    except ContextError as error:
        # It is no batch.
        error.members.pop("op", None)
        raise


def run_each(
    database: Database,
    operations: Sequence[Operation],
    check: Callable[[Operation], None],
    by: str = "",
) -> list[Outcome]:
    """Executes operations one by one, each by itself; the outcome of one that is refused is its error.

    Once the database cannot be used, the rest are not tried: each could wait for as long as the first.

    Args:
        database: the database.
        operations: what to execute.
        check: called before each; raises a ContextError to refuse it.
        by: as in `run`.
    """
    outcomes: list[Outcome] = []
    room = _Room()
    away: Unavailable | None = None
    for operation in operations:
        try:
            if away:
                raise away
            check(operation)
            outcome = run(database, operation, by)
            # What has changed something must not be reported as refused; its outcome is short.
            if operation.is_read:
                room.take(outcome)
        except ContextError as error:
            outcome = error
            if isinstance(error, Unavailable):
                away = error
        outcomes.append(outcome)
    return outcomes


def run_atomic(
    database: Database,
    operations: Sequence[Operation],
    check: Callable[[Operation], None],
    once: Once[Sequence[Outcome]] | None = None,
    by: str = "",
) -> list[Outcome]:
    """Executes operations as one transaction: all of them or, if one is refused, none.

    Each sees the effects of those before it, and nobody sees a part of them.

    Args:
        database: the database.
        operations: what to execute.
        check: called for each before any takes place; raises a ContextError to refuse it.
        once: the request, if it has an idempotency key.
        by: as in `run`.

    Raises:
        ContextError: one is refused, and nothing has changed. Its member `op` is the index of the operation.
        Replay: the request of `once` has been answered before.
    """
    for index, operation in enumerate(operations):
        try:
            check(operation)
        except ContextError as error:
            if once:
                _replay(database, once.request)
            raise _of_operation(index, error)  # noqa: B904 - it is the same error
    try:
        if len(operations) == 1:
            try:
                outcome = (
                    _run_alone_once(database, operations[0], by, once)
                    if once
                    else _run_alone(database, operations[0], by)
                )
            except ContextError as error:
                raise _of_operation(0, error)  # noqa: B904 - it is the same error
            if outcome is not None:
                return [outcome]
        elif not once and all(operation.is_read for operation in operations):
            return _run_snapshot(database, operations)
        return _run_locked(database, operations, by, once)
    except _Repeated:
        assert once  # noqa: S101 - for the type checkers
        raise refuse_repeated(database, once.request) from None


def _replay(database: Database, request: Request) -> None:
    """Raises the answer of an earlier try, if there was one: what it has used up does not refuse its repetition."""
    answered = refuse_repeated(database, request)
    if isinstance(answered, Replay):
        raise answered


def _run_snapshot(database: Database, operations: Sequence[Operation]) -> list[Outcome]:
    """Executes reads, which all see the same state."""
    with database.pipelined_transaction() as connection:
        return _execute(connection, operations, [(_BEGIN_SNAPSHOT, ())], None, [(COMMIT, ())])


def _alone(database: Database, operation: Operation, by: str) -> Sequence[Step]:
    """The steps that execute the operation alone, in the form that the features of its namespace need."""
    steps = operation.alone()
    if operation.is_read:
        return steps
    document = operation.document
    has_features = database.features.has_any(document.account, document.namespace)
    actor = by.encode()
    return [logging_step(step, actor, has_features=has_features) for step in steps]


def _run_alone(database: Database, operation: Operation, by: str) -> Outcome | None:
    """Executes one operation without the document's exclusive lock; returns None if that is not possible."""
    steps = _alone(database, operation, by)
    if not steps:
        return None
    if len(steps) > 1:
        return operation.outcome_alone(database.pipeline(*steps))
    ((statement, params),) = steps
    return operation.outcome_alone([database.execute(statement, *params)])


def _run_alone_once(
    database: Database, operation: Operation, by: str, once: Once[Sequence[Outcome]]
) -> Outcome | None:
    """As `_run_alone`, in a transaction that also stores the answer."""
    steps = _alone(database, operation, by)
    if not steps:
        return None
    begin = _begin_once(once)
    with database.pipelined_transaction() as connection:
        results = _pipeline(connection, [*begin, *steps])
        outcome = operation.outcome_alone(results[len(begin) :])
        # The lock cannot be made exclusive now: two that try would wait for each other.
        end = (
            [(ROLLBACK, ())]
            if outcome is None
            else [store(once.request, once.answer([outcome])), (COMMIT, ())]
        )
        connection.pipeline(*end)
    return outcome


def _run_locked(
    database: Database,
    operations: Sequence[Operation],
    by: str,
    once: Once[Sequence[Outcome]] | None = None,
) -> list[Outcome]:
    """Executes operations under the exclusive locks of all their documents."""
    for _ in range(_ATTEMPTS):
        try:
            return _try_locked(database, operations, by, once)
        except _NamespaceChanged:
            continue
    raise Unavailable(BUSY)


def _try_locked(
    database: Database,
    operations: Sequence[Operation],
    by: str,
    once: Once[Sequence[Outcome]] | None,
) -> list[Outcome]:
    """As `_run_locked`.

    COMMIT is sent when the results are known. A statement could also end the transaction by an error of its own, in the
    same round trip, but PostgreSQL writes errors to its log: one for each condition that does not hold.

    Raises:
        _NamespaceChanged: a namespace was deleted at the same time, or has features that were not known.
    """
    begin = _begin_once(once) if once else [(BEGIN, ())]
    account = operations[0].document.account.encode()
    limit = database.settings.namespace_limit
    created = [each.document.namespace for each in operations if each.creates]
    used = [each.document.namespace for each in operations]
    features = database.features
    logging = {name for name in used if features.has_any(operations[0].document.account, name)}
    prepare = [
        (LOCK_DOCUMENTS, (account, _addresses(operations))),
        (_ENSURE_NAMESPACES, (account, names_parameter(created), b"%d" % limit)),
        (_LOCK_NAMESPACES, (account, names_parameter(used))),
    ]

    def check_namespaces(results: Sequence[PGresult]) -> None:
        ensured, locked = results[-2:]
        found = set()
        for row in range(locked.ntuples):
            name = (locked.get_value(row, 0) or b"").decode()
            found.add(name)
            has_features = locked.get_value(row, 1) == b"t"
            features.learn(operations[0].document.account, name, has_any=has_features)
            if has_features and name not in logging:
                raise _NamespaceChanged(BUSY)
        for index, each in enumerate(operations):
            if each.creates and each.document.namespace not in found:
                if ensured.get_value(0, 0) == b"t":
                    raise _NamespaceChanged(BUSY)
                raise _of_operation(index, limit_reached(limit))

    with database.pipelined_transaction() as connection:
        outcomes = _execute(
            connection,
            operations,
            [*begin, *prepare],
            check_namespaces,
            [],
            waited=_Waited(by.encode(), logging),
        )
        end: list[Step] = [(COMMIT, ())]
        if once:
            end.insert(0, store(once.request, once.answer(outcomes)))
        connection.pipeline(*end)
    return outcomes


def _execute(  # noqa: PLR0913 - what comes before and after
    connection: LibpqConnection,
    operations: Sequence[Operation],
    before: Sequence[Step],
    check: Callable[[Sequence[PGresult]], None] | None,
    after: Sequence[Step],
    *,
    waited: _Waited | None = None,
) -> list[Outcome]:
    """Executes operations between other steps, in one round trip unless there are many reads.

    Args:
        connection: the connection, with or without an open transaction.
        operations: what to execute.
        before: steps that come first.
        check: called with the results of those, if given, before any outcome is made.
        after: steps that come last.
        waited: if the transaction may wait for locks before the operations, and change something.
    """
    outcomes: list[Outcome] = []
    room = _Room()
    parts = [*_parts(operations)]
    for number, part in enumerate(parts):
        planned = [(each, _planned(each, waited)) for each in part]
        steps = [step for _, steps in planned for step in steps]
        first = [] if number else before
        last = [] if number + 1 < len(parts) else after
        results = iter(_pipeline(connection, [*first, *steps, *last]))
        before_results = [*islice(results, len(first))]
        if first and check:
            check(before_results)
        for each, its_steps in planned:
            try:
                outcome = each.outcome_locked([*islice(results, len(its_steps))])
                room.take(outcome)
            except ContextError as error:
                raise _of_operation(len(outcomes), error)  # noqa: B904 - it is the same error
            outcomes.append(outcome)
    return outcomes


def _planned(operation: Operation, waited: _Waited | None) -> Sequence[Step]:
    steps = operation.locked()
    if waited is None:
        return steps
    has_features = operation.document.namespace in waited.logging
    logging = (logging_step(step, waited.by, has_features=has_features) for step in steps)
    return [(statement.after_waiting(), params) for statement, params in logging]


def _parts(operations: Sequence[Operation]) -> Iterator[Sequence[Operation]]:
    """Divides operations into parts that have at most _READS_AT_A_TIME reads."""
    start = reads = 0
    for index, operation in enumerate(operations):
        reads += operation.is_read
        if reads > _READS_AT_A_TIME:
            yield operations[start:index]
            start, reads = index, 1
    yield operations[start:]


def _pipeline(connection: LibpqConnection, steps: Sequence[Step]) -> list[PGresult]:
    try:
        return connection.pipeline(*steps)
    except StoreFault as fault:
        if fault.sqlstate == DIVISION_BY_ZERO:
            raise _Repeated(BUSY) from None
        raise


def _begin_once(once: Once[Sequence[Outcome]]) -> list[Step]:
    return [(BEGIN, ()), *check_new(once.request)]


def _addresses(operations: Sequence[Operation]) -> bytes:
    return encode([(each.document.namespace, each.document.session_id) for each in operations])


class _Room:
    """How much an answer may still hold."""

    def __init__(self) -> None:
        self._characters = MAX_ANSWER_CHARACTERS

    def take(self, outcome: Outcome) -> None:
        """Takes what an outcome needs.

        Raises:
            TooLarge: it does not fit.
        """
        if isinstance(outcome, ContextError):
            return
        needed = len(encode(outcome).decode())
        if needed > self._characters:
            raise TooLarge("The answer is too large; read less in one request.")
        self._characters -= needed


def _of_operation(index: int, error: ContextError) -> ContextError:
    """The error, which says that it is of the operation of this index."""
    error.members["op"] = index
    return error

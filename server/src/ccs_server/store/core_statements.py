"""Tells an observer of the statements that SQLAlchemy Core executes, as `LibpqConnection` tells it of its own.

They have no names, and their text depends on filters, so they are named after what they do to which table.
"""

import re
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError

from ccs_server.store.connection import Observer
from ccs_server.store.faults import fault_from_driver

_BEGAN = "ccs.began"

# The first table that the text names; the parts that come before it name columns and functions.
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE|TABLE)\s+([a-z_]+)")


def name_of(sql: str) -> bytes:
    """The name of a statement, such as `select_api_key`: its first word, and its table if it has one."""
    verb, *_ = sql.split(maxsplit=1)
    table = _TABLE.search(sql)
    return (f"{verb}_{table[1]}" if table else verb).lower().encode()


def observe_core(engine: Engine, observe: Observer) -> None:
    """Has `observe` told of each statement of the engine's connections, on the thread that executes it."""

    def begin(connection: Connection, *_: Any) -> None:  # noqa: ANN401 - as SQLAlchemy calls it
        connection.info[_BEGAN] = monotonic()

    def end(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:  # noqa: ANN401
        observe((name_of(statement),), connection.info.pop(_BEGAN), None)

    def fail(context: ExceptionContext) -> None:
        # Errors that come before a statement is sent are not of the database.
        if context.connection is None or context.statement is None:
            return
        began = context.connection.info.pop(_BEGAN, None)
        if began is None:
            return
        error: object = context.sqlalchemy_exception or context.original_exception
        if isinstance(error, DBAPIError):
            error = fault_from_driver(error)
        observe((name_of(context.statement),), began, type(error).__name__)

    event.listen(engine, "before_cursor_execute", begin)
    event.listen(engine, "after_cursor_execute", end)
    event.listen(engine, "handle_error", fail)

"""What features of a namespace add to statements that change properties: it is made of their text, in one place.

`logged` returns the form of a statement that also adds an event to `change_new` for each property that it has changed,
if its namespace logs changes. The event is numbered while the statement holds the property's row, and the numbers of
one property's events are therefore in the order of their commits. `sequencing` brings them into the log.

It also keeps `search_entry` up to date if the namespace is indexed, while it holds the property's row for the same
reason.

The text of a statement follows these rules:

- $1 is the account, $2 the namespace and $3 the session id.
- It changes properties in its last command, or in a CTE called `changed`. A CTE called `stamped` may extend the life of
  others.
- A save sets `updated_at`. An UPDATE that does not extends lives.
- `AND n.features = 0` is in the text of a statement that does nothing in a namespace with features. It is left out in
  the other form. A statement without it is always executed in the other form.
"""

import re
from functools import cache

from ccs_server.store.connection import Statement, Step

GUARD = "AND n.features = 0"

_CHANGES = re.compile(r"\b(?:INSERT INTO|UPDATE|DELETE FROM) property\b")
_LAST_COMMAND = re.compile(r"\n    (?=(?:INSERT INTO|UPDATE|DELETE FROM) property\b)")
_LAST_SELECT = re.compile(r"\n    (?=SELECT\b)")
_RETURNING = re.compile(r"\n\s+RETURNING ")
_PARAMETER = re.compile(r"\$(\d+)")

_LOG = """log AS MATERIALIZED (
        SELECT n.id, n.features, n.settings, coalesce((n.settings->>'keepChanges')::integer, 604800) AS keep
        FROM namespace n
        WHERE n.account = $1 AND n.name = $2 AND n.features <> 0
    )"""

_EVENTS = """
        INSERT INTO change_new
            (account, namespace_id, ns, session_id, name, actor, keep_seconds, made_at, type, expires_at, {columns})
        SELECT $1, log.id, $2, $3, {cte}.name, nullif(${by}::text, ''), log.keep, now(), {values}
        FROM log, {cte} WHERE log.features & 1 = 1"""

# In the order of the names, so that two saves cannot deadlock.
_ENTRIES = """
        INSERT INTO search_entry (account, namespace_id, session_id, name, key, listed_at, generation)
        SELECT $1, log.id, $3, {cte}.name,
            CASE WHEN (log.settings->'index')::jsonb ? {cte}.name THEN ccs_search_key({cte}.value) END,
            CASE WHEN log.features & 8 = 8 THEN coalesce({cte}.updated_at, '-infinity') END,
            (log.settings->>'generation')::integer
        FROM log, {cte}
        WHERE log.features & 8 = 8 OR (log.features & 4 = 4 AND (log.settings->'index')::jsonb ? {cte}.name)
        ORDER BY {cte}.name
        ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
        SET key = excluded.key, listed_at = excluded.listed_at, generation = excluded.generation
        RETURNING 1 AS one"""
_NO_ENTRIES = """
        DELETE FROM search_entry e USING log
        WHERE e.account = $1 AND e.namespace_id = log.id AND e.session_id = $3
            AND e.name = ANY (ARRAY(SELECT {cte}.name FROM {cte})) AND log.features & 12 <> 0"""

_SET = (
    "value, size, etag",
    """'property.set', {cte}.expires_at, CASE WHEN log.features & 2 = 2 THEN {cte}.value END,
            CASE WHEN log.features & 2 = 2 THEN {cte}.size END,
            ccs_etag({cte}.value)""",
)
_TOUCHED = "value", "'property.touched', {cte}.expires_at, NULL"
# A row that has expired, and that the purge has not found yet, is no property any more.
_DELETED = (
    "value",
    """CASE WHEN {cte}.expires_at > now() THEN 'property.deleted' ELSE 'property.expired' END, NULL, NULL""",
)


@cache
def changes_properties(statement: Statement) -> bool:
    """Whether the statement changes properties."""
    return _CHANGES.search(statement.sql.decode()) is not None


@cache
def is_guarded(statement: Statement) -> bool:
    """Whether the statement does nothing in a namespace with features."""
    return GUARD.encode() in statement.sql


@cache
def logged(statement: Statement) -> Statement:
    """Returns the form of the statement that logs what it changes; it has one more parameter: who changes it.

    It returns what the statement returns. A statement that returns nothing has a row for each property in this form,
    which says whether the namespace logs changes: `1` or `0`.
    """
    sql = re.sub(rf"\s+{re.escape(GUARD)}\b", "", statement.sql.decode())
    by = max(int(number) for number in _PARAMETER.findall(sql)) + 1
    if "changed AS (" in sql:
        *_, last = _LAST_SELECT.finditer(sql)
        head, tail = sql[: last.start()], sql[last.end() :]
    else:
        (last,) = _LAST_COMMAND.finditer(sql)
        command, *_ = _RETURNING.split(sql[last.end() :].rstrip())
        head = sql[: last.start()].rstrip()
        head = f"{head}, " if head else "\n    WITH "
        # Indented, because the end of a CTE is found by its indentation.
        command = command.replace("\n", "\n    ")
        head += f"changed AS (\n        {command}\n    )"
        tail = "SELECT (SELECT count(*) FROM log) FROM changed"
    for cte in ("changed", "stamped"):
        if f"{cte} AS (" in head:
            before, command, after = _cte(head, cte)
            head = before + _returning(command) + after + _events(cte, command, by)
    head = head.replace("WITH ", f"WITH {_LOG}, ", 1)
    return Statement.of(f"{statement.name.decode()}_logged", f"{head}\n    {tail}")


def logging_step(step: Step, by: bytes, *, has_features: bool) -> Step:
    """The step in the form that logs, unless it changes nothing or does so only where nothing is logged.

    Args:
        step: a statement with its parameters.
        by: who makes the change.
        has_features: whether the namespace may have features: the guarded form need not be tried.
    """
    statement, params = step
    if changes_properties(statement) and (has_features or not is_guarded(statement)):
        return logged(statement), (*params, by)
    return step


def _cte(text: str, name: str) -> tuple[str, str, str]:
    """Splits the text into what is before the command of a CTE, the command, and the rest."""
    before, begin, rest = text.partition(f"{name} AS (")
    command, end, after = rest.partition("\n    )")
    return before + begin, command, end + after


def _saves(command: str) -> bool:
    return "updated_at" in command


def _returning(command: str) -> str:
    """The command of a CTE, which returns what an event needs, and what it returns by itself."""
    command, *returned = _RETURNING.split(command)
    given = [item.strip() for items in returned for item in items.split(",")]
    names = {item.split()[-1].rpartition(".")[2] for item in given}
    row = "property" if command.lstrip().startswith("INSERT") else "p"
    saved = ("name", "value", "size", "expires_at", "updated_at")
    needed = saved if _saves(command) else ("name", "expires_at")
    given += [f"{row}.{column}" for column in needed if column not in names]
    return f"{command}\n        RETURNING {', '.join(given)}"


def _events(cte: str, command: str, by: int) -> str:
    """CTEs that add the events, and the entries, of what the command of another one has changed."""
    if command.lstrip().startswith("DELETE"):
        (columns, values), entries = _DELETED, _NO_ENTRIES
    elif _saves(command):
        (columns, values), entries = _SET, _ENTRIES
    else:
        (columns, values), entries = _TOUCHED, None
    events = _EVENTS.format(columns=columns, cte=cte, by=by, values=values.format(cte=cte))
    text = f", logged_{cte} AS ({events}\n    )"
    return f"{text}, entered_{cte} AS ({entries.format(cte=cte)}\n    )" if entries else text

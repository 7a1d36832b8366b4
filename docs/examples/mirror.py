"""Keeps a copy of a namespace in SQLite, as it changes: python docs/examples/mirror.py FILE NAMESPACE.

The namespace must log values. What a change has changed and its position are saved in one transaction, so the program
may be killed at any moment: it goes on where it was. It takes its settings from CCS_URL, CCS_ACCOUNT and CCS_API_KEY.
"""

import json
import sqlite3
import sys
from contextlib import closing

from ccs_sdk import Change, ContextClient, GoneError

TABLES = """
    CREATE TABLE IF NOT EXISTS property (
        session TEXT, name TEXT, value TEXT, PRIMARY KEY (session, name)
    );
    CREATE TABLE IF NOT EXISTS position (after TEXT);
"""


def main(file: str, namespace: str) -> None:
    """Copies the namespace if there is no copy yet, and follows it without an end."""
    with closing(sqlite3.connect(file)) as db, ContextClient() as client:
        db.executescript(TABLES)
        while True:
            found = db.execute("SELECT after FROM position").fetchone()
            try:
                for change in client.changes(
                    namespace, after=found[0] if found else copy(client, db, namespace)
                ):
                    with db:
                        apply(db, change)
                        remember(db, change.id)
            except GoneError:
                # The mirror was away for longer than the log keeps changes.
                copy(client, db, namespace)


def copy(client: ContextClient, db: sqlite3.Connection, namespace: str) -> str:
    """Replaces the copy by what there is now; returns the position from which to follow it.

    The position is taken first. What changes while this reads is in the log after it, and is applied once more.
    """
    after = client.position()
    with db:
        db.execute("DELETE FROM property")
        for session in client.namespace(namespace).iter_session_properties():
            for name, value in session.properties.items():
                save(db, session.session_id, name, value)
        remember(db, after)
    return after


def apply(db: sqlite3.Connection, change: Change) -> None:
    """Does to the copy what was done to the namespace."""
    if change.type == "namespace.deleted":
        db.execute("DELETE FROM property")
    elif change.type == "property.set":
        save(db, change.session_id, change.name, change.value)
    elif change.type != "property.touched":
        where = (change.session_id, change.name)
        db.execute("DELETE FROM property WHERE session = ? AND name = ?", where)


def save(db: sqlite3.Connection, session: str | None, name: str | None, value: object) -> None:
    """Saves a property in the copy."""
    row = (session, name, json.dumps(value))
    db.execute("INSERT OR REPLACE INTO property VALUES (?, ?, ?)", row)


def remember(db: sqlite3.Connection, after: str) -> None:
    """Notes that everything up to this position is in the copy."""
    db.execute("DELETE FROM position")
    db.execute("INSERT INTO position VALUES (?)", (after,))


if __name__ == "__main__":
    main(*sys.argv[1:])

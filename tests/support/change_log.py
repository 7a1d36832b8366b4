"""The change log as a test sees it: its events, and what they add up to."""

import json
from typing import Any

from ccs_server.store.changes import Filter, read_changes
from ccs_server.store.database import Database
from ccs_server.store.sequencing import sequence

Event = dict[str, Any]

Properties = dict[tuple[str, str, str], str]
"""The value of each property as JSON text, by its namespace, session and name."""


def logged_events(database: Database, account: str, wanted: Filter | None = None) -> list[Event]:
    """Returns all events of an account, oldest first, after bringing those that are committed into its log."""
    sequence(database)
    found: list[Event] = []
    after = 0
    while True:
        page = read_changes(
            database, account, wanted or Filter(), after=after, limit=1000, backward=False
        )
        found += (
            json.loads(b"{%b}" % event.members, parse_float=str) | {"position": event.position}
            for event in page.events
        )
        if page.next is None or page.next >= page.head:
            return found
        after = page.next


def told(events: list[Event], *members: str) -> list[tuple[Any, ...]]:
    """Returns these members of each event; the type without `property.`."""
    return [
        tuple(
            str(event[name]).removeprefix("property.") if name == "type" else event.get(name)
            for name in members
        )
        for event in events
    ]


def replay(events: list[Event]) -> Properties:
    """Returns the properties that exist after these events, if the log has their values."""
    found: Properties = {}
    for event in events:
        key = event["ns"], event.get("session", ""), event.get("name", "")
        match event["type"]:
            case "property.set":
                found[key] = json.dumps(event["value"], sort_keys=True)
            case "property.touched":
                assert key in found, f"touched and not there: {event}"
            case "property.deleted" | "property.expired":
                assert found.pop(key, None) is not None, f"gone twice: {event}"
            case "namespace.deleted":
                found = {key: value for key, value in found.items() if key[0] != event["ns"]}
    return found

"""Deletes what is stored about a person: `python erase.py [--delete] TEXT...`. docs/operate/erase.md explains it.

It takes its settings from CCS_URL, CCS_ACCOUNT and CCS_API_KEY.
"""

import argparse
import json
from collections.abc import Iterator, Sequence

from ccs_sdk import ContextClient, NamespaceHandle

NO_SESSION = "__default__"


def main() -> None:
    """Lists or deletes what contains one of the texts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delete", action="store_true", help="delete it, instead of only listing")
    parser.add_argument("texts", metavar="TEXT", nargs="+", help="what identifies the person")
    arguments = parser.parse_args()
    verb = "deleted" if arguments.delete else "found"
    count = 0
    with ContextClient() as client:
        for listed in client.list_namespaces():
            namespace = client.namespace(listed.name)
            for session, names in found(namespace, arguments.texts):
                count += 1
                if session != NO_SESSION:
                    print(f"{verb}: session {session} of {listed.name}")
                    if arguments.delete:
                        namespace.session(session).drop()
                    continue
                for name in names:
                    print(f"{verb}: property {name} of {listed.name}")
                    if arguments.delete:
                        namespace.delete(name)
    print(f"{verb}: {count} in total")


def found(namespace: NamespaceHandle, texts: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The sessions that contain one of the texts, and the names of the properties that do."""
    # All of them first, because a deletion would change the pages that follow.
    sessions = list(namespace.iter_session_properties())
    with_properties = {session.session_id for session in sessions}
    for listed in namespace.list_session_ttls():
        session_id = listed.session_id
        if session_id not in with_properties and any(text in session_id for text in texts):
            yield session_id, []
    for session in sessions:
        names = [
            name
            for name, value in session.properties.items()
            if any(text in name or is_inside(text, value) for text in texts)
        ]
        if names or any(text in session.session_id for text in texts):
            yield session.session_id, names


def is_inside(text: str, value: object) -> bool:
    """Whether a string or a name anywhere in a JSON value contains the text."""
    if isinstance(value, dict):
        return any(text in name or is_inside(text, member) for name, member in value.items())
    if isinstance(value, list):
        return any(is_inside(text, element) for element in value)
    return text in (value if isinstance(value, str) else json.dumps(value, default=str))


if __name__ == "__main__":
    main()

"""Generates the synchronous modules of the SDK from the asynchronous ones, which are the source of both.

    python sdk/generate.py            # writes src/ccs_sdk/*.py from src/ccs_sdk/aio/*.py
    python sdk/generate.py --check    # only tells whether they differ

Both have the same requests, retries and errors, because a module of one is that of the other without `await`. What
differs stands in pairs that are written by hand: how a request is sent (`_http.py`), how to wait (`_concurrency.py`,
`_tokens.py`), and what has no form with `await` (`_mapping.py`).
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

TARGET = Path(__file__).parent / "src" / "ccs_sdk"
SOURCE = TARGET / "aio"
BY_HAND = {"__init__.py", "_concurrency.py", "_http.py", "_mapping.py", "_tokens.py"}

HEADER = "# Generated from aio/{name} by sdk/generate.py. Edit that file.\n"

# Sentences that are about tasks or threads, and examples that have a shorter form, each as in the two modules.
SENTENCES = {
    """\
    Tasks may share it, as long as they run in one event loop, of asyncio or trio; create one client for
    each loop. Close it, or use it in an `async with` statement; later calls raise `ClientClosedError`. It
    cannot be pickled, because it holds""": """\
    Threads may share it, and so may the processes of a server that forks: each process has its own
    connections. Close it, or use it in a `with` statement; later calls raise `ClientClosedError`. It
    cannot be pickled, because it holds""",
    """\
Set it to the number of calls that run at
            a time. Additional calls work too, but their connections are closed after use.""": """\
Set it to the number of threads that share
            the client. Additional threads work too, but their connections are closed after use.""",
    """\
An `httpx2.AsyncClient` to send with, for its transports and in tests. Its retries
            and pool are not changed, and `close()` leaves it open. A client that was used before a
            fork cannot be used after it.""": """\
A `requests.Session` to send with, for its adapters and in tests. Its retries and
            pool are not changed, and `close()` leaves it open. Its settings take precedence over the
            environment. A session that was used before a fork cannot be used after it.""",
    """\
A task renews it at each third of its time. A lease""": """\
A thread renews it at each third of its time. Locks are not used, so a process that is forked meanwhile
cannot inherit a locked one. A lease""",
    """\
    Tasks may share it.
    \"\"\"""": """\
    Threads may share it. A process that is forked meanwhile may write with it as long as its parent
    renews the lease.
    \"\"\"""",
    """\
    await place.set("intent", "rebook")
    await place["intent"]  # reads, or raises PropertyNotFoundError, which is a KeyError
    await place.has("intent")
    await place.delete("intent")  # no error if it does not exist, unlike a dict
""": """\
    place["intent"] = "rebook"  # saves
    place["intent"]  # reads, or raises PropertyNotFoundError, which is a KeyError
    "intent" in place
    del place["intent"]  # no error if it does not exist, unlike a dict
""",
    """\
    `all()` returns everything with one request.
""": """\
    `dict(place)` sends one request for each property; `all()` returns the same with one request. There
    is no `len()` and so no truth value, because `if place:` would send a request.
""",
    'await call.set("intent", "rebook")': 'call["intent"] = "rebook"',
    'await turn.set("intent", "rebook")': 'turn["intent"] = "rebook"',
    "make a list of it first": "iterate over `list(listing)`",
    "Tasks of one event loop may share it.": "Threads may share it.",
    "A task renews": "A thread renews",
    "in the task that finds": "in the thread that finds",
    "An `httpx2.AsyncClient` to send with.": "A `requests.Session` to send with.",
    "an `async with`": "a `with`",
}

# The rest is the same everywhere.
RULES = [
    (r"\bawait ", ""),
    (r"\basync (?=def|with|for)", ""),
    (r"\bAwaitable\[((?:[^][]|\[[^][]*\])*)\]", r"\1"),
    (r"\bAwaitable, ", ""),
    (r"\b__a(enter|exit|iter)__", r"__\1__"),
    (r"\bhttpx2\.AsyncClient\b", "requests.Session"),
    (r"\bhttpx2\b", "requests"),
    (r"\bhttp_client\b", "http_session"),
    (r"\bccs_sdk\.aio\b", "ccs_sdk"),
    (r"\b(_?)Async(?=[A-Z])", r"\1"),
]


def synchronous(source: str) -> str:
    """Returns the module without `await`, not yet formatted."""
    for sentence, other in SENTENCES.items():
        source = source.replace(sentence, other)
    for pattern, replacement in RULES:
        source = re.sub(pattern, replacement, source)
    return source


def generated() -> dict[Path, str]:
    """Returns the text of each synchronous module."""
    paths = sorted(path for path in SOURCE.glob("*.py") if path.name not in BY_HAND)
    return {
        TARGET / path.name: _formatted(
            HEADER.format(name=path.name) + synchronous(path.read_text()), TARGET / path.name
        )
        for path in paths
    }


def _formatted(text: str, path: Path) -> str:
    """Sorts the imports and formats, as ruff does with the module at this path."""
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--select", "I", "--fix", "--quiet"], ["format", "--quiet"]):
        text = subprocess.run(  # noqa: S603 - our own arguments
            [*ruff, *command, "--stdin-filename", path, "-"],
            input=text, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    return text


def main() -> int:
    """Writes what differs, or only tells so."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    stale = {
        path: text
        for path, text in generated().items()
        if not path.exists() or path.read_text() != text
    }
    for path, text in stale.items():
        print(path.name)  # noqa: T201
        if not check:
            path.write_text(text)
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())

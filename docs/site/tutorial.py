"""Plays docs/tutorial.md as its reader would: saves its programs, types into terminals, and compares what they show.

The tests play it (`tests/sdk/test_tutorial.py`), `screenshots.py` takes the pictures on the way, and `newcomer.py`
times it with the installation.
"""

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
_INSTALL = "python3 -m venv"
"""How the block begins that installs the service."""

_PARTS = re.compile(
    r"^## (?P<heading>[^\n]+)$"
    r"|^<!-- terminal: (?P<terminal>\w+) -->$"
    r"|^Save this as `(?P<file>[\w.]+)`:\n\n```python\n(?P<program>.*?)^```$"
    r"|^```sh\n(?P<commands>.*?)^```$"
    r"|^```text\n(?P<shown>.*?)^```$"
    r"|^!\[[^\]]*\]\((?P<picture>[^)]+)\)$",
    re.DOTALL | re.MULTILINE,
)
_TYPED = re.compile(r"(?<=^> )(.*)\n", re.MULTILINE)
_KEY = re.compile(r"\bccs_\w+")
_TIMEOUT_SECONDS = 300.0  # an installation takes long where nothing is cached


class Part(NamedTuple):
    """A part of the page that is played: its kind, a name if it has one, and its text."""

    kind: str
    text: str
    name: str = ""


def parts() -> Iterator[Part]:
    """The parts of the page, in their order."""
    for match in _PARTS.finditer(PAGE.read_text()):
        kind = match.lastgroup or ""
        yield Part(kind, match[kind], match["file"] or "")


class Terminal:
    """A shell in which a person types, and which ends with the first command that fails."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        # What is typed comes by a terminal, so that a program reads one line and leaves the next one to the shell.
        self._keyboard, typed = os.openpty()
        self._shell = subprocess.Popen(
            ["bash", "-e"],  # noqa: S607 - the one of the PATH
            cwd=folder,
            env={**env, "PYTHONUNBUFFERED": "1"},  # as where what is shown is a terminal, too
            stdin=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that a signal reaches what runs in it
        )
        os.close(typed)
        self._unread = ""
        self.shown = ""
        """All that it has shown."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends what runs in it, and waits until it has ended."""
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGTERM)
        with self._shell:  # waits, and closes what it shows
            while self._read(time.monotonic() + _TIMEOUT_SECONDS):
                pass
        os.close(self._keyboard)

    def _read(self, ends_at: float) -> str:
        """Waits for what it shows next. An empty text: it has ended, or it is too late."""
        assert self._shell.stdout
        left = max(0.0, ends_at - time.monotonic())
        readable, _, _ = select.select([self._shell.stdout], [], [], left)
        return os.read(self._shell.stdout.fileno(), 65_536).decode() if readable else ""

    def type(self, text: str) -> None:
        """Types a line, or several."""
        os.write(self._keyboard, f"{text.rstrip()}\n".encode())

    def expect(self, text: str) -> None:
        """Waits until it shows a text, in which `…` stands for anything.

        Raises:
            AssertionError: it shows something else.
        """
        pattern = re.compile(".*?".join(map(re.escape, text.split("…"))), re.DOTALL)
        ends_at = time.monotonic() + _TIMEOUT_SECONDS
        while not (match := pattern.match(self._unread)):
            read = self._read(ends_at)
            assert read, f"The terminal shows\n{self.shown}\nand not\n{text}"
            self._unread += read
            self.shown += read
            if "…" not in text and len(self._unread) >= len(text):
                assert self._unread.startswith(text), f"{self._unread!r} is shown, not {text!r}"
        self._unread = self._unread[match.end() :]

    def run(self, commands: str) -> None:
        """Types commands and waits until they have ended."""
        self.type(f"{commands}\necho 'all done'")
        self.expect("…all done\n")


@dataclass
class Player:
    """Plays the page."""

    folder: Path
    """Where it plays."""
    env: Mapping[str, str]
    """The environment of the terminals."""
    on_picture: Callable[[str, str], object]
    """Called with the name of each picture that the page comes to, and the key that was made."""
    replacements: Mapping[str, str] = field(default_factory=dict)
    """Texts of the page, with what is typed and expected instead."""
    leaves_out: str | None = None
    """How the block of commands begins that is not run."""
    on_heading: Callable[[str], object] = lambda _: None
    """Called with each heading."""
    _key: str = ""

    def play(self) -> None:
        """Plays all of it, and ends what runs then."""
        with ExitStack() as stack:
            terminals: dict[str, Terminal] = {}
            terminal: Terminal
            for part, following in pairwise([*parts(), Part("", "")]):
                match part.kind:
                    case "heading":
                        self.on_heading(part.text)
                    case "terminal":
                        if part.text not in terminals:
                            opened = Terminal(self.folder, self.env)
                            terminals[part.text] = stack.enter_context(opened)
                        terminal = terminals[part.text]
                    case "program":
                        (self.folder / part.name).write_text(part.text)
                    case "commands":
                        self._type(terminal, part.text, ends=following.kind != "shown")
                    case "shown":
                        self._compare(terminal, part.text)
                    case "picture":
                        self.on_picture(Path(part.text).stem, self._key)

    def _adapted(self, text: str) -> str:
        for old, new in self.replacements.items():
            text = text.replace(old, new)
        return text

    def _type(self, terminal: Terminal, commands: str, *, ends: bool) -> None:
        """Types commands, and waits until they have ended unless the page shows what they print."""
        if self.leaves_out and commands.startswith(self.leaves_out):
            return
        typed = self._adapted(commands).replace("ccs_…", self._key)
        if ends:
            terminal.run(typed)
        else:
            terminal.type(typed)

    def _compare(self, terminal: Terminal, shown: str) -> None:
        """Waits for what a terminal shows, and types what a person types there."""
        expected, *rest = _TYPED.split(self._adapted(shown))
        terminal.expect(expected)
        for typed, then in zip(rest[::2], rest[1::2], strict=True):
            terminal.type(typed)
            terminal.expect(then)
        if "ccs_…" in shown:
            self._key = _KEY.findall(terminal.shown)[-1]


def player_here(
    folder: Path, env: Mapping[str, str], on_picture: Callable[[str, str], object], port: int
) -> Player:
    """A player who installs nothing, but uses the `ccs` and the SDK of this program, on another port."""
    (folder / ".venv").symlink_to(sys.prefix)
    replacements = {
        "ccs serve": f"ccs serve --workers 1 --port {port}",
        "127.0.0.1:8000": f"127.0.0.1:{port}",
    }
    return Player(folder, env, on_picture, replacements, leaves_out=_INSTALL)

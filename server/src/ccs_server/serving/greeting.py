"""What `ccs serve` says once it is ready."""

import json
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event, Thread

from ccs_server.store.credentials import ApiKey

_POLL_SECONDS = 0.05
_ANSWER_SECONDS = 10.0


def url_of(host: str, port: int) -> str:
    """The URL of an address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@dataclass(frozen=True)
class Greeting:
    """The service's addresses, and the key of a new store if there is one."""

    host: str
    port: int
    operations: str | None
    """The URL of the operations listener, if there is one."""
    key: ApiKey | None
    has_console: bool = True

    @property
    def url(self) -> str:
        """Where the service is."""
        return url_of(self.host, self.port)

    @property
    def docs(self) -> str:
        """Where its docs page is."""
        return f"{self.url}/docs"

    @property
    def console(self) -> str:
        """Where its console is."""
        return f"{self.url}/console"

    @property
    def variables(self) -> str:
        """The line for a shell that tells the SDK where the service is and who calls it."""
        account, key = (self.key.account, self.key.key) if self.key else ("ACCOUNT", "KEY")
        return f"export CCS_URL={self.url} CCS_ACCOUNT={account} CCS_API_KEY={key}"

    def as_text(self) -> str:
        """For a person."""
        lines = [
            f"CCS is ready at {self.url}",
            "",
            f"  Try every operation in a browser (Swagger UI): {self.docs}",
        ]
        if self.has_console:
            lines += [f"  Look at conversations: {self.console}"]
        if self.operations:
            lines += [f"  Health and metrics: {self.operations}"]
        create_key = f"{command()} keys create ACCOUNT"
        if self.key:
            lines += [
                "",
                f"Account '{self.key.account}' was made, with this key, shown only now. For the SDK and the examples:",
                "",
                f"  {self.variables}",
                "",
                "For other accounts, with the same CCS_* variables as this service:",
                "",
                f"  {create_key}",
                "",
                "Store a property and read it back:",
                "",
                f"  {_curl(self.url, self.key)}",
            ]
        else:
            lines += [
                "",
                "Make a key, with the same CCS_* variables as this service. Then the SDK and the examples need:",
                "",
                f"  {create_key}",
                f"  {self.variables}",
            ]
        return "\n".join([*lines, ""])

    def as_json(self) -> str:
        """For a program."""
        said = {"url": self.url, "docs": self.docs, "command": command()}
        if self.has_console:
            said |= {"console": self.console}
        if self.operations:
            said |= {"operations": self.operations}
        if self.key:
            said |= {
                "account": self.key.account,
                "key_id": self.key.key_id,
                "key": self.key.key,
                "export": self.variables,
                "curl": _curl(self.url, self.key),
            }
        return json.dumps(said)


def command() -> str:
    """How a shell calls `ccs`: by name if that finds this installation, else by its path."""
    script = Path(sys.executable).with_name("ccs")
    found = shutil.which("ccs")
    if found and script.exists() and Path(found).samefile(script):
        return "ccs"
    if script.exists():
        return shlex.quote(str(script))
    return shlex.join([sys.executable, "-m", "ccs_server"])


def _curl(url: str, key: ApiKey) -> str:
    """One line for a shell: saves a property, then reads it."""
    target = f"{url}/v1/account/{key.account}/profile/properties"
    header = f"maven-api-key: {key.key}"
    save = [
        "curl", "-fsS", "-X", "PATCH", target, "-H", header, "-H", "content-type: application/json",
        "-d", '{"name": "Ada"}',
    ]  # fmt: skip
    return f"{shlex.join(save)} && {shlex.join(['curl', '-fsS', target, '-H', header])}"


class Greeter:
    """Waits, beside the supervisor, until the service is ready, then calls `say`."""

    def __init__(self, greeting: Greeting, say: Callable[[], None]) -> None:
        self._address = greeting.host, greeting.port
        self._say = say
        self._stop = Event()
        self._thread = Thread(target=self._run, name="greeter", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            if self._is_ready():
                self._say()
                return

    def _is_ready(self) -> bool:
        connection = HTTPConnection(*self._address, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200  # noqa: PLR2004 - OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

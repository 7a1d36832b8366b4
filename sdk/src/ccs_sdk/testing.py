"""A pytest plugin that runs the real service for tests of your own, with a new account for each test.

```python
pytest_plugins = ["ccs_sdk.testing"]


def test_a_bot_remembers(ccs_client):
    ccs_client.set_property("airline", "intent", "rebook")
    assert ccs_client.get_property("airline", "intent") == "rebook"
```

It needs `ccs-server` in the same environment, and uses it only through the command `ccs`. The service has an
embedded PostgreSQL in `~/.cache/ccs-testing`, or in the directory that `CCS_TESTING_DIR` names. It is kept
for the next run, which then starts faster, and several runs may share it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from secrets import token_hex
from typing import IO, Any, Final

import pytest

from ccs_sdk.client import ContextClient
from ccs_sdk.errors import ConfigurationError

_STOP_SECONDS: Final = 30

# Runs the service, and in a fork performs commands of `ccs`, one a line. The server's modules are loaded once, and
# an account costs no start of a program. The service ends with the process that uses it, even if that is killed.
_PROGRAM: Final = """\
import json, os, signal, sys
from importlib.metadata import distribution

(entry,) = distribution("ccs-server").entry_points.select(name="ccs")
ccs = entry.load()
responses, service = int(sys.argv[1]), os.getpid()
if os.fork():
    os.close(responses)
    ccs(["serve", "--port", "0", "--workers", "1", "--json"], prog_name="ccs")
os.dup2(responses, sys.stdout.fileno())
for line in sys.stdin:
    ccs(json.loads(line), prog_name="ccs", standalone_mode=False)
    sys.stdout.flush()
if os.getppid() == service:
    os.kill(service, signal.SIGTERM)
"""


@dataclass(frozen=True)
class Account:
    """An account of a service, for one test.

    Attributes:
        url: The URL of the service.
        id: The account.
        api_key: A key of the account, of the scope `admin`.
        username: A user of version 2.
        password: The user's password.
    """

    url: str
    id: str
    api_key: str = field(repr=False)
    username: str
    password: str = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that clients read: `CCS_URL`, `CCS_ACCOUNT`, `CCS_API_KEY` and the user's."""
        return {
            "CCS_URL": self.url,
            "CCS_ACCOUNT": self.id,
            "CCS_API_KEY": self.api_key,
            "CCS_USERNAME": self.username,
            "CCS_PASSWORD": self.password,
        }


class Service:
    """A running service.

    Attributes:
        url: Its URL.
    """

    def __init__(self, url: str, commands: IO[str], responses: IO[str]) -> None:
        self.url = url
        self._commands = commands
        self._responses = responses

    def __repr__(self) -> str:
        return f"Service({self.url!r})"

    def new_account(self) -> Account:
        """Creates an account with a name of its own."""
        name = f"test-{token_hex(8)}"
        key = self._run("keys", "create", name, "--scope", "admin")
        user = self._run("credentials", "create", name)
        return Account(self.url, name, key["key"], user["username"], user["password"])

    def _run(self, *arguments: str) -> dict[str, Any]:
        print(json.dumps([*arguments, "--json"]), file=self._commands, flush=True)
        return _first_line(self._responses, "ccs " + " ".join(arguments[:2]))


@contextmanager
def running_service(directory: Path | None = None) -> Generator[Service]:
    """Runs the service for the length of a `with` block, for other test frameworks than pytest.

    Args:
        directory: Where its data is kept. The default is `CCS_TESTING_DIR` or `~/.cache/ccs-testing`.

    Raises:
        ConfigurationError: `ccs-server` is not installed here, or the service did not start.
    """
    _require_the_server()
    with _running(_environment(directory or _default_directory())) as (process, responses):
        assert process.stdin and process.stdout  # noqa: PT018, S101 - both are pipes
        url = _first_line(process.stdout, "ccs serve")["url"]
        yield Service(url, process.stdin, responses)


@pytest.fixture(scope="session")
def ccs_service() -> Generator[Service]:
    """A running service, which is started once for all tests of the process."""
    try:
        with running_service() as service:
            yield service
    except ConfigurationError as error:
        pytest.fail(error.message, pytrace=False)


@pytest.fixture
def ccs_account(ccs_service: Service) -> Generator[Account]:
    """An account for this test. What the test has stored is deleted after it."""
    account = ccs_service.new_account()
    yield account
    with ContextClient(account.url, account.id, api_key=account.api_key) as client:
        for namespace in client.list_namespaces():
            client.delete_namespace(namespace.name)


@pytest.fixture
def ccs_client(ccs_account: Account) -> Generator[ContextClient]:
    """A client of the test's account."""
    account = ccs_account
    with ContextClient(account.url, account.id, api_key=account.api_key) as client:
        yield client


def _require_the_server() -> None:
    try:
        distribution("ccs-server")
    except PackageNotFoundError:
        raise ConfigurationError(
            "ccs_sdk.testing runs the real service: install ccs-server in this environment"
            " (pip install ccs-server)."
        ) from None


def _default_directory() -> Path:
    given = os.environ.get("CCS_TESTING_DIR")
    return Path(given) if given else Path.home() / ".cache" / "ccs-testing"


def _environment(directory: Path) -> dict[str, str]:
    """Returns the environment of the service: this one without settings of another service."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("CCS_")}
    return inherited | {
        "CCS_DATA_DIR": str(directory),
        "CCS_OPERATIONS_PORT": "0",
        "CCS_DRAIN_TIME": "0.01",
    }


@contextmanager
def _running(env: Mapping[str, str]) -> Generator[tuple["subprocess.Popen[str]", IO[str]]]:
    """Runs the program; yields its process, and where it writes what the commands print."""
    log = Path(env["CCS_DATA_DIR"]) / "testing.log"
    read_end, write_end = os.pipe()
    with (
        os.fdopen(read_end) as responses,
        log.open("a") as stderr,
        subprocess.Popen(  # noqa: S603 - our own arguments
            [sys.executable, "-c", _PROGRAM, str(write_end)],
            env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, pass_fds=[write_end],
        ) as process,
    ):  # fmt: skip
        os.close(write_end)
        try:
            yield process, responses
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)


def _first_line(printed: IO[str], command: str) -> dict[str, Any]:
    """Returns the JSON object that the command prints next."""
    line = printed.readline()
    if not line:
        raise ConfigurationError(
            f"{command} failed; see testing.log in {_default_directory()}, or in the given directory."
        )
    said: dict[str, Any] = json.loads(line)
    return said
